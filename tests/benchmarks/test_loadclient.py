"""The load generator against servers that behave and servers that do not: what it counts is what was sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from harness.loadclient import build

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


EVENTS = chunk(b'data: {"n":1}\n\n') + chunk(b'data: {"n":2}\r\n\r\n: comment\n\n')
STREAM = STREAM_HEAD + EVENTS + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def answering(answer: bytes, *, close: bool = False, split: int = 0) -> Handler:
    """Each request gets `answer`; in pieces of `split` bytes; the connection closes after it if asked."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            for at in range(0, len(answer), split or len(answer)):
                writer.write(answer[at : at + (split or len(answer))])
                await writer.drain()
                if split:
                    await asyncio.sleep(0)
            if close:
                return

    return handle


async def run(handler: Handler, folder: Path, mode: str, *options: str) -> dict[str, Any]:
    request = folder / "request.http"
    request.write_bytes(b'POST /v1/x\nContent-Type: application/json\n\n{"a":1}')

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has left
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        command = [str(build("loadclient")), mode, "--url", url, "--request", str(request), *options]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
    result: dict[str, Any] = json.loads(out)
    assert process.returncode == (0 if result["ok"] else 1)
    return result


UNARY = ("--connections", "3", "--duration", "0.3")
STREAMS = ("--connections", "2", "--streams", "6")


@pytest.mark.parametrize("split", [0, 1, 7])
@pytest.mark.parametrize("answer", [WHOLE, STREAM_HEAD + chunk(b"hello") + b"0\r\n\r\n"])
async def test_whole_answers(tmp_path: Path, answer: bytes, split: int) -> None:
    result = await run(answering(answer, split=split), tmp_path, "unary", *UNARY)
    assert result["ok"]
    assert result["requests"] > 3
    assert result["statuses"] == {"200": result["requests"]}
    assert result["latency_us"]["count"] == result["requests"]
    assert result["body_bytes"] >= 5 * result["requests"]
    assert result["reconnects"] == 0


async def test_answer_after_interim_one(tmp_path: Path) -> None:
    result = await run(answering(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + WHOLE), tmp_path, "unary", *UNARY)
    assert result["ok"]
    assert set(result["statuses"]) == {"200"}


async def test_announced_close_is_a_reconnect(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    result = await run(answering(answer, close=True), tmp_path, "unary", *UNARY)
    assert result["ok"]
    assert result["reconnects"] == result["requests"] > 3


async def test_unannounced_close_between_requests_is_retried(tmp_path: Path) -> None:
    result = await run(answering(WHOLE, close=True), tmp_path, "unary", *UNARY)
    assert result["ok"]
    assert result["stale_retries"] > 0


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "status"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "truncated"),
        (STREAM_HEAD + b"5\r\nhel", "truncated"),
        (b"", "closed"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "malformed"),
        (STREAM_HEAD + b"zz\r\nhello\r\n", "malformed"),
        (WHOLE + b"more", "extra_bytes"),
    ],
)
async def test_bad_answers_are_counted_by_kind(tmp_path: Path, answer: bytes, kind: str) -> None:
    result = await run(answering(answer, close=True), tmp_path, "unary", *UNARY)
    assert not result["ok"]
    assert set(result["errors"]) == {kind}


async def test_silence_is_a_timeout(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    result = await run(silent, tmp_path, "unary", *UNARY, "--timeout", "0.05")
    assert set(result["errors"]) == {"timeout"}
    assert result["requests"] == 0


async def test_refused_connections(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    request = tmp_path / "request.http"
    request.write_bytes(b"GET /\n\n")
    command = [str(build("loadclient")), "unary", "--url", f"http://127.0.0.1:{port}", "--request", str(request)]
    process = await asyncio.create_subprocess_exec(*command, "--duration", "0.1", stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 1
    assert set(json.loads(out)["errors"]) == {"connect"}


async def test_paced_arrivals(tmp_path: Path) -> None:
    result = await run(answering(WHOLE), tmp_path, "unary", "--connections", "8", "--duration", "0.5", "--rate", "200")
    assert result["ok"]
    assert 0 < result["requests"] <= 101


@pytest.mark.parametrize("split", [0, 1, 5])
async def test_streams(tmp_path: Path, split: int) -> None:
    result = await run(answering(STREAM, split=split), tmp_path, "stream", *STREAMS)
    assert result["ok"]
    assert (result["streams"], result["done"], result["events"]) == (6, 6, 12)
    assert (result["events_per_stream_min"], result["events_per_stream_max"]) == (2, 2)
    assert result["first_event_us"]["count"] == result["headers_us"]["count"] == 6
    assert result["gap_us"]["count"] == 6


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (STREAM_HEAD + EVENTS + b"0\r\n\r\n", "no_done"),
        (STREAM_HEAD + EVENTS, "truncated"),
        (STREAM_HEAD + chunk(b'data: {"error":{}}\n\n') + b"0\r\n\r\n", "error_event"),
    ],
)
async def test_bad_streams(tmp_path: Path, answer: bytes, kind: str) -> None:
    result = await run(answering(answer, close=True), tmp_path, "stream", *STREAMS)
    assert result["errors"] == {kind: 6}


async def test_streams_that_are_held(tmp_path: Path) -> None:
    async def first_event_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(STREAM_HEAD + chunk(b"data: {}\n\n"))
        await reader.read()

    result = await run(first_event_only, tmp_path, "hold", "--connections", "20", "--duration", "0.2")
    assert result["ok"]
    assert result["open"] == 20
