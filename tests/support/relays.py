"""Small servers between the gateway and a simulator: one that ends TLS, and an HTTP proxy that understands CONNECT.

Each runs in an event loop of its own, in a thread: the tests that use them block, and an `ssl.SSLSocket` must not be
read and written by two threads at once.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_START_S = 10.0


class Relay:
    """What came through a relay. port: where it listens. targets: method and target of each request to a proxy."""

    def __init__(self) -> None:
        self.port = 0
        self.targets: list[str] = []


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source ends or either breaks; then the sink is closed."""
    with suppress(OSError, ssl.SSLError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()


async def _asked(state: Relay, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> tuple[str, int, bytes]:
    """Where a proxy's client wants to go, and what to send there first."""
    top = await client.readuntil(b"\r\n\r\n")
    method, target, _ = top.split(b"\r\n", 1)[0].decode().split(" ")
    state.targets.append(f"{method} {target}")
    authority, _, path = target.removeprefix("http://").partition("/")
    host, _, port = authority.rpartition(":")
    if method == "CONNECT":
        answer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        return host.strip("[]"), int(port), b""
    return host.strip("[]"), int(port), top.replace(target.encode(), f"/{path}".encode(), 1)


class _Server:
    """One listening socket and the connections it took. to_port: where to; 0: where the client says (a proxy)."""

    def __init__(self, state: Relay, host: str, to_port: int, context: ssl.SSLContext | None):
        self.state, self.host, self.to_port, self.context = state, host, to_port, context
        self.tasks: set[asyncio.Task[None]] = set()

    async def run(self, started: threading.Event, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self._take, self.host, 0, ssl=self.context)
        self.state.port = server.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            host, port, first = "127.0.0.1", self.to_port, b""
            if not port:
                host, port, first = await _asked(self.state, reader, writer)
            onward_reader, onward_writer = await asyncio.open_connection(host, port)
            onward_writer.write(first)
            try:
                await asyncio.gather(_copy(reader, onward_writer), _copy(onward_reader, writer))
            finally:
                onward_writer.transport.abort()
        except (OSError, asyncio.IncompleteReadError):
            pass  # a connection that broke is what some tests are about
        finally:
            writer.transport.abort() if task.cancelling() else writer.close()
            self.tasks.discard(task)


@contextmanager
def _serving(state: Relay, host: str, to_port: int, context: ssl.SSLContext | None) -> Iterator[Relay]:
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    server = _Server(state, host, to_port, context)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(server.run(started, stop))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(_START_S), "the relay did not start"
        yield state
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


@contextmanager
def relay(to_port: int, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> Iterator[Relay]:
    """Listens on `host`, with TLS if there is a context, and passes bytes on to a local port."""
    with _serving(Relay(), host, to_port, context) as state:
        yield state


@contextmanager
def proxy() -> Iterator[Relay]:
    """An HTTP proxy: tunnels for CONNECT, and requests in absolute form passed on, one a connection."""
    with _serving(Relay(), "127.0.0.1", 0, None) as state:
        yield state
