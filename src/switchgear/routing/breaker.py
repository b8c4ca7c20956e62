"""The circuit breaker of one target.

Rules
    CLOSED     requests pass; failures in a row are counted, and a success sets the count to 0.
    OPEN       the target is left out until a deadline.
    HALF_OPEN  one request, the probe, is under way; the others wait for what becomes of it.

Theory of operation
    A breaker is told what happened to its target as one of five events and looks the next state up in TRANSITIONS.
    Nothing happens by the clock alone: a deadline that has passed makes the target available again, and the request
    that is then sent there is the probe (PICKED). The same holds for a request sent to an open target because every
    target was left out: it is as good a probe as any.

    TRIPPED is the failure that reaches `failures` in a row. Each opening without a success since the last one doubles
    the time, from `open` up to `max_open`. Only the opening starts a deadline: when fifty requests were under way and
    the tenth opened the breaker, the other forty report failures of the same incident and change nothing.

    A probe may never report: its request was cancelled (then ABANDONED makes the target available for the next probe)
    or its report was lost. Therefore a probe too has a deadline, `max_open`, after which another one is let through.

    Which outcomes speak about health is `retry.Outcome`'s to say: a 5xx other than 501, no connection, a timeout, a
    torn answer. An answer about the request (4xx) proves that the target works; a 429 or a refused credential proves
    nothing either way.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from switchgear.config.schema import Breaker as Settings


class State(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Event(Enum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TRIPPED = "tripped"
    PICKED = "picked"
    ABANDONED = "abandoned"


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.CLOSED: {
        Event.SUCCEEDED: State.CLOSED,
        Event.FAILED: State.CLOSED,
        Event.TRIPPED: State.OPEN,
        Event.PICKED: State.CLOSED,
        Event.ABANDONED: State.CLOSED,
    },
    State.OPEN: {
        # Late reports of requests that were sent before it opened.
        Event.SUCCEEDED: State.OPEN,
        Event.FAILED: State.OPEN,
        Event.TRIPPED: State.OPEN,
        Event.ABANDONED: State.OPEN,
        Event.PICKED: State.HALF_OPEN,
    },
    State.HALF_OPEN: {
        Event.SUCCEEDED: State.CLOSED,
        Event.FAILED: State.OPEN,
        Event.TRIPPED: State.OPEN,
        Event.PICKED: State.HALF_OPEN,
        Event.ABANDONED: State.OPEN,
    },
}


class Breaker:
    """State, consecutive failures, and until when the target is left out (`-inf` while closed)."""

    __slots__ = ("failures", "openings", "settings", "state", "until")

    def __init__(self, settings: Settings):
        self.settings = settings
        self.state = State.CLOSED
        self.failures = 0
        self.openings = 0
        self.until = -inf

    def succeeded(self) -> None:
        """The target answered as a working one does."""
        self._enter(TRANSITIONS[self.state][Event.SUCCEEDED])
        if self.state is State.CLOSED:
            self.failures = self.openings = 0

    def failed(self, now: float) -> None:
        """It failed in a way that speaks about its health."""
        before = self.state
        self.failures += 1
        event = Event.TRIPPED if self.failures >= self.settings.failures else Event.FAILED
        self._enter(TRANSITIONS[before][event])
        if self.state is State.OPEN and before is not State.OPEN:
            # 2.0 ** 64 is beyond any max_open; the exponent itself must not grow without bound.
            doubled = self.settings.open * 2.0 ** min(self.openings, 64)
            self.openings += 1
            self.until = now + min(doubled, max(self.settings.open, self.settings.max_open))

    def picked(self, now: float) -> None:
        """A request is sent to it: when it was open, that is the probe."""
        self._enter(TRANSITIONS[self.state][Event.PICKED])
        if self.state is State.HALF_OPEN:
            self.until = now + max(self.settings.open, self.settings.max_open)

    def abandoned(self, now: float) -> None:
        """A request to it ended and says nothing about its health."""
        if self.state is State.HALF_OPEN:
            self.until = now
        self._enter(TRANSITIONS[self.state][Event.ABANDONED])

    def _enter(self, state: State) -> None:
        self.state = state
        if state is State.CLOSED:
            self.until = -inf
