"""The errors of a limit that refuses, with what a client needs to come back at the right time."""

from __future__ import annotations

from math import ceil, inf
from typing import TYPE_CHECKING

from switchgear.errors import BudgetExhausted, GatewayError, RateLimited, RequestTooLarge
from switchgear.hotpath._ratelimit import go_duration, remaining, rfc3339
from switchgear.limits.headers import headers_of
from switchgear.limits.model import NANO
from switchgear.state.steps import wait_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from switchgear.hotpath._leases import Bucket
    from switchgear.limits.held import Held
    from switchgear.limits.model import Limit
    from switchgear.types import Headers

CONCURRENT_RETRY_S = 1.0
"""Nobody knows when a request in flight ends."""
RESERVED_RETRY_S = 1.0
"""Nor when what a request in flight reserved in vain comes back."""
_NEVER_RETRY = (b"x-should-retry", b"false")
_WORDS = {
    "requests": "requests",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
    "tokens": "tokens",
    "concurrent": "concurrent requests",
    "cost": "spend",
}


def retry_after_s(bucket: Bucket, amount: int, now_s: float) -> float | None:
    """When so much may be free: at least 1 second, None when it never will be."""
    limit, held = _parts(bucket)
    if limit.window.kind == "none":
        return CONCURRENT_RETRY_S
    if only_reserved(bucket, amount):
        return RESERVED_RETRY_S
    if limit.window.kind == "calendar":
        return max(1.0, held.end_s - now_s)
    if limit.window.kind == "sliding":
        missing = amount - bucket.available - held.free
        return max(1.0, wait_ms(limit.capacity, limit.window.length_ms, missing, held.next_ms) / 1000)
    return None


def refusal(empty: list[tuple[Bucket, int]], buckets: Iterable[Bucket], now_s: float) -> GatewayError:
    """The error when limits are used up. empty: those that are, with what was asked of each."""

    def badness(item: tuple[Bucket, int]) -> tuple[bool, float]:
        wait = retry_after_s(*item, now_s)
        return _is_money(_parts(item[0])[0]) and not only_reserved(*item), inf if wait is None else wait

    bucket, amount = max(empty, key=badness)
    limit, held = _parts(bucket)
    wait = retry_after_s(bucket, amount, now_s)
    around = _dialect_headers(buckets, now_s, final=wait is None)
    if only_reserved(bucket, amount):
        return _reserved(bucket, amount, around)
    if _is_money(limit):
        resets = f" It resets at {rfc3339(held.end_s)}." if held.end_s else " It does not reset."
        what = "budget" if limit.budget else "limit on spend"
        return BudgetExhausted(
            f"The {_period(limit)} {what} of {_whose(limit)} is used up: limit {_usd(limit.capacity)}, "
            f"used {_usd(spent_of(bucket))}, this request may cost {_usd(amount)}.{resets}",
            limit=limit.id,
            retry_after_s=wait,
            dialect_headers={dialect: [*some, _NEVER_RETRY] for dialect, some in around.items()},
        )
    word = _WORDS[limit.resource]
    if limit.resource == "concurrent":
        message = f"Too many concurrent requests for {_whose(limit)}: limit {limit.capacity}."
    else:
        show = _usd if limit.resource == "cost" else str
        message = (
            f"Rate limit reached for {_whose(limit)}: {word} per {limit.window.period}. Limit {show(limit.capacity)}, "
            f"used {show(_used(bucket))}, requested {show(amount)}."
        )
    message += " It does not reset." if wait is None else f" Please try again in {go_duration(ceil(wait))}."
    kind = "requests" if limit.resource in ("requests", "concurrent") else "tokens"
    return RateLimited(message, limit=limit.id, type=kind, retry_after_s=wait, dialect_headers=around)


