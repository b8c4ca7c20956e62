"""CASES 13: a model without a price is refused, or billed at a declared cap and flagged; never nothing by silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cases.client import calls, chat, post
from tests.support.metered import metered, usage
from tests.support.processes import GatewayProcess, SimulatorProcess

Start = Callable[[dict[str, Any]], GatewayProcess]
NAME = "in-house;tokens=4"


def config(folder: Path, sim: SimulatorProcess, **overrides: Any) -> dict[str, Any]:
    return metered(folder, sim, prices={"sim/priced*": {"input": 1.0, "output": 2.0}}, **overrides)


@pytest.mark.parametrize("stream", [False, True])
def test_refused_where_it_says_so(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path, stream: bool) -> None:
    gateway = start_gateway(config(tmp_path, sim, unknown_price="refuse"))
    answer = post(gateway.origin, chat(NAME, stream=stream))
    assert answer.status == 403
    assert answer.error["code"] == "price_unknown"
    assert calls(sim) == []
    assert post(gateway.origin, chat("priced;tokens=4", stream=stream)).status == 200
    [row] = usage(gateway)
    assert row["model"] == "priced;tokens=4"


@pytest.mark.parametrize("stream", [False, True])
def test_refused_under_a_budget(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path, stream: bool) -> None:
    """Nobody can tell what it would take of the budget."""
    gateway = start_gateway(config(tmp_path, sim, key={"budget": {"usd": 1}}))
    answer = post(gateway.origin, chat(NAME, stream=stream))
    assert (answer.status, answer.error["code"]) == (403, "price_unknown")
    assert calls(sim) == []


def test_refused_under_a_limit_on_the_providers_spend(
    start_gateway: Start, sim: SimulatorProcess, tmp_path: Path
) -> None:
    limits = [{"scope": {"provider": "sim"}, "resource": "cost", "capacity": 1.0, "window": "day"}]
    gateway = start_gateway(config(tmp_path, sim, limits=limits))
    answer = post(gateway.origin, chat(NAME))
    assert (answer.status, answer.error["code"]) == (403, "price_unknown")
    assert calls(sim) == []


@pytest.mark.parametrize("stream", [False, True])
def test_billed_at_the_cap(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path, stream: bool) -> None:
    gateway = start_gateway(config(tmp_path, sim, unknown_price={"input": 10.0, "output": 40.0}))
    for _ in range(2):  # the second time by the compiled path
        assert post(gateway.origin, chat(NAME, stream=stream)).status == 200
    for row in usage(gateway):
        assert row["cost_nanousd"] == row["input_tokens"] * 10_000 + row["output_tokens"] * 40_000 > 0
        assert row["price_version"].startswith("cap+")
        assert row["unknown_price"] is True


def test_flagged_where_nothing_is_declared(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    gateway = start_gateway(config(tmp_path, sim))
    for _ in range(2):
        answer = post(gateway.origin, chat(NAME))
        assert (answer.status, answer.headers["x-switchgear-cost-nanousd"]) == (200, "0")
    for row in usage(gateway):
        assert (row["cost_nanousd"], row["price_version"], row["unknown_price"]) == (0, "unknown", True)
        assert row["output_tokens"] == 4
