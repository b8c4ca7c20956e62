"""The pool: reuse, the cap and its queue, expiry, closing."""

import asyncio
import socket

import pytest

from switchgear.errors import Overloaded, UpstreamUnreachable
from tests.hotpath.conftest import MakePool
from tests.hotpath.upstream import BODY, OK, REQUEST, Peer, answering, dying_second_time, hold, serving


async def test_request_and_answer_bytes(make_pool: MakePool) -> None:
    received = []

    async def script(peer: Peer) -> None:
        received.append(await peer.request())
        peer.write(OK)
        await peer.closed()

    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        response = await pool.send(REQUEST, BODY, gather_bytes=100)
        assert received == [REQUEST + BODY]
        assert (response.status, response.reason, response.body, response.content_length) == (200, b"OK", b"hello", 5)
        assert response.headers == [(b"content-type", b"application/json"), (b"content-length", b"5")]
        assert response.header(b"content-type") == b"application/json"
        assert response.header(b"x-missing") is None
        assert await response.read() == b""
        assert repr(pool) == "<Pool connections=1 idle=1 waiters=0>"


async def test_one_connection_serves_request_after_request(make_pool: MakePool) -> None:
    async with serving(answering(OK)) as upstream:
        pool = make_pool(upstream.port)
        for _ in range(5):
            response = await pool.send(REQUEST, BODY)
            assert response.body is None
            assert await response.read_all(100) == b"hello"
        assert len(upstream.peers) == 1
        assert (pool.connections, pool.idle, pool.busy) == (1, 1, 0)


async def test_the_connection_used_last_is_used_next(make_pool: MakePool) -> None:
    async with serving(answering(OK)) as upstream:
        pool = make_pool(upstream.port)
        await asyncio.gather(*(pool.send(REQUEST, BODY, gather_bytes=100) for _ in range(3)))
        assert (len(upstream.peers), pool.idle) == (3, 3)
        for _ in range(6):
            await pool.send(REQUEST, BODY, gather_bytes=100)
        assert (len(upstream.peers), pool.idle) == (3, 3)


async def test_large_body_arrives_whole(make_pool: MakePool) -> None:
    received = []
    body = bytes(range(256)) * 20_000

    async def script(peer: Peer) -> None:
        received.append(await peer.request())
        peer.write(OK)
        await peer.closed()

    head = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with serving(script) as upstream:
        response = await make_pool(upstream.port).send(head, body, gather_bytes=100)
        assert response.body == b"hello"
        assert received == [head + body]


async def test_the_cap_and_the_queue_are_first_in_first_out(make_pool: MakePool) -> None:
    order = []

    async with serving(answering(OK)) as upstream:
        pool = make_pool(upstream.port, max_connections=1, max_waiters=10)

        async def one(number: int) -> None:
            assert (await pool.send(REQUEST, BODY, gather_bytes=100)).body == b"hello"
            order.append(number)

        await asyncio.gather(*(one(number) for number in range(11)))
        assert order == list(range(11))
        assert len(upstream.peers) == 1
        assert (pool.connections, pool.idle, pool.waiters) == (1, 1, 0)


async def test_a_full_queue_refuses(make_pool: MakePool) -> None:
    async with serving(hold) as upstream:
        pool = make_pool(upstream.port, max_connections=1, max_waiters=1)
        busy = await pool.send(REQUEST, BODY)
        waiting = asyncio.ensure_future(pool.send(REQUEST, BODY))
        await asyncio.sleep(0)
        assert pool.waiters == 1
        with pytest.raises(Overloaded) as caught:
            await pool.send(REQUEST, BODY)
        assert caught.value.retry_after_s == 1.0
        busy.close()
        assert (pool.waiters, pool.connections) == (0, 1)  # the slot went to the one that waits
        second = await waiting
        assert await second.read() == b"data: 1\n\n"
        second.close()
        assert pool.connections == 0
        assert len(upstream.peers) == 2


