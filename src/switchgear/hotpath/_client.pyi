"""The upstream HTTP/1.1 client: one keep-alive pool per origin, an `asyncio.Protocol` per connection.

Made for uvloop, works on any asyncio loop. No task, timer or queue is created per request: a chunk is handled in
`data_received`, timeouts are deadlines that `Pool.sweep` compares, and a whole answer costs one future.
HTTP/1.1 per RFC 9112; message framing is strict, because a lenient reader behind a gateway is a smuggling hole.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator

class Pool:
    """Keep-alive connections to one origin.

    max_connections: open connections at most; more requests wait in a first-in-first-out queue.
    max_waiters: length of that queue; one more raises `Overloaded`.
    idle_s: a connection unused for so long is closed. max_age_s: a connection this old is not reused, so that a
        change in DNS is followed. max_head_bytes: status line and headers (and trailers) at most.
    high_water_bytes: a body the reader does not take in pauses the socket above this many bytes.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        host: str,
        port: int,
        *,
        ssl: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        max_connections: int = 1024,
        max_waiters: int = 4096,
        idle_s: float = 60.0,
        max_age_s: float = 600.0,
        max_head_bytes: int = 65536,
        high_water_bytes: int = 65536,
    ) -> None: ...
    async def send(
        self,
        head: bytes,
        body: bytes | AsyncIterator[bytes] = b"",
        *,
        gather_bytes: int = 0,
        connect_s: float = 5.0,
        first_byte_s: float = 30.0,
        idle_s: float = 60.0,
        deadline: float = 0.0,
        head_request: bool = False,
    ) -> Response:
        """Send one request and return when its answer's head is in.

        head: the request line and all header lines, each ended by CRLF, and the empty line: bytes as they go out.
        body: follows the head. An async iterator is written with back-pressure; its framing (content-length or chunked)
            is the caller's, already in `head` and in the bytes it yields.
        gather_bytes: when greater than 0 and the answer is neither `text/event-stream` nor longer than this, return
            only when the whole body is in: it is then `Response.body`.
        connect_s: seconds to resolve, connect and shake hands; also the longest wait for a free connection.
        first_byte_s: seconds from the last byte written to the first byte of the *body* (for an answer without one, to
            the end of its head).
        idle_s: seconds between bytes of the body, counted only while somebody waits for them; also how long the
            upstream may take nothing of a request body.
        deadline: absolute `loop.time()` for all of it; 0: none.

        A reused connection that is closed before a byte of the answer came is replaced by a fresh one, once, when
        `body` is bytes. What an iterator raises comes out of `send`, or of `read` once the head is in.

        Raises `UpstreamUnreachable`, `UpstreamTimeout`, `UpstreamProtocolError`, `Overloaded`. Cancellation, in
        whatever phase, closes the connection at once and leaves no trace in the pool; the `CancelledError` has the
        attribute `sent` (True) when the request, or some of it, had gone out.
        """
    def sweep(self, now: float) -> None:
        """Time out what is overdue, close idle connections. Call every ~50 ms with `loop.time()`."""
    def close(self) -> None:
        """Close idle connections now and busy ones when they finish; `send` raises `Overloaded` from here on."""
    def abort(self) -> None:
        """Close everything now."""
    @property
    def connections(self) -> int:
        """Open or being opened; `idle` + `busy`."""
    @property
    def idle(self) -> int: ...
    @property
    def busy(self) -> int: ...
    @property
    def waiters(self) -> int: ...

class Response:
    """An answer. Owns its connection until `close()`; read to the end, the connection is back in the pool by itself.

    status: 200 to 999. headers: names in lower case, in order, hop-by-hop ones (RFC 9110 §7.6.1:
    connection and what it names, keep-alive, proxy-*, te, trailer, transfer-encoding, upgrade) left out.
    body: the whole body if `gather_bytes` asked for it and it came; else None.
    content_length: as announced, or -1.
    """

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes | None
    content_length: int
    event_stream: bool  # content-type is text/event-stream
    def header(self, name: bytes) -> bytes | None:
        """First value of the header with this lower-case name."""
    async def read(self) -> bytes:
        """The next bytes of the body as they arrived (everything that has arrived), `b""` at its end.

        Of a body that is in `body` already only the end is left. One reader at a time; cancelled, it closes the
        connection. What arrived before a fault is read first.

        Raises `UpstreamTimeout("first_token" | "idle" | "total")`, `UpstreamProtocolError` when the body stops short.
        """
    def read_nowait(self) -> bytes | None:
        """What has arrived, `b""` at the end, None when `read()` would wait. Raises as `read()` does."""
    async def read_all(self, limit_bytes: int) -> bytes:
        """The rest of the body. Raises `UpstreamProtocolError` beyond `limit_bytes`."""
    def close(self) -> None:
        """Give the connection back if the body is complete, else close it at once. Idempotent."""
