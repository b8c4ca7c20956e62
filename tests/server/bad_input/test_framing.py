"""Bodies whose length is wrong, whose chunks are none, that never end, and bytes that are no HTTP at all."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.bad_input.raw import CHAT, JSON, error, exchange, head, parse, post
from tests.support.processes import GatewayProcess, SimulatorProcess


@pytest.mark.parametrize("length", ["-1", "+5", "5, 5", "5, 6", "abc", "0x10", "99999999999999999999999999", "1e3", ""])
async def test_odd_lengths(length: str, gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    """The server refuses what RFC 9112 §6.3 says it must; the rest is judged here. Nothing reaches the provider."""
    top = head(connection="close")[:-2] + f"content-length: {length}\r\n\r\n".encode()
    answers = await exchange(gateway, top + CHAT, half_close=True)
    assert [answer[0] for answer in answers] in ([400], [413], [])
    assert sim.requests() == []


async def test_two_lengths(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    request = head(length=len(CHAT), connection="close")[:-2] + b"content-length: 3\r\n\r\n" + CHAT
    assert [answer[0] for answer in await exchange(gateway, request, half_close=True)] == [400]
    assert sim.requests() == []


async def test_length_and_chunks_together(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    """Request smuggling: one framing counts, and what is left over is no request."""
    smuggled = b"0\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
    request = head(length=len(smuggled), transfer_encoding="chunked") + smuggled
    answers = await exchange(gateway, request, half_close=True)
    assert all(answer[0] in (400, 401) for answer in answers)
    assert sim.requests() == []


async def test_a_slow_body(gateway: GatewayProcess) -> None:
    """408 after `body_timeout`, whole or in chunks."""
    for request in (
        head(length=len(CHAT), content_type=JSON) + CHAT[:10],
        head(transfer_encoding="chunked", content_type=JSON) + b"5\r\n" + CHAT[:5] + b"\r\n",
        head(length=100, path="/v1/audio/transcriptions", content_type="multipart/form-data; boundary=x") + b"--x",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(request)
        async with asyncio.timeout(10):
            raw = await reader.readuntil(b"}}")
        writer.close()
        detail = error(parse(raw)[0])
        assert (detail["status"], detail["code"]) == (408, "request_timeout")


async def test_a_slow_upload(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    """A body that is relayed as it comes is under the same limit, and the provider's connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(head(length=1000, path="/v1/files", content_type="multipart/form-data; boundary=x") + b"--x\r\n")
    async with asyncio.timeout(10):
        raw = await reader.readuntil(b"}}")
    writer.close()
    assert error(parse(raw)[0])["status"] == 408
    async with asyncio.timeout(5):
        while sim.stats()["in_flight"]:
            await asyncio.sleep(0.02)


async def test_bodies_that_end_early(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    for request in (
        head(length=len(CHAT) + 10, content_type=JSON) + CHAT,
        head(transfer_encoding="chunked", content_type=JSON) + b"5\r\nabc",
        head(transfer_encoding="chunked", content_type=JSON) + b"zz\r\nabc",
        head(length=10, path="/v1/audio/translations", content_type="multipart/form-data; boundary=x"),
    ):
        answers = await exchange(gateway, request, half_close=True)
        assert all(answer[0] >= 400 for answer in answers)
    assert sim.requests() == []


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", "/v1/audio/translations", "/v1/files"])
@pytest.mark.parametrize("body", [b"zz\r\nabc", b"f" * 17 + b"\r\n", b"1;" + b"a" * 100_000 + b"\r\na\r\n0\r\n\r\n"])
async def test_chunks_that_are_none(gateway: GatewayProcess, sim: SimulatorProcess, path: str, body: bytes) -> None:
    """The client is still there, and is told what is wrong."""
    content_type = JSON if "completions" in path or "embed" in path else "multipart/form-data; boundary=x"
    request = head(path=path, transfer_encoding="chunked", content_type=content_type) + body
    (answer,) = await exchange(gateway, request)
    detail = error(answer)
    assert (detail["status"], detail["code"]) == (400, "invalid_body")
    assert [asked for asked in sim.requests() if asked["path"] != "/v1/models" and asked["body"]] == []


async def test_garbage_on_the_wire(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    for data in (
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,  # a TLS client
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"\0" * 1000,
        post(CHAT) + b"garbage garbage\r\n\r\n",
    ):
        answers = await exchange(gateway, data, half_close=True)
        assert all(answer[0] >= 400 for answer in answers if answer[2][:12] != b'{"id":"chatc')
    assert len(sim.requests()) <= 1


async def test_header_bombs(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    many = head(connection="close")[:-2] + b"".join(b"x-%d: %d\r\n" % (n, n) for n in range(20_000)) + b"\r\n"
    long = head(connection="close", x_long="a" * 2_000_000)
    for data in (many, long):
        answers = await exchange(gateway, data, half_close=True)
        assert all(answer[0] in (400, 431) for answer in answers)
    assert sim.requests() == []


async def test_pipelined_requests(gateway: GatewayProcess) -> None:
    """Each is answered, in order, on the one connection."""
    bad, unknown = post(b"nonsense"), head("GET", "/v1/nothing")
    answers = await exchange(gateway, bad + post(CHAT) + unknown + post(CHAT, connection="close"))
    assert [answer[0] for answer in answers] == [400, 200, 404, 200]
