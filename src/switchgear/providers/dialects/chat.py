"""OpenAI Chat Completions as clients speak it (TRANSLATION §1-§4, §6, §16).

`decode_request` reads leniently what clients are known to send (null for absent, bare strings for images, floats for
integers, `functions`, other gateways' extensions) and refuses what it does not understand, naming the field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from switchgear.errors import InvalidRequest
from switchgear.providers import media as media_parts
from switchgear.providers.dialects.chat_reply import (
    SERVICE_TIERS,
    encode_error,
    encode_message,
    encode_response,
    encode_usage,
)
from switchgear.providers.dialects.chat_tools import WEB_SEARCH, read_output, read_tools
from switchgear.providers.reading import given, read_request, unknown_fields
from switchgear.providers.signatures import unpack
from switchgear.wire.chat import ChatMessage, ChatRequest, ContentPart, FunctionCall
from switchgear.wire.conversation import (
    Conversation,
    Media,
    Message,
    Reasoning,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

if TYPE_CHECKING:
    from switchgear.wire.conversation import Part


__all__ = [
    "SERVICE_TIERS",
    "WEB_SEARCH",
    "decode_request",
    "encode_error",
    "encode_message",
    "encode_response",
    "encode_usage",
]

_decoder = msgspec.json.Decoder(ChatRequest)
_KNOWN = frozenset(ChatRequest.__struct_fields__)
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_encode = msgspec.json.Encoder().encode
_text_json = msgspec.json.Decoder(str)


def decode_request(body: bytes, model: str = "") -> Conversation:
    """Read a request. `model` is for an address that names it (Azure's deployments); else the body's counts.

    Raises `InvalidRequest` with `param` set.
    """
    request = read_request(_decoder, body)
    if not request.messages:
        raise InvalidRequest("'messages' must have at least one item.", param="messages", code="empty_array")
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
            code="unsupported_parameter",
        )
    conversation = Conversation(source="chat", model=model or request.model, messages=_messages(request.messages))
    conversation.stream = request.stream is True
    if request.stream_options is not None:
        conversation.include_usage = request.stream_options.include_usage is True
    _sampling(request, conversation)
    read_tools(request, conversation)
    if request.response_format is not None:
        conversation.output = read_output(request)
    if request.reasoning_effort is not None:
        conversation.thinking = Thinking(effort=request.reasoning_effort)
    conversation.extensions = unknown_fields(body, _KNOWN)
    return conversation


def _sampling(request: ChatRequest, conversation: Conversation) -> None:
    limit = request.max_completion_tokens if request.max_completion_tokens is not None else request.max_tokens
    if limit is not None:
        conversation.max_tokens = int(limit)
        if conversation.max_tokens < 1:
            field = "max_tokens" if request.max_completion_tokens is None else "max_completion_tokens"
            raise InvalidRequest(f"'{field}' must be at least 1.", param=field, code="integer_below_min_value")
    conversation.temperature = request.temperature
    conversation.top_p = request.top_p
    if request.top_k is not None:
        conversation.top_k = int(request.top_k)
    conversation.n = request.n
    if request.stop is not None:
        conversation.stop = [request.stop] if isinstance(request.stop, str) else request.stop
    conversation.presence_penalty = request.presence_penalty
    conversation.frequency_penalty = request.frequency_penalty
    if given(request.logit_bias):
        conversation.logit_bias = request.logit_bias
    conversation.logprobs = request.logprobs
    conversation.top_logprobs = request.top_logprobs
    conversation.seed = request.seed
    conversation.user = request.user or request.safety_identifier
    if given(request.metadata):
        conversation.metadata = request.metadata
    conversation.service_tier = request.service_tier
    conversation.verbosity = request.verbosity
    conversation.modalities = request.modalities
    if given(request.audio):
        conversation.audio = request.audio


def _messages(items: list[ChatMessage]) -> list[Message]:
    messages: list[Message] = []
    legacy_id = ""
    for index, item in enumerate(items):
        role = item.role
        if role == "assistant":
            message, legacy_id = _assistant(item, index, legacy_id)
            messages.append(message)
        elif role in ("tool", "function"):
            messages.append(_tool_message(item, index, legacy_id))
        elif role in ("user", "system", "developer"):
            content = item.content
            parts: list[Part] = [Text(content)] if isinstance(content, str) else _parts(content or [], index)
            message = Message(role, parts, index, item.name)  # type: ignore[arg-type]  # just compared
            if given(item.cache_control):
                message.cache = item.cache_control
            messages.append(message)
        else:
            param = f"messages[{index}].role"
            if role is None:
                raise InvalidRequest(
                    f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
                )
            raise InvalidRequest(
                f"Invalid value: '{role[:64]}'. Supported values are: {', '.join(sorted(_ROLES))}.",
                param=param,
                code="invalid_value",
            )
    return messages


def _assistant(item: ChatMessage, index: int, legacy_id: str) -> tuple[Message, str]:
    parts: list[Part] = _thoughts(item)
    content = item.content
    if isinstance(content, str):
        if content:
            parts.append(Text(content))
    elif content:
        parts += _parts(content, index)
    if item.refusal:
        parts.append(Refusal(item.refusal))
    for position, call in enumerate(item.tool_calls or ()):
        place = f"messages[{index}].tool_calls[{position}]"
        if call.type not in (None, "function"):
            raise InvalidRequest(
                f"Tool calls of type '{call.type}' cannot be translated for this model's provider.",
                param=f"{place}.type",
                code="unsupported_value",
            )
        if call.function is None or not call.function.name:
            raise InvalidRequest(
                f"Missing required parameter: '{place}.function.name'.",
                param=f"{place}.function.name",
                code="missing_required_parameter",
            )
        made = ToolCall(call.id or "", call.function.name, arguments_text(call.function))
        extra = call.extra_content
        if extra is not None and extra.google is not None and extra.google.thought_signature:
            made.signature = Signature("gemini", extra.google.thought_signature)
        if given(call.cache_control):
            made.cache = call.cache_control
        parts.append(made)
    if item.function_call is not None and item.function_call.name:
        legacy_id = f"call_{item.function_call.name}_{index}"
        parts.append(ToolCall(legacy_id, item.function_call.name, arguments_text(item.function_call)))
    message = Message("assistant", parts, index, item.name)
    if given(item.cache_control):
        message.cache = item.cache_control
    message.extensions = _message_extensions(item)
    return message, legacy_id


def arguments_text(function: FunctionCall) -> str:
    """Arguments as JSON text, whether they came as text or as the object itself; nothing at all is `{}`."""
    raw = function.arguments
    if not given(raw):
        return "{}"
    if memoryview(raw)[0] == 0x22:  # a quote: JSON text in a string
        text = _text_json.decode(raw)
        return text if text.strip() else "{}"
    return bytes(raw).decode()


def _message_extensions(item: ChatMessage) -> dict[str, Raw] | None:
    found: dict[str, Raw] = {}
    if given(item.audio):
        found["audio"] = item.audio
    if item.prefix is not None:
        found["prefix"] = Raw(b"true" if item.prefix else b"false")
    if item.reasoning_details:
        found["reasoning_details"] = Raw(
            _encode(
                [{k: v for k, v in msgspec.structs.asdict(d).items() if v is not None} for d in item.reasoning_details]
            )
        )
    return found or None


def _thoughts(item: ChatMessage) -> list[Part]:
    """Reasoning that a client echoes: with signatures if it kept them, as bare text if not."""
    if item.thinking_blocks:
        return [_thought(block) for block in item.thinking_blocks]
    if item.reasoning_details:
        return detail_thoughts(item)
    text = item.reasoning_content or item.reasoning
    return [Reasoning(text)] if text else []


def _thought(block: ContentPart) -> Reasoning:
    if block.type == "redacted_thinking":
        redacted = unpack(block.data or "", "chat")
        redacted.redacted = True
        return redacted
    text = block.thinking if isinstance(block.thinking, str) else block.text or ""
    return unpack(block.signature or "", "chat", text)


_DETAIL_VENDORS = {"anthropic-claude-v1": "anthropic", "google-gemini-v1": "gemini", "openai-responses-v1": "openai"}


def detail_thoughts(item: ChatMessage) -> list[Part]:
    """OpenRouter's reasoning_details: text with signature, summaries, and encrypted data, by the vendor they name."""
    found: list[Part] = []
    for detail in item.reasoning_details or ():
        vendor = _DETAIL_VENDORS.get(detail.format or "", "openrouter")
        text = detail.text or detail.summary or ""
        token = detail.signature or detail.data
        found.append(
            Reasoning(
                text=text,
                signature=Signature(vendor, token) if token else None,
                redacted=detail.type == "reasoning.encrypted",
                id=detail.id or "" if vendor == "openai" else "",
                vendor=vendor if token else "",
            )
        )
    return found


def _tool_message(item: ChatMessage, index: int, legacy_id: str) -> Message:
    call_id = item.tool_call_id
    if call_id is None:
        if item.role == "tool":
            param = f"messages[{index}].tool_call_id"
            raise InvalidRequest(
                f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
            )
        call_id = legacy_id or f"call_{item.name or 'function'}_{index}"
    result = ToolResult(call_id, item.name or "")
    content = item.content
    if isinstance(content, str):
        result.text = content
    elif content:
        parts = _parts(content, index)
        if all(type(part) is Text for part in parts):
            result.text = "".join(part.text for part in parts if type(part) is Text)
        result.parts = [part for part in parts if type(part) in (Text, Media)]  # type: ignore[misc]  # filtered by type
    if given(item.cache_control):
        result.cache = item.cache_control
    return Message("user", [result], index)


def _parts(items: list[ContentPart], message: int) -> list[Part]:
    parts: list[Part] = []
    for position, item in enumerate(items):
        kind = item.type
        if kind in ("text", "input_text", "output_text") or (not kind and item.text is not None):
            text = Text(item.text or "")
            if given(item.cache_control):
                text.cache = item.cache_control
            parts.append(text)
        elif kind == "thinking":
            text_of = item.thinking
            words = text_of if isinstance(text_of, str) else "".join(part.text or "" for part in text_of or ())
            parts.append(unpack(item.signature or "", "chat", words))
        elif kind == "refusal":
            parts.append(Refusal(item.refusal or ""))
        else:
            parts.append(_media(item, message, position))
    return parts


def _media(item: ContentPart, message: int, position: int) -> Media:
    place = f"messages[{message}].content[{position}]"
    if item.type == "image_url" and item.image_url is not None:
        image = item.image_url
        url, detail = (image, None) if isinstance(image, str) else (image.url, image.detail)
        if not url:
            raise InvalidRequest("The image has no URL.", param=f"{place}.image_url.url", code="invalid_image_url")
        media = media_parts.media_from_url("image", url, f"{place}.image_url.url", detail=detail, index=position)
        media.kind = "image"
    elif item.type == "input_audio" and item.input_audio is not None:
        media = Media("audio", f"audio/{item.input_audio.format}", item.input_audio.data, index=position)
    elif item.type == "file" and item.file is not None:
        media = _file(item, place, position)
    elif item.type == "document_url" and item.document_url:
        media = media_parts.media_from_url("document", item.document_url, f"{place}.document_url", index=position)
    else:
        raise InvalidRequest(
            f"Invalid value: '{item.type[:64]}'. "
            "Supported values are: 'text', 'image_url', 'input_audio', 'file' and 'refusal'.",
            param=f"{place}.type",
            code="invalid_value",
        )
    if given(item.cache_control):
        media.cache = item.cache_control
    return media


def _file(item: ContentPart, place: str, position: int) -> Media:
    file = item.file
    assert file is not None  # noqa: S101  # the caller looked
    if file.file_data is not None:
        if media_parts.is_data_url(file.file_data):
            media_type, data = media_parts.parse_data_url(file.file_data, f"{place}.file.file_data")
        elif file.file_data.startswith(("https://", "http://")):
            media_type = media_parts.guess_type(file.file_data)
            return Media("document", media_type, url=file.file_data, name=file.filename, index=position)
        else:
            media_type, data = media_parts.guess_type(file.filename or "") or "application/pdf", file.file_data
        return Media(media_parts.kind_of(media_type), media_type, data, name=file.filename, index=position)
    if file.file_id is not None:
        return Media("document", file_id=file.file_id, name=file.filename, index=position)
    raise InvalidRequest(
        "A file part needs 'file_data' or 'file_id'.", param=f"{place}.file", code="missing_required_parameter"
    )
