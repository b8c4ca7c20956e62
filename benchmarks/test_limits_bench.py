"""Limits on a request's way: taking six of them out of what is leased, settling with the ledger's write, the headers.

A round is many operations, so that each is done on fresh ground; extra_info["operations"] says how many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from switchgear.config.load import loads
from switchgear.hotpath._journal import Journal, label
from switchgear.hotpath._leases import LimitSet, Reservation
from switchgear.limits.limits import Limits
from switchgear.state.memory import MemoryStore
from switchgear.types import Dialect, Principal, Usage

CONFIG = """
providers: {openai: {credentials: [sk-x]}}
organizations: [{id: acme, budget: {usd: 1000000}}]
projects: [{id: search, organization: acme, budget: {usd: 1000000}}]
keys:
  - {name: ci, value: sk-0123456789abcdef, project: search, budget: {usd: 1000000}, limits: [
      {resource: requests, capacity: 1099511627776, window: hour},
      {resource: tokens, capacity: 1099511627776, window: minute}, {resource: concurrent, capacity: 1000000}]}
"""
CI = Principal("ci", "key", organization="acme", project="search")
AMOUNTS = (1, 1300, 4096, 35_000_000)  # requests, tokens in and out, nano-dollars
USAGE = Usage(input_tokens=1200, cached_tokens=1024, output_tokens=350)
COST_NANOUSD = 5_312_000
OPERATIONS = 200
ROUNDS = 200
LEASED = 2**48

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Held:
    """Limits of a worker that has leased all it will need. clock: the loop's time, standing still within a window."""

    def __init__(self, limits: Limits, plan: LimitSet, now: float):
        self.limits, self.plan, self.now = limits, plan, now

    def take(self) -> list[Reservation]:
        """Raises AssertionError when something was refused."""
        take, now = self.plan.take, self.now
        taken = [take(now, *AMOUNTS) for _ in range(OPERATIONS)]
        assert None not in taken
        return [one for one in taken if one is not None]


async def lease() -> Held:
    loop = asyncio.get_running_loop()
    limits = Limits(loop, loads(CONFIG), MemoryStore())
    await limits.start()
    plan = limits.plan(CI, "gpt-4.1")
    (await limits.take_slowly(plan, *AMOUNTS)).settle(1200, 350, COST_NANOUSD)
    assert len(plan) == 6
    for bucket in plan.buckets:
        bucket.grant(LEASED)
    return Held(limits, plan, loop.time())


@pytest.fixture
def held() -> Iterator[Held]:
    with asyncio.Runner() as runner:
        made = runner.run(lease())
        yield made
        runner.run(made.limits.stop())


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    folder = tmp_path / ("0" * 32)
    folder.mkdir()
    opened = Journal(str(folder), max_bytes=1 << 26, drop_oldest=True)
    yield opened
    opened.close()


def test_take_six_limits(benchmark: BenchmarkFixture, held: Held) -> None:
    """`LimitSet.take`: what is left when a request's set is known; looking it up is a dictionary's business."""
    last: list[list[Reservation]] = []

    def setup() -> Arguments:
        for one in last.pop() if last else ():
            one.release()
        return (), {}

    benchmark.pedantic(lambda: last.append(held.take()), setup=setup, rounds=ROUNDS)
    benchmark.extra_info["operations"] = OPERATIONS


def test_settle_and_append(benchmark: BenchmarkFixture, held: Held, journal: Journal) -> None:
    """What a request ends with: six limits settled, its row written with one write(2)."""
    names = label("chat.completions", "acme", "search", "", "ci", "smart", "gpt-4.1", "openai", "main", "2026-01-01")

    def setup() -> Arguments:
        slots = [
            journal.open(names, b"req-0123456789abcdef0123", 1, input_tokens=1300, output_tokens=4096)
            for _ in range(OPERATIONS)
        ]
        return (list(zip(held.take(), slots, strict=True)),), {}

    def settle(open_requests: list[tuple[Reservation, int]]) -> None:
        append = journal.append
        for reservation, slot in open_requests:
            reservation.settle(1200, 350, COST_NANOUSD)
            append(slot, 200, USAGE, COST_NANOUSD, "", 212.5, 1893.25)

    benchmark.pedantic(settle, setup=setup, rounds=ROUNDS)
    benchmark.extra_info["operations"] = OPERATIONS
    assert journal.rows == OPERATIONS * ROUNDS


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_limit_headers(benchmark: BenchmarkFixture, held: Held, dialect: Dialect) -> None:
    """`x-ratelimit-*` or `anthropic-ratelimit-*` of an answer."""
    found = benchmark(held.limits.headers, held.plan, dialect)
    assert len(found) == 6
