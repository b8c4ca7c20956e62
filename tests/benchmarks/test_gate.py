"""The gate's verdicts."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from gate import BUDGETS, judge_micro, judge_overhead
from harness.scenarios import SCENARIOS
from overhead import QUICK, default_servers

RATIO = {
    "name": "cpu",
    "scenario": "unary_32",
    "figure": "cpu_us",
    "reference": "nginx",
    "ratio": 4.0,
    "fallback": {"reference": "granian", "ratio": 1.5},
}


def measured(value: float, **more: Any) -> dict[str, Any]:
    return {"cpu_us": {"median": value}, "errors": 0, "notes": [], **more}


def results(**servers: dict[str, Any]) -> dict[str, Any]:
    return {"scenarios": {"unary_32": servers}}


@pytest.mark.parametrize(("cpu", "verdict"), [(79.9, "kept"), (80.0, "kept"), (80.1, "over")])
def test_ratio(cpu: float, verdict: str) -> None:
    assert judge_overhead(RATIO, results(nginx=measured(20.0), switchgear=measured(cpu))).verdict == verdict


def test_fallback_without_nginx() -> None:
    judged = judge_overhead(RATIO, results(granian=measured(50.0), switchgear=measured(76.0)))
    assert (judged.verdict, judged.limit) == ("over", "1.5 x granian")


def test_no_reference_is_not_judged() -> None:
    assert judge_overhead(RATIO, results(switchgear=measured(76.0))).verdict == "not judged"


def test_missing_scenario_is_not_measured() -> None:
    assert judge_overhead(RATIO, {}).verdict == "not measured"


def test_failed_requests_fail_the_budget() -> None:
    assert judge_overhead(RATIO, results(nginx=measured(20.0), switchgear=measured(10.0, errors=3))).verdict == "errors"


def test_limit() -> None:
    budget = {"name": "rss", "scenario": "unary_32", "figure": "cpu_us", "limit": 70}
    assert judge_overhead(budget, results(switchgear=measured(70.0))).verdict == "kept"
    assert judge_overhead(budget, results(switchgear=measured(70.5))).verdict == "over"


def test_micro_limits_scale_with_the_machine() -> None:
    budget = {"name": "pick", "test": "test_pick[[]16]", "limit_us": 1.5, "loop": "loop"}
    benchmarks = [
        {"name": "test_pick[16]", "stats": {"median": 2e-6}},
        {"name": "test_pick[1]", "stats": {"median": 1}},
    ]
    assert judge_micro(budget, benchmarks, {"loop": 1.0}).verdict == "over"
    assert judge_micro(budget, benchmarks, {"loop": 2.0}).verdict == "kept"
    assert judge_micro(budget, [], {"loop": 1.0}).verdict == "not measured"


def test_micro_rates() -> None:
    budget = {"name": "scan", "test": "test_scan", "limit_bytes_per_s": 1e9, "loop": "loop"}
    benchmarks = [{"name": "test_scan", "stats": {"median": 1e-6}, "extra_info": {"bytes": 900}}]
    assert judge_micro(budget, benchmarks, {"loop": 1.0}).verdict == "over"
    assert judge_micro(budget, benchmarks, {"loop": 1.2}).verdict == "kept"


SHARE = {
    "name": "metering",
    "scenario": "unary_32",
    "server": "switchgear-metered",
    "figure": "cpu_us",
    "reference": "switchgear",
    "ratio": 1.15,
}


@pytest.mark.parametrize(("cpu", "verdict"), [(115.0, "kept"), (115.1, "over")])
def test_another_server_against_the_gateway(cpu: float, verdict: str) -> None:
    found = results(**{"switchgear": measured(100.0), "switchgear-metered": measured(cpu), "nginx": measured(1.0)})
    assert judge_overhead(SHARE, found).verdict == verdict


@pytest.mark.parametrize("missing", ["switchgear", "switchgear-metered"])
def test_a_row_of_our_own_that_is_missing_fails(missing: str) -> None:
    servers = {"switchgear": measured(100.0), "switchgear-metered": measured(100.0)}
    del servers[missing]
    assert judge_overhead(SHARE, results(**servers)).verdict == "not measured"


def test_failed_requests_of_the_reference_fail_the_budget() -> None:
    servers = {"switchgear": measured(100.0, errors=1), "switchgear-metered": measured(100.0)}
    assert judge_overhead(SHARE, results(**servers)).verdict == "errors"


def test_operations_of_a_round() -> None:
    budget = {"name": "take", "test": "test_take", "limit_us": 3, "loop": "loop"}
    benchmarks = [{"name": "test_take", "stats": {"median": 600e-6}, "extra_info": {"operations": 200}}]
    judged = judge_micro(budget, benchmarks, {"loop": 1.0})
    assert (judged.verdict, judged.measured) == ("kept", "3.00 µs")
    assert judge_micro(budget, benchmarks, {"loop": 0.9}).verdict == "over"


def test_rows_per_second() -> None:
    budget = {"name": "drain", "test": "test_drain", "limit_rows_per_s": 30_000, "loop": "loop"}
    benchmarks = [{"name": "test_drain", "stats": {"median": 0.5}, "extra_info": {"rows": 15_000}}]
    judged = judge_micro(budget, benchmarks, {"loop": 1.0})
    assert (judged.verdict, judged.limit, judged.measured) == ("kept", "30,000 rows/s", "30,000 rows/s")
    assert judge_micro(budget, benchmarks, {"loop": 0.5}).verdict == "over"
    assert judge_micro(budget, [], {"loop": 1.0}).verdict == "not measured"


@pytest.mark.parametrize(("value", "verdict"), [(600, "kept"), (601, "over")])
def test_figures_that_are_no_times(value: int, verdict: str) -> None:
    budget = {"name": "memory", "test": "test_keys", "figure": "bytes_per_key", "limit": 600}
    benchmarks = [{"name": "test_keys", "stats": {"median": 9.0}, "extra_info": {"bytes_per_key": value}}]
    assert judge_micro(budget, benchmarks, {}).verdict == verdict
    assert judge_micro(budget, [], {}).verdict == "not measured"


def test_every_budget_names_what_is_measured() -> None:
    budgets = tomllib.loads(BUDGETS.read_text())
    servers = {server.name: server for server in default_servers([], [])}
    scenarios = {scenario.name: scenario for scenario in SCENARIOS}
    for budget in budgets["overhead"]:
        for name in {budget.get("server", "switchgear"), budget.get("reference", "switchgear")} & servers.keys():
            assert servers[name].serves(scenarios[budget["scenario"]])
        assert budget.get("server", "switchgear") in servers
        assert budget["scenario"] in QUICK
