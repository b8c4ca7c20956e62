"""What workers share, as one protocol: a worker tells what it spent and holds, and is granted leases.

An `Ask` is about one bucket (one limit in one window) and says how things *are* with the worker, not what changed:
all it ever spent there, what it holds now, of which so much is reserved. So an ask whose answer was lost needs no
repair: the next one says again what is so, and a grant that never arrived is not in what the worker holds.
`seq` orders the asks of a worker about a bucket; one that arrives after a later one is not heard.

A store counts, for each bucket, `spent` and what each worker holds, and keeps

    spent + Σ held ≤ capacity

for every grant: it grants no more than capacity - spent - Σ held. Redis (`redis`) and a dictionary (`memory`) do the
same; `lua/exchange.lua` is the reference of both, and the tests hold one against the other.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence


class Kind(IntEnum):
    """How a bucket behaves. FIXED: until its window ends, if ever. SLIDING: comes back in steps. SLOTS: only held."""

    FIXED = 0
    SLIDING = 1
    SLOTS = 2


class Status(IntEnum):
    """OK: the ask was heard. UNSEEDED: heard; nothing is granted until somebody says what was spent in the window.
    STALE: a later one was heard before. OVER: the window has ended; what was spent is counted there. EARLY: it has not
    begun. SETTLING: heard; the store is new and waits until every lease of before has been told of or has ended."""

    OK = 0
    UNSEEDED = 1
    STALE = 2
    OVER = 3
    EARLY = 4
    SETTLING = 5


class Ask(Struct):
    """window_ms: of a sliding bucket. start_ms, end_ms: Unix time of a calendar's; 0 where there is none.

    spent: all that this worker ever spent there, counted from `base` on (not 0 for a bucket that it had put away and
    took up again). acked: how much of `spent` the store has confirmed. have: available and reserved. least: without
    so much a grant is of no use. want: how much is asked for; 0 to report only. seed: what was spent in the window
    before the store was new, -1 when not known. thresholds: amounts of `spent` to be told about, ascending.
    """

    key: str
    kind: Kind
    capacity: int
    window_ms: int = 0
    start_ms: int = 0
    end_ms: int = 0
    seq: int = 1
    base: int = 0
    acked: int = 0
    spent: int = 0
    have: int = 0
    reserved: int = 0
    least: int = 0
    want: int = 0
    seed: int = -1
    thresholds: tuple[int, ...] = ()


class Told(Struct):
    """spent, held, reserved: of all workers, this grant included. idle: what others hold and had not reserved when they
    last told. next_ms: until a sliding bucket's next step, 0 when it is full. wanted: a worker found it empty
    lately. thresholds number `fired_from` to `fired_to` (exclusive) were passed by this ask, and by no other."""

    status: Status
    granted: int = 0
    spent: int = 0
    held: int = 0
    reserved: int = 0
    idle: int = 0
    next_ms: int = 0
    wanted: bool = False
    fired_from: int = 0
    fired_to: int = 0


class Reply(Struct):
    """now_ms: the store's Unix time. epoch: another one when the store has lost what it knew, or some of it; since
    epoch_ms. calls: how many exchanges it knows of, never fewer as long as it forgets nothing."""

    now_ms: int
    epoch: str
    epoch_ms: int
    calls: int
    told: list[Told]


class Level(Struct):
    """A bucket as it is now, for whoever asks without a share in it. known: somebody has used it."""

    known: bool = False
    spent: int = 0
    held: int = 0
    reserved: int = 0
    next_ms: int = 0


class Store(Protocol):
    """alone: no other process can hold leases of this store."""

    alone: bool

    async def exchange(self, worker: str, ttl_ms: int, settle_ms: int, seen: int, asks: Sequence[Ask]) -> Reply:
        """Tell and ask about several buckets in one round trip; says too that the worker lives for `ttl_ms` more (0: it
        is gone). settle_ms: how long a new store waits for the leases of before. seen: the most `calls` of an answer.

        Raises `StoreAway` within the store's timeout. An ask of it may have been heard then, or may be later.
        """

    async def levels(self, asks: Sequence[Ask]) -> tuple[int, list[Level]]:
        """(the store's Unix time in ms, the buckets as they are); of an ask only key, kind, capacity, window are read.

        Raises `StoreAway`.
        """

    async def close(self) -> None:
        """Let go of connections."""


class StoreAway(Exception):
    """The store did not answer in time, or not at all."""
