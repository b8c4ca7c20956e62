"""What a worker knows of a bucket beside its balance: what the store last said, how much is asked for, how fast it
goes. Decides how much to ask for and how much to give back; does no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchgear.state.store import Status

if TYPE_CHECKING:
    from switchgear.hotpath._leases import Bucket
    from switchgear.state.store import Ask, Told

SLICE_S = 0.25
"""How much demand a slice is for at least, where there is enough."""
AHEAD_S = 1.5
"""And at most: where what is free is plenty."""
PLENTY = 64
"""No slice beyond `SLICE_S` is more than 1/64 of what is free: so many workers could all have one."""
REPORT_S = 0.25
"""How long the store is left without news."""
CALM_REPORT_S = 0.5
"""And where nobody needs them soon: what is free is plenty."""
LOW_S = 0.08
"""With less than this in hand more is asked for ahead."""
CALM_LOW_S = 0.4
"""And where what is free is plenty: the store's timeout and three ticks. So a store that stalls is known to before the
slice is used up, and no request waits for it."""
KEEP_S = 1.0
"""How long what nobody uses is kept, far from the edge."""
MUCH, SHORT_KEEP_S = 16, 0.1
"""How long where it is more than 1/16 of what is free."""
DRY_S = 0.1
"""How long an empty bucket is believed to be empty."""
EDGE = 8
"""The edge: less than 1/8 of the capacity is free."""
MIN_RATE_S = 0.02
_SMOOTH = 0.3
_CONCURRENT = 4  # the code of that resource
_FIRST = 4  # requests that a first slice is for


class Held:
    """key, start_s, end_s, base: as in `Ask`. told_at, used_at, dry_until, unsure_since: loop time."""

    __slots__ = (
        "acked",
        "asking",
        "base",
        "dry_until",
        "end_s",
        "free",
        "granted_at",
        "have",
        "heard",
        "idle_elsewhere",
        "key",
        "least",
        "looked_at",
        "need",
        "next_ms",
        "rate",
        "reserved",
        "seed",
        "seeded_at",
        "seeding",
        "slack",
        "slack_since",
        "slice",
        "spent",
        "start_s",
        "status",
        "taken",
        "told_at",
        "unsure_since",
        "used_at",
        "wanted",
    )

    def __init__(self, key: str, start_s: int, end_s: int, base: int, now: float):
        self.key, self.start_s, self.end_s, self.base = key, start_s, end_s, base
        self.acked = base
        self.asking = False  # a question is under way
        self.heard = False  # the store has answered about it
        self.least = 0  # what the smallest request that waits misses, 0 when none waits
        self.need = 0  # what all that wait miss
        self.status = Status.OK
        self.free = 0  # what nobody holds, as the store last said
        self.spent = 0  # of all workers, as the store last said
        self.reserved = 0  # of this worker, as it last told
        self.have = 0  # what this worker has, as the store knows it
        self.idle_elsewhere = 0
        self.next_ms = 0
        self.wanted = False
        self.seed = -1
        self.seeded_at = 0.0
        self.seeding = False
        self.unsure_since: float | None = None  # since when its counter is being rebuilt, and nothing granted
        self.slice = 0
        self.slack = 0  # the fewest slots that were available since `slack_since`
        self.slack_since = now
        self.rate = 0.0  # units a second
        self.taken = 0
        self.dry_until = 0.0
        self.granted_at = 0.0
        self.told_at = now
        self.used_at = now
        self.looked_at = now

    def tight(self, capacity: int) -> bool:
        """Whether it is close to the edge, or somebody waits for it."""
        return self.wanted or self.free * EDGE < capacity

    def want(self, bucket: Bucket, now: float) -> int:
        """How much to ask for: what waits, and a slice ahead where there is enough."""
        capacity: int = bucket.limit.capacity  # type: ignore[attr-defined]  # a Limit
        if not self.heard or self.status is not Status.OK:
            return self.need
        if self.tight(capacity):
            return self.need
        if bucket.resource == _CONCURRENT:
            if self.need:
                self.slack, self.slack_since = 0, now
            return self.need + max(0, self._spare(bucket) - bucket.available) if self._goes(now) else self.need
        if not self.need and not self._goes(now):
            return 0
        if self.need and now - self.granted_at < SLICE_S / 2:
            self.slice = min(max(self.slice, self.need) * 2, capacity // 4)
        else:
            self.slice = max(self._ahead(), self.need * _FIRST if not self.rate else 0)
        return self.need + max(0, self.slice - bucket.available)

    def hear(self, ask: Ask, told: Told, capacity: int, now: float) -> None:
        """What the store said."""
        self.status = told.status
        self.told_at = now
        if told.status in (Status.STALE, Status.EARLY):
            return
        self.heard = True
        if told.status not in (Status.SETTLING, Status.UNSEEDED):
            self.unsure_since = None
        elif self.unsure_since is None:
            self.unsure_since = now
        self.acked, self.reserved = ask.spent, ask.reserved
        self.have = ask.have + told.granted
        self.spent, self.free = told.spent, capacity - told.spent - told.held
        self.idle_elsewhere, self.next_ms, self.wanted = told.idle, told.next_ms, told.wanted
        if told.status is Status.OK:
            self.seed = -1
        if told.granted:
            self.granted_at = now
        if ask.want and not told.granted and told.status is Status.OK:
            until = DRY_S if not told.next_ms else min(DRY_S, told.next_ms / 1000)
            self.dry_until = now + until
        elif told.granted:
            self.dry_until = 0.0

    def dry(self, now: float, missing: int) -> bool:
        """Whether the store said a moment ago that so much is not free."""
        return now < self.dry_until and self.free < missing

    def look(self, bucket: Bucket, now: float) -> tuple[int, bool]:
        """(how much to give back, whether to ask for more ahead), at a tick."""
        taken, self.taken = bucket.taken - self.taken, bucket.taken
        passed, self.looked_at = max(now - self.looked_at, MIN_RATE_S), now
        self.rate += (taken / passed - self.rate) * _SMOOTH
        if taken:
            self.used_at = now
        if not bucket.hard or self.asking or self.least:
            return 0, False
        capacity: int = bucket.limit.capacity  # type: ignore[attr-defined]  # a Limit
        available = bucket.available
        if not taken:
            kept_s = KEEP_S if available * MUCH <= self.free else SHORT_KEEP_S
            return (available if self.tight(capacity) or now - self.used_at >= kept_s else 0), False
        if self.wanted:
            return available // 2, False
        if self.tight(capacity):
            return max(0, available - taken), False
        if bucket.resource == _CONCURRENT:
            return self._look_at_slots(bucket, available, now)
        kept = 2 * self._ahead() + 4 * taken
        low_s = CALM_LOW_S if self._is_plenty() else LOW_S
        return max(0, available - kept), available < self.rate * low_s

    def has_news(self, bucket: Bucket) -> bool:
        """Whether the store knows less of it than it could."""
        return bool(
            bucket.spent != self.acked
            or bucket.reserved != self.reserved
            or bucket.available + bucket.reserved != self.have
        )

    def report_due(self, now: float, capacity: int) -> bool:
        """Whether the store is to be told what is new here."""
        calm = self.status is Status.OK and not self.tight(capacity) and self._is_plenty()
        return now - self.told_at >= (CALM_REPORT_S if calm else REPORT_S)

    def idle(self, now: float) -> bool:
        """Whether nobody has used it for a while."""
        return now - self.used_at >= KEEP_S

    def ended_at(self, offset_s: float) -> float:
        """When its window ended, loop time."""
        return self.end_s - offset_s

    def _goes(self, now: float) -> bool:
        return now - self.used_at < KEEP_S

    def _is_plenty(self) -> bool:
        return self.rate * AHEAD_S * PLENTY <= self.free

    def _ahead(self) -> int:
        """How much of the demand to come is held: the further from the edge, the fewer questions."""
        return int(max(self.rate * SLICE_S, min(self.rate * AHEAD_S, self.free / PLENTY)))

    def _look_at_slots(self, bucket: Bucket, available: int, now: float) -> tuple[int, bool]:
        """How many are in flight goes up and down with every request: what goes back was free for `KEEP_S`."""
        spare, giving = self._spare(bucket), 0
        self.slack = min(self.slack, available)
        if now - self.slack_since >= KEEP_S:
            giving = max(0, self.slack - 2 * spare)
            self.slack, self.slack_since = available - giving, now
        return giving, available * 2 < spare

    def _spare(self, bucket: Bucket) -> int:
        return max(2, bucket.reserved // 4)
