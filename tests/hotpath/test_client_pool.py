"""Connections: reuse, staleness, the cap and its queue, expiry, closing."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from switchgear.errors import Overloaded, UpstreamProtocolError, UpstreamUnreachable
from switchgear.hotpath._client import Pool
from tests.hotpath.conftest import MakePool
from tests.hotpath.upstream import BODY, EVENTS, OK, REQUEST, Peer, Script, answering, chunk, closing, serving, until

HEAD_ONLY = b"GET / HTTP/1.1\r\nhost: upstream\r\n\r\n"


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


@pytest.mark.parametrize(
    "answer", [OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), OK.replace(b"1.1", b"1.0")]
)
async def test_an_answer_that_ends_its_connection(make_pool: MakePool, answer: bytes) -> None:
    async with serving(answering(answer)) as upstream:
        pool = make_pool(upstream.port)
        for _ in range(2):
            assert (await pool.send(REQUEST, BODY, gather_bytes=100)).body == b"hello"
        assert len(upstream.peers) == 2
        assert pool.connections == 0


async def test_an_idle_connection_that_the_upstream_closes_leaves_the_pool(make_pool: MakePool) -> None:
    async with serving(closing(OK)) as upstream:
        pool = make_pool(upstream.port)
        await pool.send(REQUEST, BODY, gather_bytes=100)
        await until(lambda: pool.connections == 0)
        assert (pool.idle, pool.busy) == (0, 0)


async def test_bytes_that_nobody_asked_for_close_an_idle_connection(make_pool: MakePool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(OK)
        await go.wait()
        peer.write(OK)
        await peer.closed()

    go = asyncio.Event()
    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        await pool.send(REQUEST, BODY, gather_bytes=100)
        assert pool.idle == 1
        go.set()
        await upstream.until(lambda: upstream.open == 0)
        assert pool.connections == 0


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


@pytest.mark.parametrize("reset", [False, True])
async def test_a_stale_connection_is_replaced_once(make_pool: MakePool, reset: bool) -> None:
    served, script = dying_second_time(reset=reset)
    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        for _ in range(2):
            assert (await pool.send(REQUEST, BODY, gather_bytes=100)).body == b"hello"
        assert served == [0, 0, 1]
        assert (pool.connections, pool.idle) == (1, 1)


async def test_a_stale_connection_is_not_replaced_when_the_body_cannot_be_sent_again(make_pool: MakePool) -> None:
    async def once() -> AsyncIterator[bytes]:
        yield BODY

    served, script = dying_second_time(reset=False)
    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        await pool.send(REQUEST, BODY, gather_bytes=100)
        with pytest.raises(UpstreamUnreachable) as caught:
            await pool.send(REQUEST, once(), gather_bytes=100)
        assert caught.value.answered is False
        assert served == [0, 0]
        assert pool.connections == 0


async def test_a_fresh_connection_closed_without_an_answer_is_not_retried(make_pool: MakePool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()

    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        with pytest.raises(UpstreamUnreachable, match="closed the connection without an answer") as caught:
            await pool.send(REQUEST, BODY)
        assert caught.value.answered is False
        assert len(upstream.peers) == 1
        assert pool.connections == 0


async def test_a_reused_connection_that_dies_within_the_answer_is_not_retried(make_pool: MakePool) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.write(OK)
        await peer.request()
        peer.write(OK[:-1])

    async with serving(script) as upstream:
        pool = make_pool(upstream.port)
        await pool.send(REQUEST, BODY, gather_bytes=100)
        with pytest.raises(UpstreamProtocolError, match="stops short"):
            await pool.send(REQUEST, BODY, gather_bytes=100)
        assert len(upstream.peers) == 1
        assert pool.connections == 0


async def test_refused_connection(make_pool: MakePool) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        pool = make_pool(port)
        with pytest.raises(UpstreamUnreachable) as caught:
            await pool.send(REQUEST, BODY)
    assert str(caught.value) == "The upstream refused the connection."
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.answered is False
    assert pool.connections == 0


async def test_unknown_host(make_pool: MakePool) -> None:
    pool = make_pool(80, "no-such-host.invalid")
    with pytest.raises(UpstreamUnreachable) as caught:
        await pool.send(REQUEST, BODY)
    assert str(caught.value) == "The upstream's host name could not be resolved."
    assert pool.connections == 0


async def test_ipv6_literal(make_pool: MakePool) -> None:
    async with serving(answering(OK), host="::1") as upstream:
        assert (await make_pool(upstream.port, "::1").send(REQUEST, BODY, gather_bytes=100)).body == b"hello"


class Loop:
    """The running loop with one method put in front of it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.no_delay: list[int] = []
        self.addresses: list[tuple[int, tuple[object, ...]]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self.loop, name)

    async def getaddrinfo(self, host: str, port: int, **options: int) -> list[tuple[object, ...]]:
        if not self.addresses:
            return await self.loop.getaddrinfo(host, port, **options)  # type: ignore[return-value]  # a list of tuples
        return [(family, socket.SOCK_STREAM, 6, "", address) for family, address in self.addresses]

    async def create_connection(self, *args: object, **options: object) -> object:
        transport, protocol = await self.loop.create_connection(*args, **options)  # type: ignore[call-overload]
        sock = transport.get_extra_info("socket")
        self.no_delay.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        return transport, protocol


