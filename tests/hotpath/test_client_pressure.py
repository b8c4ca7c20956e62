"""Back-pressure both ways, and answers that come before the upload's end."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.hotpath.conftest import MakePool
from tests.hotpath.upstream import BODY, EVENTS, OK, REQUEST, WAIT_S, Peer, answering, chunk, serving

CHUNKED_REQUEST = b"POST / HTTP/1.1\r\nhost: upstream\r\ntransfer-encoding: chunked\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nno!"


async def test_a_reader_that_stalls_stops_the_upstream(make_pool: MakePool) -> None:
    total = 60_000_000
    sent = 0
    piece = chunk(b"y" * 50_000)

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        peer.write(EVENTS)
        while sent < total:
            peer.write(piece)
            sent += 50_000
            await peer.writer.drain()
        peer.write(b"0\r\n\r\n")
        await peer.closed()

    async with serving(script) as upstream:
        pool = make_pool(upstream.port, high_water_bytes=65536)
        response = await pool.send(REQUEST, BODY)
        before = -1
        async with asyncio.timeout(WAIT_S):
            while before != sent:
                before = sent
                await asyncio.sleep(0.1)
        # Both kernels' buffers and the server's own, far from all of it.
        assert sent < total / 2
        held = response.read_nowait()
        assert held is not None
        # One more read of the socket (at most 256 KiB) than the mark.
        assert 65536 < len(held) <= 65536 + 262_144
        received = len(held)
        while piece_read := await response.read():
            received += len(piece_read)
        assert received == total == sent
        assert (pool.connections, pool.idle) == (1, 1)
        assert len(upstream.peers) == 1


async def test_a_paused_connection_is_read_again_when_it_is_idle(make_pool: MakePool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(OK.replace(b"length: 5", b"length: 1000005") + b"z" * 1_000_000)
        await peer.request()
        peer.write(OK)
        await peer.closed()

    async with serving(script) as upstream:
        pool = make_pool(upstream.port, high_water_bytes=1)
        response = await pool.send(REQUEST, BODY)
        assert await response.read_all(2_000_000) == b"hello" + b"z" * 1_000_000
        assert (await pool.send(REQUEST, BODY, gather_bytes=100)).body == b"hello"
        assert len(upstream.peers) == 1


async def test_an_iterator_is_written_as_it_yields(make_pool: MakePool) -> None:
    received = asyncio.Queue[bytes]()

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        while (line := await peer.reader.readuntil(b"\r\n")) != b"0\r\n":
            received.put_nowait(await peer.reader.readexactly(int(line, 16) + 2))
        await peer.reader.readexactly(2)
        peer.write(OK)
        await peer.closed()

    async def body() -> AsyncIterator[bytes]:
        for number in (b"one", b"two"):
            yield chunk(number)
            assert await received.get() == number + b"\r\n"
        yield b"0\r\n\r\n"

    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        assert (await pool.send(CHUNKED_REQUEST, body(), gather_bytes=100)).body == b"hello"
        assert (pool.connections, pool.idle) == (1, 1)


async def test_an_upstream_that_does_not_read_holds_the_iterator_back(make_pool: MakePool) -> None:
    total = 60_000_000
    yielded = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal yielded
        while yielded < total:
            yielded += 50_000
            yield b"x" * 50_000

    async def script(peer: Peer) -> None:
        transport = peer.writer.transport
        transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport
        await go.wait()
        transport.resume_reading()  # type: ignore[attr-defined]  # a stream's transport
        assert len(await peer.request()) == len(head) + total
        peer.write(OK)
        await peer.closed()

    go = asyncio.Event()
    head = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % total
    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        sending = asyncio.ensure_future(pool.send(head, body(), gather_bytes=100))
        before = -1
        async with asyncio.timeout(WAIT_S):
            while before != yielded or not yielded:
                before = yielded
                await asyncio.sleep(0.1)
        assert yielded < total / 2
        go.set()
        assert (await sending).body == b"hello"
        assert yielded == total
        assert pool.idle == 1


@pytest.mark.parametrize("gather_bytes", [0, 100])
async def test_an_answer_before_the_end_of_the_upload(make_pool: MakePool, gather_bytes: int) -> None:
    ended = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            yield chunk(b"x")
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n1\r\n")
        peer.write(TOO_LARGE)
        await peer.closed()

    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        response = await pool.send(CHUNKED_REQUEST, body(), gather_bytes=gather_bytes)
        assert response.status == 413
        assert (response.body or await response.read_all(100)) == b"no!"
        assert pool.connections == 0
        await upstream.until(lambda: upstream.open == 0)
        async with asyncio.timeout(WAIT_S):
            await ended.wait()


async def test_an_answer_that_streams_while_the_upload_goes_on(make_pool: MakePool) -> None:
    async def echo(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.write(EVENTS)
        while (line := await peer.reader.readuntil(b"\r\n")) != b"0\r\n":
            peer.write(line + await peer.reader.readexactly(int(line, 16) + 2))
        peer.write(b"0\r\n" + await peer.reader.readexactly(2))
        await peer.closed()

    pieces = asyncio.Queue[bytes]()

    async def body() -> AsyncIterator[bytes]:
        while piece := await pieces.get():
            yield chunk(piece)
        yield b"0\r\n\r\n"

    async with serving(echo) as upstream:
        pool = make_pool(upstream.port)
        response = await pool.send(CHUNKED_REQUEST, body())
        for piece in (b"one", b"two", b"three"):
            pieces.put_nowait(piece)
            assert await response.read() == piece
        pieces.put_nowait(b"")
        assert await response.read() == b""
        assert (pool.connections, pool.idle) == (1, 1)


class ClientLeft(Exception):
    pass


async def test_an_iterator_that_fails(make_pool: MakePool) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        raise ClientLeft

    async with serving(answering(OK)) as upstream:
        pool = make_pool(upstream.port)
        with pytest.raises(ClientLeft):
            await pool.send(REQUEST, body())
        assert pool.connections == 0
        await upstream.until(lambda: upstream.open == 0)
