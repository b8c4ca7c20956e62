"""A provider's error may quote the credential it was called with; the client must not read it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.cases.client import CHAT, RESPONSES, Open, chat, post
from tests.conftest import basic_config
from tests.hotpath.upstream import EVENTS, Peer, answering, chunk, serving
from tests.support.processes import GatewayProcess, SimulatorProcess

Start = Callable[[dict[str, Any]], GatewayProcess]
SECRET = "sk-upstream-sim-000000"
BODIES = (
    '{"error":{"message":"no quota for KEY","type":"insufficient_quota","param":null,"code":null}}',
    '{"detail":"KEY may not"}',
    "<html>KEY</html>",
)


def error(status: int, body: str) -> bytes:
    body = body.replace("KEY", SECRET)
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nx-ratelimit-scope: {SECRET}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


async def test_an_error_that_quotes_the_credential(start_gateway: Start, sim: SimulatorProcess) -> None:
    answers = [error(status, body) for status in (400, 403, 404, 422, 500) for body in BODIES]
    async with serving(answering(*answers)) as upstream:
        config = basic_config(sim, defaults={"retries": {"attempts": 1}}, logging={"access": 1.0, "level": "debug"})
        config["providers"]["sim"]["base_url"] = f"http://127.0.0.1:{upstream.port}/v1"
        config["models"] = {"m": {"targets": [{"provider": "sim", "model": "m"}]}}
        gateway = await asyncio.to_thread(start_gateway, config)
        for _ in answers:
            told = await asyncio.to_thread(post, gateway.origin, chat("m"))
            assert told.status >= 400
            assert SECRET.encode() not in told.body
            assert SECRET not in str(told.headers)
    assert SECRET not in gateway.output


async def test_a_redirect_is_named_and_not_followed(start_gateway: Start, sim: SimulatorProcess) -> None:
    away = f"HTTP/1.1 307 X\r\nlocation: {sim.origin}/v1/chat/completions\r\ncontent-length: 0\r\n\r\n".encode()
    odd = b"HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n"
    async with serving(answering(away, odd)) as upstream:
        config = basic_config(sim, defaults={"retries": {"attempts": 1}})
        config["providers"]["sim"]["base_url"] = f"http://127.0.0.1:{upstream.port}/v1"
        config["models"] = {"m": {"targets": [{"provider": "sim", "model": "m"}]}}
        gateway = await asyncio.to_thread(start_gateway, config)
        for status in (307, 999):
            told = await asyncio.to_thread(Open(gateway.origin, CHAT, chat("m")).answer)
            assert (told.status, told.error["message"]) == (
                502,
                f"The upstream answered with status {status}, which is no answer to this request.",
            )
    assert sim.requests() == []


CHUNK = '{"id":"1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"KEY"}}]}'
FAILED = '{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"KEY"}}}'
CREATED = '{"type":"response.created","response":{"status":"in_progress"}}'
DELTA = '{"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":0,"delta":"x"}'
ERROR = '{"error":{"message":"no quota for KEY","type":"insufficient_quota","code":null}}'
OPENING = f"event: response.created\ndata: {CREATED}\n\nevent: response.output_text.delta\ndata: {DELTA}\n\n"
STREAMS = [
    # the endpoint's path, and its events: an error in a read of its own, beside others, without its blank line
    (CHAT, [f"data: {CHUNK}\n\n", f"data: {ERROR}\n\n"]),
    (CHAT, [f"data: {CHUNK}\n\ndata: {ERROR}\n\n"]),
    (CHAT, [f"data: {CHUNK}\n\n", f"event: error\ndata: {ERROR}\n\n"]),
    (CHAT, [f"data: {CHUNK}\n\n", f"data: {ERROR}"]),
    # (what fails before any output is no stream yet: an error answer, and fails over)
    (RESPONSES, [OPENING, f"event: response.failed\ndata: {FAILED}\n\n"]),
    (RESPONSES, [OPENING, 'event: error\ndata: {"message":"KEY"}\n\n']),
    ("/v1/messages", [f"data: {CHUNK}\n\n", f"data: {ERROR}\n\n"]),
]


async def test_an_error_event_that_quotes_the_credential(start_gateway: Start, sim: SimulatorProcess) -> None:
    pending = list(STREAMS)

    async def streaming(peer: Peer) -> None:
        while True:
            await peer.request()
            _, parts = pending.pop(0)
            peer.write(EVENTS)
            for part in parts:
                peer.write(chunk(part.replace("KEY", SECRET).encode()))
                await peer.writer.drain()
            peer.write(b"0\r\n\r\n")

    async with serving(streaming) as upstream:
        config = basic_config(sim, defaults={"retries": {"attempts": 1}}, logging={"access": 1.0, "level": "debug"})
        config["providers"]["sim"]["base_url"] = f"http://127.0.0.1:{upstream.port}/v1"
        config["models"] = {"m": {"targets": [{"provider": "sim", "model": "m"}]}}
        gateway = await asyncio.to_thread(start_gateway, config)
        for path, _ in STREAMS:
            body = {**chat("m", stream=True), "input": "x", "max_tokens": 9}
            told = await asyncio.to_thread(post, gateway.origin, body, path)
            assert told.status == 200
            assert b"error" in told.body
            last = told.body.rstrip(b"\n").rpartition(b"\n\n")[2]
            assert b"[REDACTED]" in last
            assert SECRET.encode() not in last
    assert SECRET not in gateway.output
