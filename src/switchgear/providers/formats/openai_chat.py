"""Chat Completions as OpenAI and everybody who copied it take and send it (TRANSLATION §6, §10, §14, §15, §21)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from switchgear.providers.dialects.chat import WEB_SEARCH
from switchgear.providers.formats.openai_chat_reply import decode_error, decode_message, decode_response, decode_usage
from switchgear.providers.identifiers import new_tool_id, nine_character_tool_id, short_tool_id
from switchgear.providers.loss import Loss, message_place, refuse, refuse_part
from switchgear.providers.media import data_url
from switchgear.providers.reading import given
from switchgear.providers.signatures import pack
from switchgear.wire.chat import ChatReply
from switchgear.wire.conversation import (
    ABSENT,
    Encoded,
    Foreign,
    Media,
    Reasoning,
    Refusal,
    ReplyContext,
    Text,
    ToolCall,
    ToolResult,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from switchgear.providers.model_traits import TargetModel
    from switchgear.wire.conversation import Conversation, Message, OutputFormat, Part, ToolChoice


__all__ = ["decode_error", "decode_message", "decode_response", "decode_usage", "encode_request"]

PATH = "/chat/completions"
_STOPS = 4
_USER_LENGTH = 64
_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(ChatReply)
_OBJECT = {"type": "object", "properties": {}}


def encode_request(conversation: Conversation, target: TargetModel) -> Encoded:
    """The request for an OpenAI-like upstream. Raises `InvalidRequest` for what must not be dropped."""
    loss = Loss(conversation, target.strict)
    quirks = target.quirks
    tool_id: Callable[[str], str] = nine_character_tool_id if "forbids_unknown" in quirks else short_tool_id
    writer = _MessageWriter(conversation, target, loss, tool_id)
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
        old = "forbids_unknown" in target.quirks or "max_tokens" in target.quirks
        body["max_tokens" if old else target.traits.max_tokens_field] = conversation.max_tokens
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


class _MessageWriter:
    """Turns the pivot's turns into chat messages: tool results come first, as messages of their own."""

    def __init__(self, conversation: Conversation, target: TargetModel, loss: Loss, tool_id: Callable[[str], str]):
        self.conversation = conversation
        self.loss = loss
        self.tool_id = tool_id
        self.own = conversation.source == "chat"
        self.quirks = target.quirks
        self.caches = self.own or "takes_cache_control" in target.quirks
        self.system_role = target.traits.system_role
        self.found: list[dict[str, Any]] = []

    def messages(self) -> list[dict[str, Any]]:
        for message in self.conversation.messages:
            if message.role == "assistant":
                self._assistant(message)
            elif message.role == "user":
                self._user(message)
            else:
                role = message.role if self.own else self.system_role
                if "forbids_unknown" in self.quirks:
                    role = "system"
                self._add({"role": role, "content": self._content(message, message.parts)}, message)
        return self.found

    def _add(self, item: dict[str, Any], message: Message) -> None:
        if message.name is not None:
            if "no_names" in self.quirks:
                self.loss.drop_named(f"{message_place(self.conversation, message.index)}.name")
            else:
                item["name"] = message.name
        if given(message.cache) and self.caches:
            item["cache_control"] = message.cache
        self.found.append(item)

    def _user(self, message: Message) -> None:
        parts = message.parts
        if len(parts) == 1 and type(parts[0]) is Text:
            self._add({"role": "user", "content": self._content(message, parts)}, message)
            return
        rest: list[Part] = []
        pictures: list[Part] = []
        for part in parts:
            if type(part) is ToolResult:
                pictures += self._result(message, part)
            else:
                rest.append(part)
        rest = pictures + rest
        if rest or not parts:
            self._add({"role": "user", "content": self._content(message, rest)}, message)

    def _result(self, message: Message, result: ToolResult) -> list[Part]:
        """Write a tool message; what it cannot hold comes back, to follow in a user message."""
        text, pictures = result.text, [part for part in result.parts or () if type(part) is Media]
        if not text and result.parts:
            text = "".join(part.text for part in result.parts if type(part) is Text)
        if not text and given(result.value):
            text = bytes(result.value).decode()
        if result.is_error:
            text = f"Error: {text}"
        if not result.id:
            raise refuse(
                self.conversation, "messages", "A tool result does not say which call it answers.", "invalid_value"
            )
        item: dict[str, Any] = {"role": "tool", "tool_call_id": self.tool_id(result.id), "content": text}
        if result.parts and self.own and not pictures:
            item["content"] = self._content(message, list(result.parts))
        if result.name and self.own:
            item["name"] = result.name
        self.found.append(item)
        return list(pictures)

    def _content(self, message: Message, parts: list[Part]) -> str | list[dict[str, Any]]:
        if not parts:
            return ""
        if len(parts) == 1 or message.role in ("system", "developer"):
            texts = [part for part in parts if type(part) is Text]
            if len(texts) == len(parts) and not (self.caches and any(given(text.cache) for text in texts)):
                return texts[0].text if len(texts) == 1 else "\n".join(text.text for text in texts)
        found = []
        for part in parts:
            item = self._part(message, part)
            if item is not None:
                found.append(item)
        return found

    def _part(self, message: Message, part: Part) -> dict[str, Any] | None:
        if type(part) is Text:
            item: dict[str, Any] = {"type": "text", "text": part.text}
        elif type(part) is Media:
            item = self._media(message, part)
        elif type(part) is Refusal:
            item = {"type": "refusal", "refusal": part.text}
        else:
            text = self.loss.leave_out(self.conversation, message.index, part) if type(part) is Foreign else ""
            return {"type": "text", "text": text} if text else None
        cache = getattr(part, "cache", ABSENT)
        if self.caches and given(cache):
            item["cache_control"] = cache
        return item

    def _media(self, message: Message, part: Media) -> dict[str, Any]:
        if part.kind == "image":
            if part.file_id is not None:
                raise refuse_part(
                    self.conversation,
                    message.index,
                    part.index,
                    "An uploaded image cannot be passed on to this provider.",
                )
            image: dict[str, Any] = {"url": part.url or data_url(part)}
            if part.detail is not None:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        if part.kind == "audio" and part.data is not None:
            return {
                "type": "input_audio",
                "input_audio": {"data": part.data, "format": part.media_type.partition("/")[2]},
            }
        if part.kind == "document":
            return self._document(message, part)
        raise refuse_part(
            self.conversation,
            message.index,
            part.index,
            f"Content of type '{part.media_type or part.kind}' cannot be passed on to this provider.",
        )

    def _document(self, message: Message, part: Media) -> dict[str, Any]:
        if part.text is not None:
            return {"type": "text", "text": part.text}
        if part.file_id is not None and self.conversation.source in ("chat", "responses"):
            file: dict[str, Any] = {"file_id": part.file_id}
        elif part.data is not None:
            suffix = part.media_type.partition("/")[2] or "pdf"
            file = {
                "filename": part.name or f"document.{'txt' if suffix == 'plain' else suffix}",
                "file_data": data_url(part),
            }
            if part.name is None and self.own:
                del file["filename"]
        elif part.url is not None and self.own:
            if "forbids_unknown" in self.quirks:
                return {"type": "document_url", "document_url": part.url}
            file = {"filename": part.name or "document.pdf", "file_data": part.url}
        else:
            raise refuse_part(
                self.conversation,
                message.index,
                part.index,
                "A document behind a URL or an upload cannot be passed on to this provider.",
            )
        return {"type": "file", "file": file}

    def _assistant(self, message: Message) -> None:
        content: list[Part] = []
        calls: list[dict[str, Any]] = []
        thoughts: list[Reasoning] = []
        for part in message.parts:
            if type(part) is ToolCall:
                calls.append(self._call(part))
            elif type(part) is Reasoning:
                thoughts.append(part)
            elif type(part) is Refusal and not self.own:
                content.append(Text(part.text))
            else:
                content.append(part)
        extensions = message.extensions or {}
        if not content and not calls and not thoughts and not extensions:
            return
        item: dict[str, Any] = {"role": "assistant"}
        refusals = [part for part in content if type(part) is Refusal]
        if len(content) == 1 and refusals:
            item["content"], item["refusal"] = None, refusals[0].text
        elif not content:
            item["content"] = None if calls else ""
        elif all(type(part) is Text for part in content) and not self.caches:
            item["content"] = "".join(part.text for part in content if type(part) is Text)
        else:
            item["content"] = self._content(message, content)
        if calls:
            item["tool_calls"] = calls
        self._thoughts(item, thoughts, extensions)
        for name, value in extensions.items():
            if name != "reasoning_details" and self.own:
                item[name] = value
        self._add(item, message)

    def _call(self, call: ToolCall) -> dict[str, Any]:
        item: dict[str, Any] = {
            "id": self.tool_id(call.id or new_tool_id()),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        if call.signature is not None and call.signature.vendor == "gemini":
            item["extra_content"] = {"google": {"thought_signature": call.signature.value}}
            if not self.own and "gemini" not in self.quirks:
                del item["extra_content"]
        if self.caches and given(call.cache):
            item["cache_control"] = call.cache
        return item

    def _thoughts(self, item: dict[str, Any], thoughts: list[Reasoning], extensions: dict[str, Any]) -> None:
        """Reasoning goes back where the upstream takes it, in its own field (§14.1)."""
        text = "".join(thought.text for thought in thoughts)
        if "reasoning_details" in extensions and (self.own or "replays_reasoning_details" in self.quirks):
            item["reasoning_details"] = extensions["reasoning_details"]
        elif "replays_reasoning_details" in self.quirks and thoughts:
            details = [_detail(thought, index) for index, thought in enumerate(thoughts)]
            item["reasoning_details"] = details
        elif self.own:
            signed = [_block(thought) for thought in thoughts if _is_anthropic(thought)]
            if signed:  # other vendors' proofs mean nothing there
                item["thinking_blocks"] = signed
        if text and ("replays_reasoning" in self.quirks):
            item["reasoning"] = text
        elif text and (self.own or "replays_reasoning_content" in self.quirks):
            item["reasoning_content"] = text


def _is_anthropic(thought: Reasoning) -> bool:
    return thought.signature is not None and thought.signature.vendor == "anthropic"


def _block(thought: Reasoning) -> dict[str, Any]:
    token = pack(thought, "chat")
    if thought.redacted:
        return {"type": "redacted_thinking", "data": token}
    return {"type": "thinking", "thinking": thought.text, "signature": token}


_DETAIL_FORMATS = {"anthropic": "anthropic-claude-v1", "gemini": "google-gemini-v1", "openai": "openai-responses-v1"}


def _detail(thought: Reasoning, index: int) -> dict[str, Any]:
    signature = thought.signature
    if signature is None:
        return {"type": "reasoning.text", "text": thought.text, "index": index}
    named: dict[str, Any] = {"format": _DETAIL_FORMATS.get(signature.vendor, "unknown"), "index": index}
    if thought.redacted or signature.vendor == "openai":
        if thought.id:
            named["id"] = thought.id
        return {"type": "reasoning.encrypted", "data": signature.value, **named}
    return {"type": "reasoning.text", "text": thought.text, "signature": signature.value, **named}
