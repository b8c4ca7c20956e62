"""OpenAI Responses as clients speak it (TRANSLATION §15, §16).

The conversation stands in `input`: no response is stored here, so what refers to a stored one (`previous_response_id`,
`conversation`, `prompt`, `background`) goes to an upstream that speaks Responses itself and is refused before any other.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from switchgear.errors import InvalidRequest
from switchgear.providers import media as media_parts
from switchgear.providers.dialects.chat import SERVICE_TIERS, WEB_SEARCH, encode_error
from switchgear.providers.identifiers import new_id
from switchgear.providers.reading import given, read_request, unknown_fields
from switchgear.providers.signatures import pack, unpack, with_turn_signature
from switchgear.wire.conversation import (
    Citation,
    Conversation,
    Foreign,
    Media,
    Message,
    OutputFormat,
    Reasoning,
    Refusal,
    ServerTool,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from switchgear.wire.responses import Item, ItemHead, ItemPart, ResponsesRequest, ResponsesTool, ResponsesToolChoice

if TYPE_CHECKING:
    from switchgear.wire.conversation import Answer, Part, TokenUsage

__all__ = ["decode_request", "encode_error", "encode_items", "encode_response", "encode_usage"]

_decoder = msgspec.json.Decoder(ResponsesRequest)
_item = msgspec.json.Decoder(Item)
_head = msgspec.json.Decoder(ItemHead)
_tool = msgspec.json.Decoder(ResponsesTool)
_audio = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.Encoder().encode
_STATEFUL = frozenset({"previous_response_id", "conversation", "prompt", "background", "include"})
_KNOWN = frozenset(ResponsesRequest.__struct_fields__) - _STATEFUL
_TOOL_KNOWN = frozenset(ResponsesTool.__struct_fields__)
_READ = frozenset({"message", "function_call", "function_call_output", "reasoning"})
LOGPROBS = "message.output_text.logprobs"
ENCRYPTED = "reasoning.encrypted_content"


def decode_request(body: bytes, model: str = "") -> Conversation:
    """Read a request. Raises `InvalidRequest` with `param` set."""
    request = read_request(_decoder, body)
    conversation = Conversation(source="responses", model=model or request.model, messages=[])
    if request.instructions:
        conversation.messages.append(Message("developer", [Text(request.instructions)]))
    if isinstance(request.input, str):
        conversation.messages.append(Message("user", [Text(request.input)], 0))
    elif request.input:
        reader = _Reader(conversation.messages)
        for index, raw in enumerate(request.input):
            reader.read(raw, index)
    elif not given(request.prompt) and request.previous_response_id is None and not given(request.conversation):
        raise InvalidRequest("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
    conversation.stream = request.stream is True
    if request.max_output_tokens is not None:
        conversation.max_tokens = int(request.max_output_tokens)
    conversation.temperature, conversation.top_p = request.temperature, request.top_p
    conversation.user = request.user or request.safety_identifier
    conversation.service_tier = request.service_tier
    if given(request.metadata):
        conversation.metadata = request.metadata
    _options(request, conversation)
    _tools(request, conversation)
    extra = unknown_fields(body, _KNOWN) or {}
    if request.background is False:
        del extra["background"]
    included = [word for word in request.include or () if word not in (LOGPROBS, ENCRYPTED)]
    extra.pop("include", None)
    conversation.wants_encrypted = ENCRYPTED in (request.include or ())
    if included:
        extra["include"] = Raw(_encode(included))
    conversation.extensions = extra or None
    return conversation


def _options(request: ResponsesRequest, conversation: Conversation) -> None:
    if request.text is not None:
        conversation.verbosity = request.text.verbosity
        wanted = request.text.format
        if wanted is not None:
            if wanted.type == "json_schema":
                if not given(wanted.schema):
                    param = "text.format.schema"
                    raise InvalidRequest(
                        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
                    )
                conversation.output = OutputFormat(
                    "schema", wanted.name, wanted.schema, wanted.strict, wanted.description
                )
            elif wanted.type == "json_object":
                conversation.output = OutputFormat("json")
            elif wanted.type != "text":
                raise InvalidRequest(
                    f"Invalid value: '{wanted.type[:64]}'.", param="text.format.type", code="invalid_value"
                )
    reasoning = request.reasoning
    if reasoning is not None and (reasoning.effort or reasoning.summary or reasoning.generate_summary):
        conversation.thinking = Thinking(reasoning.effort, summary=reasoning.summary or reasoning.generate_summary)
    if request.top_logprobs or LOGPROBS in (request.include or ()):
        conversation.logprobs, conversation.top_logprobs = True, request.top_logprobs


class _Reader:
    """Folds items into turns: thoughts, an assistant message and the calls after it are one turn (§15.1)."""

    def __init__(self, messages: list[Message]):
        self.messages = messages

    def read(self, raw: Raw, index: int) -> None:
        place = f"input[{index}]"
        head = read_request(_head, raw, place)
        kind = head.type or ("message" if head.role is not None else "")
        if kind not in _READ:
            self._turn(index, True).parts.append(Foreign("responses", kind, raw))
            return
        item = read_request(_item, raw, place)
        if kind == "message":
            self._message(item, index)
        elif kind == "function_call":
            call = ToolCall(
                _required(item.call_id, f"{place}.call_id"),
                _required(item.name, f"{place}.name"),
                item.arguments or "{}",
            )
            self._turn(index, True).parts.append(call)
        elif kind == "reasoning":
            self._turn(index, False).parts.append(thought_of(item))
        else:
            self.messages.append(Message("user", [self._result(item, index)], index))

    def _turn(self, index: int, any_parts: bool) -> Message:
        """The assistant turn that is open, or a new one; `any_parts` False: only one that has nothing but thoughts."""
        last = self.messages[-1] if self.messages else None
        if last is not None and last.role == "assistant":
            if any_parts or all(type(part) is Reasoning for part in last.parts):
                return last
        made = Message("assistant", [], index)
        self.messages.append(made)
        return made

    def _message(self, item: Item, index: int) -> None:
        role = item.role or "user"
        if role not in ("user", "assistant", "system", "developer"):
            raise InvalidRequest(
                f"Invalid value: '{role[:64]}'. Supported values are: 'assistant', 'developer', 'system', and 'user'.",
                param=f"input[{index}].role",
                code="invalid_value",
            )
        content = item.content
        parts: list[Part] = (
            [Text(content)] if isinstance(content, str) else [_part(p, index, i) for i, p in enumerate(content or ())]
        )
        if role == "assistant":
            self._turn(index, False).parts.extend(parts)
        else:
            self.messages.append(Message(role, parts, index))  # type: ignore[arg-type]  # just compared

    def _result(self, item: Item, index: int) -> ToolResult:
        result = ToolResult(_required(item.call_id, f"input[{index}].call_id"))
        output = item.output
        if isinstance(output, str):
            result.text = output
        elif output:
            parts = [_part(part, index, position) for position, part in enumerate(output)]
            result.parts = [part for part in parts if type(part) is Text or type(part) is Media]
        return result


def _required(value: str | None, param: str) -> str:
    if not value:
        raise InvalidRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    return value


def thought_of(item: Item) -> Reasoning:
    """A reasoning item: its text is the summary, else the content; its signature is the encrypted content."""
    words = item.summary or (item.content if isinstance(item.content, list) else None) or ()
    text = "\n\n".join(part.text or "" for part in words)
    thought = unpack(item.encrypted_content or "", "responses", text)
    if thought.vendor in ("openai", ""):
        thought.id = item.id or ""
    return thought


def _part(part: ItemPart, index: int, position: int) -> Part:
    kind = part.type
    place = f"input[{index}].content[{position}]"
    if kind in ("input_text", "output_text", "text"):
        return Text(part.text or "", citations_of(part))
    if kind == "refusal":
        return Refusal(part.refusal or "")
    if kind == "input_image":
        if part.image_url:
            media = media_parts.media_from_url(
                "image", part.image_url, f"{place}.image_url", detail=part.detail, index=position
            )
            media.kind = "image"
            return media
        return Media("image", file_id=_required(part.file_id, f"{place}.image_url"), detail=part.detail, index=position)
    if kind == "input_file":
        return _file(part, place, position)
    if kind == "input_audio" and given(part.input_audio):
        audio = _audio.decode(part.input_audio)
        return Media("audio", f"audio/{audio.get('format', 'wav')}", str(audio.get("data", "")), index=position)
    raise InvalidRequest(
        f"Invalid value: '{kind[:64]}'. Supported values are: 'input_text', 'input_image', 'input_file', 'input_audio', "
        "'output_text' and 'refusal'.",
        param=f"{place}.type",
        code="invalid_value",
    )


def _file(part: ItemPart, place: str, position: int) -> Media:
    if part.file_data is not None:
        if media_parts.is_data_url(part.file_data):
            media_type, data = media_parts.parse_data_url(part.file_data, f"{place}.file_data")
        else:
            media_type, data = media_parts.guess_type(part.filename or "") or "application/pdf", part.file_data
        return Media(media_parts.kind_of(media_type), media_type, data, name=part.filename, index=position)
    if part.file_url is not None:
        return Media(
            "document", media_parts.guess_type(part.file_url), url=part.file_url, name=part.filename, index=position
        )
    return Media("document", file_id=_required(part.file_id, f"{place}.file_id"), name=part.filename, index=position)


def citations_of(part: ItemPart) -> list[Citation] | None:
    """The url_citations of a text."""
    found = [
        Citation(
            note.url or "",
            note.title or "",
            note.start_index if note.start_index is not None else -1,
            note.end_index if note.end_index is not None else -1,
        )
        for note in part.annotations or ()
        if note.type == "url_citation"
    ]
    return found or None


def _tools(request: ResponsesRequest, conversation: Conversation) -> None:
    tools: list[Tool] = []
    servers: list[ServerTool] = []
    for position, raw in enumerate(request.tools or ()):
        item = read_request(_tool, raw, f"tools[{position}]")
        if item.type != "function":
            kind = WEB_SEARCH if item.type.startswith("web_search") else item.type
            servers.append(ServerTool(kind, "responses", raw))
            continue
        tool = Tool(_required(item.name, f"tools[{position}].name"), item.description, item.parameters, item.strict)
        tool.extensions = unknown_fields(raw, _TOOL_KNOWN)
        tools.append(tool)
    if len({tool.name for tool in tools}) < len(tools):
        raise InvalidRequest("Tool names must be unique.", param="tools", code="invalid_value")
    conversation.tools = tools or None
    conversation.server_tools = servers or None
    conversation.parallel_tool_calls = request.parallel_tool_calls
    if request.tool_choice is not None:
        conversation.tool_choice = _choice(request.tool_choice)


def _choice(choice: str | ResponsesToolChoice) -> ToolChoice:
    if isinstance(choice, str):
        if choice in ("auto", "none", "required"):
            return ToolChoice(choice)  # type: ignore[arg-type]  # just compared
    elif choice.type == "function":
        return ToolChoice("tool", choice.name)
    elif choice.type == "allowed_tools":
        names = [tool.name for tool in choice.tools or () if tool.type == "function"]
        return ToolChoice("required" if choice.mode == "required" else "auto", allowed=names)
    raise InvalidRequest(
        "Invalid value for 'tool_choice': use 'none', 'auto', 'required', a function, or allowed_tools.",
        param="tool_choice",
        code="invalid_value",
    )


def encode_response(answer: Answer, conversation: Conversation, model: str = "") -> bytes:
    """The answer as a response object with every key that clients expect (§15.2). Of several choices the first counts."""
    choice = answer.choices[0]
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(choice.finish)
    status = "failed" if choice.finish == "error" else "incomplete" if reason else "completed"
    body = envelope(conversation, answer.id, model or answer.model, answer.created or int(time.time()))
    body["status"] = status
    if reason:
        body["incomplete_details"] = {"reason": reason}
    if status == "failed":
        body["error"] = {"code": "server_error", "message": "The model's answer ended without a reason."}
    body["output"] = encode_items(
        choice.parts, "incomplete" if reason == "max_output_tokens" else "completed", choice.logprobs
    )
    body["usage"] = encode_usage(answer.usage) if answer.usage is not None else None
    if answer.service_tier in SERVICE_TIERS:
        body["service_tier"] = answer.service_tier
    return _encode(body)


def envelope(conversation: Conversation, answer_id: str, model: str, created: int) -> dict[str, Any]:
    """A response object without output: what the client asked for, said back to it."""
    extensions = conversation.extensions or {}
    thinking = conversation.thinking
    return {
        "id": answer_id if answer_id.startswith("resp_") else new_id("resp_"),
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": _instructions(conversation),
        "max_output_tokens": conversation.max_tokens,
        "model": model,
        "output": [],
        "parallel_tool_calls": conversation.parallel_tool_calls is not False,
        "previous_response_id": None,
        "reasoning": {
            "effort": thinking.effort if thinking is not None else None,
            "summary": thinking.summary if thinking is not None else None,
        },
        "store": extensions.get("store", False),
        "temperature": conversation.temperature if conversation.temperature is not None else 1.0,
        "text": _text_config(conversation),
        "tool_choice": _tool_choice(conversation.tool_choice),
        "tools": _echoed_tools(conversation),
        "top_p": conversation.top_p if conversation.top_p is not None else 1.0,
        "truncation": extensions.get("truncation", "disabled"),
        "usage": None,
        "user": conversation.user,
        "metadata": conversation.metadata if given(conversation.metadata) else {},
    }


def _instructions(conversation: Conversation) -> str | None:
    first = conversation.messages[0] if conversation.messages else None
    if first is None or first.index >= 0 or not first.parts or type(first.parts[0]) is not Text:
        return None
    return first.parts[0].text


def _text_config(conversation: Conversation) -> dict[str, Any]:
    output = conversation.output
    found: dict[str, Any] = {"type": "text"}
    if output is not None and output.kind == "json":
        found = {"type": "json_object"}
    elif output is not None and output.kind == "schema":
        found = {"type": "json_schema", "name": output.name, "schema": output.schema, "strict": output.strict}
        if output.description is not None:
            found["description"] = output.description
    if conversation.verbosity is not None:
        return {"format": found, "verbosity": conversation.verbosity}
    return {"format": found}


def _tool_choice(choice: ToolChoice | None) -> Any:
    if choice is None:
        return "auto"
    if choice.mode == "tool":
        return {"type": "function", "name": choice.name}
    if choice.allowed is not None:
        tools = [{"type": "function", "name": name} for name in choice.allowed]
        return {"type": "allowed_tools", "mode": choice.mode, "tools": tools}
    return choice.mode


def _echoed_tools(conversation: Conversation) -> list[Any]:
    found: list[Any] = [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters if given(tool.parameters) else None,
            "strict": tool.strict,
        }
        for tool in conversation.tools or ()
    ]
    return found + [tool.payload for tool in conversation.server_tools or () if tool.format == "responses"]


def encode_items(parts: list[Part], status: str = "completed", logprobs: Raw | None = None) -> list[Any]:
    """Output items: thoughts first, then the message, then calls; blocks of Responses' own stay where they were."""
    if any(type(part) is ToolCall and part.signature is not None for part in parts):
        parts = with_turn_signature(parts)
    thoughts: list[Any] = []
    rest: list[Any] = []
    message: dict[str, Any] | None = None
    for part in parts:
        if type(part) is Reasoning:
            (thoughts if message is None and not rest else rest).append(_reasoning_item(part))
        elif type(part) is Text or type(part) is Refusal:
            if message is None:
                message = {
                    "id": new_id("msg_"),
                    "type": "message",
                    "role": "assistant",
                    "status": status,
                    "content": [],
                }
                rest.append(message)
            _say(message["content"], part, logprobs)
        elif type(part) is ToolCall:
            rest.append(
                {
                    "id": new_id("fc_"),
                    "type": "function_call",
                    "call_id": part.id,
                    "name": part.name,
                    "arguments": part.arguments,
                    "status": status,
                }
            )
        elif type(part) is Foreign and part.format == "responses":
            rest.append(part.payload)
    return thoughts + rest


