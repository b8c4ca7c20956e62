"""Anthropic Messages as the upstream takes and sends it (TRANSLATION §1-§6, §11, §12)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from switchgear.providers.dialects.chat import WEB_SEARCH
from switchgear.providers.formats.anthropic_reply import decode_blocks, decode_error, decode_response, decode_usage
from switchgear.providers.formats.anthropic_turns import TurnWriter
from switchgear.providers.formats.openai_chat import MODEL_DEFAULT, check_choice
from switchgear.providers.identifiers import fit_tool_name
from switchgear.providers.loss import Loss, refuse
from switchgear.providers.reading import given
from switchgear.providers.schemas import anthropic_output_schema, object_schema
from switchgear.wire.anthropic import Block, BlockCitation, MessagesReply
from switchgear.wire.conversation import (
    Encoded,
    ReplyContext,
)

if TYPE_CHECKING:
    from switchgear.providers.model_traits import TargetModel
    from switchgear.wire.conversation import Conversation, Thinking, Tool


__all__ = ["decode_blocks", "decode_error", "decode_response", "decode_usage", "encode_request"]

PATH = "/v1/messages"
JSON_TOOL = "json_tool_call"
_JSON_INSTRUCTION = "Answer with one JSON object only: no other text, no code fence."
_MIN_BUDGET = 1_024
_BUDGETS = {"minimal": 1_024, "low": 1_024, "medium": 2_048, "high": 4_096, "xhigh": 8_192, "max": 16_384}
_EFFORTS = {"minimal": "low"}
# What an e-mail address or telephone number looks like: Anthropic asks for opaque ids (§1).
_PERSONAL = re.compile(r".*@.*|\+?[\d\s().-]{7,20}")
_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(MessagesReply)
_block = msgspec.json.Decoder(Block)
_citations = msgspec.json.Decoder(list[Raw])
_citation = msgspec.json.Decoder(BlockCitation)


def encode_request(conversation: Conversation, target: TargetModel) -> Encoded:
    """The request for Anthropic. Raises `InvalidRequest` for what must not be dropped."""
    loss = Loss(conversation, target.strict)
    context = ReplyContext()
    _refusals(conversation)
    turns = TurnWriter(conversation, target, loss)
    body: dict[str, Any] = {"model": target.model, "max_tokens": conversation.max_tokens or target.traits.max_tokens}
    if conversation.max_tokens == 0 and conversation.source == "anthropic":
        body["max_tokens"] = 0
    turns.write(body)
    tools = _tools(conversation, target, context, loss)
    forced = _choice(conversation, body, tools, context, loss)
    forced = _output(conversation, target, body, tools, context) or forced
    if tools:
        body["tools"] = tools
    thinks = _thinking(conversation, target, body, forced, loss)
    _sampling(conversation, target, body, thinks, loss)
    _account(conversation, body, loss)
    if conversation.stream:
        body["stream"] = True
    return Encoded(PATH, _encode(body), loss.names, context)


def _refusals(conversation: Conversation) -> None:
    if conversation.n is not None and conversation.n > 1:
        raise refuse(
            conversation, "n", "The provider that serves this model gives one answer per request.", "unsupported_value"
        )
    if any(word.lower() == "audio" for word in conversation.modalities or ()) or given(conversation.audio):
        raise refuse(
            conversation,
            "modalities",
            "The provider that serves this model does not answer in audio.",
            "unsupported_value",
        )


def _tools(conversation: Conversation, target: TargetModel, context: ReplyContext, loss: Loss) -> list[Any]:
    choice = conversation.tool_choice
    allowed = choice.allowed if choice is not None else None
    found: list[Any] = []
    for tool in conversation.tools or ():
        if allowed is not None and tool.name not in allowed:
            continue
        found.append(_tool(tool, target, context, loss))
    for server in conversation.server_tools or ():
        if server.format == "anthropic":
            found.append(server.payload)
        elif server.kind == WEB_SEARCH:
            found.append({"type": "web_search_20250305", "name": "web_search"})
        else:
            raise refuse(conversation, "server_tools", f"Tools of type '{server.kind}' need a provider that runs them.")
    return found


def _tool(tool: Tool, target: TargetModel, context: ReplyContext, loss: Loss) -> dict[str, Any]:
    name = fit_tool_name(tool.name, gemini=False) if loss.source == "gemini" else tool.name
    if name != tool.name:
        context.tool_names[name] = tool.name
    found: dict[str, Any] = {"name": name}
    if tool.description is not None:
        found["description"] = tool.description
    found["input_schema"] = object_schema(tool.parameters)
    if tool.strict is True:
        if target.traits.strict_tools:
            found["strict"] = True
        else:
            loss.drop_named("tools.strict")
    if given(tool.cache):
        found["cache_control"] = tool.cache
    if tool.extensions:
        if loss.source == "anthropic":
            found.update(tool.extensions)
        else:
            for field in tool.extensions:
                loss.drop_named(f"tools.{field}")
    return found


def _choice(
    conversation: Conversation, body: dict[str, Any], tools: list[Any], context: ReplyContext, loss: Loss
) -> bool:
    """Write tool_choice; whether it forces a call."""
    choice = conversation.tool_choice
    single = conversation.parallel_tool_calls is False
    if choice is None:
        if single and tools:
            body["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
        return False
    own = conversation.source == "anthropic"
    if not own or (choice.mode in ("required", "tool") and not conversation.server_tools):
        check_choice(conversation, choice)
    if not tools:
        loss.drop("tool_choice")
        return False
    kind = {"auto": "auto", "none": "none", "required": "any", "tool": "tool"}[choice.mode]
    found: dict[str, Any] = {"type": kind}
    if kind == "tool":
        found["name"] = next((new for new, old in context.tool_names.items() if old == choice.name), choice.name)
    if single and kind != "none":
        found["disable_parallel_tool_use"] = True
    elif conversation.parallel_tool_calls is True and kind != "none" and conversation.source == "anthropic":
        found["disable_parallel_tool_use"] = False
    if found != {"type": "auto"} or conversation.source == "anthropic":
        body["tool_choice"] = found
    return kind in ("any", "tool")


def _output(
    conversation: Conversation, target: TargetModel, body: dict[str, Any], tools: list[Any], context: ReplyContext
) -> bool:
    """Structured output: natively, or by a tool whose input is the answer (§4). Whether a tool call is forced by it."""
    output = conversation.output
    if output is None or output.kind == "text":
        return False
    if output.kind == "json":
        _add_system(body, _JSON_INSTRUCTION)
        return False
    if target.traits.structured == "native" or conversation.source == "anthropic":
        schema = output.schema if conversation.source == "anthropic" else anthropic_output_schema(output.schema)
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        return False
    name = JSON_TOOL
    while any(tool.name == name for tool in conversation.tools or ()):
        name += "_"
    context.json_tool = name
    choice = conversation.tool_choice
    if tools and (choice is None or choice.mode == "auto"):
        body["tool_choice"] = {"type": "any"}
    elif not tools or choice is None or choice.mode == "none":
        body["tool_choice"] = {"type": "tool", "name": name}
    description = output.description or "Give the final answer in this form."
    tools.append({"name": name, "description": description, "input_schema": object_schema(output.schema)})
    return True


def _add_system(body: dict[str, Any], text: str) -> None:
    system = body.get("system")
    if system is None:
        body["system"] = text
    elif isinstance(system, str):
        body["system"] = f"{system}\n{text}"
    else:
        system.append({"type": "text", "text": text})


def _thinking(conversation: Conversation, target: TargetModel, body: dict[str, Any], forced: bool, loss: Loss) -> bool:
    """Write thinking and effort; whether the model thinks (§5)."""
    thinking = conversation.thinking
    if thinking is None:
        return False
    effort = thinking.effort
    if effort == "none":
        if target.traits.thinking == "adaptive" or conversation.source == "anthropic":
            body["thinking"] = {"type": "disabled"}
        return False
    if conversation.source == "anthropic":
        return _own_thinking(thinking, body, loss)
    if effort in (None, MODEL_DEFAULT) and thinking.budget is None:
        return False
    if thinking.budget == 0:
        if target.traits.thinking == "adaptive":
            body["thinking"] = {"type": "disabled"}
        return False
    if forced:
        loss.drop("thinking")
        return False
    if target.traits.thinking == "adaptive" and (effort is not None or (thinking.budget or 0) < 0):
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
        if effort is not None:
            body.setdefault("output_config", {})["effort"] = _EFFORTS.get(effort, effort)
        return True
    return _budget(conversation, thinking, target, body, loss)


def _own_thinking(thinking: Thinking, body: dict[str, Any], loss: Loss) -> bool:
    if thinking.effort is not None:
        body.setdefault("output_config", {})["effort"] = thinking.effort
    if thinking.budget is not None and _loop_without_thought(body["messages"]):
        loss.drop("thinking")
        return False
    if thinking.budget is not None:
        body["thinking"] = {"type": "enabled", "budget_tokens": thinking.budget}
    elif thinking.adaptive:
        body["thinking"] = {"type": "adaptive"}
    if thinking.summary is not None and "thinking" in body:
        body["thinking"]["display"] = thinking.summary
    return "thinking" in body


def _budget(
    conversation: Conversation, thinking: Thinking, target: TargetModel, body: dict[str, Any], loss: Loss
) -> bool:
    """A budget is at least 1024 and below max_tokens: raise ours, else lower the budget, else none."""
    wanted = (
        thinking.budget
        if thinking.budget is not None and thinking.budget > 0
        else _BUDGETS.get(thinking.effort or "medium", 2_048)
    )
    budget = max(wanted, _MIN_BUDGET)
    if conversation.max_tokens is None:
        body["max_tokens"] = max(body["max_tokens"], budget + target.traits.max_tokens)
    elif body["max_tokens"] <= budget:
        budget = body["max_tokens"] - 1
        if budget < _MIN_BUDGET:
            loss.drop("thinking")
            return False
    if _loop_without_thought(body["messages"]):
        # The turn came from another vendor: with a budget on, the API wants its thought first. Without one it goes on.
        loss.drop("thinking")
        return False
    body["thinking"] = {"type": "enabled", "budget_tokens": budget}
    return True


def _loop_without_thought(turns: list[dict[str, Any]]) -> bool:
    """Whether tool results are being handed back for a turn that does not begin with its thought (§2.4)."""
    if len(turns) < 2 or turns[-1]["content"][0].get("type") != "tool_result":
        return False
    first = turns[-2]["content"][0]
    return type(first) is dict and first.get("type") not in ("thinking", "redacted_thinking")


def _sampling(conversation: Conversation, target: TargetModel, body: dict[str, Any], thinks: bool, loss: Loss) -> None:
    own = conversation.source == "anthropic"
    which = "all" if own else target.traits.sampling
    temperature, top_p, top_k = conversation.temperature, conversation.top_p, conversation.top_k
    if temperature is not None:
        if which == "none" or (thinks and not own and temperature != 1):
            loss.drop("temperature")
        else:
            body["temperature"] = temperature if own else min(temperature, 1.0)
    if top_p is not None:
        if which == "none" or (which == "one" and temperature is not None) or (thinks and not own and top_p < 0.95):
            loss.drop("top_p")
        else:
            body["top_p"] = top_p
    if top_k is not None:
        if which == "none" or (thinks and not own):
            loss.drop("top_k")
        else:
            body["top_k"] = top_k
    if conversation.stop:
        stops = conversation.stop if own else [stop for stop in conversation.stop if stop.strip()]
        if stops:
            body["stop_sequences"] = stops
    for name in ("presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "seed", "verbosity"):
        if getattr(conversation, name) is not None:
            loss.drop(name)
    if given(conversation.logit_bias):
        loss.drop("logit_bias")


def _account(conversation: Conversation, body: dict[str, Any], loss: Loss) -> None:
    user = conversation.user
    if user is not None:
        if conversation.source == "anthropic" or not _PERSONAL.fullmatch(user):
            body["metadata"] = {"user_id": user}
        else:
            loss.drop("user")
    if given(conversation.metadata):
        loss.drop("metadata")
    tier = conversation.service_tier
    if tier is not None:
        if tier == "default" or tier == "standard_only":
            body["service_tier"] = "standard_only"
        elif tier == "auto":
            body["service_tier"] = "auto"
        else:
            loss.drop("service_tier")
    for name, value in (conversation.extensions or {}).items():
        if conversation.source == "anthropic":
            body[name] = value
        else:
            loss.drop_named(name)
