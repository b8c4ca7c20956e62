"""What a failure means, and when to try again: tables and arithmetic, no clock of its own.

Backoff: exponential with full jitter (the wait is drawn uniformly from 0 to the exponential bound), as in "Exponential Backoff
And Jitter", AWS Architecture Blog, 2015. A Retry-After longer than that is honoured. All attempts of one request share
one number of attempts and one budget of time, failover included (CASES 7).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import random

from msgspec import Struct

from switchgear.config.schema import Retries
from switchgear.errors import GatewayError, Overloaded, UpstreamProtocolError, UpstreamRejected, UpstreamTimeout


class Outcome(Struct, frozen=True):
    """What a failed attempt says. name: label in metrics.

    retryable: another attempt may succeed. unhealthy: counts against the target's breaker. throttled / invalid: about the
    credential, so that another credential of the same target is worth a try.
    """

    name: str
    retryable: bool = False
    unhealthy: bool = False
    throttled: bool = False
    invalid: bool = False

    @property
    def credential(self) -> bool:
        return self.throttled or self.invalid


_CLIENT_FAULT = Outcome("client_error")
_BY_STATUS: dict[int, Outcome] = {
    401: Outcome("credential", retryable=True, invalid=True),
    408: Outcome("timeout", retryable=True, unhealthy=True),
    425: Outcome("server_error", retryable=True),
    429: Outcome("throttled", retryable=True, throttled=True),
    501: Outcome("not_implemented"),
    529: Outcome("overloaded", retryable=True, unhealthy=True),
    503: Outcome("overloaded", retryable=True, unhealthy=True),
}
_SERVER_ERROR = Outcome("server_error", retryable=True, unhealthy=True)
_TIMEOUT = Outcome("timeout", retryable=True, unhealthy=True)
_TOTAL = Outcome("timeout", retryable=False, unhealthy=True)
_PROTOCOL = Outcome("protocol", retryable=True, unhealthy=True)
_UNREACHABLE = Outcome("unreachable", retryable=True, unhealthy=True)
_BUSY = Outcome("busy", retryable=True)  # our own pool is full: no word about the upstream's health


def classify(status: int) -> Outcome:
    """What an error status says."""
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    return _SERVER_ERROR if status >= 500 else _CLIENT_FAULT


def classify_error(error: GatewayError) -> Outcome:
    """What an attempt that brought no answer says."""
    if isinstance(error, UpstreamRejected):
        return classify(error.status)
    if isinstance(error, UpstreamTimeout):
        return _TOTAL if error.phase == "total" else _TIMEOUT
    if isinstance(error, UpstreamProtocolError):
        return _PROTOCOL
    return _BUSY if isinstance(error, Overloaded) else _UNREACHABLE


def retry_after_s(value: bytes | None, value_ms: bytes | None = None, now: datetime | None = None) -> float | None:
    """Seconds asked for by `Retry-After` (seconds or an HTTP date, RFC 9110 §10.2.3) or `retry-after-ms`; None when neither says.

    Azure sends `retry-after-ms: 0` beside `retry-after: 1`: the longer counts.
    """
    waits = [wait for wait in (_number(value_ms, 1000.0), _number(value, 1.0)) if wait is not None]
    if not waits and value:
        try:
            date = parsedate_to_datetime(value.decode("latin-1"))
        except ValueError:
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        waits = [max(0.0, (date - (now or datetime.now(UTC))).total_seconds())]
    return max(waits) if waits else None


def _number(value: bytes | None, divisor: float) -> float | None:
    try:
        number = float(value) / divisor if value else -1.0
    except ValueError:
        return None
    return number if 0 <= number < 1e9 else None


class RetryPlan:
    """The attempts of one request. started_at: when it came in (seconds)."""

    __slots__ = ("attempts", "backoff", "ends_at", "max_backoff", "rounds")

    def __init__(self, retries: Retries, started_at: float):
        self.attempts = retries.attempts
        self.ends_at = started_at + retries.budget
        self.backoff = retries.backoff
        self.max_backoff = retries.max_backoff
        self.rounds = 0

    def next_s(self, now: float, made: int) -> float | None:
        """After `made` attempts, wait before one on a target that was not tried yet: none. None: give up."""
        return 0.0 if made < self.attempts and now < self.ends_at else None

    def wait_s(self, now: float, made: int, retry_after_s: float | None, draw: float | None = None) -> float | None:
        """After `made` attempts, wait before going round the targets again. None: give up.

        draw: uniform in [0, 1), drawn here when not given.
        """
        if made >= self.attempts:
            return None
        bound = min(self.backoff * 2**self.rounds, self.max_backoff)
        self.rounds += 1
        wait = bound * (random() if draw is None else draw)  # noqa: S311 - jitter, not a secret
        wait = max(wait, retry_after_s or 0.0)
        return wait if now + wait < self.ends_at else None


# The most useful error first: what the client can act on, then what time will mend, then what went wrong behind us.
_USEFUL_STATUS = {400: 0, 413: 0, 415: 0, 422: 0, 404: 1, 402: 2, 403: 2, 429: 3, 503: 4, 529: 4}


def _usefulness(error: GatewayError) -> int:
    if isinstance(error, UpstreamRejected):
        return _USEFUL_STATUS.get(error.status, 2 if error.status < 500 and error.status not in (401, 408) else 5)
    if isinstance(error, UpstreamTimeout):
        return 6
    return 4 if isinstance(error, Overloaded) else 7


def most_useful(errors: Sequence[GatewayError]) -> GatewayError:
    """The error to tell the client of those of all attempts, with the smallest Retry-After among them (DESIGN §7).

    An upstream's own Retry-After headers are removed where another's wait is shorter.
    """
    chosen = min(errors, key=_usefulness)
    waits = [error.retry_after_s for error in errors if error.retry_after_s is not None]
    if waits and (chosen.retry_after_s is None or min(waits) < chosen.retry_after_s):
        if isinstance(chosen, UpstreamRejected):
            chosen.headers = [pair for pair in chosen.headers if not pair[0].startswith(b"retry-after")]
        if chosen.status in (429, 503, 529) or isinstance(chosen, Overloaded):
            chosen.retry_after_s = min(waits)
    return chosen
