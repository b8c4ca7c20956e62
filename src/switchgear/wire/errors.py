"""Error bodies: writing the OpenAI envelope, and reading what upstreams send in its place (TRANSLATION §16)."""

from __future__ import annotations

from typing import Any

import msgspec

from switchgear.errors import GatewayError

JSON = b"application/json"


class _Detail(msgspec.Struct):
    message: str
    type: str | None = None
    param: str | None = None
    code: str | None = None


class Envelope(msgspec.Struct):
    """`{"error": {"message", "type", "param", "code"}}`: all four keys, `code` a string or null."""

    error: _Detail


_encode = msgspec.json.Encoder().encode
_decode_any = msgspec.json.Decoder().decode


class _ReadDetail(msgspec.Struct):
    message: str
    type: str | None
    code: str | None
    param: Any = None


class _ReadEnvelope(msgspec.Struct):
    error: _ReadDetail


_decode_envelope = msgspec.json.Decoder(_ReadEnvelope).decode


def envelope(message: str, type: str, code: str | None = None, param: str | None = None) -> bytes:
    """The OpenAI error envelope as JSON."""
    return _encode(Envelope(_Detail(message, type, param, code)))


def render(error: GatewayError) -> bytes:
    """The OpenAI error envelope of an error of ours."""
    return envelope(error.message, error.type, error.code, error.param)


def is_openai(body: bytes) -> bool:
    """Whether `body` already is an OpenAI error envelope that every client can read."""
    try:
        _decode_envelope(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


class Described(msgspec.Struct):
    """What an upstream's error body says. Empty or None where it says nothing."""

    message: str = ""
    type: str | None = None
    code: str | None = None
    param: str | None = None


def describe(body: bytes) -> Described:
    """Read an error body of any provider: error object or string, flat object, `detail`, array of one, text, nothing.

    Source of the shapes: TRANSLATION §16.1. Text is cut to 500 characters; HTML is not passed on.
    """
    try:
        value = _decode_any(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body[:2000].decode("utf-8", "replace").strip()
        return Described("" if text.startswith("<") else text[:500])
    if isinstance(value, list) and value:
        value = value[0]
    if isinstance(value, str):
        return Described(value[:500])
    if not isinstance(value, dict):
        return Described()
    inner = value.get("error")
    source = inner if isinstance(inner, dict) else value
    message = next(
        (text for text in (source.get("message"), inner, value.get("message"), value.get("detail")) if _is_text(text)),
        "",
    )
    if not message and isinstance(value.get("detail"), list):
        message = "; ".join(
            str(item.get("msg", "")) for item in value["detail"] if isinstance(item, dict) and item.get("msg")
        )
    return Described(
        str(message)[:2000], _text(source.get("type")), _text(source.get("code")), _text(source.get("param"))
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _text(value: Any) -> str | None:
    return None if value is None or isinstance(value, dict | list) else str(value)


class _ResponsesError(msgspec.Struct):
    type: str
    code: str | None
    message: str
    param: str | None
    error: _Detail
    sequence_number: int = 0


def responses_event(error: GatewayError) -> bytes:
    """The `error` event of a Responses stream: flat fields as published, and nested as OpenAI sends
    them (TRANSLATION §15.3)."""
    detail = _Detail(error.message, error.type, error.param, error.code)
    body = _encode(_ResponsesError("error", error.code, error.message, error.param, detail))
    return b"event: error\ndata: %b\n\n" % body
