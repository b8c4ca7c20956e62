"""A scripted upstream over a real socket: each accepted connection runs a coroutine that reads and writes bytes."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

WAIT_S = 10.0  # far beyond what anything here takes: a failure, not a measurement


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what no event announces: a counter of the pool, the state of the kernel."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # as said
            await asyncio.sleep(0.001)


class Peer:
    """The upstream's end of one connection."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.number = number  # of the connection, from 0
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """The next request, head and body. Raises EOFError when the client closed instead."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            return head + (await self.reader.readexactly(int(length[1])) if length else b"")
        except (asyncio.IncompleteReadError, ConnectionError) as exc:
            raise EOFError from exc

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def closed(self) -> None:
        """Return when the client has closed."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def reset(self) -> None:
        """Close with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class Upstream:
    """peers: connections accepted so far. open: how many of their scripts still run."""

    def __init__(self) -> None:
        self.port = 0
        self.peers: list[Peer] = []
        self.open = 0
        self._changed = asyncio.Condition()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something about the connections is true."""
        async with asyncio.timeout(WAIT_S), self._changed:
            await self._changed.wait_for(condition)

    async def changed(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@contextlib.asynccontextmanager
async def serving(
    script: Script, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Upstream]:
    """Serve until the block ends; a script that raises anything but EOFError fails the test."""
    upstream = Upstream()
    failures: list[Exception] = []
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        peer = Peer(len(upstream.peers), reader, writer)
        upstream.peers.append(peer)
        upstream.open += 1
        await upstream.changed()
        try:
            await script(peer)
        except (EOFError, asyncio.CancelledError):
            pass  # the client closed, or the test is over
        except Exception as exc:
            failures.append(exc)
        finally:
            upstream.open -= 1
            with contextlib.suppress(Exception, asyncio.CancelledError):  # the other end may be gone in any way
                writer.close()
                await writer.wait_closed()
            tasks.discard(task)
            await upstream.changed()

    server = await asyncio.start_server(accept, host, 0, ssl=tls)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
    assert failures == []


def answering(*answers: bytes) -> Script:
    """Answer the n-th request of each connection with the n-th answer (the last one again and again)."""

    async def script(peer: Peer) -> None:
        count = 0
        while True:
            await peer.request()
            peer.write(answers[min(count, len(answers) - 1)])
            count += 1

    return script


def closing(answer: bytes) -> Script:
    """Answer one request and close."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(answer)

    return script


REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: upstream\r\ncontent-length: 2\r\n\r\n"
BODY = b"{}"
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\nhello"
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


HEAD_ONLY = b"GET / HTTP/1.1\r\nhost: upstream\r\n\r\n"


async def hold(peer: Peer) -> None:
    """Answer each request with the head and one event of a stream that goes on until the client closes."""
    while True:
        await peer.request()
        peer.write(EVENTS + chunk(b"data: 1\n\n"))


def dying_second_time(*, reset: bool) -> tuple[list[int], Script]:
    """A script whose first connection answers once and dies at the second request."""
    served: list[int] = []

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            served.append(peer.number)
            if served == [0, 0]:
                if reset:
                    peer.reset()
                return
            peer.write(OK)

    return served, script
