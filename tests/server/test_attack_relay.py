"""The relay under clients that leave at the worst moment and upstreams that say nothing at length."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from switchgear.config.load import load
from switchgear.providers.registry import provider_types
from switchgear.server.routes import find
from switchgear.server.worker import Worker
from switchgear.types import Headers, RequestContext
from tests.cases.client import chat, post
from tests.conftest import basic_config
from tests.hotpath.upstream import EVENTS, Peer, Script, Upstream, chunk, serving
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

Start = Callable[[dict[str, Any]], GatewayProcess]
EVENT = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
BINARY = b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n"


class StuckReply:
    """A client that makes no room at one step of its answer."""

    started = False

    def __init__(self, step: str):
        self.step = step
        self.stuck = asyncio.Event()

    async def _at(self, step: str) -> None:
        if step == self.step:
            self.stuck.set()
            await asyncio.Event().wait()

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        raise AssertionError("the answer streams")

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True
        await self._at("start")

    async def send(self, chunk: bytes) -> None:
        await self._at("send")

    async def end(self) -> None:
        await self._at("end")


@asynccontextmanager
async def working(script: Script, folder: Path, attempts: int = 3) -> AsyncIterator[tuple[Worker, Upstream]]:
    async with serving(script) as upstream:
        path = folder / "gateway.yaml"
        url = f"http://127.0.0.1:{upstream.port}/v1"
        path.write_text(
            f"providers: {{up: {{type: openai, base_url: '{url}', credentials: [sk-000000]}}}}\n"
            f"models: {{m: {{targets: [{{provider: up, model: m}}], retries: {{attempts: {attempts}}}}}}}\n"
            f"keys: [{{name: test, value: {KEY}}}]\n"
        )
        worker = Worker(load(path, known_types=provider_types()), None, folder, "1")
        await worker.start()
        try:
            yield worker, upstream
        finally:
            await worker.stop()


def request(path: str, body: bytes) -> RequestContext:
    endpoint, _ = find("POST", path)
    assert endpoint is not None
    ctx = RequestContext(
        endpoint,
        b"req_1",
        asyncio.get_running_loop().time(),
        method="POST",
        path=endpoint.path,
        query=b"",
        client_headers=[],
        token=KEY.encode(),
        content_type=b"application/json",
    )
    ctx.body = body
    return ctx


@pytest.mark.parametrize("step", ["start", "send", "end"])
@pytest.mark.parametrize("kind", ["events", "bytes"])
async def test_a_client_that_leaves_at_any_step_leaves_no_connection(tmp_path: Path, step: str, kind: str) -> None:
    """Also after [DONE], while the body's end is still to come."""

    async def unended(peer: Peer) -> None:
        await peer.request()
        peer.write(EVENTS + chunk(EVENT + b"data: [DONE]\n\n") if kind == "events" else BINARY + chunk(b"x"))
        if kind == "bytes" and step == "end":
            peer.write(b"0\r\n\r\n")
        await peer.closed()

    path = "/v1/chat/completions" if kind == "events" else "/v1/audio/speech"
    body = b'{"model":"m","stream":true,"input":"x","messages":[{"role":"user","content":"x"}]}'
    gc.disable()  # what is closed when it is collected is closed too late
    try:
        async with working(unended, tmp_path) as (worker, _):
            reply = StuckReply(step)
            task = asyncio.create_task(worker.gateway.handle(request(path, body), reply))
            await reply.stuck.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert worker.upstreams["up"].transport.busy == 0
    finally:
        gc.enable()


async def test_comments_before_the_first_event_are_bounded(start_gateway: Start, sim: SimulatorProcess) -> None:
    """They are held back until the first event says what the answer is."""

    async def chatty(peer: Peer) -> None:
        await peer.request()
        peer.write(EVENTS)
        for _ in range(64):
            peer.write(chunk(b": wait\n\n" * 8192))
        peer.write(chunk(EVENT + b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await peer.closed()

    async with serving(chatty) as upstream:
        config = basic_config(sim, defaults={"retries": {"attempts": 1}})
        config["providers"]["sim"]["base_url"] = f"http://127.0.0.1:{upstream.port}/v1"
        config["models"] = {"m": {"targets": [{"provider": "sim", "model": "m"}]}}
        gateway = await asyncio.to_thread(start_gateway, config)
        answer = await asyncio.to_thread(post, gateway.origin, chat("m", stream=True))
    assert (answer.status, answer.error["code"]) == (502, "upstream_protocol_error")


async def test_tokens_that_cannot_be_are_not_counted(start_gateway: Start, sim: SimulatorProcess) -> None:
    """A counter that goes down or to 10^23 is of no use to anybody, and the access line must still be written."""
    bodies = [
        b'{"choices":[],"usage":{"prompt_tokens":-7,"completion_tokens":1}}',
        b'{"choices":[],"usage":{"prompt_tokens":99999999999999999999999,"completion_tokens":1}}',
        b'{"choices":[],"usage":{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":-1}}}',
        b'{"choices":[],"usage":{"prompt_tokens":9223372036854775807,"completion_tokens":1,"total_tokens":1}}',
        b'{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}',
    ]

    async def counting(peer: Peer) -> None:
        while True:
            await peer.request()
            body = bodies.pop(0)
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            peer.write(head % len(body) + body)

    async with serving(counting) as upstream:
        config = basic_config(sim, logging={"access": 1.0})
        config["providers"]["sim"]["base_url"] = f"http://127.0.0.1:{upstream.port}/v1"
        config["models"] = {"m": {"targets": [{"provider": "sim", "model": "m"}]}}
        gateway = await asyncio.to_thread(start_gateway, config)
        while bodies:
            assert (await asyncio.to_thread(post, gateway.origin, chat("m"))).status == 200
        metrics = await asyncio.to_thread(gateway.metrics)
    tokens = {
        name.split('"')[1]: value for name, value in metrics.items() if name.startswith("switchgear_tokens_total")
    }
    # What the upstream could not have counted is estimated: some tokens for each of the four, by the bytes.
    assert 9 < tokens["input"] < 200
    assert 2 < tokens["output"] < 200
    assert "could not be rendered" not in gateway.output
