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

Slices aim at `SLICE_S` of a bucket's demand and double while they turn out too small; the store cuts them to a share of
what is free, down to what one request needs. Far from the edge a worker keeps what it does not use for `KEEP_S`; close
to it, or when another worker found the bucket empty, it gives back at the next tick what it does not use.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from itertools import islice
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from switchgear.hotpath._leases import Bucket, Clock, LimitSet, Slots
from switchgear.limits.held import Held
from switchgear.limits.orphans import LeaseFile, orphans
from switchgear.observability import logs
from switchgear.state.store import Ask, Kind, Reply, Status, Store, StoreAway, Told

if TYPE_CHECKING:
    from switchgear.limits.model import Limit

log = logs.get(__name__)
T = TypeVar("T")

Seed = Callable[["Limit", int], Awaitable[int]]
"""What was spent of a limit since that Unix time (seconds; 0: ever), as the ledger knows it."""

TICK_S = 0.05
BEAT_S = 0.5
TTL_S = 2.0
TIMEOUT_S = 0.25
"""Of a store's answer; what `Store.exchange` keeps to."""
REPORT_S = 0.25
PIGGYBACK_S = 0.1
IDLE_S = 60.0
ADOPT_S = 1.0
SEED_S = 5.0
BACKOFF_S = (0.1, 2.0)
"""After a failure the store is left alone for the first, doubled with each further one up to the second."""
MAX_BUCKETS = 16_384
"""About a kilobyte each: of 100,000 keys those in use are in memory, the others only declared."""
MAX_UNDER_WAY = 4
LOOKED_AT = 64
AT_ONCE = 1000
"""Buckets in one exchange, unless requests wait for more."""
_SECOND_MS = 1000


