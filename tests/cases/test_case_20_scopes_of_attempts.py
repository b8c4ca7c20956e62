"""CASES 4 and 20: a limit on a credential or provider makes another one serve; 429 only when all are used up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cases.client import calls, chat, post
from tests.support.metered import metered, usage
from tests.support.processes import GatewayProcess, SimulatorProcess

Start = Callable[[dict[str, Any]], GatewayProcess]
MODEL = "sim;tokens=1"


def credential(number: int, capacity: int) -> dict[str, Any]:
    limit = {"resource": "requests", "capacity": capacity, "window": "total"}
    return {"name": f"c{number}", "value": f"sk-upstream-c{number}-000000", "limits": [limit]}


@pytest.mark.parametrize("stream", [False, True])
def test_the_next_credential_serves(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path, stream: bool) -> None:
    """Five credentials, more than a request has attempts: to be passed over is none."""
    config = metered(tmp_path, sim)
    config["providers"]["sim"]["credentials"] = [credential(n, 3) for n in range(5)]
    gateway = start_gateway(config)
    found = [post(gateway.origin, chat(MODEL, stream=stream)) for _ in range(18)]
    assert [answer.status for answer in found] == [200] * 15 + [429] * 3
    used = Counter(call["credential"] for call in calls(sim))
    assert used == {f"sk-upstream-c{n}-000000": 3 for n in range(5)}
    rows = usage(gateway)
    assert len(rows) == 15
    assert Counter(row["credential"] for row in rows) == {f"c{n}": 3 for n in range(5)}
    assert found[-1].error["code"] == "rate_limit_exceeded"
    assert "c0" not in found[-1].error["message"]  # whose it is, is the operator's affair


@pytest.mark.parametrize("stream", [False, True])
def test_the_next_provider_serves(
    start_gateway: Start, sim: SimulatorProcess, start_simulator: Callable[..., SimulatorProcess], tmp_path: Path,
    stream: bool,
) -> None:  # fmt: skip
    other = start_simulator()
    config = metered(tmp_path, sim, other)
    config["limits"] = [
        {"scope": {"provider": name}, "resource": "requests", "capacity": n, "window": "total"}
        for name, n in (("sim", 2), ("sim2", 3))
    ]
    targets = [{"provider": "sim", "model": MODEL}, {"provider": "sim2", "model": MODEL, "tier": 1}]
    config["models"] = {"smart": {"targets": targets}}
    gateway = start_gateway(config)
    found = [post(gateway.origin, chat("smart", stream=stream)) for _ in range(7)]
    assert [answer.status for answer in found] == [200] * 5 + [429] * 2
    assert (len(calls(sim)), len(calls(other))) == (2, 3)
    assert [row["provider"] for row in usage(gateway)] == ["sim"] * 2 + ["sim2"] * 3
