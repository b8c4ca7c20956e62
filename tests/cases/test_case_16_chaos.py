"""CASES 16, and 2, 3, 4 under fire: workers are killed, Redis stalls, dies and forgets, PostgreSQL is away, a quota is
full.

The short form of `make soak`.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.chaos import Plan, chaos

SECONDS, RATE = 44.0, 150.0
COST_USD = 2e-5
"""Of the budget for each request that is sent: it is used up before the end."""


async def test_nothing_is_lost_or_overspent(tmp_path: Path) -> None:
    plan = Plan(SECONDS, RATE, workers=3, stall_s=2.5, database_s=6, quota_s=1.5, budget_usd=SECONDS * RATE * COST_USD)
    verdict = await chaos(tmp_path, plan)
    assert verdict.wrong == [], verdict.text()
    assert verdict.seen.kills
