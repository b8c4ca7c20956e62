"""Windows of limits: sliding, by the calendar of a time zone, or without an end.

A sliding window is a token bucket. It is full at first, and what was taken comes back in 60 equal steps a window
(`state.steps`), counted from the moment at which it was last full: of a burst against 1,000 an hour exactly 1,000 pass
in the first minute, then 16 or 17 (1,000/60, and no fraction is lost) with each further minute. So in any span of time
at most capacity + capacity * span/window passes.

A calendar window begins and ends with the hour, day, week (Monday) or month of its zone. Windows of a zone follow each
other without a gap or an overlap, also where clocks are put forward or back: a day may have 23 or 25 hours, and the
hour that comes twice is two windows.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

LENGTHS_S = {"second": 1, "minute": 60, "hour": 3600}

Kind = Literal["none", "sliding", "calendar", "total"]


class Window(Struct, frozen=True):
    """kind: `none` for what has no window (concurrent requests).

    period: `second`, `minute`, `hour` of a sliding window, `hour`, `day`, `week`, `month` of a calendar's.
    """

    kind: Kind
    period: str = ""
    timezone: str = ""

    @property
    def name(self) -> str:
        """As ids and refusals show it: `minute`, `day@Europe/Berlin`, `total`, `` for none."""
        return f"{self.period}@{self.timezone}" if self.kind == "calendar" else self.period

    @property
    def length_ms(self) -> int:
        """Of a sliding window, else 0."""
        return LENGTHS_S[self.period] * 1000 if self.kind == "sliding" else 0

    @property
    def is_long(self) -> bool:
        """Whether it is of an hour at least, or never ends."""
        return self.kind in ("calendar", "total") or self.period == "hour"

    def bounds(self, now_s: float) -> tuple[int, int]:
        """(start, end) in Unix seconds of the calendar window that holds `now_s`; (0, 0) for other kinds."""
        return calendar_bounds(self.period, self.timezone, now_s) if self.kind == "calendar" else (0, 0)


NONE = Window("none")
TOTAL = Window("total", "total")


def calendar_bounds(period: str, timezone: str, now_s: float) -> tuple[int, int]:
    """Unix seconds at which the zone's hour, day, week or month begins that holds `now_s`, and at which the next does.

    Raises `zoneinfo.ZoneInfoNotFoundError` for an unknown zone, `KeyError` for an unknown period.
    """
    zone = ZoneInfo(timezone)
    local = datetime.fromtimestamp(int(now_s), UTC).astimezone(zone)
    if period == "hour":
        return _hour(local, int(now_s))
    start = _FLOORS[period](local.replace(hour=0, minute=0, second=0, fold=0, tzinfo=None))
    return _instant(start, zone), _instant(_NEXT[period](start), zone)


def _hour(local: datetime, now_s: int) -> tuple[int, int]:
    zone = local.tzinfo
    assert isinstance(zone, ZoneInfo)  # noqa: S101 - made by `calendar_bounds`
    naive = local.replace(minute=0, second=0, tzinfo=None)
    start, end = _instant(naive, zone), _instant((naive + timedelta(hours=1)).replace(fold=0), zone)
    if end - start > 3600:  # the hour comes twice, or (Lord Howe) half of it
        if now_s < start + 3600:
            return start, start + 3600
        start += 3600
    return start, end


def _instant(naive: datetime, zone: ZoneInfo) -> int:
    # A time that does not exist (clocks went forward over it) is the instant of the change, for fold 0 (PEP 495).
    return int(naive.replace(tzinfo=zone).timestamp())


def _next_month(start: datetime) -> datetime:
    return (start.replace(day=1) + timedelta(days=32)).replace(day=1)


_FLOORS = {
    "day": lambda midnight: midnight,
    "week": lambda midnight: midnight - timedelta(days=midnight.weekday()),
    "month": lambda midnight: midnight.replace(day=1),
}
_NEXT = {
    "day": lambda start: start + timedelta(days=1),
    "week": lambda start: start + timedelta(days=7),
    "month": _next_month,
}
