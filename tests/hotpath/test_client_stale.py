"""Connections that the upstream has closed, and what is sent again."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from switchgear.errors import UpstreamProtocolError, UpstreamUnreachable
from tests.hotpath.conftest import MakePool
from tests.hotpath.upstream import (
    BODY,
    OK,
    REQUEST,
    Peer,
    answering,
    closing,
    dying_second_time,
    serving,
    until,
)


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
