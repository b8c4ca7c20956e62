"""What the edge makes of each request: its headers in one pass, an id, an entry in the table of those in flight."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

class Head:
    """The headers a gateway acts on. headers: ASGI's pairs, names in lower case. forward: names that go along to the
    upstream.

    token: of `Authorization: Bearer`, or the whole value where it is one word (some clients send it bare), else of
    `x-api-key`, `api-key` or `x-goog-api-key`; b"" without one. Several Authorization headers that differ are joined
    with commas, as RFC 9110 §5.3 reads them, which no key matches: 401. length: Content-Length, -1 when absent, -2 when
    it is no number. coding: Content-Encoding. forwarded: the pairs named in `forward`. The others: raw values, b"" when
    absent.
    """

    token: bytes
    content_type: bytes
    coding: bytes
    origin: bytes
    provider: bytes
    request_id: bytes
    strict: bytes
    tags: bytes
    length: int
    forwarded: list[tuple[bytes, bytes]]
    def __init__(self, headers: object, forward: frozenset[bytes]) -> None: ...

class RequestIds:
    """Makes `req_` + 12 hex digits of a random number per worker + 12 of a counter: unique without
    a system call each."""

    def accept(self, offered: bytes) -> bytes:
        """`offered` if it is 1 to 128 characters of `A-Za-z0-9._:-` that begin with a letter or
        digit, else a new one."""

class Stepping(Protocol):
    """An answer: its steps are odd while the server is being handed a piece of its body."""

    steps: int

class Exchange:
    """One request being handled by `task`. since: `loop.time()` of its arrival. reading: its body is still being
    received.

    reason: why it was cancelled: "" (not by us), `gone`, `body_timeout` or `unread`. reply: the answer on its way;
    steps, moved_at: how far it was when the sweep last saw it move, and when (`loop.time()`). watch: the task that
    waits for a disconnect.
    """

    task: asyncio.Task[Any]
    receive: Callable[[], Awaitable[Any]]
    since: float
    reading: bool
    reason: str
    watch: asyncio.Task[None] | None
    reply: Stepping | None
    steps: int
    moved_at: float
    def __init__(self, task: asyncio.Task[Any], receive: Callable[[], Awaitable[Any]], since: float) -> None: ...
    def cancel(self, reason: str) -> None:
        """Cancel the handler; it finds the reason here."""
