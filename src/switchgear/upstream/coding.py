"""Undoing a content coding that was not asked for, a step at a time.

A few kilobytes can unfold into gigabytes, and inflating them takes the loop from everybody else: what comes out is
capped, and after each `STEP_BYTES` of it the loop has its turn.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING

from switchgear.errors import UpstreamProtocolError

if TYPE_CHECKING:
    from switchgear.upstream.upstream import Answered

INFLATED_MAX_BYTES = 32 * 1024 * 1024
STEP_BYTES = 256 * 1024  # a quarter of a millisecond (zeros) to one (text)
_CODINGS = (b"gzip", b"x-gzip", b"deflate")


async def plain(response: Answered, body: bytes, limit_bytes: int = INFLATED_MAX_BYTES) -> bytes:
    """The body without a content coding. We ask for none; an upstream that sends one all the same is undone here.

    Raises `UpstreamProtocolError`: unknown or broken coding, or more than `limit_bytes` of content.
    """
    coding = response.header(b"content-encoding")
    if coding is None or coding.lower() == b"identity" or not body:
        return body
    if coding.lower() not in _CODINGS:
        raise UpstreamProtocolError("The upstream used a content coding that was not asked for.")
    content = await _inflated(body, limit_bytes)
    # In place: the headers are the response's own.
    response.headers[:] = [pair for pair in response.headers if pair[0] != b"content-encoding"]
    return content


async def _inflated(body: bytes, limit_bytes: int) -> bytes:
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, whichever its header says
    parts: list[bytes] = []
    left = limit_bytes
    rest = body
    while not inflate.eof:
        try:
            part = inflate.decompress(rest, min(STEP_BYTES, left))
        except zlib.error as exc:
            raise UpstreamProtocolError("The upstream sent a body that cannot be decompressed.") from exc
        parts.append(part)
        left -= len(part)
        rest = inflate.unconsumed_tail
        if inflate.eof:
            break
        if not left or not (rest or part):
            raise UpstreamProtocolError("The upstream sent a compressed body that is cut short or too large.")
        await asyncio.sleep(0)
    return b"".join(parts)
