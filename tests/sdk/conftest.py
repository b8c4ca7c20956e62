"""One gateway and one simulator for the matrix of SDKs; its scripts run two at a time, each once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.sdk import matrix
from tests.support.processes import GatewayProcess, SimulatorProcess

_AT_ONCE = 2


@pytest.fixture(scope="session")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Any]]]:
    """What each script that a selected test looks at wrote, by the run's name."""
    wanted = {
        item.callspec.params["run"]: None
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "run" in item.callspec.params
    }
    folder = tmp_path_factory.mktemp("matrix")
    simulator = SimulatorProcess(folder)
    try:
        gateway = GatewayProcess(matrix.config(simulator), folder)
        try:
            given = matrix.targets(gateway.ready(), simulator)
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                yield {run.name: pool.submit(matrix.start, run, given) for run in wanted}
                pool.shutdown(cancel_futures=True)
        finally:
            gateway.stop()
    finally:
        simulator.stop()