def _reserved(bucket: Bucket, amount: int, around: dict[str, Headers]) -> GatewayError:
    """What is left is held by requests in flight; what they do not use comes back soon, not when the window ends."""
    limit, _ = _parts(bucket)
    show = _usd if limit.resource == "cost" else str
    what = "budget" if limit.budget else f"limit on {_WORDS[limit.resource]}"
    used = spent_of(bucket)
    return RateLimited(
        f"What is left of the {_period(limit)} {what} of {_whose(limit)} is reserved for requests that have not ended: "
        f"limit {show(limit.capacity)}, used {show(used)}, reserved {show(_used(bucket) - used)}, requested "
        f"{show(amount)}. Please try again in {go_duration(ceil(RESERVED_RETRY_S))}.",
        limit=limit.id,
        type="tokens",
        retry_after_s=RESERVED_RETRY_S,
        dialect_headers=around,
    )


def too_large(bucket: Bucket, amount: int) -> GatewayError:
    """The error when a request wants more than a limit's whole capacity: to wait is of no use."""
    limit, _ = _parts(bucket)
    final = {dialect: [_NEVER_RETRY] for dialect in ("openai", "anthropic", "gemini")}
    if limit.resource == "cost":
        what = "budget" if limit.budget else "limit on spend"
        return BudgetExhausted(
            f"This request may cost {_usd(amount)}, and the whole {_period(limit)} {what} of {_whose(limit)} is "
            f"{_usd(limit.capacity)}.",
            limit=limit.id,
            dialect_headers=final,
        )
    period = f" per {limit.window.period}" if limit.window.period else ""
    return RequestTooLarge(
        f"Request too large for {_whose(limit)}: {_WORDS[limit.resource]}{period}. Limit {limit.capacity}, "
        f"requested {amount}. Shorten the input or lower the maximum of output tokens.",
        limit=limit.id,
        dialect_headers=final,
    )


def _dialect_headers(buckets: Iterable[Bucket], now_s: float, *, final: bool) -> dict[str, Headers]:
    tuple_ = tuple(buckets)
    last = [_NEVER_RETRY] if final else []
    return {
        "openai": [*headers_of(tuple_, "openai", now_s), *last],
        "anthropic": [*headers_of(tuple_, "anthropic", now_s), *last],
        "gemini": [*last],
    }


def _parts(bucket: Bucket) -> tuple[Limit, Held]:
    limit: Limit = bucket.limit  # type: ignore[assignment]  # what `leases` put there
    held: Held = bucket.state  # type: ignore[assignment]  # what `leases` put there
    return limit, held


def _used(bucket: Bucket) -> int:
    limit, _ = _parts(bucket)
    return max(0, limit.capacity - remaining(bucket, limit.capacity))


def spent_of(bucket: Bucket) -> int:
    """What was used of a limit, without what is reserved: by all as the store last said, and here since."""
    limit, held = _parts(bucket)
    return min(limit.capacity, held.spent + max(0, bucket.spent - held.acked))


def only_reserved(bucket: Bucket, amount: int) -> bool:
    """Whether so much of a firm limit may become free by the end of requests in flight. A request itself is used up by
    whoever reserved it."""
    limit, _ = _parts(bucket)
    return bucket.firm and limit.resource != "requests" and spent_of(bucket) + amount <= limit.capacity


def _is_money(limit: Limit) -> bool:
    return limit.budget or (limit.resource == "cost" and limit.window.kind != "sliding")


def _period(limit: Limit) -> str:
    return {"hour": "hourly", "day": "daily", "week": "weekly", "month": "monthly"}.get(limit.window.period, "total")


def _whose(limit: Limit) -> str:
    """`key ci, model smart`; a credential's name is for operators."""
    scope = limit.scope
    named = [f"{field} {value}" for field in scope.__struct_fields__[:5] if (value := getattr(scope, field))]
    return ", ".join(named) or ("this provider" if scope.of_attempt else "all requests")


def _usd(amount: int) -> str:
    """`$1.00`, with as many decimal places as it needs and two at least."""
    dollars, rest = divmod(amount, NANO)
    return f"${dollars}.{f'{rest:09d}'.rstrip('0').ljust(2, '0')}"
