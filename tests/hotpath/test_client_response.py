"""A response that is closed, dropped, or longer than asked."""

import asyncio

import pytest

from switchgear.errors import UpstreamProtocolError
from tests.hotpath.conftest import MakePool
from tests.hotpath.upstream import BODY, EVENTS, HEAD_ONLY, OK, REQUEST, answering, chunk, hold, serving


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
