"""Real processes on a real Redis: exactly the limit, whatever is killed, stalled or flushed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from switchgear.config.load import load
from switchgear.limits.declared import Declared
from switchgear.limits.snapshot import rows
from switchgear.state.redis import RedisStore
from tests.support.processes import ROOT
from tests.support.redis_server import RedisServer


class Limited:
    """A process of `process_worker`."""

    def __init__(self, config: Path, url: str, directory: Path):
        with (directory.parent / "stderr").open("ab") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "tests.limits.process_worker", str(config), url, str(directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            )

    def ask(self, line: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        assert line, "the process ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def do(self, line: str) -> dict[str, Any]:
        self.ask(line)
        return self.answer()

    def stop(self) -> None:
        self.child.kill()
        self.child.communicate()


Start = Callable[[str, str, int], list[Limited]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes that share a directory, and waits until they are ready."""
    begun: list[Limited] = []
    directory = tmp_path / "leases"
    directory.mkdir()

    def start(limits: str, url: str, count: int) -> list[Limited]:
        config = write(tmp_path, limits)
        some = [Limited(config, url, directory) for _ in range(count)]
        begun.extend(some)
        for one in some:
            assert one.answer() == {"ready": True}
        return some

    yield start
    for one in begun:
        one.stop()


def write(folder: Path, limits: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(
        "providers: {openai: {credentials: [sk-x]}}\n"
        "models: {smart: {targets: [{provider: openai, model: m}]}}\n"
        f"keys: [{{name: ci, value: sk-0123456789abcdef, {limits}}}]\n"
    )
    return path


def state(folder: Path, url: str) -> list[tuple[int, int, int]]:
    """(used, reserved, leased) of each limit, as the store has it."""

    async def read() -> list[tuple[int, int, int]]:
        store = RedisStore(url, timeout_s=5.0)
        declared = Declared(load(folder / "config.yaml"))
        try:
            return [(row["used"], row["reserved"], row["leased"]) async for row in rows(store, declared.all())]
        finally:
            await store.close()

    return asyncio.run(read())


def until(folder: Path, url: str, expected: list[tuple[int, int, int]]) -> None:
    """What workers know arrives at the store at their next tick."""
    give_up_at = time.monotonic() + 10
    while state(folder, url) != expected and time.monotonic() < give_up_at:
        time.sleep(0.02)
    assert state(folder, url) == expected


def total(workers: list[Limited], line: str) -> int:
    return outcomes(workers, line)["admitted"]


def outcomes(workers: list[Limited], line: str) -> Counter[str]:
    """Of all processes at once: how many were admitted, and what refused the others."""
    for worker in workers:
        worker.ask(line)
    return sum((Counter(worker.answer()) for worker in workers), Counter())


def test_four_processes_admit_exactly_the_limit(redis_server: RedisServer, start: Start, tmp_path: Path) -> None:
    workers = start("limits: [{resource: requests, capacity: 1000, window: hour, fail: closed}]", redis_server.url, 4)
    done = last = outcomes(workers, "take 500")
    for _ in range(8):  # a 503 says: ask again. On a busy machine Redis takes longer than a request may wait for it
        if not last["StateUnavailable"]:
            break
        last = outcomes(workers, "take 300")
        done = done + last
    assert done["admitted"] == 1000, done
    assert total(workers, "take 10") == 0
    until(tmp_path, redis_server.url, [(1000, 0, 0)])
    assert [worker.do("quit") for worker in workers] == [{"quit": True}] * 4
    assert not list((tmp_path / "leases").iterdir())


def test_a_budget_is_not_overspent(redis_server: RedisServer, start: Start, tmp_path: Path) -> None:
    """Each request reserves 4 mUSD and costs 2: what is reserved in vain comes back and is used by others."""
    workers = start("budget: {usd: 1, window: total, fail: closed}", redis_server.url, 4)
    admitted = 0
    for _ in range(6):
        admitted += total(workers, "take 100 4000000")
    assert 498 <= admitted <= 500  # the last request has to find room for what it may cost
    until(tmp_path, redis_server.url, [(admitted * 2_000_000, 0, 0)])


def test_what_a_killed_process_had_not_spent_is_adopted(
    redis_server: RedisServer, start: Start, tmp_path: Path
) -> None:
    limits = "limits: [{resource: requests, capacity: 1000, window: total}, {resource: concurrent, capacity: 9}]"
    first, second = start(limits, redis_server.url, 2)
    assert first.do("hold 5")["admitted"] == 5
    first.child.send_signal(signal.SIGKILL)
    first.child.wait(10)
    # What was in flight was sent and counts; its slots are free, and so is the rest of the lease.
    until(tmp_path, redis_server.url, [(5, 0, 0), (0, 0, 0)])
    assert total([second], "take 9") == 9


def test_a_stalled_redis_stalls_nobody_whose_leases_suffice(own_redis: RedisServer, start: Start) -> None:
    limits = "limits: [{resource: requests, capacity: 1000000, window: hour, fail: closed}]"
    [worker] = start(limits, own_redis.url, 1)
    for _ in range(3):
        worker.do("take 400")
    own_redis.stall()
    spent = 0
    while in_hand := worker.do("available")["available"][0]:  # again: an answer may have been under way
        within = worker.do(f"take {in_hand}")
        assert within["admitted"] == in_hand
        assert within["slowest_s"] < 0.2
        spent += in_hand
    assert spent > 0
    beyond = worker.do("take 50")
    assert beyond["StateUnavailable"] == 50
    assert beyond["slowest_s"] < 0.6  # declared: 0.25 s
    own_redis.go_on()
    give_up_at = time.monotonic() + 10
    while worker.do("take 1").get("admitted") != 1:
        assert time.monotonic() < give_up_at


def test_nobody_fails_because_of_redis_where_limits_fail_open(
    own_redis: RedisServer, start: Start, tmp_path: Path
) -> None:
    workers = start("limits: [{resource: requests, capacity: 500, window: total}]", own_redis.url, 2)
    assert total(workers, "take 50") == 100
    own_redis.kill()
    assert total(workers, "take 100") == 200
    own_redis.start()
    until(tmp_path, own_redis.url, [(300, 0, 0)])


def test_a_flushed_redis_is_told_again(own_redis: RedisServer, start: Start, tmp_path: Path) -> None:
    limits = "limits: [{resource: requests, capacity: 500, window: total, fail: closed}]"
    workers = start(limits, own_redis.url, 2)
    assert total(workers, "take 100") == 200
    until(tmp_path, own_redis.url, [(200, 0, 0)])
    own_redis.flush()
    until(tmp_path, own_redis.url, [(200, 0, 0)])
    admitted = 200
    give_up_at = time.monotonic() + 15
    while admitted < 500 and time.monotonic() < give_up_at:
        admitted += total(workers, "take 60")
    assert admitted == 500
    assert total(workers, "take 60") == 0
