"""Counters that workers share: one small protocol (`store`), in memory or in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from switchgear.state.store import Store


def open_store(url: str, timeout_s: float | None = None) -> Store:
    """The store of a `state.url`. timeout_s: bound of each exchange with Redis, by default 0.25.

    Raises `ValueError` for a URL that it does not understand. Connects when first used.
    """
    if url == "memory://":
        from switchgear.state.memory import MemoryStore

        return MemoryStore()
    from switchgear.state.redis import TIMEOUT_S, RedisStore  # loads redis-py, which memory:// does without

    return RedisStore(url, TIMEOUT_S if timeout_s is None else timeout_s)
