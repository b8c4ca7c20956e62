"""Which of a model's prices applies at a time: from a date on, in a part of the day, the last that applies.

A price is made when it is first asked for, and answered together with the span of time in which nothing can change, so
that a caller compares two numbers instead of asking again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct

from switchgear.accounting.price import Price

DAY_S = 86400.0


class Always(Struct, frozen=True):
    """Without a condition."""

    def applies(self, time_s: float) -> bool:
        """At any time."""
        return True

    def edges(self, time_s: float) -> tuple[float, ...]:
        """None."""
        return ()


class Since(Struct, frozen=True):
    """From `start_s` on, POSIX seconds."""

    start_s: float

    def applies(self, time_s: float) -> bool:
        """Whether it has begun."""
        return time_s >= self.start_s

    def edges(self, time_s: float) -> tuple[float, ...]:
        """Its beginning."""
        return (self.start_s,)


class Daily(Struct, frozen=True):
    """Every day from one second of the UTC day to another, across midnight when the end is the smaller."""

    start: float
    end: float

    def applies(self, time_s: float) -> bool:
        """Whether it is that time of the day."""
        second = time_s % DAY_S
        if self.end < self.start:
            return second >= self.start or second < self.end
        return self.start <= second < self.end

    def edges(self, time_s: float) -> tuple[float, ...]:
        """Beginning and end on the day before, this day and the next."""
        midnight = time_s - time_s % DAY_S
        return tuple(midnight + day * DAY_S + edge for day in (-1, 0, 1) for edge in (self.start, self.end))


When = Always | Since | Daily
T = TypeVar("T")


class Entry(Struct, Generic[T], frozen=True):
    """Something that applies at times."""

    when: When
    what: T


class Span(Struct, frozen=True):
    """A price (None: none is known) and the time in which it is the one: from `since_s`, before `until_s`."""

    price: Price | None
    since_s: float = -math.inf
    until_s: float = math.inf

    def narrowed(self, other: Span) -> Span:
        """This price, within both spans."""
        return Span(self.price, max(self.since_s, other.since_s), min(self.until_s, other.until_s))


class Schedule:
    """base: the last that applies is the one; when none does, the first, or none where `strict`. extra: those that
    apply go to `make` beside it, in their order. make: the price of a base entry with the extras that apply."""

    __slots__ = ("_base", "_extra", "_made", "_make", "_strict")

    def __init__(
        self,
        base: Sequence[Entry[Any]],
        extra: Sequence[Entry[Any]],
        make: Callable[[Any, tuple[Any, ...]], Price],
        *,
        strict: bool = False,
    ):
        self._base, self._extra, self._make, self._strict = tuple(base), tuple(extra), make, strict
        self._made: dict[tuple[int, ...], Price] = {}  # one for each combination that applied: a few at most

    def at(self, time_s: float) -> Span:
        """What applies at a time, POSIX seconds."""
        index = self._index(time_s)
        active = tuple(n for n, entry in enumerate(self._extra) if entry.when.applies(time_s))
        edges = [edge for entry in (*self._base, *self._extra) for edge in entry.when.edges(time_s)]
        since = max((edge for edge in edges if edge <= time_s), default=-math.inf)
        until = min((edge for edge in edges if edge > time_s), default=math.inf)
        if index is None:
            return Span(None, since, until)
        price = self._made.get((index, *active))
        if price is None:
            price = self._make(self._base[index].what, tuple(self._extra[n].what for n in active))
            self._made[index, *active] = price
        return Span(price, since, until)

    def _index(self, time_s: float) -> int | None:
        for index in range(len(self._base) - 1, -1, -1):
            if self._base[index].when.applies(time_s):
                return index
        return None if self._strict else 0
