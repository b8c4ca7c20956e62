"""Chat Completions as OpenAI and everybody who copied it take and send it (TRANSLATION §6, §10, §14, §15, §21)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from switchgear.providers.dialects.chat import WEB_SEARCH
from switchgear.providers.formats.openai_chat_reply import decode_error, decode_message, decode_response, decode_usage
from switchgear.providers.formats.openai_chat_turns import MessageWriter
from switchgear.providers.identifiers import nine_character_tool_id, short_tool_id
from switchgear.providers.loss import Loss, refuse
from switchgear.providers.reading import given
from switchgear.wire.chat import ChatReply
from switchgear.wire.conversation import (
    Encoded,
    ReplyContext,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from switchgear.providers.model_traits import TargetModel
    from switchgear.wire.conversation import Conversation, OutputFormat, ToolChoice


__all__ = ["decode_error", "decode_message", "decode_response", "decode_usage", "encode_request"]

PATH = "/chat/completions"
_STOPS = 4
_USER_LENGTH = 64
_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(ChatReply)
# What Groq's clients say for "as the model likes".
MODEL_DEFAULT = "default"
_OBJECT = {"type": "object", "properties": {}}


def encode_request(conversation: Conversation, target: TargetModel) -> Encoded:
    """The request for an OpenAI-like upstream. Raises `InvalidRequest` for what must not be dropped."""
    loss = Loss(conversation, target.strict)
    quirks = target.quirks
    tool_id: Callable[[str], str] = nine_character_tool_id if "forbids_unknown" in quirks else short_tool_id
    writer = MessageWriter(conversation, target, loss, tool_id)
    body: dict[str, Any] = {"model": target.model, "messages": writer.messages()}
    if conversation.tools:
        body["tools"] = _tools(conversation, target)
    choice = conversation.tool_choice
    if choice is not None and (conversation.tools or choice.mode in ("required", "tool")):
        body["tool_choice"] = encode_choice(conversation, choice, "any" if "forbids_unknown" in quirks else "required")
    if conversation.parallel_tool_calls is not None and conversation.tools:
        body["parallel_tool_calls"] = conversation.parallel_tool_calls
    _limits(conversation, target, body)
    _sampling(conversation, target, loss, body)
    if conversation.output is not None:
        body["response_format"] = encode_output(conversation.output)
    thinking = conversation.thinking
    if thinking is not None:
        effort = effort_of(conversation)
        if effort is not None:
            body["reasoning_effort"] = effort
        if thinking.summary is not None and conversation.source == "responses":
            loss.drop("thinking.summary")
    _account(conversation, loss, body, quirks)
    if conversation.stream:
        body["stream"] = True
        if "forbids_unknown" not in quirks:
            body["stream_options"] = {"include_usage": True}
    return Encoded(PATH, _encode(body), loss.names, ReplyContext())


def _limits(conversation: Conversation, target: TargetModel, body: dict[str, Any]) -> None:
    if conversation.max_tokens is not None:
        body[target.max_tokens_field] = conversation.max_tokens
    if conversation.stop:
        body["stop"] = conversation.stop if conversation.source == "chat" else conversation.stop[:_STOPS]


def _sampling(conversation: Conversation, target: TargetModel, loss: Loss, body: dict[str, Any]) -> None:
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
        value = getattr(conversation, name)
        if value is not None:
            body[name] = value
    if conversation.seed is not None:
        body["random_seed" if "forbids_unknown" in target.quirks else "seed"] = conversation.seed
    if conversation.n is not None:
        body["n"] = conversation.n
    if conversation.top_k is not None:
        if "takes_top_k" in target.quirks or conversation.source == "chat":
            body["top_k"] = conversation.top_k
        else:
            loss.drop("top_k")
    unsupported = "no_names" in target.quirks
    for name in ("logprobs", "top_logprobs"):
        value = getattr(conversation, name)
        if value is None:
            continue
        if unsupported:
            loss.drop(name)
        else:
            body[name] = value
    if given(conversation.logit_bias):
        if unsupported:
            loss.drop("logit_bias")
        else:
            body["logit_bias"] = conversation.logit_bias


def _account(conversation: Conversation, loss: Loss, body: dict[str, Any], quirks: frozenset[str]) -> None:
    """Who asks, how it is billed, and fields that only the client's own format knows."""
    forbids = "forbids_unknown" in quirks
    if conversation.user is not None:
        if forbids:
            loss.drop("user")
        else:
            user = conversation.user
            body["user"] = user if len(user) <= _USER_LENGTH else hashlib.sha256(user.encode()).hexdigest()
    if given(conversation.metadata):
        body["metadata"] = conversation.metadata
    tier = conversation.service_tier
    if tier is not None:
        body["service_tier"] = "default" if tier == "standard_only" else tier
    if conversation.verbosity is not None:
        body["verbosity"] = conversation.verbosity
    if conversation.modalities is not None:
        body["modalities"] = [word.lower() for word in conversation.modalities]
    if given(conversation.audio):
        body["audio"] = conversation.audio
    for tool in conversation.server_tools or ():
        if tool.kind == WEB_SEARCH:
            body["web_search_options"] = tool.payload if tool.format == "chat" else {}
        else:
            raise refuse(conversation, "server_tools", f"Tools of type '{tool.kind}' need a provider that runs them.")
    if not conversation.extensions:
        return
    if conversation.source == "chat" and not forbids:
        body.update(conversation.extensions)
        return
    shared = SHARED_WITH_RESPONSES if conversation.source == "responses" and not forbids else frozenset[str]()
    for name, value in conversation.extensions.items():
        if name in shared:
            body[name] = value
        else:
            loss.drop_named(name)


