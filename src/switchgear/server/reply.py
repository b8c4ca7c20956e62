"""The answer as ASGI messages. `send` of the server carries the back-pressure: it returns when there is room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from switchgear.types import Headers

# The server's queue is counted in pieces (granian: 4, and as many bytes again in its own buffer), whatever their size:
# what a client that does not read can hold follows from the largest of them.
PIECE_MAX_BYTES = 64 * 1024

Send = Callable[[dict[str, Any]], Awaitable[None]]


class AsgiReply:
    """One answer. `extra` are headers the edge adds to every answer of this request (request id, CORS, drain).

    steps: odd while the server is being handed a piece of the body, which takes until the client makes room for it.
    """

    steps = 0
    started = False
    status = 0
    head_request = False

    def __init__(self, send: Send, extra: Headers):
        self._send = send
        self.extra = extra

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """The complete answer at once."""
        self.started = True
        self.status = status
        headers += self.extra
        headers.append((b"content-length", b"%d" % len(body)))
        send = self._send
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if self.head_request else body})

    async def start(self, status: int, headers: Headers) -> None:
        """Status and headers of a streamed answer."""
        self.started = True
        self.status = status
        headers += self.extra
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send(self, chunk: bytes) -> None:
        """Some of its body."""
        if len(chunk) > PIECE_MAX_BYTES:
            for start in range(0, len(chunk), PIECE_MAX_BYTES):
                await self._piece(chunk[start : start + PIECE_MAX_BYTES])
        else:
            await self._piece(chunk)

    async def _piece(self, piece: bytes) -> None:
        self.steps += 1
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        self.steps += 1

    async def end(self) -> None:
        """The end of its body."""
        self.steps += 1
        await self._send({"type": "http.response.body", "body": b""})
        self.steps += 1
