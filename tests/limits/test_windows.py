"""Windows of every zone follow each other without a gap or an overlap."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchgear.limits.windows import Window, calendar_bounds
from switchgear.state.steps import STEPS, credited, wait_ms

ZONES = st.sampled_from(sorted(zone for zone in available_timezones() if zone[0].isupper()))
CAPRICIOUS = (
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Pacific/Apia",
    "Asia/Tehran",
)


@settings(deadline=None)  # the first of each zone reads its file
@given(
    zone=ZONES | st.sampled_from(CAPRICIOUS),
    period=st.sampled_from(["hour", "day", "week", "month"]),
    now=st.integers(0, 2_100_000_000),
)
def test_windows_follow_each_other(zone: str, period: str, now: int) -> None:
    start, end = calendar_bounds(period, zone, now)
    assert start <= now < end
    assert calendar_bounds(period, zone, start) == (start, end)
    assert calendar_bounds(period, zone, end - 1) == (start, end)
    assert calendar_bounds(period, zone, end)[0] == end


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


@pytest.mark.parametrize(
    ("period", "zone", "now", "start", "hours"),
    [
        ("day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-29T00:00", 23),
        ("day", "Europe/Berlin", "2026-10-25T12:00", "2026-10-25T00:00", 25),
        ("day", "UTC", "2026-11-21T23:59:59", "2026-11-21T00:00", 24),
        ("week", "UTC", "2026-11-22T12:00", "2026-11-16T00:00", 168),
        ("month", "Europe/Berlin", "2026-02-10T12:00", "2026-02-01T00:00", 28 * 24),
        ("month", "Europe/Berlin", "2026-03-31T23:00", "2026-03-01T00:00", 31 * 24 - 1),
    ],
)
def test_bounds(period: str, zone: str, now: str, start: str, hours: int) -> None:
    assert calendar_bounds(period, zone, at(now, zone)) == (at(start, zone), at(start, zone) + hours * 3600)


def test_the_hour_that_comes_twice_is_two_windows() -> None:
    first = int(datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp())  # 02:30 summer time in Berlin
    assert calendar_bounds("hour", "Europe/Berlin", first) == (first - 1800, first + 1800)
    assert calendar_bounds("hour", "Europe/Berlin", first + 3600) == (first + 1800, first + 5400)


def test_names_and_lengths() -> None:
    assert Window("calendar", "day", "Europe/Berlin").name == "day@Europe/Berlin"
    assert (Window("sliding", "hour").name, Window("sliding", "hour").length_ms) == ("hour", 3_600_000)
    assert Window("sliding", "minute").bounds(5) == (0, 0)


@settings(deadline=None)
@given(st.integers(0, 2**53 - 1), st.integers(0, 10**9))
def test_a_window_gives_its_capacity_back_exactly(capacity: int, steps: int) -> None:
    assert credited(capacity, steps + STEPS) - credited(capacity, steps) == capacity


@settings(deadline=None)
@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_after_the_wait_it_is_there(capacity: int, amount: int) -> None:
    amount = min(amount, capacity)
    steps = (wait_ms(capacity, 60_000, amount, 1000) - 1000) // 1000 + 1
    assert credited(capacity, steps) >= amount > credited(capacity, steps - 1)
