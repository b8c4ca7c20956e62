"""The store of one process: what `lua/exchange.lua` does, over a dictionary.

A bucket that is as good as new (a sliding one that is full, a window that is long over) is forgotten when it is next
come across; every exchange looks at a few.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from uuid import uuid4

from switchgear.state.steps import STEPS, credited
from switchgear.state.store import Ask, Kind, Level, Reply, Status, Told

WANTED_MS = 300
DAY_MS = 86_400_000
_LOOKED_AT = 4  # buckets per exchange that may be forgotten


class _Record:
    """What a worker last told."""

    __slots__ = ("held", "reserved", "seq", "spent")

    def __init__(self, seq: int, spent: int, held: int, reserved: int):
        self.seq, self.spent, self.held, self.reserved = seq, spent, held, reserved


class _Bucket:
    """The fields of the hash in `exchange.lua`, by their names there."""

    __slots__ = (
        "anchor_ms",
        "capacity",
        "end_ms",
        "epoch_ms",
        "fired",
        "held",
        "kind",
        "reserved",
        "spent",
        "steps",
        "told",
        "unseeded",
        "wanted_ms",
        "window_ms",
        "workers",
    )

    def __init__(self, ask: Ask, now_ms: int):
        self.kind, self.window_ms, self.end_ms, self.capacity = ask.kind, ask.window_ms, ask.end_ms, ask.capacity
        self.spent = self.held = self.reserved = self.steps = self.fired = self.wanted_ms = self.told = 0
        self.anchor_ms = now_ms
        self.epoch_ms = 0
        self.unseeded = False
        self.workers: dict[str, _Record] = {}

    def credit(self, capacity: int, now_ms: int) -> None:
        """The steps of a sliding bucket that have gone by."""
        steps = (now_ms - self.anchor_ms) * STEPS // self.window_ms
        if steps > self.steps:
            self.spent = max(0, self.spent - (credited(capacity, steps) - credited(capacity, self.steps)))
            self.steps = steps

    def next_ms(self, now_ms: int) -> int:
        """Until the next step; 0 when there is nothing to come back."""
        if self.kind is not Kind.SLIDING or self.spent == 0:
            return 0
        return max(0, -(-(self.steps + 1) * self.window_ms // STEPS) - (now_ms - self.anchor_ms))


class MemoryStore:
    """now_ms: Unix time in ms. alone: whether one process has it to itself; tests share one between several."""

    def __init__(self, now_ms: Callable[[], int] = lambda: int(time.time() * 1000), *, alone: bool = True):
        self.alone = alone
        self._now_ms = now_ms
        self._token = uuid4().hex[:16]
        self._run = self._epoch_run = uuid4().hex  # a copy that takes the place of the store gets another one
        self._epoch_ms = now_ms()
        self._calls = 0
        self._buckets: dict[str, _Bucket] = {}
        self._live: dict[str, int] = {}
        self._to_look_at: list[str] = []

    def __len__(self) -> int:
        return len(self._buckets)

    async def exchange(self, worker: str, ttl_ms: int, settle_ms: int, seen: int, asks: Sequence[Ask]) -> Reply:
        """As `Store.exchange`; never away, and never lets another task run."""
        return self.exchange_now(worker, ttl_ms, settle_ms, seen, asks)

    def exchange_now(self, worker: str, ttl_ms: int, settle_ms: int, seen: int, asks: Sequence[Ask]) -> Reply:
        """`exchange` without a coroutine."""
        now_ms = self._now_ms()
        self._calls += 1
        if self._calls <= seen or self._run != self._epoch_run:
            self._token, self._epoch_run, self._epoch_ms = uuid4().hex[:16], self._run, now_ms
            self._calls = max(self._calls, seen + 1)
        if ttl_ms > 0:
            self._live[worker] = now_ms + ttl_ms
            if len(self._live) > 1:
                self._live = {name: until for name, until in self._live.items() if until >= now_ms - DAY_MS}
        else:
            self._live.pop(worker, None)
        self._forget_some(now_ms)
        told = [self._exchange(worker, ttl_ms, settle_ms, ask, now_ms) for ask in asks]
        return Reply(now_ms, f"{self._token}:{self._epoch_ms}", self._epoch_ms, self._calls, told)

    async def levels(self, asks: Sequence[Ask]) -> tuple[int, list[Level]]:
        """As `Store.levels`."""
        now_ms = self._now_ms()
        return now_ms, [self._level(ask, now_ms) for ask in asks]

    async def close(self) -> None:
        """Nothing to let go of."""

    def _level(self, ask: Ask, now_ms: int) -> Level:
        bucket = self._buckets.get(ask.key)
        if bucket is None:
            return Level()
        if ask.kind is Kind.SLIDING:
            bucket.credit(ask.capacity, now_ms)
        return Level(True, bucket.spent, bucket.held, bucket.reserved, bucket.next_ms(now_ms))

    def _exchange(self, worker: str, ttl_ms: int, settle_ms: int, ask: Ask, now_ms: int) -> Told:
        if ask.start_ms > now_ms:
            return Told(Status.EARLY)
        bucket = self._buckets.get(ask.key)
        over = 0 < ask.end_ms <= now_ms
        if bucket is None:
            if over:
                return Told(Status.OVER)
            if ttl_ms == 0:
                return Told(Status.OK)  # who is gone begins nothing
            bucket = self._buckets[ask.key] = _Bucket(ask, now_ms)
        if bucket.epoch_ms != self._epoch_ms:  # new, or from before a loss
            bucket.epoch_ms = self._epoch_ms
            bucket.unseeded = bucket.unseeded or self._has_past(ask, now_ms)
        record = bucket.workers.get(worker)
        if record is None:
            record = bucket.workers[worker] = _Record(0, ask.acked, 0, 0)
            bucket.told += ask.acked - ask.base
        elif ask.seq <= record.seq:
            return Told(Status.STALE)
        self._hear(bucket, record, ask, now_ms)
        status = self._status(bucket, ask, over, settle_ms, now_ms)
        granted = 0
        if status is Status.OK and ask.want > 0:
            granted = self._grant(bucket, worker, ask, now_ms)
            record.held += granted
            bucket.held += granted
        fired = bucket.fired
        if status not in (Status.UNSEEDED, Status.SETTLING):
            bucket.fired = max(fired, sum(1 for threshold in ask.thresholds if bucket.spent >= threshold))
        idle = (bucket.held - bucket.reserved) - (record.held - record.reserved)
        return Told(
            status,
            granted,
            bucket.spent,
            bucket.held,
            bucket.reserved,
            max(0, idle),
            bucket.next_ms(now_ms),
            bucket.wanted_ms > now_ms,
            fired,
            bucket.fired,
        )

    def _has_past(self, ask: Ask, now_ms: int) -> bool:
        if ask.kind is Kind.SLIDING:
            return now_ms - self._epoch_ms < ask.window_ms
        return ask.kind is Kind.FIXED and ask.start_ms < self._epoch_ms

    def _hear(self, bucket: _Bucket, record: _Record, ask: Ask, now_ms: int) -> None:
        if ask.kind is Kind.SLIDING and ask.window_ms > 0:  # 0: from who adopts a lease and knows no more of the limit
            bucket.capacity = ask.capacity
            bucket.credit(ask.capacity, now_ms)
        more = max(0, ask.spent - max(record.spent, ask.base))
        bucket.spent += more
        bucket.told += more
        bucket.held += ask.have - record.held
        bucket.reserved += ask.reserved - record.reserved
        record.seq, record.spent, record.held, record.reserved = ask.seq, ask.spent, ask.have, ask.reserved
        if ask.kind is Kind.SLIDING and bucket.spent == 0 and bucket.held == 0:
            bucket.anchor_ms, bucket.steps = now_ms, 0

    def _status(self, bucket: _Bucket, ask: Ask, over: bool, settle_ms: int, now_ms: int) -> Status:
        if over:
            return Status.OVER
        if now_ms < self._epoch_ms + settle_ms and (ask.kind is Kind.SLOTS or self._has_past(ask, now_ms)):
            return Status.SETTLING
        if bucket.unseeded:
            if ask.seed < 0:
                return Status.UNSEEDED
            told = bucket.told if ask.kind is Kind.FIXED else 0
            bucket.spent, bucket.unseeded = max(ask.seed, bucket.spent, told), False
        return Status.OK

    def _grant(self, bucket: _Bucket, worker: str, ask: Ask, now_ms: int) -> int:
        if ask.kind is not Kind.FIXED and ask.capacity - bucket.spent - bucket.held < ask.least:
            self._reclaim(bucket, worker, now_ms)
        free = ask.capacity - bucket.spent - bucket.held
        if free < ask.least or free <= 0:
            bucket.wanted_ms = now_ms + WANTED_MS
            return 0
        live = sum(1 for until in self._live.values() if until >= now_ms)
        share = max(ask.least, free // live) if live > 1 else free
        return min(ask.want, share)

    def _reclaim(self, bucket: _Bucket, worker: str, now_ms: int) -> None:
        for name, record in bucket.workers.items():
            if name != worker and record.held + record.reserved and self._live.get(name, -1) < now_ms:
                bucket.held -= record.held
                bucket.reserved -= record.reserved
                if bucket.kind is Kind.SLIDING:
                    bucket.spent += record.held
                record.held = record.reserved = 0

    def _forget_some(self, now_ms: int) -> None:
        if not self._to_look_at:
            self._to_look_at = list(self._buckets)
        for _ in range(min(_LOOKED_AT, len(self._to_look_at))):
            key = self._to_look_at.pop()
            bucket = self._buckets.get(key)
            if bucket is not None and self._is_as_new(bucket, now_ms):
                del self._buckets[key]

    def _is_as_new(self, bucket: _Bucket, now_ms: int) -> bool:
        if bucket.held or bucket.unseeded:
            return False
        if bucket.kind is Kind.SLIDING:
            # Within its first window the store would ask what was spent before it began.
            if now_ms - self._epoch_ms < bucket.window_ms:
                return False
            bucket.credit(bucket.capacity, now_ms)
            return bucket.spent == 0
        return bucket.kind is Kind.SLOTS or 0 < bucket.end_ms < now_ms - DAY_MS
