"""Small servers between the gateway and a simulator: one that ends TLS, and an HTTP proxy that understands CONNECT."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int, first: bytes = b"") -> None:
    """Connect to `host`, send `first` there, and copy both ways until one side ends."""
    with suppress(OSError):
        onward_reader, onward_writer = await asyncio.open_connection(host, port)
        try:
            onward_writer.write(first)
            copies = [asyncio.create_task(_copy(reader, onward_writer)), asyncio.create_task(_copy(onward_reader, writer))]
            try:
                await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for copy in copies:
                    copy.cancel()
                await asyncio.gather(*copies, return_exceptions=True)
        finally:
            onward_writer.close()


class Relay:
    """What came through a relay. connections: so far. targets: method and target of each request to a proxy."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.targets: list[str] = []


@asynccontextmanager
async def relay(to_port: int, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> AsyncIterator[Relay]:
    """Listens on `host`, with TLS if there is a context, and passes bytes on to a local port."""
    state = Relay()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _adopt(tasks)
        state.connections += 1
        with _until_cancelled(writer):
            await _join(reader, writer, "127.0.0.1", to_port)

    async with _listening(serve, host, context, tasks) as port:
        state.port = port
        yield state


@asynccontextmanager
async def proxy() -> AsyncIterator[Relay]:
    """An HTTP proxy: tunnels for CONNECT, and requests in absolute form passed on, one a connection."""
    state = Relay()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _adopt(tasks)
        state.connections += 1
        with _until_cancelled(writer):
            top = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = top.split(b"\r\n", 1)[0].decode().split(" ")
            state.targets.append(f"{method} {target}")
            tunnel = method == "CONNECT"
            if tunnel:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            authority, _, path = target.removeprefix("http://").partition("/")
            host, _, port = authority.rpartition(":")
            onward = b"" if tunnel else top.replace(target.encode(), f"/{path}".encode(), 1)
            await _join(reader, writer, host.strip("[]"), int(port), onward)

    async with _listening(serve, "127.0.0.1", None, tasks) as port:
        state.port = port
        yield state


@contextmanager
def _until_cancelled(writer: asyncio.StreamWriter) -> Iterator[None]:
    """Close the client's connection in any case. A handler that ends as cancelled would be reported by asyncio."""
    try:
        yield
    except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        pass
    finally:
        writer.close()


def _adopt(tasks: set[asyncio.Task[None]]) -> None:
    task = asyncio.current_task()
    assert task is not None
    tasks.add(task)
    task.add_done_callback(tasks.discard)


@asynccontextmanager
async def _listening(
    serve: object, host: str, context: ssl.SSLContext | None, tasks: set[asyncio.Task[None]]
) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, host, 0, ssl=context)  # type: ignore[arg-type]  # a callback of that shape
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
