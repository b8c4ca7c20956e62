"""Many workers on one limit, under everything a network and a store can do to them: what is admitted never exceeds the
capacity, and reaches it where there is demand."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from switchgear.config.load import loads
from switchgear.config.schema import Config
from switchgear.limits.buckets import kind_of
from switchgear.limits.refusals import _parts
from switchgear.state.store import Ask, Store
from tests.limits.simulation import CI, Wire, Worker, World


def config(limits: str) -> Config:
    return loads(
        "providers: {openai: {credentials: [sk-x]}}\n"
        "models: {smart: {targets: [{provider: openai, model: m}]}}\n"
        f"keys: [{{name: ci, value: sk-0123456789abcdef, limits: [{limits}]}}]\n"
    )


TOTALS = config(
    "{resource: tokens, capacity: 20000, window: total, fail: closed},"
    "{resource: requests, capacity: 400, window: total, fail: closed}"
)


async def stop(workers: list[Worker]) -> None:
    for worker in workers:
        if worker.alive:
            await worker.limits.stop()


@pytest.mark.parametrize("count", [1, 4, 16])
@pytest.mark.parametrize("seed", range(2))
def test_demand_above_the_limit_gets_exactly_the_limit(count: int, seed: int) -> None:
    world = World(seed)

    async def run() -> None:
        workers = [
            Worker(world, config("{resource: requests, capacity: 1000, window: hour, fail: closed}"))
            for _ in range(count)
        ]
        await asyncio.gather(*(worker.limits.start() for worker in workers))
        await asyncio.gather(
            *(worker.request(0, 0, world.random.uniform(0, 0.3)) for worker in workers for _ in range(2000 // count))
        )
        assert sum(worker.admitted for worker in workers) == 1000
        assert all(set(worker.refused) <= {"RateLimited"} for worker in workers)
        await asyncio.sleep(1)
        _, [level] = await world.store.levels(asks_of(workers[0]))
        assert (level.spent, level.held, level.reserved) == (1000, 0, 0)
        await stop(workers)

    world.loop.run_until_complete(run())
    world.loop.close()


def asks_of(worker: Worker) -> list[Ask]:
    """To look at the worker's buckets in the store."""
    buckets = worker.limits.plan(CI, "smart").buckets
    return [
        Ask(held.key, kind_of(limit), limit.capacity, limit.window.length_ms) for limit, held in map(_parts, buckets)
    ]


@pytest.mark.parametrize("seed", range(12))
def test_never_more_than_the_limit_whatever_happens(seed: int, tmp_path: Path) -> None:
    """Lost and late messages, workers that crash and are adopted, a store that restarts empty or goes back in time."""
    world = World(seed, lost=0.05 if seed % 2 else 0.0, slow=0.03 if seed % 3 else 0.0)
    random = world.random

    async def run() -> None:
        workers = [Worker(world, TOTALS, tmp_path) for _ in range(4)]
        await asyncio.gather(*(worker.limits.start() for worker in workers))
        requests: set[asyncio.Task[bool]] = set()
        old = world.remember()
        for tick in range(600):
            await asyncio.sleep(0.02)
            for worker in workers:
                if worker.alive and random.random() < 0.6:
                    tokens = random.randint(1, 120)
                    requests.add(
                        asyncio.ensure_future(
                            worker.request(tokens, random.randint(0, tokens), random.choice([0.0, 0.05, 1.0]))
                        )
                    )
            event = random.random()
            if event < 0.01:
                victim = random.randrange(4)
                if workers[victim].alive:
                    workers[victim].crash()
                workers[victim] = Worker(world, TOTALS, tmp_path)
                await workers[victim].limits.start()
            elif event < 0.013:
                world.store = world.new_store()
                old = world.remember()
            elif event < 0.016:
                world.store = old
                old = world.remember()
            elif event < 0.02:
                world.reachable = False
                await asyncio.sleep(random.uniform(0.1, 3.0))
                world.reachable = True
            elif event < 0.03:
                old = world.remember()
            live = [worker for worker in workers if worker.alive]
            in_flight = sum(held.held(0) for worker in live for held in worker.in_flight)
            assert world.settled.get("tokens", 0) + in_flight <= 20_000, tick
            assert world.settled.get("requests", 0) + sum(len(worker.in_flight) for worker in live) <= 400, tick
        await asyncio.gather(*requests)
        await stop(workers)

    world.loop.run_until_complete(run())
    world.loop.close()


def test_what_a_crashed_worker_had_not_spent_is_given_back_exactly(tmp_path: Path) -> None:
    world = World(1)

    async def run() -> None:
        first, second = Worker(world, TOTALS, tmp_path), Worker(world, TOTALS, tmp_path)
        await first.limits.start()
        await second.limits.start()
        for _ in range(20):
            await first.request(50, 40, 0.0)
        await asyncio.sleep(0.01)
        assert first.limits.plan(CI, "smart").buckets[0].available > 0
        first.crash()
        await asyncio.sleep(1.5)
        _, levels = await world.store.levels(asks_of(second))
        assert [(level.spent, level.held) for level in levels] == [(800, 0), (20, 0)]
        assert os.listdir(tmp_path) == [f"worker-{second.limits.leases.talk.worker}.leases"]
        await stop([second])
        assert os.listdir(tmp_path) == []

    world.loop.run_until_complete(run())
    world.loop.close()


