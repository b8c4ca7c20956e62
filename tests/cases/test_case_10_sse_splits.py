"""CASES 10: comments, CRLF, a BOM, split UTF-8, several events in one chunk, one event in many: the same events."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import openai
import pytest

from switchgear.hotpath._sse import Parser
from tests.cases.client import CHAT, RESPONSES, Open, chat, post
from tests.hotpath.upstream import Peer, chunk, serving
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

Start = Callable[..., GatewayProcess]

FAULTS = [
    "split=1",
    "split=2",
    "split=3",
    "split=7",
    "split=100",
    "split=65536",
    "crlf",
    "comments",
    "bom",
    "crlf;comments;bom;split=1",
    "comments;split=5",
    "bom;split=1",
    "trickle",
]


def parsed(body: bytes) -> list[tuple[str, Any]]:
    """Events by a conforming parser, without identifiers and times."""
    parser = Parser()
    found = [*parser.feed(body), *parser.flush()]
    return [(event.event, _plain(event.data)) for event in found]


def _plain(data: bytes) -> Any:
    text = re.sub(rb"(chatcmpl-|resp_|msg_)[0-9a-f]+", rb"\1ID", data)
    text = re.sub(rb'"(created|created_at|completed_at)":\d+', rb'"\1":0', text)
    return json.loads(text) if text.startswith(b"{") else text


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("path", [CHAT, RESPONSES])
def test_same_events(gateway: GatewayProcess, sim: SimulatorProcess, fault: str, path: str) -> None:
    def ask(origin: str, model: str) -> list[tuple[str, Any]]:
        body = {**chat(model, stream=True), "input": "Say something."}
        answer = post(origin, body, path)
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [(name, _model_out(data)) for name, data in parsed(answer.body)]

    assert ask(gateway.origin, f"sim;tokens=6;gap=0ms;{fault}") == ask(sim.origin, "sim;tokens=6;gap=0ms")


def _model_out(data: Any) -> Any:
    """The simulator repeats the name it was asked by, options and all."""
    if isinstance(data, dict):
        return {key: "sim" if key == "model" else _model_out(value) for key, value in data.items()}
    return data


@pytest.mark.parametrize("fault", ["crlf", "comments", "bom", "split=1"])
def test_the_sdk_reads_them(gateway: GatewayProcess, sim: SimulatorProcess, fault: str) -> None:
    messages: Any = [{"role": "user", "content": "x"}]

    def text(model: str) -> str:
        with openai.OpenAI(base_url=gateway.url, api_key=KEY, max_retries=0) as client:
            stream = client.chat.completions.create(model=model, messages=messages, stream=True)
            return "".join(part.choices[0].delta.content or "" for part in stream)

    assert text(f"sim;tokens=6;{fault}") == text("sim;tokens=6") != ""


TEXT = "Grüße, 世界 \U0001f600\u2028"


def _event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"id": "x", "model": "m", "choices": [choice]}, ensure_ascii=False).encode()


EVENTS = [*(_event({"content": part}) for part in TEXT), _event({}, "stop"), b"data: [DONE]"]


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("size", [1, 2, 3, 11, 10_000])
def test_utf8_in_pieces(start_gateway: Start, ends: bytes, size: int) -> None:
    """Chunks of `size` bytes cut characters and events, or hold several."""
    sent = b"".join(event + ends + ends for event in EVENTS)

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            peer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
            for start in range(0, len(sent), size):
                peer.write(chunk(sent[start : start + size]))
                await peer.writer.drain()
                await asyncio.sleep(0)
            peer.write(b"0\r\n\r\n")

    async def run() -> bytes:
        async with serving(script) as upstream:
            config = {
                "providers": {"up": {"base_url": f"http://127.0.0.1:{upstream.port}/v1", "models": ["m"]}},
                "keys": [{"name": "test", "value": KEY}],
            }
            gateway = await asyncio.to_thread(start_gateway, config)
            with Open(gateway.origin, CHAT, chat("m", stream=True)) as client:
                return await asyncio.to_thread(client.rest)

    assert asyncio.run(run()) == sent
