"""CASES 11: a target whose answers break off after their first byte is as sick as one that does not answer."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Callable
from typing import Any

import pytest

from tests.cases.client import CHAT, Open, at_rest, chat, post, total, until
from tests.conftest import basic_config
from tests.support.processes import GatewayProcess, SimulatorProcess

Start = Callable[..., GatewayProcess]
SPEECH = "/v1/audio/speech"


def two_tiers(sim: SimulatorProcess) -> dict[str, Any]:
    """`m` at `sim`, then at `sim2`: the same simulator, where faults know the model's other name."""
    targets = [{"provider": "sim", "model": "sick", "tier": 0}, {"provider": "sim2", "model": "well", "tier": 1}]
    models = {"m": {"targets": targets, "breaker": {"failures": 2, "open": "1h", "max_open": "1h"}}}
    return basic_config(sim, sim, models=models)


def outcomes(gateway: GatewayProcess, target: str) -> dict[str, float]:
    known = ("answered", "broken", "cancelled", "failed")
    metrics = gateway.metrics()
    counts = {each: total(metrics, "switchgear_upstream_attempts_total", target=target, outcome=each) for each in known}
    return {each: count for each, count in counts.items() if count}


@pytest.mark.parametrize(
    ("path", "fault", "body"),
    [
        (CHAT, {"close-mid-stream": 3}, chat("m", stream=True)),
        (CHAT, {"error-event": 3}, chat("m", stream=True)),
        (SPEECH, {"reset-mid-stream": 1}, {"model": "m", "input": "x" * 100, "voice": "alloy"}),
    ],
)
def test_what_breaks_off_opens_the_breaker(
    start_gateway: Start, sim: SimulatorProcess, path: str, fault: dict[str, int], body: dict[str, Any]
) -> None:
    """Its good beginnings do not count as successes in between."""
    gateway = start_gateway(two_tiers(sim))
    sim.fault({"match": {"model": "sick"}, "fault": fault})
    for _ in range(2):
        with Open(gateway.origin, path, body) as client:
            assert client.headers["x-switchgear-target"] == "sim/sick"
            with contextlib.suppress(http.client.IncompleteRead):  # bytes are cut off, events end with an error
                client.rest()
        until(lambda: at_rest(gateway))
    assert post(gateway.origin, body, path).headers["x-switchgear-target"] == "sim2/well"
    assert outcomes(gateway, "sim/sick") == {"broken": 2.0}
    assert outcomes(gateway, "sim2/well") == {"answered": 1.0}


def test_a_client_that_leaves_says_nothing_about_the_target(start_gateway: Start, sim: SimulatorProcess) -> None:
    gateway = start_gateway(two_tiers(sim))
    sim.fault({"match": {"model": "sick"}, "fault": {"stall-mid-stream": 2}, "times": 3})
    for _ in range(3):
        with Open(gateway.origin, CHAT, chat("m", stream=True)) as client:
            client.read_until(b"\n\n")
        until(lambda: at_rest(gateway))
    assert post(gateway.origin, chat("m", stream=True)).headers["x-switchgear-target"] == "sim/sick"
    assert "broken" not in outcomes(gateway, "sim/sick")