async def test_every_address_of_a_name_is_tried() -> None:
    loop = Loop()
    async with serving(answering(OK)) as upstream:
        # Nothing listens on the first.
        loop.addresses = [
            (socket.AF_INET6, ("::1", upstream.port, 0, 0)),
            (socket.AF_INET, ("127.0.0.1", upstream.port)),
        ]
        pool = Pool(loop, "two.invalid", upstream.port)  # type: ignore[arg-type]  # delegates to the loop
        assert (await pool.send(REQUEST, BODY, gather_bytes=100)).body == b"hello"
        pool.abort()


async def test_an_address_that_never_answers_does_not_hold_up_the_next() -> None:
    loop = Loop()
    with socket.socket() as full:
        # A listener whose backlog is full swallows connection attempts.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        async with serving(answering(OK)) as upstream:
            loop.addresses = [(socket.AF_INET, full.getsockname()), (socket.AF_INET, ("127.0.0.1", upstream.port))]
            pool = Pool(loop, "two.invalid", upstream.port)  # type: ignore[arg-type]  # delegates to the loop
            assert (await pool.send(REQUEST, BODY, gather_bytes=100)).body == b"hello"
            pool.abort()
        for filler in fillers:
            filler.close()
    await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_all_addresses_refuse() -> None:
    loop = Loop()
    with socket.socket() as one, socket.socket() as two:
        for sock in (one, two):
            sock.bind(("127.0.0.1", 0))
        loop.addresses = [(socket.AF_INET, one.getsockname()), (socket.AF_INET, two.getsockname())]
        pool = Pool(loop, "two.invalid", 80)  # type: ignore[arg-type]  # delegates to the loop
        with pytest.raises(UpstreamUnreachable, match="refused the connection"):
            await pool.send(REQUEST, BODY)
        assert pool.connections == 0


async def test_localhost(make_pool: MakePool) -> None:
    async with serving(answering(OK)) as upstream:
        assert (await make_pool(upstream.port, "localhost").send(REQUEST, BODY, gather_bytes=100)).body == b"hello"


async def test_no_delay_is_set() -> None:
    loop = Loop()
    async with serving(answering(OK)) as upstream:
        pool = Pool(loop, "127.0.0.1", upstream.port)  # type: ignore[arg-type]  # delegates to the loop
        await pool.send(REQUEST, BODY, gather_bytes=100)
        pool.abort()
    assert loop.no_delay == [1]


async def hold(peer: Peer) -> None:
    """Answer each request with the head and one event of a stream that goes on until the client closes."""
    while True:
        await peer.request()
        peer.write(EVENTS + chunk(b"data: 1\n\n"))


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


async def test_a_response_that_nobody_holds_closes_its_connection(make_pool: MakePool) -> None:
    async with serving(hold) as upstream:
        pool = make_pool(upstream.port)
        response = await pool.send(REQUEST, BODY)
        assert pool.busy == 1
        del response
        assert pool.connections == 0
        await upstream.until(lambda: upstream.open == 0)


async def test_a_closed_response(make_pool: MakePool) -> None:
    async with serving(hold) as upstream:
        pool = make_pool(upstream.port)
        response = await pool.send(REQUEST, BODY)
        await response.read()
        reading = asyncio.ensure_future(response.read())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another read"):
            await response.read()
        response.close()
        response.close()
        with pytest.raises(RuntimeError, match="closed"):
            await reading
        with pytest.raises(RuntimeError, match="closed"):
            response.read_nowait()
        assert pool.connections == 0


async def test_read_all_refuses_what_is_too_long(make_pool: MakePool) -> None:
    unending = EVENTS + chunk(b"x" * 50) + chunk(b"x" * 51)
    async with serving(answering(OK, OK, unending)) as upstream:
        pool = make_pool(upstream.port)
        with pytest.raises(UpstreamProtocolError, match="longer than"):
            await (await pool.send(REQUEST, BODY)).read_all(4)
        assert (pool.connections, pool.idle) == (1, 1)  # it was whole, only not wanted
        assert await (await pool.send(REQUEST, BODY)).read_all(5) == b"hello"
        with pytest.raises(UpstreamProtocolError, match="longer than"):
            await (await pool.send(REQUEST, BODY)).read_all(100)
        assert pool.connections == 0
        assert len(upstream.peers) == 1


async def test_gathering_gives_up_on_what_is_longer_than_asked(make_pool: MakePool) -> None:
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"hel") + chunk(b"lo!") + b"0\r\n\r\n"
    events = EVENTS + chunk(b"data: 1\n\n") + b"0\r\n\r\n"
    async with serving(answering(OK, chunked, chunked, events)) as upstream:
        pool = make_pool(upstream.port)
        cases = ((4, None, b"hello"), (5, None, b"hello!"), (6, b"hello!", b""), (99, None, b"data: 1\n\n"))
        for gather_bytes, body, rest in cases:
            response = await pool.send(REQUEST, BODY, gather_bytes=gather_bytes)
            assert response.body == body
            assert await response.read_all(100) == rest
        assert len(upstream.peers) == 1


async def test_a_body_of_the_wrong_type_is_refused(make_pool: MakePool) -> None:
    async with serving(hold) as upstream:
        pool = make_pool(upstream.port)
        with pytest.raises(TypeError):
            await pool.send(HEAD_ONLY, bytearray(b"x"))  # type: ignore[arg-type]  # what is tested
        assert pool.connections == 0
