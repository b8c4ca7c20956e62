"""An event loop whose connections are in memory, so that a test decides how a stream of bytes is cut into pieces.

Sockets cannot do that: the kernel joins what was written apart. Everything but connecting is the real loop's.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from switchgear.errors import UpstreamError
from switchgear.hotpath._client import Pool, Response


class MemoryTransport:
    def __init__(self, protocol: Any):
        self.protocol = protocol
        self.written = b""
        self.aborted = False
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, pieces: tuple[bytes, ...]) -> None:
        self.written += b"".join(pieces)

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> None:
        return None


class MemoryLoop:
    def __init__(self, loop: asyncio.AbstractEventLoop):
        self.time = loop.time
        self.create_future = loop.create_future
        self.create_task = loop.create_task
        self.transports: list[MemoryTransport] = []

    async def written(self) -> None:
        """Wait until the first connection is made and its first request written."""
        while not (self.transports and self.transports[0].written):  # a few turns of the loop
            await asyncio.sleep(0)

    async def sock_connect(self, sock: socket.socket, address: tuple[str, int]) -> None:
        pass

    async def create_connection(
        self, factory: Callable[[], Any], *, sock: socket.socket
    ) -> tuple[MemoryTransport, Any]:
        sock.close()
        protocol = factory()
        transport = MemoryTransport(protocol)
        self.transports.append(transport)
        protocol.connection_made(transport)
        return transport, protocol


Outcome = tuple[Any, ...]


async def exchange(pieces: list[bytes], *, gather_bytes: int = 0, head_request: bool = False) -> Outcome:
    """Send one request, deliver `pieces` and then the end of the stream; all that the caller of the client sees.

    ("error", name of the exception) or (status, reason, headers, event_stream, body, name of the exception that ended
    the body or None, whether the connection went back to the pool).
    """
    loop = MemoryLoop(asyncio.get_running_loop())
    pool = Pool(loop, "127.0.0.1", 80)  # type: ignore[arg-type]  # the methods of a loop that the pool uses
    sending = asyncio.ensure_future(
        pool.send(b"GET / HTTP/1.1\r\n\r\n", gather_bytes=gather_bytes, head_request=head_request)
    )
    await loop.written()
    transport = loop.transports[0]
    for piece in pieces:
        if not transport.aborted:
            transport.protocol.data_received(piece)
    pooled = pool.idle == 1
    if not transport.aborted:
        transport.protocol.eof_received()
        transport.protocol.connection_lost(None)
    try:
        return await outcome(await sending, pooled)
    except UpstreamError as exc:
        return ("error", type(exc).__name__)
    finally:
        pool.abort()
        assert (pool.connections, pool.idle, pool.busy, pool.waiters) == (0, 0, 0, 0)
        assert transport.aborted


async def outcome(response: Response, pooled: bool) -> Outcome:
    body = response.body or b""
    fault = None
    try:
        while piece := await response.read():
            body += piece
    except UpstreamError as exc:
        fault = type(exc).__name__
    return response.status, response.reason, response.headers, response.event_stream, body, fault, pooled
