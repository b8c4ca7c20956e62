"""Requests out of bytes: cut at every byte, pipelined, chunked, malformed."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.errors import GatewayError
from switchgear.simulator import Simulator, SimulatorSettings
from switchgear.simulator.http import Head, HeadCache, RequestParser

from .helpers import QUESTION, exchange, request, split

PLAIN = request(QUESTION, headers={"connection": ""})
CHUNKED = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: sim\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;name=value\r\nhello\r\n00006 \r\n world\r\n0\r\nX-Trailer: yes\r\n\r\n"
)
GET = b"\r\nGET /v1/models?limit=1 HTTP/1.1\r\nhost: sim\r\n\r\n"


def read(chunks: list[bytes]) -> list[tuple[str, str, bytes]]:
    parser = RequestParser(HeadCache(), 65536, 1 << 20)
    out = []
    for chunk in chunks:
        parser.feed(chunk)
        while (found := parser.next()) is not None:
            out.append((found[0].method, found[0].path, found[1]))
    assert parser.buffered == 0
    return out


EXPECTED = [
    ("POST", "/v1/chat/completions", json.dumps(QUESTION).encode()),
    ("POST", "/v1/chat/completions", b"hello world"),
    ("GET", "/v1/models", b""),
]


def test_cut_at_every_byte() -> None:
    data = PLAIN + CHUNKED + GET
    assert read([data]) == EXPECTED
    assert read([data[index : index + 1] for index in range(len(data))]) == EXPECTED
    for cut in range(1, len(data)):
        assert read([data[:cut], data[cut:]]) == EXPECTED


@given(st.lists(st.integers(0, len(PLAIN + CHUNKED + GET)), max_size=12))
def test_cut_anywhere(cuts: list[int]) -> None:
    data = PLAIN + CHUNKED + GET
    places = [0, *sorted(cuts), len(data)]
    assert read([data[start:end] for start, end in pairwise(places)]) == EXPECTED


@given(st.binary(max_size=400))
def test_garbage_never_breaks_the_parser(data: bytes) -> None:
    parser = RequestParser(HeadCache(), 1024, 1024)
    parser.feed(data)
    with suppress(GatewayError):
        while parser.next() is not None:
            pass


def test_whole_takes_only_a_whole_request() -> None:
    parser = RequestParser(HeadCache(), 65536, 1 << 20)
    found = parser.whole(PLAIN)
    assert found is not None
    assert found[1] == json.dumps(QUESTION).encode()
    assert parser.whole(PLAIN[:-1]) is None
    assert parser.whole(PLAIN + GET) is None
    assert parser.whole(CHUNKED) is None
    parser.feed(b"G")
    assert parser.whole(PLAIN) is None


@pytest.mark.parametrize(
    "head",
    [
        b"GET /",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/2",
        b"GET / HTTP/1.1\r\nno colon",
        b"GET / HTTP/1.1\r\nname : value",
        b"GET / HTTP/1.1\r\n folded: value",
        b"GET / HTTP/1.1\r\nname: a\x00b",
        b"GET / HTTP/1.1\r\nname: a\nb",
        b"GET / HTTP/1.1\r\ncontent-length: +1",
        b"GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2",
        b"GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked",
        b"GET / HTTP/1.1\r\ntransfer-encoding: gzip, chunked",
        b"GET / HTTP/1.0\r\ntransfer-encoding: chunked",
    ],
)
def test_malformed_heads(head: bytes) -> None:
    with pytest.raises(GatewayError):
        Head(head)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\nhost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * 70000, 431),
        (b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n", 400),
        (b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nfffffffffff\r\n", 413),
    ],
)
async def test_what_is_no_request_is_refused(sim: Simulator, data: bytes, status: int) -> None:
    line, headers, body = split(await exchange(sim, data))
    assert line.startswith(b"HTTP/1.1 %d " % status)
    assert headers["connection"] == "close"
    assert json.loads(body)["error"]["type"] == "invalid_request_error"
    assert sim.stats.protocol_errors == 1


async def test_pipelined_requests_are_answered_in_order(sim: Simulator) -> None:
    slow = request({**QUESTION, "model": "slow;first=20ms"}, headers={"connection": ""})
    data = slow + PLAIN + GET + CHUNKED + request(method="GET", path="/v1/models/last")
    reader = h11.Connection(h11.CLIENT)
    raw = await exchange(sim, data)
    bodies = []
    for _ in range(5):
        reader = h11.Connection(h11.CLIENT)
        reader.send(h11.Request(method="GET", target="/", headers=[("host", "sim")]))
        reader.send(h11.EndOfMessage())
        reader.receive_data(raw)
        body = b""
        while not isinstance(event := reader.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                body += event.data
        bodies.append(json.loads(body))
        raw = reader.trailing_data[0]
    assert raw == b""
    assert bodies[0]["model"] == "slow;first=20ms"
    assert bodies[1]["model"] == "sim"
    assert bodies[2]["object"] == "list"
    assert bodies[3]["error"]["message"].startswith("We could not parse the JSON body")
    assert bodies[4]["id"] == "last"


async def test_expect_100_continue(sim: Simulator) -> None:
    body = json.dumps(QUESTION).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    head, _, _ = request(body, headers={"expect": "100-continue"}).partition(b"\r\n\r\n")
    writer.write(head + b"\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()


async def test_head_has_no_body(sim: Simulator) -> None:
    line, headers, body = split(await exchange(sim, request(method="HEAD", path="/v1/models")))
    assert (line, body) == (b"HTTP/1.1 200 OK", b"")
    assert int(headers["content-length"]) > 0


async def test_http_1_0(sim: Simulator) -> None:
    raw = await exchange(sim, request({**QUESTION, "stream": True}).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    _, headers, body = split(raw)
    assert "transfer-encoding" not in headers
    assert body.endswith(b"data: [DONE]\n\n")


async def test_keep_alive_and_stats(sim: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    for _ in range(3):
        writer.write(PLAIN)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(split(head)[1]["content-length"]))
    assert (sim.stats.requests, sim.stats.connections_total, sim.stats.open_connections) == (3, 1, 1)
    writer.close()
    await sim.wait_for(lambda: sim.stats.open_connections == 0)
    assert sim.stats.aborted == 0


async def test_body_cap() -> None:
    async with Simulator(SimulatorSettings(max_body_bytes=100)) as sim:
        line, _, _ = split(await exchange(sim, request(b"x" * 101)))
        assert line.startswith(b"HTTP/1.1 413 ")


async def test_many_pipelined_requests_off_the_fast_path(sim: Simulator) -> None:
    one = request({**QUESTION, "n": 2}, headers={"connection": ""})
    raw = await exchange(sim, one * 2000 + request(method="GET", path="/v1/models"))
    assert raw.count(b"HTTP/1.1 200 OK\r\n") == 2001
    assert sim.stats.requests == 2001
