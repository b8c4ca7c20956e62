"""Decoding JSON into wire structs, with errors that name the field in the words of the dialect that was spoken."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec import Raw

from switchgear.errors import InvalidRequest, UpstreamProtocolError
from switchgear.wire.conversation import ABSENT

if TYPE_CHECKING:
    from collections.abc import Set

T = TypeVar("T")

_AT = re.compile(r"^(.*?) - at `\$\.?(.*)`$", re.S)
_FIELD = re.compile(r"missing required field `([^`]+)`")
_fields = msgspec.json.Decoder(dict[str, Raw])
_NULL_LENGTH = 4


def given(raw: Raw) -> bool:
    """Whether a field was sent and is not null: an explicit null means absent (TRANSLATION §1)."""
    return raw is not ABSENT and bytes(memoryview(raw)[:_NULL_LENGTH]) not in (b"", b"null")


def read_request(decoder: msgspec.json.Decoder[T], body: bytes | Raw, where: str = "") -> T:
    """Decode a client's body, or the part of it that stands at `where`.

    Raises `InvalidRequest` whose `param` is the path of the field that is wrong (`messages[0].role`).
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as exc:
        raise _invalid(str(exc), where) from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidRequest(
            "We could not parse the JSON body of your request: the request body must be one JSON object in UTF-8."
        ) from exc


def read_reply(decoder: msgspec.json.Decoder[T], body: bytes | Raw) -> T:
    """Decode an upstream's body. Raises `UpstreamProtocolError`, which holds nothing of the body."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise UpstreamProtocolError("The upstream's answer is not what its API documents.") from exc


def unknown_fields(body: bytes | Raw, known: Set[str]) -> dict[str, Raw] | None:
    """The members of a JSON object that `known` does not list and that are not null; None when there are none."""
    fields = _fields.decode(body)
    extra = fields.keys() - known
    if not extra:
        return None
    return {name: raw for name, raw in fields.items() if name in extra and given(raw)} or None


def object_text(raw: Raw) -> str:
    """JSON text of a value that came undecoded; "{}" when absent or null."""
    return bytes(raw).decode() if given(raw) else "{}"


def as_object(text: str) -> Raw | None:
    """`text` as JSON if it is a JSON object, else None."""
    if text == "{}":
        return _EMPTY_OBJECT
    try:
        _fields.decode(text)
    except (msgspec.MsgspecError, UnicodeError):
        return None
    return Raw(text.encode())


def plain(raw: Raw) -> Any:
    """The decoded value."""
    return msgspec.json.decode(raw)


def _invalid(message: str, where: str) -> InvalidRequest:
    match = _AT.match(message)
    what, path = (match[1], match[2]) if match else (message, "")
    param = where + (path if path.startswith("[") or not where else f".{path}" if path else "")
    missing = _FIELD.search(what)
    if missing:
        param = f"{param}.{missing[1]}" if param else missing[1]
        return InvalidRequest(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    return InvalidRequest(
        f"Invalid type for '{param or 'body'}': {what[:1].lower()}{what[1:]}.", param=param or None, code="invalid_type"
    )


_EMPTY_OBJECT = Raw(b"{}")
