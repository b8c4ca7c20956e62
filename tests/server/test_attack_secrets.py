"""A provider's error may quote the credential it was called with; the client must not read it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.cases.client import CHAT, Open, chat, post
from tests.conftest import basic_config
from tests.hotpath.upstream import answering, serving
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
