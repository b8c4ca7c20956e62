"""Making a connection: refusals, names with several addresses, socket options."""

import asyncio
import socket

import pytest

from switchgear.errors import UpstreamUnreachable
from switchgear.hotpath._client import Pool
from tests.hotpath.conftest import MakePool
from tests.hotpath.upstream import BODY, OK, REQUEST, answering, serving, until


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
        transport, protocol = await self.loop.create_connection(*args, **options)  # type: ignore[call-overload]  # passed on
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
