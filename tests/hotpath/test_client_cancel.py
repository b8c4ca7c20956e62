"""Whoever stops waiting, in whatever phase, closes the upstream's connection at once (CASES 1)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from switchgear.upstream.tls import client_context
from tests.hotpath.conftest import MakePool
from tests.hotpath.upstream import BODY, EVENTS, OK, REQUEST, WAIT_S, Peer, chunk, serving


async def cancelled(task: asyncio.Task[object]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def task(coroutine: object) -> asyncio.Task[object]:
    return asyncio.get_running_loop().create_task(coroutine)  # type: ignore[arg-type]  # a coroutine of any type


async def test_while_resolving(make_pool: MakePool) -> None:
    pool = make_pool(80, "no-such-host.invalid")
    sending = task(pool.send(REQUEST, BODY))
    await asyncio.sleep(0)
    assert pool.connections == 1
    await cancelled(sending)
    assert pool.connections == 0


async def test_while_connecting(make_pool: MakePool) -> None:
    async with serving(Peer.closed) as upstream:
        pool = make_pool(upstream.port, ssl=client_context(verify=False))
        sending = task(pool.send(REQUEST, BODY))
        await upstream.until(lambda: upstream.open == 1)
        await cancelled(sending)
        assert pool.connections == 0
        await upstream.until(lambda: upstream.open == 0)


async def test_at_every_step_of_connecting(make_pool: MakePool) -> None:
    """Cancelled after each number of turns of the loop, which covers the turn in which the connection is made."""

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(OK)
        await peer.closed()

    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        for turns in range(30):
            sending = task(pool.send(REQUEST, BODY, gather_bytes=100))
            for _ in range(turns):
                await asyncio.sleep(0)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            assert pool.busy == 0
            assert pool.idle <= 1  # sent and answered before it was cancelled
            pool.sweep(asyncio.get_running_loop().time() + 1000)
            assert pool.connections == 0
        await upstream.until(lambda: upstream.open == 0)


async def test_while_waiting_for_the_head(make_pool: MakePool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        got.set()
        await peer.closed()

    got = asyncio.Event()
    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        sending = task(pool.send(REQUEST, BODY))
        await got.wait()
        await cancelled(sending)
        assert pool.connections == 0
        await upstream.until(lambda: upstream.open == 0)


async def test_while_gathering(make_pool: MakePool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(OK[:-1])
        got.set()
        await peer.closed()

    got = asyncio.Event()
    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        sending = task(pool.send(REQUEST, BODY, gather_bytes=100))
        await got.wait()
        await asyncio.sleep(0.01)
        await cancelled(sending)
        assert pool.connections == 0
        await upstream.until(lambda: upstream.open == 0)


@pytest.mark.parametrize("whole", [False, True])
async def test_while_reading(make_pool: MakePool, whole: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(EVENTS + chunk(b"data: 1\n\n"))
        await peer.closed()

    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        response = await pool.send(REQUEST, BODY)
        assert await response.read() == b"data: 1\n\n"
        reading = task(response.read_all(1000) if whole else response.read())
        await asyncio.sleep(0)
        await cancelled(reading)
        assert pool.connections == 0
        await upstream.until(lambda: upstream.open == 0)


async def test_while_uploading(make_pool: MakePool) -> None:
    ended = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            yield b"{"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with serving(Peer.closed) as upstream:
        pool = make_pool(upstream.port)
        sending = task(pool.send(REQUEST, body()))
        await upstream.until(lambda: upstream.open == 1)
        await asyncio.sleep(0.01)
        await cancelled(sending)
        assert pool.connections == 0
        await upstream.until(lambda: upstream.open == 0)
        async with asyncio.timeout(WAIT_S):
            await ended.wait()
        assert len(asyncio.all_tasks()) == 1


async def test_while_the_upload_is_held_back(make_pool: MakePool) -> None:
    ended = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 1_000_000
        finally:
            ended.set()

    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport
        await over.wait()

    over = asyncio.Event()
    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        sending = task(pool.send(REQUEST, body()))
        await upstream.until(lambda: upstream.open == 1)
        await asyncio.sleep(0.05)  # the kernel's buffers fill up
        await cancelled(sending)
        assert pool.connections == 0
        async with asyncio.timeout(WAIT_S):
            await ended.wait()
        over.set()


async def test_while_queued(make_pool: MakePool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(EVENTS)
        await peer.closed()

    async with serving(script) as upstream:
        pool = make_pool(upstream.port, max_connections=1)
        busy = await pool.send(REQUEST, BODY)
        sending = task(pool.send(REQUEST, BODY))
        await asyncio.sleep(0)
        assert pool.waiters == 1
        await cancelled(sending)
        assert (pool.waiters, pool.connections) == (0, 1)
        busy.close()
        assert pool.connections == 0
        await upstream.until(lambda: upstream.open == 0)
        assert len(upstream.peers) == 1
