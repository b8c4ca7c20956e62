"""How often a worker asks Redis at a steady 1,000 requests/s of one key with six limits, `concurrent` among them.

Counted by a Redis of its own (`INFO commandstats`), after what the first seconds need is over. What is measured is the
number of calls; the time says nothing.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

from pytest_benchmark.fixture import BenchmarkFixture

from harness.redis_server import RedisServer
from switchgear.config.load import loads
from switchgear.limits.limits import Limits
from switchgear.state.redis import RedisStore
from test_limits_bench import AMOUNTS, CI, CONFIG, COST_NANOUSD

PER_SECOND = 1000
WARM_S = 2.0
MEASURED_S = 10.0
LASTS_S = (0.005, 0.05)
"""How long a request is in flight: uniformly from the one to the other."""


class Load:
    """Requests at a steady rate, whatever becomes of those before."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.plan = limits.plan(CI, "gpt-4.1")
        self.admitted = 0
        self._random = Random(1)  # noqa: S311 - a run is to be repeated

    async def run(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        began, sent = loop.time(), 0
        async with asyncio.TaskGroup() as requests:
            while (passed := loop.time() - began) < seconds:
                while sent < passed * PER_SECOND:
                    requests.create_task(self._request())
                    sent += 1
                await asyncio.sleep(0.001)

    async def _request(self) -> None:
        held = self.plan.take(asyncio.get_running_loop().time(), *AMOUNTS)
        if held is None:
            held = await self.limits.take_slowly(self.plan, *AMOUNTS)
        self.admitted += 1
        await asyncio.sleep(self._random.uniform(*LASTS_S))
        held.settle(1200, 350, COST_NANOUSD)


async def calls_per_1000(server: RedisServer) -> float:
    limits = Limits(asyncio.get_running_loop(), loads(CONFIG), RedisStore(server.url))
    await limits.start()
    load = Load(limits)
    assert len(load.plan) == 6
    await load.run(WARM_S)
    calls, admitted = server.calls(), load.admitted
    await load.run(MEASURED_S)
    found = (server.calls() - calls) * 1000 / (load.admitted - admitted)
    await limits.stop()
    return found


def test_calls_at_a_steady_thousand_a_second(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    server = RedisServer(tmp_path, None)
    try:
        found = benchmark.pedantic(lambda: asyncio.run(calls_per_1000(server)), rounds=1)
    finally:
        server.stop()
    benchmark.extra_info["calls_per_1000"] = round(found, 2)
