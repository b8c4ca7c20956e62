"""What a request pays for being seen: settling its metrics, and its access line when there is one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from switchgear.observability.access import AccessLog
from switchgear.observability.metrics import Metrics
from switchgear.observability.writer import LogWriter
from switchgear.types import Endpoint, RequestContext, Target, Usage


@pytest.fixture
def ctx() -> RequestContext:
    found = RequestContext(
        Endpoint("chat.completions", "/chat/completions"),
        b"req-1",
        100.0,
        method="POST",
        path="/chat/completions",
        query=b"",
        client_headers=[],
        token=b"",
    )
    found.model, found.target, found.status, found.attempts = "smart", Target("openai", "gpt-4.1"), 200, 1
    found.usage = Usage(120, 80)
    return found


def test_settle(benchmark: Any, tmp_path: Path, ctx: RequestContext) -> None:
    metrics = Metrics(tmp_path, "0")
    metrics.declare(["smart"], ["openai/gpt-4.1"])
    benchmark.pedantic(metrics.settle, (ctx, 100.7), iterations=2_000, rounds=20, warmup_rounds=1)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_access_line(benchmark: Any, ctx: RequestContext, share: float) -> None:
    log = AccessLog(share, None, LogWriter(os.open(os.devnull, os.O_WRONLY)))
    benchmark.pedantic(log.line, (ctx, 100.7), iterations=500, rounds=20, warmup_rounds=1)


def test_render_a_thousand_label_sets(benchmark: Any, tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, "0")
    for number in range(1000):
        metrics.slab.add(metrics.slot("switchgear_requests_total", "chat.completions", f"m{number}", "a/x", "200"))
    benchmark.pedantic(metrics.render, iterations=1, rounds=5)


def test_route_pick_and_report(benchmark: Any) -> None:
    from switchgear.routing import Outcome, Route

    route = Route("m", [Target("p", f"t{number}") for number in range(16)])

    def decide() -> None:
        route.report(route.pick(1.0, 0.7), Outcome.ANSWERED, 1.0)

    benchmark.pedantic(decide, iterations=5_000, rounds=20, warmup_rounds=1)
