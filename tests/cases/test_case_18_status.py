"""CASES 18: unreachable is 502, the gateway's own overload 503 with Retry-After (504, timeouts: see case 12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cases.client import CHAT, Open, calls, chat, post, refused_port, until
from tests.conftest import basic_config
from tests.support.processes import GatewayProcess, SimulatorProcess

Start = Callable[..., GatewayProcess]
STREAMS = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


def one_attempt(sim: SimulatorProcess) -> dict[str, Any]:
    return basic_config(sim, defaults={"retries": {"attempts": 1}})


@STREAMS
def test_unreachable(start_gateway: Start, sim: SimulatorProcess, stream: bool) -> None:
    config = one_attempt(sim)
    config["providers"]["sim"]["base_url"] = f"http://127.0.0.1:{refused_port()}/v1"
    gateway = start_gateway(config)
    answer = post(gateway.origin, chat(stream=stream))
    assert (answer.status, answer.error["type"], answer.error["code"]) == (502, "server_error", "upstream_unreachable")
    assert "127.0.0.1" not in answer.error["message"]


def test_a_name_that_does_not_resolve(start_gateway: Start, sim: SimulatorProcess) -> None:
    config = one_attempt(sim)
    config["providers"]["sim"]["base_url"] = "http://no-such-host.invalid/v1"
    gateway = start_gateway(config)
    answer = post(gateway.origin, chat())
    assert (answer.status, answer.error["code"]) == (502, "upstream_unreachable")
    assert "no-such-host" not in answer.error["message"]


@STREAMS
def test_too_many_in_flight(start_gateway: Start, sim: SimulatorProcess, stream: bool) -> None:
    gateway = start_gateway(basic_config(sim, server={"max_in_flight": 2}))
    held = [Open(gateway.origin, CHAT, chat("sim;stall-before-headers", stream=stream)) for _ in range(2)]
    until(lambda: len(calls(sim)) == 2, "both at the upstream")
    answer = post(gateway.origin, chat(stream=stream))
    assert (answer.status, answer.error["type"], answer.error["code"]) == (503, "server_error", "overloaded")
    assert answer.headers["retry-after"] == "1"
    assert len(calls(sim)) == 2
    for each in held:
        each.close()
    until(lambda: post(gateway.origin, chat(stream=stream)).status == 200, "room again")


@STREAMS
def test_too_many_waiting_for_a_connection(start_gateway: Start, sim: SimulatorProcess, stream: bool) -> None:
    config = one_attempt(sim)
    config["providers"]["sim"] |= {"pool": {"max_connections": 1, "max_waiters": 1}, "models": ["sim"]}
    gateway = start_gateway(config)
    with Open(gateway.origin, CHAT, chat("sim;stall-before-headers")):
        until(lambda: len(calls(sim)) == 1, "first at the upstream")
        waiting = 'switchgear_upstream_connections{provider="sim",state="waiting"}'
        with Open(gateway.origin, CHAT, chat(stream=stream)):
            until(lambda: gateway.metrics()[waiting] == 1, "second in the queue")
            answer = post(gateway.origin, chat(stream=stream))
            assert (answer.status, answer.error["type"], answer.error["code"]) == (503, "server_error", "overloaded")
            assert answer.headers["retry-after"] == "1"


@STREAMS
def test_waiting_too_long_for_a_connection(start_gateway: Start, sim: SimulatorProcess, stream: bool) -> None:
    """It is the gateway's pool that is full: its own overload, not the upstream's timeout."""
    config = basic_config(sim, defaults={"retries": {"attempts": 1}, "timeouts": {"connect": "300ms"}})
    config["providers"]["sim"] |= {"pool": {"max_connections": 1}, "models": ["sim"]}
    gateway = start_gateway(config)
    with Open(gateway.origin, CHAT, chat("sim;stall-before-headers")):
        until(lambda: len(calls(sim)) == 1, "first at the upstream")
        answer = post(gateway.origin, chat(stream=stream))
        assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "overloaded", "1")
