"""CASES 16: a database that is away fills the ledger's quota, which does as it was declared, and nothing is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cases.client import chat, post, total, until
from tests.support.metered import metered, request, run, statuses, storm, usage
from tests.support.processes import GatewayProcess, SimulatorProcess

Start = Callable[[dict[str, Any]], GatewayProcess]
QUOTA = 1024 * 1024
TAGS = {f"k{n}": "x" * 200 for n in range(4)}
"""With them the quota is some 900 rows."""


@pytest.mark.parametrize("policy", ["refuse", "drop_oldest"])
def test_full(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path, policy: str) -> None:
    gateway = start_gateway(metered(tmp_path, sim, ledger={"max_bytes": QUOTA, "when_full": policy}))
    assert post(gateway.origin, chat("sim;tokens=1")).status == 200
    until(lambda: len(usage(gateway)) == 1 and (tmp_path / "ledger.db").exists(), "migrated")
    lock = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    some = [request(chat("sim;tokens=1", stream=n % 2 == 0, metadata=TAGS)) for n in range(1500)]
    found = run(storm(gateway.port, some, 30))
    lock.execute("ROLLBACK")
    lock.close()
    counted = statuses(found)
    served = {got.request_id for got in found if got.status == 200}
    if policy == "refuse":
        assert set(counted) == {200, 503}
        refused = next(got for got in found if got.status == 503)
        assert b'"ledger_full"' in refused.body
        assert refused.headers[b"retry-after"] == b"5"
        assert total(gateway.metrics(), "switchgear_retries_total") == 0  # no target could do better
        until(lambda: {row["request_id"] for row in usage(gateway)} >= served, "all of them have rows")
        assert len(usage(gateway)) == len(served) + 1
        assert post(gateway.origin, chat("sim;tokens=1")).status == 200
    else:
        assert set(counted) == {200}
        until(lambda: total(gateway.metrics(), "switchgear_ledger_dropped_rows_total") > 0, "counted")
        rows = usage(gateway)
        until(
            lambda: total(gateway.metrics(), "switchgear_ledger_dropped_rows_total") == len(served) + 1 - len(rows),
            "every row that was dropped is counted",
        )
        assert len({row["request_id"] for row in rows}) == len(rows)
