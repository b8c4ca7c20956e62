"""What a worker says to the store about its buckets, and what an answer, or none, changes.

One `exchange` is one question about any number of buckets. The protocol and why it holds: `leases`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from math import inf
from typing import TYPE_CHECKING, Any

from switchgear.limits.buckets import Buckets, held_of, kind_of, limit_of
from switchgear.observability import logs
from switchgear.state.store import Ask, Reply, Status, Store, StoreAway, Told

if TYPE_CHECKING:
    from switchgear.hotpath._leases import Bucket
    from switchgear.limits.model import Limit

log = logs.get(__name__)

Seed = Callable[["Limit", int], Awaitable[int]]
"""What was spent of a limit since that Unix time (seconds; 0: ever), as the ledger knows it."""

BEAT_S = 0.5
TTL_S = 2.0
TIMEOUT_S = 0.25
"""Of a store's answer; what `Store.exchange` keeps to."""
SEED_S = 5.0
BACKOFF_S = (0.1, 2.0)
"""After a failure the store is left alone for the first, doubled with each further one up to the second."""
UNKNOWN = -1
SEEDS = 4
"""How many counters are asked for at a time when many are lost: each question reads the ledger."""
SEED_FRESH_S = 1.0
"""A seed that could not be told for so long is asked for again: more was spent since."""
_SECOND_MS = 1000


