"""The gate's verdicts."""

from __future__ import annotations

from typing import Any

import pytest

from gate import judge_micro, judge_overhead

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
