"""What an answer tells of its limits: the tightest one of requests and of tokens, the one of which least is left.

OpenAI's `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, whose `reset` is a duration as Go writes it, and
Anthropic's `anthropic-ratelimit-*`, whose `reset` is an RFC 3339 time (TRANSLATION §17). Ollama has none and is told
OpenAI's; Gemini has none.

This runs on every request of a key with limits: which limits there are, and the names, are prepared once per set.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING

from switchgear.state.steps import wait_ms

if TYPE_CHECKING:
    from switchgear.hotpath._leases import Bucket, LimitSet
    from switchgear.limits.held import Held
    from switchgear.limits.model import Limit
    from switchgear.types import Dialect, Headers


_OPENAI = {"requests": "requests", "tokens": "tokens", "input_tokens": "tokens", "output_tokens": "tokens"}
_ANTHROPIC = {
    "requests": "requests",
    "tokens": "tokens",
    "input_tokens": "input-tokens",
    "output_tokens": "output-tokens",
}
_FAMILIES: dict[Dialect, dict[str, str]] = {"openai": _OPENAI, "anthropic": _ANTHROPIC, "ollama": _OPENAI}


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


class _Kept:
    """What is prepared for a set's buckets."""

    __slots__ = ("buckets", "families")

    def __init__(self, buckets: tuple[Bucket, ...]):
        self.buckets = buckets
        self.families: dict[Dialect, list[_Family]] = {}


def headers(limits: LimitSet, dialect: Dialect, now_s: float) -> Headers:
    """Of a successful answer. now_s: the store's Unix time, seconds."""
    return _told(_families(limits, dialect), dialect, now_s)


def headers_of(buckets: tuple[Bucket, ...], dialect: Dialect, now_s: float) -> Headers:
    """The same of buckets that are no set."""
    return _told(_prepared(buckets, dialect), dialect, now_s)


def _told(families: list[_Family], dialect: Dialect, now_s: float) -> Headers:
    found: Headers = []
    for family in families:
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
    if not isinstance(kept, _Kept) or kept.buckets is not limits.buckets:
        kept = limits.plan = _Kept(limits.buckets)
    found = kept.families.get(dialect)
    if found is None:
        found = kept.families[dialect] = _prepared(limits.buckets, dialect)
    return found


def _prepared(buckets: tuple[Bucket, ...], dialect: Dialect) -> list[_Family]:
    words = _FAMILIES.get(dialect)
    if words is None:
        return []
    sorted_: dict[str, list[Bucket]] = {}
    for bucket in buckets:
        limit: Limit = bucket.limit  # type: ignore[assignment]  # what `leases` put there
        word = words.get(limit.resource)
        if word is not None and bucket.hard:
            sorted_.setdefault(word, []).append(bucket)
    return [_Family(dialect, word, ours) for word, ours in sorted_.items()]


def capacity_of(bucket: Bucket) -> int:
    """Of its limit."""
    limit: Limit = bucket.limit  # type: ignore[assignment]  # what `leases` put there
    return limit.capacity


def remaining(bucket: Bucket) -> int:
    """What is left of a limit as far as this worker knows: what it holds and what nobody does."""
    held: Held = bucket.state  # type: ignore[assignment]  # what `leases` put there
    if not held.heard:
        return capacity_of(bucket)
    if not bucket.hard:
        return max(0, capacity_of(bucket) - held.spent)
    return bucket.available + max(0, held.free)


def reset_s(bucket: Bucket, now_s: float, left: int) -> float | None:
    """Until the limit is as new, seconds; None when it never is. left: what is left of it."""
    limit: Limit = bucket.limit  # type: ignore[assignment]  # what `leases` put there
    held: Held = bucket.state  # type: ignore[assignment]  # as above
    window = limit.window
    if window.kind == "calendar":
        return max(0.0, held.end_s - now_s)
    if window.kind == "sliding":
        length_ms = window.length_ms
        return wait_ms(limit.capacity, length_ms, limit.capacity - left, held.next_ms or length_ms // 60) / 1000
    return None


def go_duration(seconds: float) -> str:
    """As Go's time.Duration writes it: `20ms`, `1s`, `17.399s`, `6m0s`, `1h0m0s`; to the millisecond, rounded up."""
    milliseconds = ceil(round(seconds * 1000, 3))
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def rfc3339(unix_s: float) -> str:
    """`2026-06-08T18:45:44Z`, rounded up to the second; a tenth of one is an error of the estimated clock."""
    return datetime.fromtimestamp(ceil(round(unix_s, 1)), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
