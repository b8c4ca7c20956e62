"""Each fault, seen on the raw socket."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import Any

import pytest

from switchgear.simulator import Simulator, SimulatorSettings

from .helpers import QUESTION, events, exchange, request, split, stream, unchunk

STREAM = {**QUESTION, "stream": True}


def asking(fault: str, body: dict[str, Any] = QUESTION) -> bytes:
    return request({**body, "model": f"sim;{fault}"})


async def body_of(sim: Simulator, fault: str) -> tuple[bytes, bool]:
    return unchunk(split(await exchange(sim, asking(fault, STREAM)))[2])


async def test_status_with_headers_and_body(sim: Simulator) -> None:
    raw = await exchange(
        sim,
        asking("status=503;retry-after=7;retry-after-ms=7000;should-retry=false;error-type=t;error-code=c;message=m"),
    )
    line, headers, body = split(raw)
    assert line == b"HTTP/1.1 503 Service Unavailable"
    assert (headers["retry-after"], headers["retry-after-ms"], headers["x-should-retry"]) == ("7", "7000", "false")
    assert json.loads(body) == {"error": {"message": "m", "type": "t", "param": None, "code": "c"}}


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", None),
        (401, "invalid_request_error", "invalid_api_key"),
        (429, "requests", "rate_limit_exceeded"),
        (500, "server_error", None),
        (503, "server_error", "overloaded"),
        (529, "server_error", None),
    ],
)
async def test_default_errors(sim: Simulator, status: int, kind: str, code: str | None) -> None:
    line, _, body = split(await exchange(sim, asking(f"status={status}")))
    assert line.startswith(b"HTTP/1.1 %d " % status)
    error = json.loads(body)["error"]
    assert (error["type"], error["code"]) == (kind, code)


@pytest.mark.parametrize("body", [QUESTION, STREAM])
async def test_resets(sim: Simulator, body: dict[str, Any]) -> None:
    assert await exchange(sim, asking("reset-before-headers", body)) == b"<RST>"
    raw = await exchange(sim, asking("reset-after-headers", body))
    assert raw.startswith(b"HTTP/1.1 200 OK\r\n")
    assert raw.endswith(b"\r\n\r\n<RST>")
    assert sim.stats.in_flight == 0


async def test_reset_mid_stream(sim: Simulator) -> None:
    raw = await exchange(sim, asking("reset-mid-stream=3", STREAM))
    data, complete = unchunk(split(raw)[2].removesuffix(b"<RST>"))
    assert raw.endswith(b"<RST>")
    assert (len(events(data)), complete) == (3, False)


async def test_reset_half_way_through_a_body(sim: Simulator) -> None:
    raw = await exchange(sim, asking("reset-mid-stream"))
    _, headers, body = split(raw)
    assert body.endswith(b"<RST>")
    assert len(body) - 5 == int(headers["content-length"]) // 2


async def test_close_mid_stream(sim: Simulator) -> None:
    data, complete = await body_of(sim, "close-mid-stream=3")
    assert complete
    assert len(events(data)) == 3
    assert b"[DONE]" not in data


async def test_truncate_chunked(sim: Simulator) -> None:
    data, complete = await body_of(sim, "truncate-chunked=3")
    assert not complete
    assert len(events(data)) == 3
    body, complete = unchunk(split(await exchange(sim, asking("truncate-chunked")))[2])
    assert not complete
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


@pytest.mark.parametrize("body", [QUESTION, STREAM])
@pytest.mark.parametrize(
    ("fault", "seen"),
    [("stall-before-headers", b""), ("stall-after-headers", b"\r\n\r\n"), ("stall-mid-stream=2", b"assistant")],
)
async def test_stalls_until_the_client_leaves(sim: Simulator, fault: str, seen: bytes, body: dict[str, Any]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(asking(fault, body))
    out = b""
    while seen not in out or (seen and not out):
        out += await reader.read(65536)
    await sim.wait_for(lambda: sim.stats.in_flight == 1)
    writer.close()
    await sim.wait_for(lambda: sim.stats.in_flight == 0)
    assert sim.requests[0].client_left
    assert sim.stats.aborted == 1
    assert sim.stats.aborted_streams == int("stream" in body)


async def test_truncated_json(sim: Simulator) -> None:
    _, headers, body = split(await exchange(sim, asking("truncated-json")))
    assert int(headers["content-length"]) == len(body)
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)
    data, complete = await body_of(sim, "truncated-json")
    assert complete
    second = data.split(b"\n\n")[1]
    assert second.startswith(b"data: {")
    assert not second.endswith(b"}")


async def test_garbage_sse(sim: Simulator) -> None:
    data, complete = await body_of(sim, "garbage-sse")
    assert complete
    assert b"\n\n\x00\xff\xfenonsense\nid\nretry: soon\ndata: {not json\n\n" in data
    assert data.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/responses"])
async def test_giant_event(sim: Simulator, path: str) -> None:
    body = {**STREAM, "model": "sim;giant-event=300000;tokens=3", "prompt": "x", "input": "x"}
    data, complete = unchunk(split(await exchange(sim, request(body, path=path)))[2])
    assert complete
    assert max(len(each) for each in data.split(b"\n\n")) > 300_000
    events(data)


async def test_trickle(sim: Simulator) -> None:
    plain = split(await exchange(sim, asking("tokens=1", STREAM)))[2]
    sizes: list[int] = []
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    writer.write(asking("tokens=1;trickle", STREAM))
    out = b""
    while some := await reader.read(65536):
        sizes.append(len(some))
        out += some
    writer.close()
    assert len(unchunk(split(out)[2])[0].split(b"\n\n")) == len(unchunk(plain)[0].split(b"\n\n"))
    assert sim.requests[1].events == len(out)


async def test_split(sim: Simulator) -> None:
    raw = await exchange(sim, asking("split=7", STREAM))
    data, complete = unchunk(split(raw)[2])
    assert complete
    assert events(data)[-1] == "[DONE]"
    # the head, every chunk and the last chunk are written apart, each in pieces of 7 bytes
    assert sim.requests[0].events >= len(raw) // 7


@pytest.mark.parametrize(
    ("kind", "sign"),
    [
        ("status-line", b"HTTP/1.1 OK\r\n"),
        ("header", b"\r\nthis header has no colon\r\n"),
        ("content-length", b"content-length: 7\r\ncontent-length: 8\r\n"),
        ("chunk_size", b"\r\n\r\nzz\r\n"),
    ],
)
@pytest.mark.parametrize("body", [QUESTION, STREAM])
async def test_malformed_http(sim: Simulator, kind: str, sign: bytes, body: dict[str, Any]) -> None:
    assert sign in await exchange(sim, asking(f"malformed-http={kind}", body))


async def test_wrong_content_length(sim: Simulator) -> None:
    for kind, difference in (("long", 10), ("short", -10)):
        _, headers, body = split(await exchange(sim, asking(f"wrong-content-length={kind}")))
        assert int(headers["content-length"]) - len(body) == difference


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
async def test_error_event(sim: Simulator, path: str) -> None:
    body = {**STREAM, "model": "sim;error-event=3;message=broken", "prompt": "x"}
    data, complete = unchunk(split(await exchange(sim, request(body, path=path)))[2])
    assert complete
    seen = events(data)
    assert len(seen) == 4
    assert seen[-1] == {"error": {"message": "broken", "type": "server_error", "param": None, "code": None}}


async def test_error_event_of_responses(sim: Simulator) -> None:
    body = {"model": "sim;error-event=5", "input": "x", "stream": True}
    data, _ = unchunk(split(await exchange(sim, request(body, path="/v1/responses")))[2])
    seen = events(data)
    assert [each["sequence_number"] for each in seen] == list(range(7))
    assert [each["type"] for each in seen[-2:]] == ["error", "response.failed"]
    assert seen[-1]["response"]["status"] == "failed"


async def test_error_in_200(sim: Simulator) -> None:
    line, _, body = split(await exchange(sim, asking("error-in-200")))
    assert line == b"HTTP/1.1 200 OK"
    assert json.loads(body)["error"]["code"] == 502
    data, _ = await body_of(sim, "error-in-200")
    (only,) = events(data)
    assert only["error"]["message"] == "Provider returned error"
    assert only["choices"][0]["finish_reason"] == "error"


async def test_dialects_of_streams(sim: Simulator) -> None:
    plain, _ = await body_of(sim, "tokens=2")
    assert plain.endswith(b"data: [DONE]\n\n")
    for fault, expected in (
        ("no-done", plain.removesuffix(b"data: [DONE]\n\n")),
        ("crlf", plain.replace(b"\n", b"\r\n")),
        ("comments", b"".join(b": simulator keep-alive\n\n" + each + b"\n\n" for each in plain.split(b"\n\n")[:-1])),
        ("bom", b"\xef\xbb\xbf" + plain),
    ):
        data, complete = await body_of(sim, f"tokens=2;{fault}")
        assert complete
        assert without_identity(data, f"tokens=2;{fault}") == without_identity(expected, "tokens=2")


def without_identity(data: bytes, model: str) -> bytes:
    """The stream with what differs between two requests levelled."""
    lines = data.replace(f"sim;{model}".encode(), b"sim").split(b'"id":"')
    return b"".join([lines[0], *(line[line.index(b'"model"') :] for line in lines[1:])])


async def test_usage_in_finish(sim: Simulator) -> None:
    seen, _ = await stream(sim, model="sim;usage-in-finish", stream_options={"include_usage": True})
    assert seen[-1] == "[DONE]"
    assert seen[-2]["choices"][0]["finish_reason"] == "stop"
    assert seen[-2]["usage"]["completion_tokens"] == 16


async def test_usage_as_openai_sends_it(sim: Simulator) -> None:
    seen, _ = await stream(sim, stream_options={"include_usage": True})
    assert all(chunk["usage"] is None for chunk in seen[:-2])
    assert (seen[-2]["choices"], seen[-2]["usage"]["total_tokens"]) == ([], 19)
    without, _ = await stream(sim)
    assert all("usage" not in chunk for chunk in without[:-1])


async def test_gzip(sim: Simulator) -> None:
    _, headers, body = split(await exchange(sim, asking("gzip")))
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(body))["object"] == "chat.completion"
    data, _ = await body_of(sim, "gzip")
    assert events(zlib.decompress(data, wbits=31))[-1] == "[DONE]"


async def test_header_bomb(sim: Simulator) -> None:
    _, headers, _ = split(await exchange(sim, asking("header-bomb=500")))
    assert sum(name.startswith("x-bomb-") for name in headers) == 500


async def test_interim_answers(sim: Simulator) -> None:
    raw = await exchange(sim, asking("1xx=100,103"))
    first, second, third = raw.split(b"HTTP/1.1 ")[1:]
    assert first == b"100 Continue\r\n\r\n"
    assert second.startswith(b"103 Early Hints\r\nlink: ")
    assert third.startswith(b"200 OK\r\n")


async def test_headers_choose_too(sim: Simulator) -> None:
    raw = await exchange(sim, request(QUESTION, headers={"x-sim-status": "418", "x-sim-retry-after": "3"}))
    line, headers, _ = split(raw)
    assert line == b"HTTP/1.1 418 I'm a Teapot"
    assert headers["retry-after"] == "3"


@pytest.mark.parametrize("model", ["sim;nonsense", "sim;status=abc", "sim;gap=fast", "sim;jitter=2", "sim;1xx=200"])
async def test_a_wrong_option_is_refused(sim: Simulator, model: str) -> None:
    line, _, body = split(await exchange(sim, request({**QUESTION, "model": model})))
    assert line == b"HTTP/1.1 400 Bad Request"
    assert json.loads(body)["error"]["code"] == "invalid_simulator_option"


async def test_pace(sim: Simulator) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    await stream(sim, model="sim;first=40ms;gap=10ms;tokens=5;jitter=0")
    assert loop.time() - start >= 0.04 + 5 * 0.01


async def test_settings_are_the_default() -> None:
    async with Simulator(SimulatorSettings(tokens=3, first_token_s=0.001, gap_s=0.001, jitter=0.5, seed=4)) as sim:
        seen, _ = await stream(sim)
        assert len(seen) == 1 + 3 + 1 + 1


async def test_a_slow_reader_is_waited_for(sim: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port, limit=1024)
    writer.write(request({**STREAM, "model": "sim;tokens=200000"}))
    await reader.readexactly(15)
    record = sim.requests[0]
    before = -1
    while record.events != before:  # until the socket buffers are full
        before = record.events
        await asyncio.sleep(0.05)
    assert 0 < record.events < 100_000
    writer.close()
    await sim.wait_for(lambda: record.client_left)