async def test_a_cancelled_waiter_leaves_no_trace_and_its_turn_passes_on(make_pool: MakePool) -> None:
    async with serving(hold) as upstream:
        pool = make_pool(upstream.port, max_connections=1)
        busy = await pool.send(REQUEST, BODY)
        waiting = [asyncio.ensure_future(pool.send(REQUEST, BODY)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.gather(waiting[0], return_exceptions=True)
        assert pool.waiters == 2
        busy.close()
        waiting[1].cancel()  # in the very turn in which the slot became its own
        second = await waiting[2]
        assert (pool.connections, pool.waiters) == (1, 0)
        second.close()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert pool.connections == 0


async def test_a_waiter_cancelled_with_a_connection_in_its_hands_gives_it_back(make_pool: MakePool) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await go.wait()
        peer.write(OK)
        await peer.closed()

    async with serving(script) as upstream:
        pool = make_pool(upstream.port, max_connections=1)
        first = asyncio.ensure_future(pool.send(REQUEST, BODY, gather_bytes=100))
        await upstream.until(lambda: upstream.open == 1)
        waiting = asyncio.ensure_future(pool.send(REQUEST, BODY, gather_bytes=100))
        await asyncio.sleep(0)
        assert pool.waiters == 1
        first.add_done_callback(lambda _: waiting.cancel())
        go.set()
        await first
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        assert (pool.connections, pool.busy, pool.waiters) == (pool.idle, 0, 0)


async def test_a_failed_attempt_passes_its_slot_on(make_pool: MakePool) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        pool = make_pool(sock.getsockname()[1], max_connections=1)
        results = await asyncio.gather(*(pool.send(REQUEST, BODY) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [UpstreamUnreachable] * 5
    assert (pool.connections, pool.waiters) == (0, 0)


async def test_a_retry_at_the_cap_replaces_the_stale_connection(make_pool: MakePool) -> None:
    served, script = dying_second_time(reset=False)
    async with serving(script) as upstream:
        pool = make_pool(upstream.port, max_connections=1)
        await pool.send(REQUEST, BODY, gather_bytes=100)
        results = await asyncio.gather(*(pool.send(REQUEST, BODY, gather_bytes=100) for _ in range(4)))
        assert [result.body for result in results] == [b"hello"] * 4
        assert served == [0, 0, 1, 1, 1, 1]


async def test_idle_connections_expire(make_pool: MakePool) -> None:
    loop = asyncio.get_running_loop()
    async with serving(answering(OK)) as upstream:
        pool = make_pool(upstream.port, idle_s=60.0)
        await asyncio.gather(*(pool.send(REQUEST, BODY, gather_bytes=100) for _ in range(3)))
        pool.sweep(loop.time() + 59)
        assert pool.idle == 3
        pool.sweep(loop.time() + 61)
        assert pool.connections == 0
        await upstream.until(lambda: upstream.open == 0)


async def test_an_old_connection_is_not_used_again(make_pool: MakePool) -> None:
    loop = asyncio.get_running_loop()
    async with serving(answering(OK)) as upstream:
        pool = make_pool(upstream.port, idle_s=10_000.0, max_age_s=600.0)
        await pool.send(REQUEST, BODY, gather_bytes=100)
        pool.sweep(loop.time() + 601)
        assert pool.connections == 0
        young = make_pool(upstream.port, max_age_s=0.0)
        for _ in range(2):
            await young.send(REQUEST, BODY, gather_bytes=100)
            assert young.connections == 0
        assert len(upstream.peers) == 3


async def test_closing_lets_what_is_under_way_finish(make_pool: MakePool) -> None:
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(OK[:-2])
        await go.wait()
        peer.write(OK[-2:])
        await peer.closed()

    async with serving(script) as upstream:
        pool = make_pool(upstream.port, max_connections=1)
        response = await pool.send(REQUEST, BODY)
        waiting = asyncio.ensure_future(pool.send(REQUEST, BODY, gather_bytes=0))
        await asyncio.sleep(0)
        pool.close()
        with pytest.raises(Overloaded):
            await pool.send(REQUEST, BODY)
        go.set()
        assert await response.read_all(100) == b"hello"
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await upstream.until(lambda: upstream.open == 0)
        assert pool.connections == 0


async def test_abort_ends_everything(make_pool: MakePool) -> None:
    async with serving(hold) as upstream:
        pool = make_pool(upstream.port, max_connections=1)
        response = await pool.send(REQUEST, BODY)
        assert await response.read() == b"data: 1\n\n"
        reading = asyncio.ensure_future(response.read())
        waiting = asyncio.ensure_future(pool.send(REQUEST, BODY))
        await asyncio.sleep(0)
        pool.abort()
        with pytest.raises(UpstreamUnreachable):
            await reading
        with pytest.raises(Overloaded):
            await waiting
        assert (pool.connections, pool.waiters) == (0, 0)
        await upstream.until(lambda: upstream.open == 0)
