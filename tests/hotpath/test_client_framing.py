"""What the client makes of the bytes of an answer, however they are cut into pieces."""

import asyncio
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.errors import UpstreamProtocolError
from switchgear.hotpath._client import Pool
from tests.hotpath.memory_loop import MemoryLoop, Outcome, exchange
from tests.reference import http1 as reference

LINE = b"HTTP/1.1 200 OK\r\n"
CHUNKED = LINE + b"Transfer-Encoding: chunked\r\n\r\n"

ANSWERS = {
    "length": LINE + b"Content-Length: 5\r\nX-A: b\r\n\r\nhello",
    "no body": LINE + b"content-length: 0\r\n\r\n",
    "chunked": CHUNKED + b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
    "trailers": CHUNKED + b"5\r\nhello\r\n0\r\nx-checksum: 1\r\n\r\n",
    "until close": LINE + b"\r\nhello",
    "http/1.0": b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello",
    "close": LINE + b"Connection: Close\r\ncontent-length: 5\r\n\r\nhello",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    + LINE
    + b"content-length: 2\r\n\r\nok",
    "hops": LINE + b"Connection: keep-alive, X-Hop\r\nkeep-alive: timeout=5\r\nx-hop: 1\r\nproxy-status: x\r\nte: x\r\n"
    b"trailer: y\r\nupgrade: h2c\r\ncontent-length: 0\r\nx-kept: 1\r\n\r\n",
    "event stream": LINE + b"content-type: Text/Event-Stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
    b"9\r\ndata: a\n\n\r\n0\r\n\r\n",
    "excess": LINE + b"content-length: 5\r\n\r\nhello!",
    "excess after chunks": CHUNKED + b"0\r\n\r\nHTTP/1.1",
    "short": LINE + b"content-length: 6\r\n\r\nhello",
    "short chunks": CHUNKED + b"5\r\nhello\r\n",
    "bad chunk": CHUNKED + b"5\r\nhello\r\nx\r\n",
    "short head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "not http": b"220 smtp ready\r\n",
    "upgrade": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "endless interim": b"HTTP/1.1 102 Processing\r\n\r\n" * 17,
    "two framings": LINE + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "nothing": b"",
}


def expected(data: bytes, *, gather: bool = False, head_request: bool = False) -> Outcome:
    try:
        answer = reference.answer(data, head_request=head_request)
    except reference.Invalid:
        return ("error", "UpstreamProtocolError" if data else "UpstreamUnreachable")
    if gather and not answer.event_stream and not answer.complete:
        return ("error", "UpstreamProtocolError")
    fault = None if answer.complete else "UpstreamProtocolError"
    return (
        answer.status,
        answer.reason,
        answer.headers,
        answer.event_stream,
        answer.body,
        fault,
        answer.reusable,
    )


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("gather_bytes", [0, 1000])
async def test_every_split_at_one_byte_gives_the_same(name: str, gather_bytes: int) -> None:
    data = ANSWERS[name]
    want = expected(data, gather=gather_bytes > 0)
    for at in range(len(data) + 1):
        pieces = [piece for piece in (data[:at], data[at:]) if piece]
        assert await exchange(pieces, gather_bytes=gather_bytes) == want, at
    assert await exchange([data[at : at + 1] for at in range(len(data))], gather_bytes=gather_bytes) == want


@pytest.mark.parametrize("name", ["length", "chunked", "until close", "204", "304"])
async def test_answers_to_head_have_no_body(name: str) -> None:
    data = ANSWERS[name].partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert await exchange([data], head_request=True) == expected(data, head_request=True)


def test_the_table_holds_what_it_says() -> None:
    results = {name: expected(data) for name, data in ANSWERS.items()}
    assert results["hops"][2] == [(b"content-length", b"0"), (b"x-kept", b"1")]
    assert results["chunked"] == (200, b"OK", [], False, b"hello world", None, True)
    assert results["short"] == (
        200,
        b"OK",
        [(b"content-length", b"6")],
        False,
        b"hello",
        "UpstreamProtocolError",
        False,
    )
    assert {name for name, result in results.items() if result[-1] is True} == {
        "length",
        "no body",
        "chunked",
        "trailers",
        "204",
        "304",
        "interim",
        "hops",
        "event stream",
    }
    assert {name: result[1] for name, result in results.items() if result[0] == "error"} == {
        "short head": "UpstreamProtocolError",
        "not http": "UpstreamProtocolError",
        "upgrade": "UpstreamProtocolError",
        "endless interim": "UpstreamProtocolError",
        "two framings": "UpstreamProtocolError",
        "nothing": "UpstreamUnreachable",
    }


PARTS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 204 No\r\n",
        b"HTTP/1.1 100 C\r\n\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b"content-length: 3\r\n",
        b"Content-Length: 0\r\n",
        b"transfer-encoding: chunked\r\n",
        b"connection: close\r\n",
        b"Connection: x-a, te\r\n",
        b"x-a: b\r\n",
        b"content-type: text/event-stream\r\n",
        b"a: \t b \r\n",
        b"keep-alive: 1\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"1;x\r\n",
        b"abc",
        b"\0",
        b":",
        b" ",
    ]
)


@given(
    st.lists(PARTS | st.binary(max_size=3), max_size=12).map(b"".join),
    st.booleans(),
    st.lists(st.integers(0, 200), max_size=5),
    st.booleans(),
    st.booleans(),
)
def test_any_bytes_in_any_pieces_as_the_reference(
    soup: bytes, started: bool, cuts: list[int], gather: bool, head_request: bool
) -> None:
    data = LINE + soup if started else soup
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges) if start < end]
    got = asyncio.run(exchange(pieces, gather_bytes=10_000 if gather else 0, head_request=head_request))
    assert got == expected(data, gather=gather, head_request=head_request)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (ANSWERS["not http"], "The upstream's answer is not HTTP: no HTTP/1 status line."),
        (ANSWERS["bad chunk"], "The upstream's answer has a body that is not HTTP: a chunk without a size."),
        (ANSWERS["short"], "The upstream's answer stops short."),
        (LINE + b"x: " + b"y" * 70_000, "The upstream's answer is not HTTP: a header that is too long."),
        (CHUNKED + b"0\r\n" + b"x: y\r\n" * 20_000, "not HTTP: trailers that are too long."),
        (CHUNKED + b"1;" + b"y" * 5_000, "not HTTP: a chunk size line that is too long."),
    ],
)
async def test_messages_say_what_is_wrong(data: bytes, message: str) -> None:
    loop = MemoryLoop(asyncio.get_running_loop())
    pool = Pool(loop, "127.0.0.1", 80)  # type: ignore[arg-type]  # the methods of a loop that the pool uses
    sending = asyncio.ensure_future(pool.send(b"GET / HTTP/1.1\r\n\r\n", gather_bytes=1000))
    await loop.written()
    loop.transports[0].protocol.data_received(data)
    loop.transports[0].protocol.eof_received()
    with pytest.raises(UpstreamProtocolError, match=re.escape(message)):
        await sending