def test_slots_of_a_crashed_worker_come_back_without_a_file() -> None:
    world = World(2)
    slots = config("{resource: concurrent, capacity: 10, fail: closed}")

    async def run() -> None:
        first, second = Worker(world, slots), Worker(world, slots)
        await first.limits.start()
        await second.limits.start()
        running = [asyncio.ensure_future(first.request(0, 0, 3600)) for _ in range(10)]
        await asyncio.sleep(0.5)
        assert first.admitted == 10
        assert not await second.request(0, 0, 0.0)
        first.crash()
        for task in running:
            task.cancel()
        await asyncio.sleep(2.5)
        assert await asyncio.gather(*(second.request(0, 0, 0.1) for _ in range(10))) == [True] * 10
        await stop([second])

    world.loop.run_until_complete(run())
    world.loop.close()


SIX = config(
    "{resource: requests, capacity: 1000000, window: hour}, {resource: requests, capacity: 120000, window: minute},"
    "{resource: tokens, capacity: 1000000000, window: minute}, {resource: tokens, capacity: 1000000000, window: total},"
    "{resource: input_tokens, capacity: 1000000000, window: hour}, {resource: concurrent, capacity: 1000}"
)


@pytest.mark.parametrize("lasts_s", [0.01, 0.1])
def test_one_call_per_hundred_admissions_at_a_steady_thousand_a_second(lasts_s: float) -> None:
    world = World(3, delay_s=0.001)

    async def run() -> None:
        worker = Worker(world, SIX)
        await worker.limits.start()
        requests: set[asyncio.Task[bool]] = set()

        async def steady(seconds: int) -> None:
            for _ in range(seconds * 1000):
                request = asyncio.ensure_future(worker.request(500, 200, world.random.uniform(0, 2 * lasts_s)))
                requests.add(request)
                request.add_done_callback(requests.discard)
                await asyncio.sleep(0.001)

        await steady(2)
        before = world.exchanges
        await steady(10)
        assert world.exchanges - before <= 100
        await asyncio.gather(*requests)
        assert (worker.admitted, worker.refused) == (12_000, {})
        await stop([worker])

    world.loop.run_until_complete(run())
    world.loop.close()


@pytest.mark.parametrize("per_second", [1000, 4000])
def test_sixteen_workers_of_uneven_demand_use_all_of_it(per_second: int) -> None:
    """Slices that were large far from the edge come back before anybody is refused."""
    world = World(7, delay_s=0.004)
    capacity = 5000

    async def run() -> None:
        workers = [
            Worker(world, config(f"{{resource: requests, capacity: {capacity}, window: hour, fail: closed}}"))
            for _ in range(16)
        ]
        await asyncio.gather(*(worker.limits.start() for worker in workers))
        requests: set[asyncio.Task[bool]] = set()
        admitted = 0
        while not any(worker.refused for worker in workers) or requests:
            if not any(worker.refused for worker in workers):
                [worker] = world.random.choices(workers, range(1, 17))
                request = asyncio.ensure_future(worker.request(0, 0, world.random.uniform(0, 0.02)))
                requests.add(request)
                request.add_done_callback(requests.discard)
            await asyncio.sleep(1 / per_second)
            admitted = sum(worker.admitted for worker in workers)
            assert admitted <= capacity
        assert admitted >= capacity * 99 // 100  # of what was asked for until the first refusal
        await stop(workers)

    world.loop.run_until_complete(run())
    world.loop.close()


def test_an_open_limit_lets_pass_and_tells_later_and_a_closed_one_refuses_in_time() -> None:
    world = World(4)
    both = (
        config("{resource: requests, capacity: 10, window: total}"),
        config("{resource: requests, capacity: 10, window: total, fail: closed}"),
    )

    async def run() -> None:
        opened, closed = (Worker(world, one) for one in both)
        await opened.limits.start()
        await closed.limits.start()
        world.reachable = False
        await asyncio.sleep(3)
        began = world.loop.time()
        assert not await closed.request(0, 0, 0.0)
        assert world.loop.time() - began <= 0.3
        assert closed.refused == {"StateUnavailable": 1}
        for _ in range(15):
            assert await opened.request(0, 0, 0.0)
        world.reachable = True
        await asyncio.sleep(4)
        _, [level] = await world.store.levels(asks_of(opened))
        assert level.spent == 15
        assert not await opened.request(0, 0, 0.0)
        await stop([opened, closed])

    world.loop.run_until_complete(run())
    world.loop.close()


def test_a_calendar_window_begins_anew_and_late_settling_is_charged_where_it_was_reserved() -> None:
    world = World(5)
    hours = config("{resource: requests, capacity: 10, window: {calendar: hour}, fail: closed}")

    async def run() -> None:
        workers = [Worker(world, hours) for _ in range(2)]
        await asyncio.gather(*(worker.limits.start() for worker in workers))
        to_next_hour = 3600 - (1_800_000_000 + world.loop.time()) % 3600
        await asyncio.sleep(to_next_hour - 1)
        late = asyncio.ensure_future(workers[0].request(0, 0, 2.0))
        await asyncio.sleep(0.1)
        assert await asyncio.gather(*(w.request(0, 0, 0.0) for w in workers for _ in range(10))) != [True] * 20
        assert sum(worker.admitted for worker in workers) == 10
        await asyncio.sleep(1.1)
        assert not late.done()
        await asyncio.gather(*(w.request(0, 0, 0.0) for w in workers for _ in range(10)))
        assert sum(worker.admitted for worker in workers) == 20
        assert await late
        await asyncio.sleep(1)
        levels = {key: bucket.spent for key, bucket in world.store._buckets.items()}
        assert list(levels.values()) == [10, 10]
        await stop(workers)

    world.loop.run_until_complete(run())
    world.loop.close()


def test_wires_are_stores() -> None:
    """The double keeps to the protocol that it stands for."""
    world = World(0)
    store: Store = Wire(world)
    assert not store.alone
    world.loop.close()
