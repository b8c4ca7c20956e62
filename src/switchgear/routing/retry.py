"""What the outcome of an attempt means, and whether there is another attempt.

Strategy
    An attempt ends in an Outcome. Two tables say what it means: STATUSES for an answer's status, and the outcomes'
    own four flags for those who act on them (breaker, credentials, plan).

    A request has one plan: so many attempts, and a budget in which the last of them must have started. After a failed
    attempt the plan answers with a Step: go on at once (another target is available), go on after a wait (the same
    targets once more), or give up. The wait is drawn from 0 to the backoff ("full jitter") and added to what the
    provider asked for; a wait that would end after the budget is not begun, because its only effect is a slower error.

    When every attempt failed, `most_useful` picks the error that tells the caller most about what to do.
"""

from __future__ import annotations

from calendar import timegm
from email.utils import parsedate_tz
from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from switchgear.errors import GatewayError, LimitReached, UpstreamRejected, UpstreamTimeout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from switchgear.config.schema import Retries

MAX_RETRY_AFTER_S = 86_400.0
"""A provider's longest pause that is believed: a daily quota. A wrong header must not retire a credential for good."""


class Outcome(Enum):
    """How an attempt ended: (retry, unhealthy, throttled, refused).

    retry: another attempt may succeed. unhealthy: counts against the target's breaker. throttled: the credential is to
    pause. refused: the credential is not valid.
    """

    ANSWERED = (False, False, False, False, "answered")
    """2xx or 3xx; or an error that is about the request, which every target would give."""
    THROTTLED = (True, False, True, False, "throttled")
    REFUSED = (True, False, False, True, "refused")
    """The credential is not accepted: another one, or another target, may be."""
    FORBIDDEN = (True, False, False, False, "forbidden")
    """403, perhaps about content or model: not held against the credential, or any caller could disable it."""
    BUSY = (True, False, False, False, "busy")
    """408 and 425: nothing is wrong with target or request."""
    FAILED = (True, True, False, False, "failed")
    """A server error, no connection, a timeout before the answer, an answer that is not HTTP."""
    UNSUPPORTED = (False, False, False, False, "unsupported")
    """501: the target works and cannot do this."""
    BROKEN = (False, True, False, False, "broken")
    """The target failed after bytes of its answer had gone to the client: no other attempt can take them back."""
    LIMITED = (True, False, False, False, "limited")
    """A limit of this gateway on the provider or credential is used up: another one may do."""
    CANCELLED = (False, False, False, False, "cancelled")
    """The client left, or the gateway stopped."""

    def __init__(self, retry: bool, unhealthy: bool, throttled: bool, refused: bool, label: str):
        self.retry = retry
        self.unhealthy = unhealthy
        self.throttled = throttled
        self.refused = refused
        self.label = label

    @property
    def healthy(self) -> bool:
        """The target worked as it should, whatever it thought of the request."""
        return self is Outcome.ANSWERED or self is Outcome.UNSUPPORTED


STATUSES: dict[int, Outcome] = {
    401: Outcome.REFUSED,
    402: Outcome.THROTTLED,  # the account behind the credential is out of credit
    403: Outcome.FORBIDDEN,
    408: Outcome.BUSY,
    425: Outcome.BUSY,
    429: Outcome.THROTTLED,
    501: Outcome.UNSUPPORTED,
}
"""Where a status does not mean what its hundred means: below 500 ANSWERED, from 500 FAILED."""


def classify(status: int, *, authentication: bool = False) -> Outcome:
    """The outcome of an answer with this status.

    authentication: the error's body says that the credential is at fault; then a 400 or 403 is a refusal too (some
    providers answer a wrong key so).
    """
    if authentication and 400 <= status < 500:
        return Outcome.REFUSED
    return STATUSES.get(status) or (Outcome.FAILED if status >= 500 else Outcome.ANSWERED)