class Talk:
    """seed, on_told, on_exchange: as in `Leases`. on_first: called at the store's first answer. spawn: begins a task
    that ends with the leases. soon: called when something became due outside a tick.

    worker: its name to the store. exchanges, failures: how many there were. closed: there is nothing more to say.
    heard: the store has answered once. settling_s: how long a new store grants nothing yet, as it last said. beat_at:
    when the store has to hear again that the worker lives, loop time. away_since: when the first question failed, None
    while the store answers.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        store: Store,
        buckets: Buckets,
        worker: str,
        *,
        ttl_s: float,
        seed: Seed | None,
        on_told: Callable[[Limit, Told], None] | None,
        on_exchange: Callable[[bool], None] | None,
        on_first: Callable[[], None] | None,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        soon: Callable[[], object],
    ):
        self.worker = worker
        self.exchanges = 0
        self.failures = 0
        self.closed = False
        self.heard = False
        self.settling_s = 0.0
        self.beat_at = 0.0
        self.away_since: float | None = None
        self._loop = loop
        self._store = store
        self._buckets = buckets
        self._seed_of = seed
        self._on_told, self._on_exchange, self._on_first = on_told, on_exchange, on_first
        self._spawn, self._soon = spawn, soon
        self._ttl_ms = int(ttl_s * 1000)
        self._settle_ms = 0 if store.alone else self._ttl_ms + 100
        self._epoch = ""
        self._seeds = asyncio.Semaphore(SEEDS)
        self._calls = 0
        self._seq = 0
        self._rest_until = 0.0  # after a failure the store is left alone till then
        self._backoff_s = BACKOFF_S[0]

    @property
    def away(self) -> bool:
        """Whether no request should wait for the store: the last question failed, or there is nothing more to say.
        Whether it is back is found out by questions that nobody waits for."""
        return self.closed or self.away_since is not None

    @property
    def rests(self) -> bool:
        """Whether the store is to be left alone: it failed a moment ago, or there is nothing more to say."""
        return self.closed or self._loop.time() < self._rest_until

    async def exchange(self, buckets: list[Bucket], *, last: bool = False) -> bool:
        """One exchange about buckets that no other is about. Whether the store heard it."""
        sent_at = self._loop.time()
        if sent_at >= self._buckets.clock.until and not self._store.alone:
            self._buckets.void()
        asks = [self._ask(bucket, sent_at) for bucket in buckets]
        self.beat_at = sent_at + BEAT_S
        self.exchanges += 1
        try:
            ttl_ms = 0 if last else self._ttl_ms
            reply = await self._store.exchange(self.worker, ttl_ms, self._settle_ms, self._calls, asks)
        except StoreAway as error:
            for bucket in buckets:
                held_of(bucket).have = UNKNOWN  # it may have been heard, and something granted
            self._failed(error)
            return False
        finally:
            for bucket in buckets:
                held_of(bucket).asking = False
        self._hear(reply, sent_at)
        for bucket, ask, told in zip(buckets, asks, reply.told, strict=True):
            self._apply(bucket, ask, told)
        return True

    async def tell_of_dead(self, worker: str, asks: list[Ask]) -> bool:
        """Tell what a dead worker had spent, and that it is gone. Whether the store heard it."""
        try:
            await self._store.exchange(worker, 0, self._settle_ms, self._calls, asks)
        except StoreAway as error:
            self._failed(error)
            return False
        return True

    def _ask(self, bucket: Bucket, now: float) -> Ask:
        held, limit = held_of(bucket), limit_of(bucket)
        self._seq += 1
        if held.seed >= 0 and now - held.seeded_at > SEED_FRESH_S:
            held.seed = -1
        bucket.number(self._seq)
        held.asking = True
        want = held.want(bucket, now) if bucket.hard and now < bucket.ends_at else 0
        least, held.least, held.need = min(held.least or 1, want), 0, 0
        return Ask(
            held.key,
            kind_of(limit),
            limit.capacity,
            limit.window.length_ms,
            held.start_s * _SECOND_MS,
            held.end_s * _SECOND_MS,
            self._seq,
            held.base,
            held.acked,
            bucket.spent,
            bucket.available + bucket.reserved,
            bucket.reserved,
            least,
            want,
            held.seed if self._seed_of is not None else 0,
            limit.thresholds,
        )

    def _failed(self, error: StoreAway) -> None:
        self.failures += 1
        if self._on_exchange is not None:
            self._on_exchange(False)
        if self.away_since is None:
            self.away_since = self._loop.time()
            log.warning("the shared state is away: limits do as `fail` says", error=str(error))
        self._rest_until = self._loop.time() + self._backoff_s
        self._backoff_s = min(self._backoff_s * 2, BACKOFF_S[1])

    def _hear(self, reply: Reply, sent_at: float) -> None:
        """What every answer says: the time, that the leases go on, whether the store is still the one of before."""
        if self.away_since is not None:
            self.away_since, self._rest_until, self._backoff_s = None, 0.0, BACKOFF_S[0]
            log.info("the shared state is back")
        self._calls = max(self._calls, reply.calls)
        if self._on_exchange is not None:
            self._on_exchange(True)
        # The store looked at its clock after the question was sent: its time is at most this much ahead.
        self._buckets.offset_s = reply.now_ms / _SECOND_MS - sent_at
        clock = self._buckets.clock
        clock.until = inf if self._store.alone else max(clock.until, sent_at + self._ttl_ms / 1000 - TIMEOUT_S)
        if not self.heard and self._on_first is not None:
            self._on_first()
        self.heard = True
        self.settling_s = max(0.0, (reply.epoch_ms + self._settle_ms - reply.now_ms) / _SECOND_MS)
        if reply.epoch != self._epoch:
            if self._epoch:
                log.warning("the shared state lost what it knew: counters are rebuilt")
                for bucket in self._buckets.every():
                    held_of(bucket).seed = -1
                self._tell_everything()
            self._epoch = reply.epoch

    def _apply(self, bucket: Bucket, ask: Ask, told: Told) -> None:
        """What an answer says of one bucket."""
        held, limit, buckets = held_of(bucket), limit_of(bucket), self._buckets
        now = self._loop.time()
        held.hear(ask, told, limit.capacity, now)
        bucket.free = held.free
        if told.status is Status.STALE:
            return
        if told.status is Status.EARLY:
            held.dry_until = 0.0
            return
        if told.granted:
            bucket.grant(told.granted)
            if now >= bucket.ends_at:
                bucket.withdraw(told.granted)
        if told.status is Status.OVER:
            bucket.withdraw(bucket.available)
            bucket.ends_at = -inf
            buckets.end(bucket)
        if bucket in buckets.ended and not bucket.reserved and bucket.spent == held.acked:
            del buckets.ended[bucket]
        elif bucket not in buckets.ended and bucket.ends_at > now:
            buckets.watched[bucket] = None
        if told.status is Status.UNSEEDED and self._seed_of is not None and not held.seeding:
            held.seeding = True
            self._spawn(self._seed(bucket, self._seed_of))
        if self._on_told is not None:
            self._on_told(limit, told)

    async def _seed(self, bucket: Bucket, seed_of: Seed) -> None:
        """Ask the caller what was spent before the store was new."""
        held, limit = held_of(bucket), limit_of(bucket)
        length_s = limit.window.length_ms // _SECOND_MS
        try:
            async with self._seeds:
                epoch = self._epoch
                since_s = int(self._buckets.now_s()) - length_s if length_s else held.start_s
                async with asyncio.timeout(SEED_S):
                    seed = max(0, await seed_of(limit, since_s))
            if epoch == self._epoch:  # else it is of before another loss
                held.seed, held.seeded_at = seed, self._loop.time()
            self._buckets.due[bucket] = None
            self._soon()
        except Exception as error:  # whatever the ledger is made of: the limit does as `fail` says until it answers
            log.warning("what was spent before is not known", limit=limit.id, error=type(error).__name__)
            await asyncio.sleep(1.0)
        finally:
            held.seeding = False

    def _tell_everything(self) -> None:
        for bucket in self._buckets.every():
            if bucket.available or bucket.reserved or bucket.spent > held_of(bucket).base:
                self._buckets.due[bucket] = None
        self._soon()
