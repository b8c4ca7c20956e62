"""What a worker has in memory: nothing of what migrates, reports, or holds all public prices as objects."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from switchgear.db.connection import is_sqlite
from tests.conftest import basic_config
from tests.support.processes import KEY, ROOT, GatewayProcess, SimulatorProcess, get_json

Start = Callable[[dict[str, Any]], GatewayProcess]
DRAINED_S = 20.0


def mapped(pid: int) -> set[str]:
    """Packages of which a process has a compiled module mapped. SQLAlchemy has some; Alembic loads SQLAlchemy."""
    files = [line.split(maxsplit=5)[5] for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if ".so" in line]
    return {part for file in files for part in Path(file.strip()).parts}


def drained(gateway: GatewayProcess) -> float:
    return sum(value for name, value in gateway.metrics().items() if name.startswith("switchgear_ledger_drained_rows"))


def test_a_worker_that_served_has_loaded_no_sqlalchemy(
    database_url: str, sim: SimulatorProcess, start_gateway: Start, tmp_path: Path
) -> None:
    """The database is new: this worker had it migrated, and drained a row into it."""
    config = basic_config(
        sim, database={"url": database_url}, ledger={"path": str(tmp_path / "ledger")}, logging={"level": "info"}
    )
    gateway = start_gateway(config)
    body = {"model": "sim/gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}]}
    get_json(f"{gateway.url}/chat/completions", "POST", body, {"authorization": f"Bearer {KEY}"})
    until = time.monotonic() + DRAINED_S
    while not drained(gateway):
        assert time.monotonic() < until, gateway.output
    (worker,) = gateway.worker_pids()
    packages = mapped(worker)
    assert "switchgear" in packages
    assert ("asyncpg" in packages) is not is_sqlite(database_url)
    assert not packages & {"sqlalchemy", "cryptography", "pydantic_core"}
    for noise in ("alembic", "plugin", "SQLiteImpl", "PostgresqlImpl", "_granian"):
        assert noise not in gateway.output


UNWANTED = ("sqlalchemy", "alembic", "aiosqlite", "genai_prices", "pydantic", "cryptography", "jwt")


@pytest.mark.parametrize("scheme", ["sqlite", "postgresql"])
def test_what_a_worker_is_made_of_imports_none_of_it(scheme: str) -> None:
    script = f"""
import sys
import switchgear.server.supervisor, switchgear.cli.serve, switchgear.accounting.spent
from switchgear.accounting.catalogue import bundled
from switchgear.db.usage import open_store
open_store("{scheme}:///x")
assert bundled().find("openai", "gpt-4.1") is not None
print(sorted(set({UNWANTED!r}) & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": "src"}
    )
    assert done.stdout.strip() == "[]"
