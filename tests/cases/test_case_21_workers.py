"""CASES 21: one scrape shows the requests of all workers, also of those that are gone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.cases.client import CHAT, Open, chat, post, total, until
from tests.conftest import basic_config
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

Start = Callable[..., GatewayProcess]
WORKERS = 2
REQUESTS = 300


@pytest.fixture
def several(start_gateway: Start, sim: SimulatorProcess) -> GatewayProcess:
    config = basic_config(sim, server={"workers": WORKERS}, state={"url": "redis://127.0.0.1:6379/0"})
    config["providers"]["sim"]["models"] = ["sim"]
    gateway = start_gateway(config)
    until(lambda: total(gateway.metrics(), "switchgear_worker_up") == WORKERS, "all workers up")
    return gateway


async def send(gateway: GatewayProcess, count: int, *, stream: bool) -> None:
    """Each request over a connection of its own, so that the workers share them."""
    room = asyncio.Semaphore(16)

    async def one() -> None:
        async with room:
            answer = await asyncio.to_thread(post, gateway.origin, chat(stream=stream))
            assert answer.status == 200

    await asyncio.gather(*(one() for _ in range(count)))


def served(gateway: GatewayProcess) -> float:
    return total(gateway.metrics(), "switchgear_requests_total", status="200")


def test_one_scrape_shows_all(several: GatewayProcess) -> None:
    asyncio.run(send(several, REQUESTS, stream=False))
    asyncio.run(send(several, REQUESTS, stream=True))
    for _ in range(20):  # whichever worker answers
        metrics = several.metrics()
        assert total(metrics, "switchgear_requests_total") == 2 * REQUESTS
        assert total(metrics, "switchgear_request_duration_seconds_count") == 2 * REQUESTS
        assert total(metrics, "switchgear_first_token_seconds_count") == REQUESTS
        assert total(metrics, "switchgear_tokens_total", **{"class": "output"}) == 2 * REQUESTS * 16
        assert total(metrics, "switchgear_upstream_attempts_total", outcome="answered") == 2 * REQUESTS
        assert total(metrics, "switchgear_worker_up") == WORKERS


def test_a_killed_worker_takes_nothing_along(several: GatewayProcess) -> None:
    asyncio.run(send(several, REQUESTS, stream=False))
    assert served(several) == REQUESTS
    before = several.metrics()
    first, *others = several.worker_pids()
    os.kill(first, signal.SIGKILL)

    def respawned() -> bool:
        pids = several.worker_pids()
        return first not in pids and len(pids) == WORKERS

    until(respawned, "another worker in its place")
    until(lambda: total(several.metrics(), "switchgear_worker_up") == WORKERS, "it serves")
    assert set(others) <= set(several.worker_pids())
    after = several.metrics()
    for name, value in before.items():
        if name.partition("{")[0].endswith(("_total", "_count", "_bucket")):
            assert after[name] >= value, name
    asyncio.run(send(several, REQUESTS, stream=False))
    for _ in range(20):
        assert served(several) == 2 * REQUESTS


def test_gauges_of_a_killed_worker_go(several: GatewayProcess, sim: SimulatorProcess) -> None:
    """Its streams are no longer open; its counters stay."""
    held: list[Any] = [Open(several.origin, CHAT, chat("sim/sim;stall-mid-stream=1", stream=True)) for _ in range(8)]
    for each in held:
        assert each.piece()
    assert total(several.metrics(), "switchgear_streams_open") == 8
    pids = several.worker_pids()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)

    def respawned() -> bool:
        return len(set(several.worker_pids()) - set(pids)) == WORKERS

    until(respawned, "others in their place")
    several.ready()
    until(lambda: total(several.metrics(), "switchgear_streams_open") == 0, "no stream open")
    for each in held:
        each.close()
    assert KEY not in several.output
