"""What an answer tells of its limits: the tightest one of requests and of tokens, the one of which least is left.

OpenAI's `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, whose `reset` is a duration as Go writes it, and
Anthropic's `anthropic-ratelimit-*`, whose `reset` is an RFC 3339 time (TRANSLATION §17). Gemini has none.

This runs on every request of a key with limits: which limits there are, and the names, are prepared once per set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchgear.limits.refusals import FAMILIES, go_duration, remaining, reset_s, rfc3339

if TYPE_CHECKING:
    from switchgear.hotpath._leases import Bucket, LimitSet
    from switchgear.limits.model import Limit
    from switchgear.types import Dialect, Headers


class _Family:
    """Limits of one kind. names: of the headers limit, remaining and reset. candidates: each with its capacity."""

    __slots__ = ("candidates", "names")

    def __init__(self, dialect: Dialect, word: str, buckets: list[Bucket]):
        form = "anthropic-ratelimit-{1}-{0}" if dialect == "anthropic" else "x-ratelimit-{0}-{1}"
        self.names = tuple(form.format(what, word).encode() for what in ("limit", "remaining", "reset"))
        self.candidates = [(bucket, capacity_of(bucket)) for bucket in buckets]

    def tightest(self) -> tuple[Bucket, int, int]:
        """The bucket, its capacity and what is left of it."""
        found, limit = self.candidates[0]
        left = min(remaining(found), limit)
        for bucket, capacity in self.candidates[1:]:
            rest = min(remaining(bucket), capacity)
            if rest * limit < left * capacity:
                found, limit, left = bucket, capacity, rest
        return found, limit, left


def headers(limits: LimitSet, dialect: Dialect, now_s: float) -> Headers:
    """now_s: the store's Unix time, seconds."""
    found: Headers = []
    for family in _families(limits, dialect):
        bucket, capacity, left = family.tightest()
        limit_name, remaining_name, reset_name = family.names
        found.append((limit_name, b"%d" % capacity))
        found.append((remaining_name, b"%d" % left))
        wait = reset_s(bucket, now_s, left)
        if wait is not None:
            text = rfc3339(now_s + wait) if dialect == "anthropic" else go_duration(wait)
            found.append((reset_name, text.encode()))
    return found


def _families(limits: LimitSet, dialect: Dialect) -> list[_Family]:
    """Kept with the set, until the windows of its limits are others."""
    kept = limits.plan
    if not isinstance(kept, dict) or kept[""] is not limits.buckets:
        kept = limits.plan = {"": limits.buckets}
    found: list[_Family] | None = kept.get(dialect)
    if found is None:
        found = kept[dialect] = _prepared(limits, dialect)
    return found


def _prepared(limits: LimitSet, dialect: Dialect) -> list[_Family]:
    words = FAMILIES.get(dialect)
    if words is None:
        return []
    sorted_: dict[str, list[Bucket]] = {}
    for bucket in limits.buckets:
        limit: Limit = bucket.limit  # type: ignore[assignment]  # what `leases` put there
        word = words.get(limit.resource)
        if word is not None and bucket.hard:
            sorted_.setdefault(word, []).append(bucket)
    return [_Family(dialect, word, buckets) for word, buckets in sorted_.items()]


def capacity_of(bucket: Bucket) -> int:
    """Of its limit."""
    limit: Limit = bucket.limit  # type: ignore[assignment]  # what `leases` put there
    return limit.capacity
