"""What limits tell of: thresholds of budgets, soft limits that are passed, refusals, requests admitted unaccounted.

Each threshold is told once a window, by the worker whose report passed it (the store decides which). Everything is
counted in a metric; thresholds are logged and handed to a callback as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from switchgear.limits.model import NANO
from switchgear.observability import logs

if TYPE_CHECKING:
    from switchgear.limits.model import Limit
    from switchgear.state.store import Told

log = logs.get(__name__)


class Passed(Struct, frozen=True):
    """A threshold was passed. threshold, used, capacity: in the units of the limit's resource."""

    limit: Limit
    threshold: int
    used: int


OnPassed = Callable[[Passed], None]


class Counters(Protocol):
    """What is needed of `observability.metrics.Metrics`."""

    def count(self, metric: str, *labels: str) -> None:
        """One more of a counter of `observability.definitions`."""


class Events:
    """counters: None counts nowhere."""

    def __init__(self, counters: Counters | None = None, on_passed: OnPassed | None = None):
        self._counters = counters
        self._on_passed = on_passed

    def told(self, limit: Limit, told: Told) -> None:
        """Of every answer of the store."""
        for number in range(told.fired_from, told.fired_to):
            if number < len(limit.thresholds):
                self._passed(Passed(limit, limit.thresholds[number], told.spent))

    def refused(self, limit: Limit) -> None:
        """A limit refused a request."""
        self._count("switchgear_limit_refusals_total", limit)

    def unaccounted(self, limit: Limit) -> None:
        """A request was admitted though the store could not be asked."""
        self._count("switchgear_limit_unaccounted_total", limit)

    def exchanged(self, ok: bool) -> None:
        """A call of the store."""
        if self._counters is not None:
            self._counters.count("switchgear_state_calls_total", "ok" if ok else "failed")

    def _passed(self, event: Passed) -> None:
        limit = event.limit
        self._count("switchgear_limit_thresholds_total", limit)
        unit = NANO if limit.resource == "cost" else 1
        log.warning(
            "threshold passed",
            limit=limit.id,
            threshold=event.threshold / unit,
            used=event.used / unit,
            capacity=limit.capacity / unit,
        )
        if self._on_passed is not None:
            self._on_passed(event)

    def _count(self, metric: str, limit: Limit) -> None:
        if self._counters is not None:
            self._counters.count(metric, limit.scope.kinds, limit.resource)
