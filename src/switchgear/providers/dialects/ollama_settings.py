"""What requests to Ollama's /api/chat and /api/generate share: options, `format`, `think`, images (TRANSLATION §10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from switchgear.errors import InvalidRequest
from switchgear.providers.media import media_from_url
from switchgear.providers.reading import given, plain, read_request, unknown_fields
from switchgear.wire.conversation import Media, OutputFormat, Thinking
from switchgear.wire.ollama import OllamaOptions

if TYPE_CHECKING:
    from msgspec import Raw

    from switchgear.wire.conversation import Conversation
    from switchgear.wire.ollama import ChatRequest, GenerateRequest

_options = msgspec.json.Decoder(OllamaOptions)
_OPTIONS_KNOWN = frozenset(OllamaOptions.__struct_fields__)
# How a file of each kind begins, in base64: images come without their type.
_IMAGES = (
    ("iVBORw0KGg", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
)
_LEVEL_OF_TRUE = "medium"  # `think: true` is as much as the model likes; OpenAI's models like medium


def read_settings(
    request: ChatRequest | GenerateRequest, conversation: Conversation, extra: dict[str, Raw] | None
) -> None:
    """Fill in everything but the messages and tools. extra: fields that are not known here (keep_alive, truncate, …).

    Raises `InvalidRequest` with `param` set.
    """
    conversation.stream = request.stream is not False
    conversation.logprobs, conversation.top_logprobs = request.logprobs, request.top_logprobs
    conversation.extensions = extra
    if given(request.options):
        _sampling(request.options, conversation)
    if given(request.format):
        conversation.output = _output(request.format)
    if request.think is not None:
        conversation.thinking = _thinking(request.think)


def _sampling(raw: Raw, conversation: Conversation) -> None:
    options = read_request(_options, raw, "options")
    conversation.temperature, conversation.top_p = options.temperature, options.top_p
    conversation.top_k = int(options.top_k) if options.top_k is not None else None
    conversation.seed = int(options.seed) if options.seed is not None else None
    if options.num_predict is not None and options.num_predict >= 1:  # -1, -2: as long as it takes
        conversation.max_tokens = int(options.num_predict)
    if options.stop is not None:
        conversation.stop = ([options.stop] if isinstance(options.stop, str) else options.stop) or None
    conversation.presence_penalty, conversation.frequency_penalty = options.presence_penalty, options.frequency_penalty
    others = unknown_fields(raw, _OPTIONS_KNOWN)
    if others:
        named = {f"options.{name}": value for name, value in others.items()}
        conversation.extensions = {**(conversation.extensions or {}), **named}


def _output(raw: Raw) -> OutputFormat | None:
    value = plain(raw)
    if value == "":
        return None
    if value == "json":
        return OutputFormat("json")
    if isinstance(value, dict):
        return OutputFormat("schema", schema=raw)
    raise InvalidRequest(
        'invalid format: expected "json" or a valid JSON Schema object', param="format", code="invalid_value"
    )


def _thinking(think: bool | str) -> Thinking | None:
    if think is False:
        return Thinking(effort="none")
    return Thinking(effort=_LEVEL_OF_TRUE if think is True else think) if think else None


def read_images(items: list[str] | None, place: str) -> list[Media]:
    """Images in base64, told apart by how they begin. Raises `InvalidRequest` for one that is none."""
    return [_image(item, f"{place}[{position}]", position) for position, item in enumerate(items or ())]


def _image(item: str, param: str, position: int) -> Media:
    if item.startswith("data:"):
        return media_from_url("image", item, param, index=position)
    for start, media_type in _IMAGES:
        if item.startswith(start):
            return Media("image", media_type, item, index=position)
    raise InvalidRequest("invalid image input: it is no image in base64", param=param, code="invalid_value")
