"""A chat of nothing but texts, straight from chat's wire format to a provider's: the short way of most requests.

The long way is `dialects.chat.decode_request` and a format's `encode_request`. Each function here gives the very bytes
that they give, or None: anything but plain texts with a temperature and a limit, anything that would be dropped,
refused, joined or filled in. What is refused here is refused by the type that it is decoded into; so what a new field
of chat means is decided in one place only, on the long way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from switchgear.providers.dialects.responses import ENCRYPTED
from switchgear.providers.formats.openai_responses import MIN_OUTPUT

if TYPE_CHECKING:
    from switchgear.providers.model_traits import TargetModel

_Limit = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class TextMessage(Struct, forbid_unknown_fields=True, gc=False):
    """A message that is one text."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str


class TextChat(Struct, forbid_unknown_fields=True):
    """A request for one answer in text. max_tokens, max_completion_tokens: tokens; the latter counts."""

    messages: list[TextMessage]
    model: str
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: _Limit | None = None
    max_completion_tokens: _Limit | None = None
    n: Literal[1] | None = None
    stream: bool | None = None


_decode = msgspec.json.Decoder(TextChat).decode
_encode = msgspec.json.Encoder().encode


def read(body: bytes) -> TextChat | None:
    """A client's body; None when it is no such chat, or none at all."""
    try:
        chat = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return None if chat.stream or not chat.messages else chat


def to_anthropic(chat: TextChat, target: TargetModel) -> bytes | None:
    """As `formats.anthropic.encode_request`."""
    sampling, temperature, top_p = target.traits.sampling, chat.temperature, chat.top_p
    if sampling != "all" and top_p is not None and (sampling == "none" or temperature is not None):
        return None
    if sampling == "none" and temperature is not None:
        return None
    system: list[str] = []
    turns: list[dict[str, Any]] = []
    last = "assistant"
    for message in chat.messages:
        role, text = message.role, message.content
        if not text or text.isspace() or role == last:
            return None
        if role == "user" or role == "assistant":
            turns.append({"role": role, "content": [{"type": "text", "text": text}]})
            last = role
        else:
            system.append(text)
    if last != "user":  # the end of an answer begun would be trimmed
        return None
    limit = chat.max_completion_tokens or chat.max_tokens or target.traits.max_tokens
    body: dict[str, Any] = {"model": target.model, "max_tokens": limit}
    if system:
        body["system"] = "\n".join(system)
    body["messages"] = turns
    if temperature is not None:
        body["temperature"] = min(temperature, 1.0)
    if top_p is not None:
        body["top_p"] = top_p
    return _encode(body)


def to_gemini(chat: TextChat, _target: TargetModel) -> bytes | None:
    """As `formats.gemini.encode_request`."""
    system: list[dict[str, str]] = []
    turns: list[dict[str, Any]] = []
    last = "assistant"
    for message in chat.messages:
        role, text = message.role, message.content
        if not text or role == last:
            return None
        if role == "user" or role == "assistant":
            turns.append({"role": "user" if role == "user" else "model", "parts": [{"text": text}]})
            last = role
        else:
            system.append({"text": text})
    if not turns:
        return None
    body: dict[str, Any] = {"systemInstruction": {"parts": system}} if system else {}
    body["contents"] = turns
    config: dict[str, Any] = {}
    if chat.temperature is not None:
        config["temperature"] = chat.temperature
    if chat.top_p is not None:
        config["topP"] = chat.top_p
    limit = chat.max_completion_tokens or chat.max_tokens
    if limit is not None:
        config["maxOutputTokens"] = limit
    if config:
        body["generationConfig"] = config
    return _encode(body)


def to_responses(chat: TextChat, target: TargetModel) -> bytes | None:
    """As `formats.openai_responses.encode_request`."""
    items: list[dict[str, Any]] = []
    for message in chat.messages:
        role, text = message.role, message.content
        if role != "assistant":
            items.append({"role": role, "content": text})
        elif text:
            content = [{"type": "output_text", "text": text, "annotations": []}]
            items.append({"type": "message", "role": "assistant", "content": content})
    body: dict[str, Any] = {"model": target.model, "input": items}
    limit = chat.max_completion_tokens or chat.max_tokens
    if limit is not None:
        body["max_output_tokens"] = max(limit, MIN_OUTPUT)
    if chat.temperature is not None:
        body["temperature"] = chat.temperature
    if chat.top_p is not None:
        body["top_p"] = chat.top_p
    body["store"] = False
    body["include"] = [ENCRYPTED]
    return _encode(body)


Writer = Callable[[TextChat, "TargetModel"], bytes | None]
WRITERS: dict[str, Writer] = {"anthropic": to_anthropic, "gemini": to_gemini, "responses": to_responses}
"""By the provider's format; those that are not here have the long way only."""