class Leases:
    """This worker's buckets, and the talk with the store about them.

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
        self.on_told = on_told
        self.on_exchange = on_exchange
        self.worker = worker or f"{os.getpid()}-{os.urandom(6).hex()}"
        self.clock = Clock()
        self.exchanges = 0  # how many calls there were
        self.failures = 0
        self._directory = directory
        self._file = LeaseFile(directory, self.worker, max_buckets) if directory is not None else None
        self._slots = self._file.slots if self._file is not None else Slots(0)
        self._max_buckets = self._room = max_buckets
        self._ttl_ms = int(ttl_s * 1000)
        self._settle_ms = 0 if store.alone else self._ttl_ms + 100
        self._buckets: dict[str, Bucket] = {}  # by limit id, the least recently opened first
        self._ended: dict[Bucket, None] = {}  # of windows that are over, until everything is told
        self._watched: dict[Bucket, None] = {}
        self._due: dict[Bucket, None] = {}  # to be told
        self._urgent: dict[Bucket, None] = {}  # to be asked for
        self._tasks: set[asyncio.Task[Any]] = set()
        self._under_way = 0
        self._round: asyncio.Future[None] | None = None
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self._epoch = ""
        self._calls = 0
        self._seq = 0
        self._base = 0  # at least what any bucket that was put away had spent
        self._offset_s = 0.0  # the store's Unix time minus loop time: never less than it is
        self._heard = False
        self._beat_at = 0.0
        self._swept_at = 0.0
        self._adopt_at = 0.0
        self._put_away_at = 0.0
        self._away_until = 0.0
        self._backoff_s = BACKOFF_S[0]
        self._settling_s = 0.0
        self._floor_s = 0  # the latest end of a window that was seen
        self._adopting = False

    # Life

    async def start(self) -> None:
        """Make the store's acquaintance, wait until a new one grants, adopt what the dead left. A store that is away is
        no reason to fail: limits then do as they declare."""
        await self._exchange([])
        if self._heard and self._settling_s > 0:
            await asyncio.sleep(self._settling_s)
        await self._adopt()
        self._tick()

    async def stop(self) -> None:
        """Give everything back and tell what was spent. Reservations that end later are not told any more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for bucket in [*self._buckets.values(), *self._ended]:
            bucket.withdraw(bucket.available)
            bucket.ends_at = -inf
        owing = [bucket for bucket in [*self._buckets.values(), *self._ended] if _held(bucket).heard or bucket.spent]
        told = await self._exchange(owing, last=True)
        self._wake()
        if self._file is not None:
            self._file.close(told=told)
        await self.store.close()

    # Buckets

    def bucket(self, limit: Limit) -> Bucket:
        """The bucket of a limit in the present window, a new one when there is none."""
        found = self._buckets.get(limit.id)
        if found is not None:
            if self.loop.time() < found.ends_at:
                return found
            self._end(limit.id, found)
        return self._open(limit)

    def redeclare(self, limit: Limit) -> None:
        """A reload declared the limit again, perhaps with another capacity: what was counted stays."""
        found = self._buckets.get(limit.id)
        if found is not None:
            found.limit = limit

    def now_s(self) -> float:
        """The store's Unix time, never late: an upper estimate."""
        return self.loop.time() + self._offset_s

    @property
    def away(self) -> bool:
        """Whether the store cannot be asked: it failed lately and is left alone, or this has stopped."""
        return self._stopped or self.loop.time() < self._away_until

    def _open(self, limit: Limit) -> Bucket:
        # A window that was seen to end does not come back, however the estimate of the store's time moves.
        start_s, end_s = limit.window.bounds(max(self.now_s(), self._floor_s))
        ends_at = end_s - self._offset_s if end_s else inf
        key = limit.key(start_s)
        bucket = Bucket(
            self.clock, self._slots, limit, key, limit.code, limit.hard, int(kind_of(limit)), ends_at, self._base
        )
        bucket.state = Held(key, start_s, end_s, self._base, self.loop.time())
        self._buckets[limit.id] = bucket
        if len(self._buckets) > self._room:
            self._put_away(self.loop.time(), force=True)
            # Where little can be put away, it is not tried again for each that is opened.
            self._room = max(self._max_buckets, len(self._buckets) + self._max_buckets // 16)
        return bucket

    def _end(self, name: str, bucket: Bucket) -> None:
        """Its window is over, or seems to be: what is available is void, what was spent there is told there."""
        del self._buckets[name]
        self._watched.pop(bucket, None)
        self._floor_s = max(self._floor_s, _held(bucket).end_s)
        bucket.withdraw(bucket.available)
        if bucket.reserved or bucket.spent != _held(bucket).acked or _held(bucket).heard:
            self._ended[bucket] = None

    def _put_away(self, now: float, *, force: bool = False) -> None:
        """Forget buckets that hold nothing and have nothing to tell. force: also those used a moment ago, some."""
        few = self._max_buckets * 7 // 8
        for name, bucket in list(islice(self._buckets.items(), self._max_buckets // 2 if force else None)):
            held = _held(bucket)
            if force and len(self._buckets) <= few:
                break
            if not force and now - held.used_at < IDLE_S:
                continue
            if bucket.available or bucket.reserved or held.asking or held.need or bucket.spent != held.acked:
                continue
            bucket.ends_at = -inf  # sets that still name it ask for another one
            self._base = max(self._base, bucket.spent)
            del self._buckets[name]
            self._watched.pop(bucket, None)

    # Asking for more

    async def refill(self, short: list[tuple[Bucket, int]]) -> None:
        """Ask for so much of each bucket; returns when there is news, good or bad.

        All that is asked for in one turn of the loop goes to the store in one exchange.
        """
        if self.away:
            return
        asked = []
        for bucket, amount in short:
            held = _held(bucket)
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
        if not self._scheduled and not self._stopped:
            self._scheduled = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Send what is due. What is under way already waits for its answer."""
        self._scheduled = False
        if self.away:
            self._due.clear()
            self._urgent.clear()
            self._wake()
            return
        if self._under_way >= MAX_UNDER_WAY:
            return  # `finished` comes back here
        # Those that requests wait for, then what is only to be told.
        ready = [bucket for bucket in self._urgent if not _held(bucket).asking]
        room = max(0, AT_ONCE - len(ready))
        ready += [
            bucket for bucket in islice(self._due, room) if bucket not in self._urgent and not _held(bucket).asking
        ]
        if not ready:
            return
        for bucket in ready:
            self._urgent.pop(bucket, None)
            self._due.pop(bucket, None)
        asked = set(ready)
        now = self.loop.time()
        for bucket in islice(reversed(self._watched), LOOKED_AT if room else 0):  # the newest changes go along
            held = _held(bucket)
            fresh = now - held.told_at < PIGGYBACK_S
            if bucket not in asked and bucket.spent != held.acked and not fresh and not held.asking:
                ready.append(bucket)
        round_, self._round = self._round, None
        self._send(ready, round_)

    def _send(self, buckets: list[Bucket], round_: asyncio.Future[None] | None) -> None:
        """An exchange of its own. What follows it is a callback, which is called too when it never began."""

        def finished(_: asyncio.Task[bool]) -> None:
            self._under_way -= 1
            if round_ is not None and not round_.done():
                round_.set_result(None)
            if self._due or self._urgent:
                self._schedule()

        self._under_way += 1
        self._spawn(self._exchange(buckets)).add_done_callback(finished)

    def _wake(self) -> None:
        if self._round is not None and not self._round.done():
            self._round.set_result(None)
        self._round = None

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Talking

    async def _exchange(self, buckets: list[Bucket], *, last: bool = False) -> bool:
        """One exchange about buckets that no other is about. Whether the store heard it."""
        sent_at = self.loop.time()
        if sent_at >= self.clock.until and not self.store.alone:
            self._void()
        asks = [self._ask(bucket, sent_at) for bucket in buckets]
        self._beat_at = sent_at + BEAT_S
        self.exchanges += 1
        try:
            ttl_ms = 0 if last else self._ttl_ms
            reply = await self.store.exchange(self.worker, ttl_ms, self._settle_ms, self._calls, asks)
        except StoreAway as error:
            self._failed(error)
            return False
        finally:
            for bucket in buckets:
                _held(bucket).asking = False
        self._hear(reply, sent_at)
        for bucket, ask, told in zip(buckets, asks, reply.told, strict=True):
            self._apply(bucket, ask, told, reply)
        return True

    def _ask(self, bucket: Bucket, now: float) -> Ask:
        held, limit = _held(bucket), _limit(bucket)
        self._seq += 1
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
            held.seed if self.seed is not None else 0,
            limit.thresholds,
        )

    def _failed(self, error: StoreAway) -> None:
        self.failures += 1
        if self.on_exchange is not None:
            self.on_exchange(False)
        if not self.away:
            log.warning("the shared state is away: limits do as `fail` says", error=str(error))
        self._away_until = self.loop.time() + self._backoff_s
        self._backoff_s = min(self._backoff_s * 2, BACKOFF_S[1])

    def _hear(self, reply: Reply, sent_at: float) -> None:
        """What every answer says: the time, that the leases go on, whether the store is still the one of before."""
        if self._away_until:
            self._away_until, self._backoff_s = 0.0, BACKOFF_S[0]
            log.info("the shared state is back")
        self._calls = max(self._calls, reply.calls)
        if self.on_exchange is not None:
            self.on_exchange(True)
        # The store looked at its clock after the question was sent: its time is at most this much ahead.
        self._offset_s = reply.now_ms / _SECOND_MS - sent_at
        self.clock.until = max(self.clock.until, sent_at + self._ttl_ms / 1000 - TIMEOUT_S)
        if self.store.alone:
            self.clock.until = inf
        self._heard = True
        self._settling_s = max(0.0, (reply.epoch_ms + self._settle_ms - reply.now_ms) / _SECOND_MS)
        if reply.epoch != self._epoch:
            if self._epoch:
                log.warning("the shared state lost what it knew: counters are rebuilt")
                self._tell_everything()
            self._epoch = reply.epoch

    def _apply(self, bucket: Bucket, ask: Ask, told: Told, reply: Reply) -> None:
        held, limit = _held(bucket), _limit(bucket)
        now = self.loop.time()
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
            if self._buckets.get(limit.id) is bucket:
                self._end(limit.id, bucket)
        if bucket in self._ended and not bucket.reserved and bucket.spent == held.acked:
            del self._ended[bucket]
        elif bucket not in self._ended and bucket.ends_at > now:
            self._watched[bucket] = None
        if told.status is Status.UNSEEDED and self.seed is not None and not held.seeding:
            held.seeding = True
            self._spawn(self._seed(bucket))
        if self.on_told is not None:
            self.on_told(limit, told)

    async def _seed(self, bucket: Bucket) -> None:
        """Ask the caller what was spent before the store was new."""
        held, limit = _held(bucket), _limit(bucket)
        length_s = limit.window.length_ms // _SECOND_MS
        since_s = int(self.now_s()) - length_s if length_s else held.start_s
        try:
            async with asyncio.timeout(SEED_S):
                assert self.seed is not None  # noqa: S101 - asked by the only caller
                held.seed = max(0, await self.seed(limit, since_s))
            self._due[bucket] = None
            self._next_round()
        except Exception as error:  # whatever the ledger is made of: the limit does as `fail` says until it answers
            log.warning("what was spent before is not known", limit=limit.id, error=type(error).__name__)
            await asyncio.sleep(1.0)
        finally:
            held.seeding = False

    def _tell_everything(self) -> None:
        for bucket in [*self._buckets.values(), *self._ended]:
            if bucket.available or bucket.reserved or bucket.spent > _held(bucket).base:
                self._due[bucket] = None
        self._next_round()

    def _void(self) -> None:
        """The leases have ended: the store may have called them off."""
        for bucket in self._buckets.values():
            bucket.withdraw(bucket.available)

    # Ticking

    def _tick(self) -> None:
        """Every `TICK_S`: what was touched is looked at, what is idle goes back, what is due is told."""
        if self._stopped:
            return
        now = self.loop.time()
        self._timer = self.loop.call_later(TICK_S, self._tick)
        touched, self.clock.touched = self.clock.touched, []
        for bucket in touched:
            bucket.untouch()
            if bucket in self._ended:
                self._due[bucket] = None
            else:
                self._watched.pop(bucket, None)
                self._watched[bucket] = None
                self._look_at(bucket, now)
        # The others in turn, the longest unseen first: all of a few at each tick, of many a tenth.
        for bucket in list(islice(self._watched, max(LOOKED_AT, len(self._watched) // 10))):
            if bucket in self._watched and _held(bucket).looked_at < now:
                del self._watched[bucket]
                self._watched[bucket] = None
                self._look_at(bucket, now)
        if now >= self._swept_at:
            self._sweep(now)
        if self._due:
            self._next_round()
        elif self._must_beat(now):
            self._send([], None)

    def _look_at(self, bucket: Bucket, now: float) -> None:
        held = _held(bucket)
        if now >= bucket.ends_at:
            limit = _limit(bucket)
            if self._buckets.get(limit.id) is bucket:
                self._end(limit.id, bucket)
            self._watched.pop(bucket, None)
            if bucket in self._ended:
                self._due[bucket] = None
            return
        giving, asking = held.look(bucket, now)
        if giving:
            bucket.withdraw(giving)
        unsure = held.status in (Status.SETTLING, Status.UNSEEDED)  # until the store has counted what was before
        differs = bucket.spent != held.acked or bucket.reserved != held.reserved
        owes = (unsure or differs) and now - held.told_at >= REPORT_S
        if (giving or asking or owes) and not held.asking:
            self._due[bucket] = None
        quiet = not (unsure or differs or bucket.available or bucket in self._due)
        if quiet and held.idle(now):
            self._watched.pop(bucket, None)

    def _sweep(self, now: float) -> None:
        self._swept_at = now + BEAT_S
        for bucket in list(self._ended):
            held = _held(bucket)
            if not bucket.reserved and bucket.spent == held.acked and held.told_at > held.ended_at(self._offset_s):
                del self._ended[bucket]
            elif not held.asking:
                self._due[bucket] = None
        if now - self._put_away_at >= IDLE_S / (16 if len(self._buckets) > self._max_buckets // 2 else 4):
            self._put_away_at = now
            self._put_away(now)
        if self._directory is not None and now >= self._adopt_at:
            self._adopt_at = now + ADOPT_S
            self._spawn(self._adopt())

    def _must_beat(self, now: float) -> bool:
        return not self.store.alone and now >= self._beat_at and not self._under_way and not self.away

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
                    await self.store.exchange(orphan.worker, 0, self._settle_ms, self._calls, orphan.asks)
                    told = True
                    log.info("adopted the leases of a dead worker", worker=orphan.worker, buckets=len(orphan.asks))
                except StoreAway as error:
                    self._failed(error)
                    break
                finally:
                    orphan.close(told=told)
        finally:
            self._adopting = False


def kind_of(limit: Limit) -> Kind:
    """How the store counts a limit."""
    if limit.resource == "concurrent":
        return Kind.SLOTS
    return Kind.SLIDING if limit.window.kind == "sliding" else Kind.FIXED


def _held(bucket: Bucket) -> Held:
    held: Held = bucket.state  # type: ignore[assignment]  # what `_open` put there
    return held


def _limit(bucket: Bucket) -> Limit:
    limit: Limit = bucket.limit  # type: ignore[assignment]  # what `_open` put there
    return limit


__all__ = ["Leases", "LimitSet", "Seed", "kind_of"]