SHARED_WITH_RESPONSES = frozenset(
    {"store", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "moderation"}
)


def effort_of(conversation: Conversation) -> str | None:
    """Reasoning effort, derived from a token budget where the client gave that (§14.1)."""
    thinking = conversation.thinking
    if thinking is None:
        return None
    if thinking.effort is not None:
        return thinking.effort
    budget = thinking.budget
    if budget is None:
        return "medium" if thinking.adaptive else None
    if budget == 0:
        return "none"
    if budget < 0:  # Gemini's -1: as much as the model likes
        return None
    return "low" if budget < 2_048 else "medium" if budget < 8_192 else "high"


def _tools(conversation: Conversation, target: TargetModel) -> list[dict[str, Any]]:
    found = []
    for tool in conversation.tools or ():
        function: dict[str, Any] = {"name": tool.name}
        if tool.description is not None:
            function["description"] = tool.description
        if given(tool.parameters):
            function["parameters"] = tool.parameters
        elif conversation.source != "chat":
            function["parameters"] = _OBJECT
        if tool.strict is not None:
            function["strict"] = tool.strict
        item: dict[str, Any] = {"type": "function", "function": function}
        if given(tool.cache) and ("takes_cache_control" in target.quirks or conversation.source == "chat"):
            item["cache_control"] = tool.cache
        found.append(item)
    return found


def encode_choice(conversation: Conversation, choice: ToolChoice, required: str = "required") -> Any:
    """tool_choice in chat's form. Raises `InvalidRequest` for a name that is no tool's."""
    check_choice(conversation, choice)
    if choice.mode == "tool":
        return {"type": "function", "function": {"name": choice.name}}
    if choice.allowed is not None:
        tools = [{"type": "function", "function": {"name": name}} for name in choice.allowed]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}
    return required if choice.mode == "required" else choice.mode


def check_choice(conversation: Conversation, choice: ToolChoice) -> None:
    """Refuse a choice among tools that are not there (§3)."""
    names = {tool.name for tool in conversation.tools or ()}
    if choice.mode == "required" and not names and not conversation.server_tools:
        raise refuse(
            conversation, "tool_choice", "'tool_choice' forces a tool call, but there are no tools.", "invalid_value"
        )
    if choice.mode == "tool" and choice.name not in names:
        raise refuse(
            conversation,
            "tool_choice",
            f"'tool_choice' names '{choice.name}', which is not among the tools.",
            "invalid_value",
        )
    for name in choice.allowed or ():
        if name not in names:
            raise refuse(
                conversation,
                "tool_choice",
                f"'tool_choice' allows '{name}', which is not among the tools.",
                "invalid_value",
            )


def encode_output(output: OutputFormat) -> dict[str, Any]:
    """response_format in chat's nested form."""
    if output.kind == "text":
        return {"type": "text"}
    if output.kind == "json":
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": output.name, "schema": output.schema}
    if output.strict is not None:
        schema["strict"] = output.strict
    if output.description is not None:
        schema["description"] = output.description
    return {"type": "json_schema", "json_schema": schema}
