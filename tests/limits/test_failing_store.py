"""How long requests wait for a store that fails: those of limits that fail closed as long as is declared and those that
come later not at all, those of limits that fail open not at all where a lease is in hand."""

from __future__ import annotations

import asyncio
from pathlib import Path

from switchgear.config.load import loads
from switchgear.config.schema import Config
from switchgear.limits.limits import WAIT_S
from tests.limits.simulation import Worker, World
from tests.limits.test_simulation import asks_of

GAP_S = 0.01
TURNS_S = 0.03
"""A look every 20 ms, and a message under way."""


def config(fail: str) -> Config:
    return loads(
        "providers: {openai: {credentials: [sk-x]}}\n"
        "models: {smart: {targets: [{provider: openai, model: m}]}}\n"
        "keys: [{name: ci, value: sk-0123456789abcdef, limits: "
        f"[{{resource: requests, capacity: 1000000, window: total, fail: {fail}}}]}}]\n"
    )


async def load(worker: Worker, seconds: float) -> list[tuple[bool, float]]:
    """A request each `GAP_S`: whether it was admitted, and after how long."""
    loop = worker.world.loop

    async def one() -> tuple[bool, float]:
        began = loop.time()
        admitted = await worker.request(0, 0, 0.0)
        return admitted, loop.time() - began

    under_way = []
    for _ in range(int(seconds / GAP_S)):
        under_way.append(asyncio.ensure_future(one()))
        await asyncio.sleep(GAP_S)
    return await asyncio.gather(*under_way)


def test_no_request_of_a_limit_that_fails_open_waits_for_a_store_that_stalls() -> None:
    world = World(1)

    async def run() -> None:
        worker = Worker(world, config("open"))
        await worker.limits.start()
        await load(worker, 3)
        world.reachable = False
        assert set(await load(worker, 12)) == {(True, 0.0)}
        world.reachable = True
        assert set(await load(worker, 5)) == {(True, 0.0)}
        await worker.limits.stop()

    world.loop.run_until_complete(run())
    world.loop.close()


def test_a_worker_that_starts_while_the_store_is_away_makes_nobody_wait() -> None:
    world = World(2)
    world.reachable = False

    async def run() -> None:
        worker = Worker(world, config("open"))
        await worker.limits.start()
        assert set(await load(worker, 12)) == {(True, 0.0)}
        await worker.limits.stop()

    world.loop.run_until_complete(run())
    world.loop.close()


def test_a_limit_that_fails_closed_refuses_within_the_declared_time_and_then_at_once() -> None:
    world = World(3)

    async def run() -> None:
        worker = Worker(world, config("closed"))
        await worker.limits.start()
        assert {admitted for admitted, _ in await load(worker, 3)} == {True}
        world.reachable = False
        found = await load(worker, 4)
        assert max(waited for _, waited in found) <= WAIT_S + TURNS_S
        assert found[-1] == (False, 0.0)
        assert set(await load(worker, 10)) == {(False, 0.0)}
        world.reachable = True
        await asyncio.sleep(3)
        assert {admitted for admitted, _ in await load(worker, 3)} == {True}
        assert set(worker.refused) == {"StateUnavailable"}
        await worker.limits.stop()

    world.loop.run_until_complete(run())
    world.loop.close()


def test_counters_that_are_rebuilt_make_nobody_wait_longer_than_a_store_that_is_away() -> None:
    world = World(4)

    async def run() -> None:
        opened, closed = (Worker(world, config(fail)) for fail in ("open", "closed"))
        await asyncio.gather(opened.limits.start(), closed.limits.start())
        await asyncio.gather(load(opened, 3), load(closed, 3))
        world.store = world.new_store()
        of_open, of_closed = await asyncio.gather(load(opened, 5), load(closed, 5))
        assert {admitted for admitted, _ in of_open} == {True}
        assert max(waited for _, waited in of_open) <= WAIT_S + TURNS_S
        assert max(waited for _, waited in of_closed) <= WAIT_S + TURNS_S
        assert (False, 0.0) in of_closed  # later ones do not wait
        assert set(closed.refused) == {"StateUnavailable"}
        assert of_closed[-1][0]
        await opened.limits.stop()
        await closed.limits.stop()

    world.loop.run_until_complete(run())
    world.loop.close()


def test_what_a_worker_used_that_lived_only_while_the_store_was_away_is_told_by_who_adopts_it(tmp_path: Path) -> None:
    world = World(5)

    async def run() -> None:
        lasting = Worker(world, config("open"), tmp_path)
        await lasting.limits.start()
        await load(lasting, 1)
        world.reachable = False
        brief = Worker(world, config("open"), tmp_path)
        await brief.limits.start()
        await asyncio.gather(load(lasting, 4), load(brief, 4))
        brief.crash()
        world.reachable = True
        await asyncio.sleep(4)
        _, [level] = await world.store.levels(asks_of(lasting))
        assert level.spent == lasting.admitted + brief.admitted == 900
        await lasting.limits.stop()

    world.loop.run_until_complete(run())
    world.loop.close()
