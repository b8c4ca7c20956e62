"""Tags of a request: what a client put into `metadata` or the tags header, bounded, as the JSON of a ledger row."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from switchgear.hotpath._journal import MAX_TAGS_BYTES

MAX_TAGS = 16
MAX_NAME_CHARS = 64  # as OpenAI bounds the names of `metadata`
MAX_VALUE_CHARS = 256


def encode(tags: Mapping[str, object]) -> bytes:
    """The first 16 tags as a JSON object of strings, b"" for none.

    Names are cut to 64 characters, values to 256; numbers and booleans are written as JSON, other values left out. Tags
    that would make the JSON longer than 960 bytes are left out. NUL is replaced: databases refuse it.
    """
    kept: dict[str, str] = {}
    room = MAX_TAGS_BYTES - 2
    for name, value in tags.items():
        text = value if isinstance(value, str) else _scalar(value)
        if text is None or len(kept) >= MAX_TAGS:
            continue
        name, text = _clean(name, MAX_NAME_CHARS), _clean(text, MAX_VALUE_CHARS)
        size = len(orjson.dumps({name: text})) - 1  # braces away, a comma more
        if size <= room:
            kept[name] = text
            room -= size
    return orjson.dumps(kept) if kept else b""


def from_header(value: bytes) -> dict[str, str]:
    """Tags of the header `x-switchgear-tags: team=search, run=7`. What has no `=` is a tag with an empty value."""
    pairs = (part.partition("=") for part in value.decode("utf-8", "replace").split(","))
    return {name.strip(): text.strip() for name, _, text in pairs if name.strip()}


def _scalar(value: object) -> str | None:
    return orjson.dumps(value).decode() if isinstance(value, bool | int | float) and abs(value) < 2**63 else None


def _clean(text: str, limit: int) -> str:
    return text[:limit].encode("utf-8", "replace").decode().replace("\0", "?")
