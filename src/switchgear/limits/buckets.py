"""The buckets of a worker: those of the present windows, those of windows that are over and are still to be told of,
and which of them are looked at, told or forgotten. Does no I/O: `leases` asks the store, `talk` notes what it says.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

from switchgear.hotpath._leases import Bucket, Clock, Slots
from switchgear.limits.held import Held
from switchgear.state.store import Kind

if TYPE_CHECKING:
    from switchgear.limits.model import Limit

IDLE_S = 60.0
MAX_BUCKETS = 16_384
"""About a kilobyte each: of 100,000 keys those in use are in memory, the others only declared."""


class Buckets:
    """slots: where balances lie. max_buckets: beyond it those that hold nothing are forgotten.

    present: by limit id, the least recently opened first. ended: of windows that are over, until everything is told.
    watched: looked at by ticks, the longest unseen first. due: to be told. offset_s: the store's Unix time minus loop
    time, never less than it is.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, slots: Slots, max_buckets: int):
        self.clock = Clock()
        self.present: dict[str, Bucket] = {}
        self.ended: dict[Bucket, None] = {}
        self.watched: dict[Bucket, None] = {}
        self.due: dict[Bucket, None] = {}
        self.offset_s = 0.0
        self._loop = loop
        self._slots = slots
        self._max = self._room = max_buckets
        self._base = 0  # at least what any bucket that was put away had spent
        self._floor_s = 0  # the latest end of a window that was seen
        self._put_away_at = 0.0

    def every(self) -> list[Bucket]:
        """Of present windows and of those that are over."""
        return [*self.present.values(), *self.ended]

    def of(self, limit: Limit) -> Bucket:
        """The bucket of a limit in the present window, a new one when there is none."""
        found = self.present.get(limit.id)
        if found is not None:
            if self._loop.time() < found.ends_at:
                return found
            self.end(found)
        return self._open(limit)

    def redeclare(self, limit: Limit) -> None:
        """A reload declared the limit again, perhaps with another capacity: what was counted stays."""
        found = self.present.get(limit.id)
        if found is not None:
            found.limit = limit

    def now_s(self) -> float:
        """The store's Unix time, never late: an upper estimate."""
        return self._loop.time() + self.offset_s

    def watch(self, bucket: Bucket) -> None:
        """Look at it at ticks; it was seen now."""
        self.watched.pop(bucket, None)
        self.watched[bucket] = None

    def void(self) -> None:
        """The leases have ended: the store may have called them off."""
        for bucket in self.present.values():
            bucket.withdraw(bucket.available)

    def end(self, bucket: Bucket) -> None:
        """Its window is over, or seems to be: what is available is void, what was spent there is told there."""
        name = limit_of(bucket).id
        if self.present.get(name) is not bucket:
            return
        del self.present[name]
        self.watched.pop(bucket, None)
        held = held_of(bucket)
        self._floor_s = max(self._floor_s, held.end_s)
        bucket.withdraw(bucket.available)
        if bucket.reserved or bucket.spent != held.acked or held.heard:
            self.ended[bucket] = None

    def sweep(self, now: float) -> None:
        """What is over is told until everything of it was heard; now and then, what is idle is forgotten."""
        for bucket in list(self.ended):
            held = held_of(bucket)
            if not bucket.reserved and bucket.spent == held.acked and held.told_at > held.ended_at(self.offset_s):
                del self.ended[bucket]
            elif not held.asking:
                self.due[bucket] = None
        if now - self._put_away_at >= IDLE_S / (16 if len(self.present) > self._max // 2 else 4):
            self._put_away_at = now
            self._put_away(now)

    def _open(self, limit: Limit) -> Bucket:
        # A window that was seen to end does not come back, however the estimate of the store's time moves.
        start_s, end_s = limit.window.bounds(max(self.now_s(), self._floor_s))
        ends_at = end_s - self.offset_s if end_s else inf
        key = limit.key(start_s)
        bucket = Bucket(
            self.clock, self._slots, limit, key, limit.code, limit.hard, int(kind_of(limit)), ends_at, self._base
        )
        bucket.state = Held(key, start_s, end_s, self._base, self._loop.time())
        self.present[limit.id] = bucket
        if len(self.present) > self._room:
            self._put_away(self._loop.time(), force=True)
            # Where little can be put away, it is not tried again for each that is opened.
            self._room = max(self._max, len(self.present) + self._max // 16)
        return bucket

    def _put_away(self, now: float, *, force: bool = False) -> None:
        """Forget buckets that hold nothing and have nothing to tell. force: also those used a moment ago, some."""
        few = self._max * 7 // 8
        for name, bucket in list(islice(self.present.items(), self._max // 2 if force else None)):
            held = held_of(bucket)
            if force and len(self.present) <= few:
                break
            if not force and now - held.used_at < IDLE_S:
                continue
            if bucket.available or bucket.reserved or held.asking or held.need or held.has_news(bucket):
                continue
            bucket.ends_at = -inf  # sets that still name it ask for another one
            self._base = max(self._base, bucket.spent)
            del self.present[name]
            self.watched.pop(bucket, None)


def kind_of(limit: Limit) -> Kind:
    """How the store counts a limit."""
    if limit.resource == "concurrent":
        return Kind.SLOTS
    return Kind.SLIDING if limit.window.kind == "sliding" else Kind.FIXED


def held_of(bucket: Bucket) -> Held:
    """What is known of it beside its balance."""
    held: Held = bucket.state  # type: ignore[assignment]  # what `_open` put there
    return held


def limit_of(bucket: Bucket) -> Limit:
    """What it counts for."""
    limit: Limit = bucket.limit  # type: ignore[assignment]  # what `_open` put there
    return limit
