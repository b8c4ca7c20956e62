"""What an answer tells of its limits: the tightest one of requests and of tokens, the one of which least is left.

Which limits there are, and the names of the headers, are prepared once per set; `hotpath._ratelimit` writes them.
OpenAI and Anthropic have such headers (TRANSLATION §17), Gemini and Ollama have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchgear.hotpath._ratelimit import Family

if TYPE_CHECKING:
    from switchgear.hotpath._leases import Bucket, LimitSet
    from switchgear.limits.model import Limit
    from switchgear.types import Dialect, Headers


_OPENAI = {"requests": "requests", "tokens": "tokens", "input_tokens": "tokens", "output_tokens": "tokens"}
_ANTHROPIC = {
    "requests": "requests",
    "tokens": "tokens",
    "input_tokens": "input-tokens",
    "output_tokens": "output-tokens",
}
_FAMILIES: dict[Dialect, dict[str, str]] = {"openai": _OPENAI, "anthropic": _ANTHROPIC}
_FORMS: dict[Dialect, str] = {"openai": "x-ratelimit-{0}-{1}", "anthropic": "anthropic-ratelimit-{1}-{0}"}


class _Kept:
    """What is prepared for a set's buckets."""

    __slots__ = ("buckets", "families")

    def __init__(self, buckets: tuple[Bucket, ...]):
        self.buckets = buckets
        self.families: dict[Dialect, list[Family]] = {}


def headers(limits: LimitSet, dialect: Dialect, now_s: float) -> Headers:
    """Of a successful answer. now_s: the store's Unix time, seconds."""
    kept = limits.plan
    if not isinstance(kept, _Kept) or kept.buckets is not limits.buckets:  # the windows of its limits are others
        kept = limits.plan = _Kept(limits.buckets)
    families = kept.families.get(dialect)
    if families is None:
        families = kept.families[dialect] = _prepared(limits.buckets, dialect)
    return _told(families, now_s)


def headers_of(buckets: tuple[Bucket, ...], dialect: Dialect, now_s: float) -> Headers:
    """The same of buckets that are no set."""
    return _told(_prepared(buckets, dialect), now_s)


def _told(families: list[Family], now_s: float) -> Headers:
    found: Headers = []
    for family in families:
        family.tell(found, now_s)
    return found


def _prepared(buckets: tuple[Bucket, ...], dialect: Dialect) -> list[Family]:
    words = _FAMILIES.get(dialect)
    if words is None:
        return []
    sorted_: dict[str, list[tuple[Bucket, int, str, int]]] = {}
    for bucket in buckets:
        limit: Limit = bucket.limit  # type: ignore[assignment]  # what `leases` put there
        word = words.get(limit.resource)
        if word is not None and bucket.hard:
            candidate = (bucket, limit.capacity, limit.window.kind, limit.window.length_ms)
            sorted_.setdefault(word, []).append(candidate)
    return [Family(_names(dialect, word), ours, dialect == "anthropic") for word, ours in sorted_.items()]


def _names(dialect: Dialect, word: str) -> tuple[bytes, bytes, bytes]:
    form = _FORMS[dialect]
    return (
        form.format("limit", word).encode(),
        form.format("remaining", word).encode(),
        form.format("reset", word).encode(),
    )
