"""Reading a request body: whole up to a cap, or as a stream with the same cap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from switchgear.errors import ClientDisconnected, InvalidRequest, PayloadTooLarge, UnsupportedCoding
from switchgear.hotpath._head import Exchange
from switchgear.types import Headers

DISCARD_MAX = 64 * 1024 * 1024


def declared_length(length: int) -> int:
    """Content-Length as `Head` read it, -1 when absent. Raises `InvalidRequest` when it is no number."""
    if length < -1:
        raise InvalidRequest("Invalid Content-Length header.", code="invalid_content_length")
    return length


def require_plain(coding: bytes) -> None:
    """Raises `UnsupportedCoding` where Content-Encoding says that the body is compressed.

    Its bytes are read, priced and spliced as they arrive, and no public API of a provider documents to take others.
    """
    if coding.strip().lower() not in (b"", b"identity"):
        raise UnsupportedCoding("The request body is compressed (Content-Encoding). Send it without compression.")


def too_large(limit: int) -> PayloadTooLarge:
    """The error for a body above `limit` bytes."""
    return PayloadTooLarge(f"The request body is larger than the limit of {limit} bytes.")


async def read_whole(exchange: Exchange, length: int, limit: int) -> bytes:
    """The whole body. `length` is the declared one or -1.

    Raises `PayloadTooLarge` (before reading, where the length was declared), `ClientDisconnected`.
    """
    if length > limit:
        raise too_large(limit)
    return await read_on(exchange, await exchange.receive(), length, limit)


async def read_on(exchange: Exchange, message: Any, length: int, limit: int) -> bytes:
    """The whole body, whose first `message` is at hand.

    When the bytes in hand reach the declared length the server is not asked again: each `receive()` is a hop between
    threads.
    """
    parts, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > limit:
            raise too_large(limit)
        if size == length or not message.get("more_body"):
            exchange.reading = False
            return parts[0] if len(parts) == 1 else b"".join(parts)
        message = await exchange.receive()


def worth_discarding(headers: Headers) -> bool:
    """Whether the rest of a refused body is likely on its way and short enough to be read: not where the client waits
    for `100 Continue`, nor where it announced more than would be read."""
    for name, value in headers:
        if name == b"expect" or (name == b"content-length" and value.isdigit() and int(value[:18]) > DISCARD_MAX):
            return False
    return True


async def discard(exchange: Exchange) -> None:
    """Read what is left of a refused request's body, at most `DISCARD_MAX` bytes and within the body's time limit.

    A connection closed with bytes unread is reset, and a client that is still sending then sees the reset in place of
    the answer (RFC 9112 §9.6). Raises `ClientDisconnected`.
    """
    size = 0
    try:
        while size < DISCARD_MAX:
            message = await exchange.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            size += len(message.get("body", b""))
            if not message.get("more_body"):
                exchange.reading = False
                return
    except asyncio.CancelledError:
        if exchange.reason != "body_timeout":
            raise
        exchange.task.uncancel()


async def stream(exchange: Exchange, length: int, limit: int) -> AsyncIterator[bytes]:
    """The body as it arrives, framed for the upstream: as it is where its length was declared, else
    in chunks (RFC 9112 §7.1)."""
    if length > limit:
        raise too_large(limit)
    size, chunked = 0, length < 0
    while True:
        message = await exchange.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise too_large(limit)
        last = size == length or not message.get("more_body")
        if part:
            yield b"%x\r\n%b\r\n" % (len(part), part) if chunked else part
        if last:
            exchange.reading = False
            break
    if chunked:
        yield b"0\r\n\r\n"
