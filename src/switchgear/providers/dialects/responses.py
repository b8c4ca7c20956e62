"""OpenAI Responses as clients speak it (TRANSLATION §15, §16).

The conversation stands in `input`: no response is stored here, so what refers to a stored one (`previous_response_id`,
`conversation`, `prompt`, `background`) goes to an upstream that speaks Responses itself and is refused before others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from switchgear.errors import InvalidRequest
from switchgear.providers import media as media_parts
from switchgear.providers.dialects.chat import WEB_SEARCH, encode_error
from switchgear.providers.dialects.responses_reply import encode_items, encode_response, encode_usage, envelope
from switchgear.providers.reading import given, read_request, unknown_fields
from switchgear.providers.signatures import unpack
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
    from switchgear.wire.conversation import Part


__all__ = ["decode_request", "encode_error", "encode_items", "encode_response", "encode_usage", "envelope"]

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
        if last is not None and last.role == "assistant":  # noqa: SIM102 - two questions
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
        f"Invalid value: '{kind[:64]}'. Supported values are: 'input_text', 'input_image', 'input_file', "
        "'input_audio', 'output_text' and 'refusal'.",
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
