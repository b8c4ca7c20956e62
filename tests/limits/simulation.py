"""Workers, a network and a store on a clock of their own: a run is decided by its seed, and takes no real time."""

from __future__ import annotations

import asyncio
import copy
import selectors
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from switchgear.errors import GatewayError
from switchgear.hotpath._leases import Reservation
from switchgear.limits.limits import Limits
from switchgear.limits.model import Limit
from switchgear.limits.talk import TIMEOUT_S
from switchgear.state.memory import MemoryStore
from switchgear.state.store import Ask, Level, Reply, StoreAway
from switchgear.types import Principal

BEGIN_S = 1_800_000_000
CI = Principal("ci", "key")


class _Selector(selectors.SelectSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing is going to happen")
        self.loop.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes where there is nothing to do."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.now = 1000.0
        super().__init__(selector)

    def time(self) -> float:
        return self.now


class World:
    """One store, what it does to messages, and what really happened.

    lost: share of messages that never arrive, each way. slow: share that take longer than anybody waits.
    """

    def __init__(self, seed: int, *, lost: float = 0.0, slow: float = 0.0, delay_s: float = 0.01):
        self.random = Random(seed)  # noqa: S311 - a run is to be repeated
        self.loop = VirtualLoop()
        self.lost, self.slow, self.delay_s = lost, slow, delay_s
        self.reachable = True
        self.store = self.new_store()
        self.settled: dict[str, int] = {}
        self.exchanges = 0

    def new_store(self) -> MemoryStore:
        return MemoryStore(lambda: int((BEGIN_S + self.loop.time()) * 1000), alone=False)

    def remember(self) -> MemoryStore:
        """The store as it is now, to come back to."""
        now_ms, self.store._now_ms = self.store._now_ms, int  # type: ignore[assignment]  # a clock has no copy
        copied = copy.deepcopy(self.store)
        copied._now_ms = self.store._now_ms = now_ms
        copied._run = f"{self.random.random()}"  # another server process
        return copied

    def one_way_s(self) -> float:
        if self.random.random() < self.slow:
            return self.random.uniform(0.2, 1.5)
        return self.random.uniform(0, self.delay_s)


class Wire:
    """A worker's connection to the store of a world."""

    alone = False

    def __init__(self, world: World):
        self.world = world

    async def exchange(self, worker: str, ttl_ms: int, settle_ms: int, seen: int, asks: Sequence[Ask]) -> Reply:
        world, loop = self.world, self.world.loop
        world.exchanges += 1
        answer: asyncio.Future[Reply] = loop.create_future()
        asks = [msgspec.structs.replace(ask) for ask in asks]

        def arrive() -> None:
            if world.reachable:
                reply = world.store.exchange_now(worker, ttl_ms, settle_ms, seen, asks)
                if world.random.random() >= world.lost:
                    loop.call_later(world.one_way_s(), lambda: answer.done() or answer.set_result(reply))

        if world.random.random() >= world.lost:
            loop.call_later(world.one_way_s(), arrive)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await answer
        except TimeoutError:
            raise StoreAway("lost") from None

    async def levels(self, asks: Sequence[Ask]) -> tuple[int, list[Level]]:
        return await self.world.store.levels(asks)

    async def close(self) -> None:
        pass


class Worker:
    """One process: its limits, what it has in flight, what it was refused."""

    def __init__(self, world: World, config: Any, directory: Path | None = None):
        self.world = world
        self.limits = Limits(world.loop, config, Wire(world), directory=directory, seed=self.seed)
        self.in_flight: list[Reservation] = []
        self.admitted = 0
        self.refused: dict[str, int] = {}
        self.alive = True

    async def seed(self, limit: Limit, since_s: int) -> int:
        await asyncio.sleep(0.01)
        return self.world.settled.get(limit.resource, 0)

    async def request(self, tokens: int, used: int, lasts_s: float) -> bool:
        """One request that reserves `tokens` and uses `used` of them."""
        plan = self.limits.plan(CI, "smart")
        held = plan.take(self.world.loop.time(), 1, tokens, 0, 0)
        if held is None:
            try:
                held = await self.limits.take_slowly(plan, 1, tokens, 0, 0)
            except GatewayError as error:
                self.refused[type(error).__name__] = self.refused.get(type(error).__name__, 0) + 1
                return False
        if not self.alive:
            return False
        self.admitted += 1
        self.in_flight.append(held)
        await asyncio.sleep(lasts_s)
        if self.alive:
            self.in_flight.remove(held)
            self.settle(held, used)
        return True

    def settle(self, held: Reservation, used: int) -> None:
        held.settle(used, 0, 0)
        self.count(1, used)

    def count(self, requests: int, tokens: int) -> None:
        settled = self.world.settled
        settled["requests"] = settled.get("requests", 0) + requests
        settled["tokens"] = settled.get("tokens", 0) + tokens

    def crash(self) -> None:
        """SIGKILL: nothing is told any more, the kernel lets go of the lock. What was in flight was sent, and costs."""
        self.alive = False
        leases = self.limits.leases
        leases.talk.closed = True
        if leases._timer is not None:
            leases._timer.cancel()
        for task in list(leases._tasks):
            task.cancel()
        leases._wake()
        for held in self.in_flight:
            self.count(1, held.held(0))
        if leases._file is not None:
            leases._file.close(told=False)
