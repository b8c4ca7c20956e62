"""CASES 12: bytes are forwarded at once; connect, first-token, idle and total timeouts are separate."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.cases.client import CHAT, RESPONSES, Answer, Open, calls, chat, events, post, until
from tests.cases.test_case_01_client_left import blackhole
from tests.conftest import basic_config
from tests.support.processes import GatewayProcess, SimulatorProcess

Start = Callable[..., GatewayProcess]
STREAMS = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


def timeouts(sim: SimulatorProcess, **values: str) -> dict[str, Any]:
    return basic_config(sim, defaults={"timeouts": values, "retries": {"attempts": 1}})


def is_timeout(error: dict[str, Any], phase: str, after: str) -> bool:
    return error == {
        "message": f"The upstream did not answer in time: {phase} timeout after {after} s.",
        "type": "timeout",
        "param": None,
        "code": "upstream_timeout",
    }


def last_event(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200
    assert b"[DONE]" not in answer.body
    error: dict[str, Any] = json.loads(events(answer.body)[-1])
    return error


@pytest.mark.parametrize(("path", "sent"), [(CHAT, 2), ("/v1/completions", 2), (RESPONSES, 3)])
def test_the_first_token_is_forwarded_while_the_second_is_held(
    gateway: GatewayProcess, sim: SimulatorProcess, path: str, sent: int
) -> None:
    """Of a response the first two events are its name alone, which waits for what follows: it may be an error."""
    wanted = {
        "model": f"sim;stall-mid-stream={sent}",
        "messages": chat()["messages"],
        "prompt": "x",
        "input": "x",
        "stream": True,
    }
    with Open(gateway.origin, path, wanted) as client:
        got = b""
        while got.count(b"\n\n") < sent:
            got += client.piece()
        record = calls(sim)[-1]
        assert (record["finished_at"], record["client_closed_at"]) == (None, None)
    assert got.count(b"data: ") == sent


def test_headers_are_forwarded_with_the_first_event(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    with Open(gateway.origin, CHAT, chat("sim;stall-mid-stream=1", stream=True)) as client:
        assert client.response.status == 200
        assert client.headers["content-type"].startswith("text/event-stream")
        assert "content-length" not in client.headers


def test_a_stream_outlives_every_timeout_but_the_total(start_gateway: Start, sim: SimulatorProcess) -> None:
    """Two seconds of tokens against half a second of each other timeout."""
    gateway = start_gateway(timeouts(sim, connect="500ms", first_token="500ms", idle="500ms", total="60s"))
    begun = time.monotonic()
    answer = post(gateway.origin, chat("sim;gap=100ms;tokens=20", stream=True))
    assert time.monotonic() - begun > 1.5
    assert events(answer.body)[-1] == b"[DONE]"
    assert len(events(answer.body)) == 23


@STREAMS
@pytest.mark.parametrize("fault", ["stall-before-headers", "stall-after-headers", "first=60s"])
def test_first_token(start_gateway: Start, sim: SimulatorProcess, fault: str, stream: bool) -> None:
    gateway = start_gateway(timeouts(sim, first_token="300ms"))
    answer = post(gateway.origin, chat(f"sim;{fault}", stream=stream))
    assert answer.status == 504
    assert is_timeout(answer.error, "first_token", "0.3"), answer.error
    until(lambda: calls(sim)[-1]["client_closed_at"] is not None, "upstream closed")


@STREAMS
def test_connect(start_gateway: Start, sim: SimulatorProcess, stream: bool) -> None:
    with blackhole() as port:
        config = timeouts(sim, connect="300ms")
        config["providers"]["sim"] |= {"base_url": f"http://127.0.0.1:{port}/v1", "models": ["sim"]}
        gateway = start_gateway(config)
        answer = post(gateway.origin, chat(stream=stream))
    assert answer.status == 504
    assert is_timeout(answer.error, "connect", "0.3"), answer.error


def test_idle_in_a_stream(start_gateway: Start, sim: SimulatorProcess) -> None:
    gateway = start_gateway(timeouts(sim, idle="300ms"))
    answer = post(gateway.origin, chat("sim;stall-mid-stream=3", stream=True))
    assert is_timeout(last_event(answer)["error"], "idle", "0.3")
    assert len(events(answer.body)) == 4
    answer = post(gateway.origin, {"model": "sim;stall-mid-stream=3", "input": "x", "stream": True}, RESPONSES)
    error = last_event(answer)
    assert (error["type"], error["code"]) == ("error", "upstream_timeout")
    assert is_timeout(error["error"], "idle", "0.3")


def test_idle_in_a_whole_answer(start_gateway: Start, sim: SimulatorProcess) -> None:
    gateway = start_gateway(timeouts(sim, idle="300ms"))
    answer = post(gateway.origin, chat("sim;stall-mid-stream"))
    assert answer.status == 504
    assert is_timeout(answer.error, "idle", "0.3")


def test_total(start_gateway: Start, sim: SimulatorProcess) -> None:
    gateway = start_gateway(timeouts(sim, total="1s"))
    for fault in ("stall-before-headers", "stall-after-headers", "stall-mid-stream"):
        answer = post(gateway.origin, chat(f"sim;{fault}"))
        assert answer.status == 504
        assert "total timeout after" in answer.error["message"]
    answer = post(gateway.origin, chat("sim;gap=50ms;tokens=1000", stream=True))
    assert "total timeout after" in last_event(answer)["error"]["message"]
