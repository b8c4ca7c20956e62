"""A plain consecutive-failure breaker per target.

Theory: a target that failed `failures` times in a row is probably down, and each further request to it costs its caller
a timeout. So it is left out for a while, then one request at a time tries it again. Only failures that speak about health
count (5xx, unreachable, timeouts, broken protocol): a 4xx or a 429 says nothing about health.

    state      on failure                          on success        on deadline
    closed     count; open at `failures`           count = 0         -
    open       open again, for longer              closed            half_open
    half_open  open again, twice as long           closed            -

Open time: `open`, doubled with each opening in a row, at most `max_open`.
"""

from __future__ import annotations

from typing import Literal

from switchgear.config.schema import Breaker as Settings

State = Literal["closed", "open", "half_open"]
_PROBE_S = 5.0  # while a probe is on its way the target stays held back, for so long at most


class Breaker:
    """The breaker of one target. Times are seconds of the caller's clock."""

    __slots__ = ("failures", "openings", "settings", "until")

    def __init__(self, settings: Settings):
        self.settings = settings
        self.failures = 0
        self.openings = 0
        self.until = 0.0

    def state(self, now: float) -> State:
        """Where it stands at `now`."""
        if not self.openings:
            return "closed"
        return "open" if now < self.until else "half_open"

    def failed(self, now: float) -> float:
        """Count a failure. Returns until when the target is to be held back, 0.0 for not at all."""
        self.failures += 1
        if not self.openings and self.failures < self.settings.failures:
            return 0.0
        length = min(self.settings.open * 2**self.openings, self.settings.max_open)
        self.openings = min(self.openings + 1, 30)
        self.until = max(self.until, now + length)
        return self.until

    def probing(self, now: float) -> float:
        """A request was let through half-open. Returns until when others are to be held back."""
        return now + min(_PROBE_S, self.settings.open)

    def succeeded(self) -> bool:
        """Count a success. True when this closed the breaker."""
        reopened = self.openings > 0
        self.failures = self.openings = 0
        self.until = 0.0
        return reopened
