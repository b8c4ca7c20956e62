"""One timeout per phase: what starts it, what ends it, what it is called. The clock is the argument of `sweep`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from switchgear.errors import Overloaded, UpstreamTimeout
from switchgear.hotpath._client import Pool
from switchgear.upstream.tls import client_context
from tests.hotpath.conftest import MakePool
from tests.hotpath.upstream import BODY, EVENTS, OK, REQUEST, Peer, answering, chunk, serving, until


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.closed()


async def sweep_until_done(pool: Pool, task: asyncio.Future[Any], later_s: float) -> None:
    """Sweep `later_s` from now, again and again: what is to time out may not have begun yet."""

    def swept() -> bool:
        pool.sweep(asyncio.get_running_loop().time() + later_s)
        return task.done()

    await until(swept)


async def test_connect(make_pool: MakePool) -> None:
    loop = asyncio.get_running_loop()
    # TLS to a server that never answers the handshake: connected, but not through.
    async with serving(Peer.closed) as upstream:
        pool = make_pool(upstream.port, ssl=client_context(verify=False))
        sending = asyncio.ensure_future(pool.send(REQUEST, BODY, connect_s=5.0))
        await upstream.until(lambda: upstream.open == 1)
        pool.sweep(loop.time() + 4.5)
        await asyncio.sleep(0)
        assert not sending.done()
        pool.sweep(loop.time() + 5.0)
        with pytest.raises(UpstreamTimeout) as caught:
            await sending
        assert (caught.value.phase, caught.value.after_s, caught.value.answered) == ("connect", 5.0, False)
        assert pool.connections == 0
        await upstream.until(lambda: upstream.open == 0)


async def test_total_while_connecting(make_pool: MakePool) -> None:
    loop = asyncio.get_running_loop()
    async with serving(Peer.closed) as upstream:
        pool = make_pool(upstream.port, ssl=client_context(verify=False))
        sending = asyncio.ensure_future(pool.send(REQUEST, BODY, deadline=loop.time() + 3.0))
        await upstream.until(lambda: upstream.open == 1)
        pool.sweep(loop.time() + 3.0)
        with pytest.raises(UpstreamTimeout) as caught:
            await sending
        assert caught.value.phase == "total"
        assert caught.value.after_s == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("head", [b"", EVENTS, OK[:-5]])
@pytest.mark.parametrize("gather_bytes", [0, 100])
async def test_first_byte_of_the_body(make_pool: MakePool, head: bytes, gather_bytes: int) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(head)
        await peer.closed()

    async def all_of_it(pool: Pool) -> bytes:
        response = await pool.send(
            REQUEST, BODY, gather_bytes=gather_bytes, connect_s=1000.0, first_byte_s=30.0, idle_s=1.0
        )
        return await response.read()

    loop = asyncio.get_running_loop()
    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        reading = asyncio.ensure_future(all_of_it(pool))
        await upstream.until(lambda: upstream.open == 1)
        await asyncio.sleep(0.01)
        pool.sweep(loop.time() + 29.0)
        await asyncio.sleep(0)
        assert not reading.done()
        await sweep_until_done(pool, reading, 30.0)
        with pytest.raises(UpstreamTimeout) as caught:
            await reading
        assert (caught.value.phase, caught.value.after_s, caught.value.answered) == ("first_token", 30.0, False)
        assert pool.connections == 0
        await upstream.until(lambda: upstream.open == 0)


async def stalled_after_one_event(peer: Peer) -> None:
    await peer.request()
    peer.write(EVENTS + chunk(b"data: 1\n\n"))
    await peer.closed()


async def test_idle_between_bytes(make_pool: MakePool) -> None:
    loop = asyncio.get_running_loop()
    async with serving(stalled_after_one_event) as upstream:
        pool = make_pool(upstream.port)
        response = await pool.send(REQUEST, BODY, idle_s=60.0)
        assert await response.read() == b"data: 1\n\n"
        reading = asyncio.ensure_future(response.read())
        await asyncio.sleep(0)
        pool.sweep(loop.time() + 59.0)
        await asyncio.sleep(0)
        assert not reading.done()
        pool.sweep(loop.time() + 60.0)
        with pytest.raises(UpstreamTimeout) as caught:
            await reading
        assert (caught.value.phase, caught.value.after_s, caught.value.answered) == ("idle", 60.0, True)
        with pytest.raises(UpstreamTimeout):
            response.read_nowait()
        await upstream.until(lambda: upstream.open == 0)


async def test_idle_while_gathering(make_pool: MakePool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(OK[:-1])
        await peer.closed()

    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        sending = asyncio.ensure_future(
            pool.send(REQUEST, BODY, gather_bytes=100, connect_s=1000.0, first_byte_s=1000.0, idle_s=60.0)
        )
        await sweep_until_done(pool, sending, 61.0)
        with pytest.raises(UpstreamTimeout, match="idle timeout after 60 s"):
            await sending


async def test_idle_does_not_run_while_nobody_reads_but_the_total_does(make_pool: MakePool) -> None:
    loop = asyncio.get_running_loop()
    async with serving(stalled_after_one_event) as upstream:
        pool = make_pool(upstream.port)
        response = await pool.send(REQUEST, BODY, idle_s=60.0, deadline=loop.time() + 600.0)
        assert await response.read() == b"data: 1\n\n"
        pool.sweep(loop.time() + 599.0)
        assert pool.busy == 1
        pool.sweep(loop.time() + 600.0)
        assert pool.connections == 0
        with pytest.raises(UpstreamTimeout) as caught:
            await response.read()
        assert caught.value.phase == "total"
        assert caught.value.after_s == pytest.approx(600.0, abs=0.1)
        await upstream.until(lambda: upstream.open == 0)


async def test_what_arrived_before_a_timeout_is_still_read(make_pool: MakePool) -> None:
    loop = asyncio.get_running_loop()
    async with serving(stalled_after_one_event) as upstream:
        pool = make_pool(upstream.port)
        response = await pool.send(REQUEST, BODY, deadline=loop.time() + 600.0)
        await asyncio.sleep(0.01)
        pool.sweep(loop.time() + 600.0)
        assert await response.read() == b"data: 1\n\n"
        with pytest.raises(UpstreamTimeout, match="total"):
            await response.read()


async def test_a_deadline_that_has_passed(make_pool: MakePool) -> None:
    loop = asyncio.get_running_loop()
    pool = make_pool(1)
    with pytest.raises(UpstreamTimeout, match="total timeout after 0 s"):
        await pool.send(REQUEST, BODY, deadline=loop.time())


async def test_waiting_for_a_connection(make_pool: MakePool) -> None:
    loop = asyncio.get_running_loop()
    async with serving(stalled_after_one_event) as upstream:
        pool = make_pool(upstream.port, max_connections=1)
        busy = await pool.send(REQUEST, BODY)
        await busy.read()
        by_connect = asyncio.ensure_future(pool.send(REQUEST, BODY, connect_s=5.0))
        by_deadline = asyncio.ensure_future(pool.send(REQUEST, BODY, connect_s=5.0, deadline=loop.time() + 2.0))
        await asyncio.sleep(0)
        assert pool.waiters == 2
        pool.sweep(loop.time() + 2.0)
        with pytest.raises(UpstreamTimeout, match="total"):
            await by_deadline
        assert pool.waiters == 1
        pool.sweep(loop.time() + 5.0)
        with pytest.raises(Overloaded) as caught:
            await by_connect
        assert (caught.value.retry_after_s, pool.waiters, pool.connections) == (1.0, 0, 1)
        busy.close()


async def test_an_upstream_that_does_not_take_the_body(make_pool: MakePool) -> None:
    loop = asyncio.get_running_loop()

    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport
        await upstream.until(over.is_set)

    over = asyncio.Event()
    body = b"x" * 50_000_000
    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        head = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body)
        sending = asyncio.ensure_future(pool.send(head, body, connect_s=1000.0, first_byte_s=1.0, idle_s=60.0))
        await upstream.until(lambda: upstream.open == 1)
        await asyncio.sleep(0.05)  # the kernel's buffers fill up
        pool.sweep(loop.time() + 59.0)
        await asyncio.sleep(0)
        assert not sending.done()
        # At first it may have taken some since the deadline was set; then nothing moves any more.
        await sweep_until_done(pool, sending, 1000.0)
        with pytest.raises(UpstreamTimeout) as caught:
            await sending
        assert (caught.value.phase, caught.value.after_s, caught.value.answered) == ("idle", 60.0, False)
        assert pool.connections == 0
        over.set()
        await upstream.changed()


async def test_a_slow_client_does_not_time_out_the_upstream(make_pool: MakePool) -> None:
    loop = asyncio.get_running_loop()
    go = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await go.wait()
        yield b"}"

    async with serving(answering(OK)) as upstream:
        pool = make_pool(upstream.port)
        sending = asyncio.ensure_future(pool.send(REQUEST, body(), gather_bytes=100, connect_s=1e6, first_byte_s=30.0))
        await upstream.until(lambda: upstream.open == 1)
        await asyncio.sleep(0.01)
        pool.sweep(loop.time() + 10_000.0)
        assert pool.busy == 1
        go.set()
        assert (await sending).body == b"hello"


async def test_a_server_that_keeps_sending_is_not_idle(make_pool: MakePool) -> None:
    loop = asyncio.get_running_loop()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(EVENTS)
        while True:
            await go.acquire()
            peer.write(chunk(b"data: 1\n\n"))

    go = asyncio.Semaphore(0)
    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        response = await pool.send(REQUEST, BODY, first_byte_s=5.0, idle_s=5.0)
        for _ in range(20):
            reading = asyncio.ensure_future(response.read())
            await asyncio.sleep(0)
            pool.sweep(loop.time() + 4.0)
            go.release()
            assert await reading == b"data: 1\n\n"
        response.close()