def parse_retry_after(
    retry_after: bytes | None, retry_after_ms: bytes | None = None, *, wall_clock: float
) -> float | None:
    """Seconds to wait by `Retry-After` (RFC 9110 §10.2.3: seconds or a date) or `retry-after-ms` (milliseconds).

    Of two numbers the larger counts: Azure sends `retry-after-ms: 0` beside `retry-after: 1`. Fractions are taken.
    wall_clock: `time.time()`, to which a date is relative. None when there is no header that makes sense; never
    negative, never above `MAX_RETRY_AFTER_S`.
    """
    numbers = [
        number * unit
        for number, unit in ((_number(retry_after_ms), 0.001), (_number(retry_after), 1.0))
        if number is not None
    ]
    if numbers:
        return min(max(numbers), MAX_RETRY_AFTER_S)
    if retry_after is None or len(retry_after) > 64:
        return None
    try:
        date = parsedate_tz(retry_after.decode("ascii"))
        if date is None:
            return None
        moment = timegm(date[:6]) - (date[9] or 0)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return min(max(moment - wall_clock, 0.0), MAX_RETRY_AFTER_S)


def _number(value: bytes | None) -> float | None:
    text = (value or b"").strip()
    if not text or len(text) > 32 or text.strip(b"0123456789."):
        return None
    try:
        return float(text)
    except ValueError:
        return None


class Step(Struct, frozen=True):
    """What to do after a failed attempt. again: there is another attempt, after `wait_s`."""

    again: bool
    wait_s: float = 0.0


GIVE_UP = Step(False)
AT_ONCE = Step(True)


class RetryPlan:
    """The attempts of one request. started_at: in the clock of every `now`."""

    __slots__ = ("attempts", "ends_at", "retries", "rounds")

    def __init__(self, retries: Retries, started_at: float):
        self.retries = retries
        self.ends_at = started_at + retries.budget
        self.attempts = 0
        self.rounds = 0

    def begin(self) -> int:
        """Count an attempt that is about to start; its number, from 1."""
        self.attempts += 1
        return self.attempts

    def after(self, outcome: Outcome, now: float, draw: float, *, fresh: bool, held_s: float = 0.0) -> Step:
        """What follows an attempt that ended in `outcome`.

        draw: uniform in [0, 1). fresh: a target that this request has not tried is available (`Route.fresh`).
        held_s: seconds until any target is available (`Route.wait_s`); this is how a Retry-After is honoured.
        Steps: 1. nothing to retry, or no attempt left: give up. 2. budget over: give up. 3. another target: at once.
        4. held until after the budget: give up. 5. wait, jitter cut to the budget.
        After a step with a wait every target may be tried anew.
        """
        left_s = self.ends_at - now
        if not outcome.retry or self.attempts >= self.retries.attempts or left_s < 0:
            return GIVE_UP
        if fresh:
            return AT_ONCE
        if held_s > left_s:
            return GIVE_UP
        backoff_s = min(self.retries.backoff * 2.0 ** min(self.rounds, 64), self.retries.max_backoff)
        self.rounds += 1
        return Step(True, min(held_s + draw * backoff_s, left_s))


def most_useful(errors: Sequence[GatewayError]) -> GatewayError:
    """Of the errors of all attempts, in order, the one to give to the client.

    A definite answer about the request, then a 429, then a provider that is overloaded, another error status, a
    timeout, no answer at all; at last a refused credential, which is the gateway's own affair. Among equals the latest.
    Its `retry_after_s` becomes the smallest of all where waiting helps (429, 5xx). Raises `ValueError` without errors.
    """
    if not errors:
        raise ValueError("no errors to choose from")
    chosen = min(reversed(errors), key=_rank)
    waits = [error.retry_after_s for error in errors if error.retry_after_s is not None]
    if waits and (chosen.status == 429 or chosen.status >= 500):
        chosen.retry_after_s = min(waits)
    return chosen


def _rank(error: GatewayError) -> int:
    status = error.status
    if isinstance(error, LimitReached):
        return 2
    if isinstance(error, UpstreamRejected):
        if status == 401:
            return 8
        if status == 429:
            return 2
        if status in (503, 529):
            return 3
        if status >= 500 or status in (408, 425):
            return 4
        return 1 if status in (402, 403) else 0
    if isinstance(error, UpstreamTimeout):
        return 5
    return 3 if status == 503 else 6
