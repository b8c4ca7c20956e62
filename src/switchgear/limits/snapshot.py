"""Limits as the store has them: what `switchgear limits state` prints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any

from switchgear.hotpath._ratelimit import rfc3339
from switchgear.limits.buckets import kind_of
from switchgear.limits.talk import Seed
from switchgear.state.steps import wait_ms
from switchgear.state.store import Ask, Level, Store

if TYPE_CHECKING:
    from switchgear.limits.model import Limit

_AT_ONCE = 500
FIELDS = ("scope", "resource", "window", "capacity", "used", "reserved", "leased", "resets_at")


async def rows(store: Store, limits: Iterable[Limit], seed: Seed | None = None) -> AsyncIterator[dict[str, Any]]:
    """One dictionary a limit, with `FIELDS` and its id. Amounts are in the units of the resource (cost: nano-dollars).

    used: spent; reserved: held by requests in flight; leased: held by workers and free. resets_at: RFC 3339, when the
    window ends or a sliding one is as new, None when neither. seed: asked where the store knows nothing.
    Raises `StoreAway`.
    """
    rest = iter(limits)
    now_ms, _ = await store.levels([])
    while batch := list(islice(rest, _AT_ONCE)):
        starts = [limit.window.bounds(now_ms / 1000) for limit in batch]
        asks = [
            Ask(limit.key(start_s), kind_of(limit), limit.capacity, limit.window.length_ms)
            for limit, (start_s, _) in zip(batch, starts, strict=True)
        ]
        now_ms, levels = await store.levels(asks)
        for limit, (start_s, end_s), level in zip(batch, starts, levels, strict=True):
            if not level.known and seed is not None and limit.resource != "concurrent":
                length_s = limit.window.length_ms // 1000
                level.spent = await seed(limit, now_ms // 1000 - length_s if length_s else start_s)
            yield _row(limit, level, end_s, now_ms)


def _row(limit: Limit, level: Level, end_s: int, now_ms: int) -> dict[str, Any]:
    resets_at = rfc3339(end_s) if end_s else None
    if limit.window.kind == "sliding" and level.spent:
        wait = wait_ms(limit.capacity, limit.window.length_ms, level.spent, level.next_ms)
        resets_at = rfc3339((now_ms + wait) / 1000)
    return {
        "scope": {field: value for field in limit.scope.__struct_fields__ if (value := getattr(limit.scope, field))},
        "resource": limit.resource,
        "window": limit.window.name or None,
        "capacity": limit.capacity,
        "used": level.spent,
        "reserved": level.reserved,
        "leased": max(0, level.held - level.reserved),
        "resets_at": resets_at,
        "hard": limit.hard,
        "budget": limit.budget,
        "id": limit.id,
    }