def _say(content: list[dict[str, Any]], part: Text | Refusal, logprobs: Raw | None) -> None:
    if type(part) is Refusal:
        content.append({"type": "refusal", "refusal": part.text})
        return
    assert type(part) is Text  # noqa: S101  # the other half of the union
    notes = [
        {
            "type": "url_citation",
            "url": citation.url,
            "title": citation.title,
            "start_index": max(citation.start, 0),
            "end_index": max(citation.end, 0),
        }
        for citation in part.citations or ()
        if citation.url
    ]
    if content and content[-1]["type"] == "output_text":
        content[-1]["text"] += part.text
        content[-1]["annotations"] += notes
        return
    said: dict[str, Any] = {"type": "output_text", "text": part.text, "annotations": notes, "logprobs": []}
    if logprobs is not None and given(logprobs):
        said["logprobs"] = _audio.decode(logprobs).get("content") or []
    content.append(said)


def _reasoning_item(part: Reasoning) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": part.id or new_id("rs_"),
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": part.text}] if part.text else [],
    }
    token = pack(part, "responses")
    if token:
        item["encrypted_content"] = token
    return item


def encode_usage(usage: TokenUsage) -> dict[str, Any]:
    """Token counts; the details are required here, so a class that nobody counted is 0 (§12)."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.total_tokens,
    }
