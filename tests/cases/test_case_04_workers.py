"""CASES 4: any number of workers on one Redis admit exactly the limit, whichever path a request takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cases.client import chat
from tests.support.metered import Got, metered, request, run, settled, statuses, storm, usage
from tests.support.processes import GatewayProcess, SimulatorProcess
from tests.support.redis_server import RedisServer

Start = Callable[[dict[str, Any]], GatewayProcess]
LIMIT, ASKED = 1000, 2000


def answered(gateway: GatewayProcess, sent: bytes, count: int) -> list[Got]:
    """All at once. A worker that hears too late of Redis, on a busy machine, says 503 and to try again: so it is."""
    found: list[Got] = []
    while count:
        some = run(storm(gateway.port, [sent] * count, count))
        found += [got for got in some if got.status != 503]
        assert all(b'"state_unavailable"' in got.body for got in some if got.status == 503)
        count = statuses(some)[503]
    return found


@pytest.mark.parametrize("stream", [False, True])
def test_2000_parallel_requests_on_4_workers_admit_exactly_1000(
    start_gateway: Start, sim: SimulatorProcess, redis_server: RedisServer, tmp_path: Path, stream: bool
) -> None:
    limits = [{"resource": "requests", "capacity": LIMIT, "window": {"calendar": "month"}, "fail": "closed"}]
    config = metered(tmp_path, sim, key={"limits": limits}, state={"url": redis_server.url}, server={"workers": 4})
    gateway = start_gateway(config)
    found = answered(gateway, request(chat("sim;tokens=2", stream=stream)), ASKED)
    assert statuses(found) == {200: LIMIT, 429: ASKED - LIMIT}
    assert {got.headers[b"retry-after"] for got in found if got.status == 429} != set()
    assert settled(gateway, "requests")["used"] == LIMIT
    rows = usage(gateway)
    served = sorted(got.request_id for got in found if got.status == 200)
    assert sorted(row["request_id"] for row in rows) == served


def test_an_hour_that_slides(
    start_gateway: Start, sim: SimulatorProcess, redis_server: RedisServer, tmp_path: Path
) -> None:
    """1000 an hour give one back every 3.6 seconds: what was admitted is the capacity and what came back meanwhile."""
    limits = [{"resource": "requests", "capacity": LIMIT, "window": "hour", "fail": "closed"}]
    config = metered(tmp_path, sim, key={"limits": limits}, state={"url": redis_server.url}, server={"workers": 4})
    gateway = start_gateway(config)
    found = run(storm(gateway.port, [request(chat("sim;tokens=2"))] * ASKED, 500))
    counted = statuses(found)
    assert set(counted) == {200, 429}
    assert LIMIT <= counted[200] <= LIMIT + 20
    assert len(usage(gateway)) == counted[200]


def test_one_worker_with_counters_in_memory(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    limits = [{"resource": "requests", "capacity": 300, "window": "total"}]
    gateway = start_gateway(metered(tmp_path, sim, key={"limits": limits}))
    found = run(storm(gateway.port, [request(chat("sim;tokens=2"))] * 600, 100))
    assert statuses(found) == {200: 300, 429: 300}
    assert len(usage(gateway)) == 300
