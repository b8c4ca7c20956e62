"""What `switchgear.hotpath._ratelimit` does, said plainly: the oracle of its differential tests."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING

from switchgear.state.steps import wait_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switchgear.hotpath._leases import Bucket
    from switchgear.limits.held import Held
    from switchgear.limits.model import Limit


class Family:
    """Limits of one kind. names: of the headers limit, remaining and reset."""

    def __init__(
        self, names: tuple[bytes, bytes, bytes], candidates: Sequence[tuple[Bucket, int, str, int]], absolute: bool
    ):
        self.names, self.candidates, self.absolute = names, candidates, absolute

    def tell(self, headers: list[tuple[bytes, bytes]], now_s: float) -> None:
        found, left = self.candidates[0], min(remaining(self.candidates[0][0]), self.candidates[0][1])
        for candidate in self.candidates[1:]:
            rest = min(remaining(candidate[0]), candidate[1])
            if rest * found[1] < left * candidate[1]:
                found, left = candidate, rest
        headers.append((self.names[0], b"%d" % found[1]))
        headers.append((self.names[1], b"%d" % left))
        wait = reset_s(found, now_s, left)
        if wait is not None:
            text = rfc3339(now_s + wait) if self.absolute else go_duration(wait)
            headers.append((self.names[2], text.encode()))


def remaining(bucket: Bucket) -> int:
    held: Held = bucket.state  # type: ignore[assignment]  # what the test put there
    limit: Limit = bucket.limit  # type: ignore[assignment]  # as above
    if not held.heard:
        return limit.capacity
    if not bucket.hard:
        return max(0, limit.capacity - held.spent)
    return bucket.available + max(0, held.free)


def reset_s(candidate: tuple[Bucket, int, str, int], now_s: float, left: int) -> float | None:
    bucket, capacity, kind, length_ms = candidate
    held: Held = bucket.state  # type: ignore[assignment]  # what the test put there
    if kind == "calendar":
        return max(0.0, held.end_s - now_s)
    if kind == "sliding":
        return wait_ms(capacity, length_ms, capacity - left, held.next_ms or length_ms // 60) / 1000
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
