"""Tags of a request, as the ledger takes them: the header `x-switchgear-tags`, else the body's `metadata`."""

from __future__ import annotations

from typing import Any

import msgspec

from switchgear.accounting import tags


class _Metadata(msgspec.Struct):
    metadata: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(_Metadata).decode
_NAME = b'"metadata"'


def tags_of(header: bytes, body: object) -> bytes:
    """JSON for `Ledger.open`, b"" for none. A `metadata` that is no object is the upstream's to refuse."""
    if header:
        return tags.encode(tags.from_header(header))
    if isinstance(body, bytes) and _NAME in body:
        try:
            found = _decode(body).metadata
        except (msgspec.DecodeError, UnicodeDecodeError):
            return b""
        if found:
            return tags.encode(found)
    return b""
