"""CASES 16, and 2, 3, 4 under fire: workers are killed, Redis stalls, dies and forgets, PostgreSQL is away.

The short form of `make soak`.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.chaos import Plan, chaos


async def test_nothing_is_lost_or_overspent(tmp_path: Path) -> None:
    plan = Plan(seconds=36, rate=120, workers=3, kill_every_s=6, stall_s=2, database_s=8, budget_usd=0.1)
    verdict = await chaos(tmp_path, plan)
    assert verdict.wrong == [], verdict.text()
    assert any("killed" in what for _, what in verdict.events)
