"""The lease protocol: how any number of workers spend one limit without asking for each request.

The store (`state.store`) holds, per bucket (a limit in a window), `spent` and what each worker `holds`. A worker holds
what it was granted and has not spent: what is available in its memory, and what requests in flight have reserved.

Invariant
    spent + Σ held ≤ capacity whenever something of a hard limit is granted; so what all workers admit in a window is at
    most the capacity, however many they are.
Why it holds
    1. A grant is at most capacity - spent - Σ held, computed and entered in one script.
    2. A worker admits only out of what it holds (`hotpath._leases`), and what it spends leaves what it holds.
    3. A worker tells how things are (all it ever spent, what it holds), never what changed. A question or an answer
       that is lost or told twice therefore changes nothing: until a worker tells that it holds less, or spent it, the
       store counts what it granted. A worker has one question about a bucket under way at a time, gives up on an
       answer after the timeout, and numbers its questions: one that arrives after a later one is not heard.
    4. Leases end `TTL_S` after the store last heard of the worker. The worker counts from before it asked and stops a
       timeout early, so it never spends what the store has already called off. What a dead worker held of a
       calendar window or a total stays counted until its file is adopted; of a sliding window it becomes spent, and
       comes back with time; slots of concurrency come back whole.
    5. A store that lost what it knew, or may have (it is empty, another process, or has seen fewer calls than a worker
       has), begins a new epoch in that very call, and grants nothing that leases of before could hold until `TTL_S` is
       over: by then each worker has told what it holds, or its leases have ended. What was spent before is asked of the
       caller's `seed`.
What it does not bound: what was settled above its reservation is a debt, carried into the window; and a limit that
fails open admits without the store while it is away.

Slices aim at `held.AHEAD_S` of a bucket's demand where that is a small part of what is free, else at `held.SLICE_S` of
it, and double while they turn out too small; the store cuts them to a share of what is free, down to what one request
needs. Reports carry along what there is to be asked for, and every question the reports that are due soon. Far from the
edge a worker keeps what it does not use for `held.KEEP_S`; close to it, or when another worker found the bucket empty,
it gives back at the next tick what it does not use.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from itertools import islice
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from switchgear.hotpath._leases import Bucket, Slots
from switchgear.limits.buckets import MAX_BUCKETS, Buckets, held_of, limit_of
from switchgear.limits.orphans import LeaseFile, orphans
from switchgear.limits.talk import BEAT_S, TTL_S, Seed, Talk
from switchgear.observability import logs
from switchgear.state.store import Status, Store, Told

if TYPE_CHECKING:
    from switchgear.limits.model import Limit

log = logs.get(__name__)
T = TypeVar("T")

TICK_S = 0.05
PIGGYBACK_S = 0.1
ADOPT_S = 1.0
MAX_UNDER_WAY = 4
LOOKED_AT = 64
AT_ONCE = 1000
"""Buckets in one exchange, unless requests wait for more."""


class Leases:
    """This worker's buckets, and when the store is talked to about them.

    directory: where the file lies that lets another worker adopt what this one held; None keeps it in memory.
    seed: None when nobody knows what was spent before. on_told: called with (limit, answer) of each answer.
    on_exchange: called with whether the store answered.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        store: Store,
        *,
        directory: Path | None = None,
        seed: Seed | None = None,
        on_told: Callable[[Limit, Told], None] | None = None,
        on_exchange: Callable[[bool], None] | None = None,
        ttl_s: float = TTL_S,
        worker: str | None = None,
        max_buckets: int = MAX_BUCKETS,
    ):
        self.loop = loop
        self.store = store
        self.seed = seed
        worker = worker or f"{os.getpid()}-{os.urandom(6).hex()}"
        self._directory = directory
        self._file = LeaseFile(directory, worker, max_buckets) if directory is not None else None
        self.buckets = Buckets(loop, self._file.slots if self._file is not None else Slots(0), max_buckets)
        self.clock = self.buckets.clock
        self.talk = Talk(
            loop, store, self.buckets, worker, ttl_s=ttl_s, seed=seed, on_told=on_told, on_exchange=on_exchange,
            spawn=self._spawn, soon=self._next_round,
        )  # fmt: skip  # what it talks about, then whom it calls
        self._urgent: dict[Bucket, None] = {}  # to be asked for
        self._tasks: set[asyncio.Task[Any]] = set()
        self._under_way = 0
        self._round: asyncio.Future[None] | None = None
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._swept_at = 0.0
        self._adopt_at = 0.0
        self._adopting = False

    # Life

    async def start(self) -> None:
        """Make the store's acquaintance, wait until a new one grants, adopt what the dead left. A store that is away is
        no reason to fail: limits then do as they declare."""
        await self.talk.exchange([])
        if self.talk.heard and self.talk.settling_s > 0:
            await asyncio.sleep(self.talk.settling_s)
        await self._adopt()
        self._tick()

    async def stop(self) -> None:
        """Give everything back and tell what was spent. Reservations that end later are not told any more."""
        self.talk.closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        every = self.buckets.every()
        for bucket in every:
            bucket.withdraw(bucket.available)
            bucket.ends_at = -inf
        owing = [bucket for bucket in every if held_of(bucket).heard or bucket.spent]
        told = await self.talk.exchange(owing, last=True)
        self._wake()
        if self._file is not None:
            self._file.close(told=told)
        await self.store.close()

    @property
    def away(self) -> bool:
        """Whether the store cannot be asked: it failed lately and is left alone, or this has stopped."""
        return self.talk.away

    # Asking for more

    async def refill(self, short: list[tuple[Bucket, int]]) -> None:
        """Ask for so much of each bucket; returns when there is news, good or bad.

        All that is asked for in one turn of the loop goes to the store in one exchange.
        """
        if self.away:
            return
        asked = []
        for bucket, amount in short:
            held = held_of(bucket)
            missing = max(1, amount - bucket.available)
            held.least = min(held.least or missing, missing)
            held.need += missing
            asked.append((bucket, held, missing, bucket.seq))
            self._urgent[bucket] = None
        try:
            await asyncio.shield(self._next_round())
        finally:
            for bucket, held, missing, seq in asked:
                if bucket.seq == seq:  # another question about it was under way: it is asked for again, or not at all
                    held.need -= missing
                    held.least = held.least if held.need else 0

    def _next_round(self) -> asyncio.Future[None]:
        """Done when what is due has been asked."""
        if self._round is None:
            self._round = self.loop.create_future()
        self._schedule()
        return self._round

    def _schedule(self) -> None:
        if not self._scheduled and not self.talk.closed:
            self._scheduled = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Send what is due. What is under way already waits for its answer."""
        self._scheduled = False
        if self.away:
            self.buckets.due.clear()
            self._urgent.clear()
            self._wake()
            return
        if self._under_way >= MAX_UNDER_WAY:
            return  # `finished` comes back here
        # Those that requests wait for, then what is only to be told.
        due, urgent = self.buckets.due, self._urgent
        ready = [bucket for bucket in urgent if not held_of(bucket).asking]
        room = max(0, AT_ONCE - len(ready))
        ready += [bucket for bucket in islice(due, room) if bucket not in urgent and not held_of(bucket).asking]
        if not ready:
            return
        for bucket in ready:
            urgent.pop(bucket, None)
            due.pop(bucket, None)
        asked = set(ready)
        now = self.loop.time()
        for bucket in islice(reversed(self.buckets.watched), LOOKED_AT if room else 0):  # the newest changes go along
            held = held_of(bucket)
            if bucket not in asked and not held.asking and held.has_news(bucket) and now - held.told_at >= PIGGYBACK_S:
                ready.append(bucket)
        round_, self._round = self._round, None
        self._send(ready, round_)

    def _send(self, buckets: list[Bucket], round_: asyncio.Future[None] | None) -> None:
        """An exchange of its own. What follows it is a callback, which is called too when it never began."""

        def finished(_: asyncio.Task[bool]) -> None:
            self._under_way -= 1
            if round_ is not None and not round_.done():
                round_.set_result(None)
            if self.buckets.due or self._urgent:
                self._schedule()

        self._under_way += 1
        self._spawn(self.talk.exchange(buckets)).add_done_callback(finished)

    def _wake(self) -> None:
        if self._round is not None and not self._round.done():
            self._round.set_result(None)
        self._round = None

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Ticking

    def _tick(self) -> None:
        """Every `TICK_S`: what was touched is looked at, what is idle goes back, what is due is told."""
        if self.talk.closed:
            return
        now, buckets = self.loop.time(), self.buckets
        self._timer = self.loop.call_later(TICK_S, self._tick)
        touched, self.clock.touched = self.clock.touched, []
        for bucket in touched:
            bucket.untouch()
            if bucket in buckets.ended:
                buckets.due[bucket] = None
            else:
                buckets.watch(bucket)
                self._look_at(bucket, now)
        # The others in turn, the longest unseen first: all of a few at each tick, of many a tenth.
        for bucket in list(islice(buckets.watched, max(LOOKED_AT, len(buckets.watched) // 10))):
            if bucket in buckets.watched and held_of(bucket).looked_at < now:
                buckets.watch(bucket)
                self._look_at(bucket, now)
        if now >= self._swept_at:
            self._sweep(now)
        if buckets.due:
            self._next_round()
        elif self._must_beat(now):
            self._send([], None)

    def _look_at(self, bucket: Bucket, now: float) -> None:
        held, buckets = held_of(bucket), self.buckets
        if now >= bucket.ends_at:
            buckets.end(bucket)
            buckets.watched.pop(bucket, None)
            if bucket in buckets.ended:
                buckets.due[bucket] = None
            return
        giving, asking = held.look(bucket, now)
        if giving:
            bucket.withdraw(giving)
        unsure = held.status in (Status.SETTLING, Status.UNSEEDED)  # until the store has counted what was before
        differs = held.has_news(bucket)
        owes = (unsure or differs) and held.report_due(now, limit_of(bucket).capacity)
        if (giving or asking or owes) and not held.asking:
            buckets.due[bucket] = None
        quiet = not (unsure or differs or bucket.available or bucket in buckets.due)
        if quiet and held.idle(now):
            buckets.watched.pop(bucket, None)

    def _sweep(self, now: float) -> None:
        self._swept_at = now + BEAT_S
        self.buckets.sweep(now)
        if self._directory is not None and now >= self._adopt_at:
            self._adopt_at = now + ADOPT_S
            self._spawn(self._adopt())

    def _must_beat(self, now: float) -> bool:
        return not self.store.alone and now >= self.talk.beat_at and not self._under_way and not self.away

    # The dead

    async def _adopt(self) -> None:
        """Tell what dead workers of this host had spent, and give back what they held."""
        if self._directory is None or self.away or self._adopting:
            return
        self._adopting = True
        try:
            own = self._file.path if self._file is not None else None
            for orphan in orphans(self._directory, own):
                told = False
                try:
                    told = await self.talk.tell_of_dead(orphan.worker, orphan.asks)
                finally:
                    orphan.close(told=told)
                if not told:
                    break
                log.info("adopted the leases of a dead worker", worker=orphan.worker, buckets=len(orphan.asks))
        finally:
            self._adopting = False
