"""Workers that are killed are replaced, however often; a gateway whose workers cannot start gives up."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.cases.client import chat, post, until
from tests.conftest import basic_config
from tests.support.metered import metered
from tests.support.processes import GatewayProcess, SimulatorProcess, wait_for

Start = Callable[[dict[str, Any]], GatewayProcess]
KILLS = 4


def test_a_worker_that_is_killed_again_and_again(start_gateway: Start, sim: SimulatorProcess) -> None:
    """Each time as soon as it serves: within seconds of having been replaced."""
    gateway = start_gateway(basic_config(sim))
    for _ in range(KILLS):
        before = set(gateway.worker_pids())
        for pid in before:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda before=before: bool(set(gateway.worker_pids()) - before), "replaced")  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        wait_for(f"{gateway.origin}/ready", gateway)
    assert gateway.child.poll() is None
    assert post(gateway.origin, chat()).status == 200


def test_workers_that_cannot_start(sim: SimulatorProcess, tmp_path: Path) -> None:
    (tmp_path / "occupied").write_text("no folder")
    config = metered(tmp_path, sim, ledger={"path": str(tmp_path / "occupied" / "ledger")})
    gateway = GatewayProcess(config, tmp_path)
    try:
        gateway.wait(60)
        assert "crash loop" in gateway.output
        told = [line for line in gateway.output.splitlines() if '"worker did not start"' in line]
        assert len(told) == gateway.output.count("Unexpected exit")  # each of them says why
        assert all("Not a directory" in line for line in told)
    finally:
        gateway.stop()
