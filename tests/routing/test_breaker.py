"""The breaker: its table is complete, and each rule of its header comment holds."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.config.schema import Breaker as Settings
from switchgear.config.values import Duration
from switchgear.routing.breaker import TRANSITIONS, Breaker, Event, State

SETTINGS = Settings(failures=3, open=Duration(5.0), max_open=Duration(18.0))


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(SETTINGS)
    for _ in range(3):
        breaker.failed(now)
    assert (breaker.state, breaker.until) == (State.OPEN, now + 5.0)
    return breaker


def test_table_is_total() -> None:
    assert {state: set(events) for state, events in TRANSITIONS.items()} == {state: set(Event) for state in State}


def test_only_failures_in_a_row_open_it() -> None:
    breaker = Breaker(SETTINGS)
    for _ in range(10):
        breaker.failed(0.0)
        breaker.failed(0.0)
        breaker.succeeded()
    assert (breaker.state, breaker.failures, breaker.until) == (State.CLOSED, 0, -inf)


def test_an_outcome_without_verdict_changes_no_count() -> None:
    breaker = Breaker(SETTINGS)
    breaker.failed(0.0)
    breaker.abandoned(0.0)
    assert (breaker.state, breaker.failures, breaker.until) == (State.CLOSED, 1, -inf)


def test_late_reports_change_nothing_while_open() -> None:
    breaker = opened()
    for _ in range(50):
        breaker.failed(3.0)
        breaker.abandoned(3.0)
        breaker.succeeded()
    assert (breaker.state, breaker.until) == (State.OPEN, 5.0)


def test_open_time_doubles_up_to_its_bound_and_starts_anew_after_a_success() -> None:
    breaker, now, times = opened(), 0.0, []
    for _ in range(4):
        now = breaker.until
        breaker.picked(now)
        assert breaker.state is State.HALF_OPEN
        breaker.failed(now)
        times.append(breaker.until - now)
    assert times == [10.0, 18.0, 18.0, 18.0]
    breaker.picked(now)
    breaker.succeeded()
    assert (breaker.state, breaker.failures, breaker.until) == (State.CLOSED, 0, -inf)
    for _ in range(3):
        breaker.failed(100.0)
    assert breaker.until == 105.0


def test_probe_has_a_deadline_of_its_own() -> None:
    breaker = opened()
    breaker.picked(5.0)
    assert (breaker.state, breaker.until) == (State.HALF_OPEN, 23.0)
    breaker.picked(23.0)
    assert (breaker.state, breaker.until) == (State.HALF_OPEN, 41.0)


def test_abandoned_probe_lets_the_next_one_through_at_once() -> None:
    breaker = opened()
    breaker.picked(5.0)
    breaker.abandoned(6.0)
    assert (breaker.state, breaker.until) == (State.OPEN, 6.0)
    breaker.picked(6.0)
    assert breaker.state is State.HALF_OPEN


def test_thousands_of_openings_do_not_overflow() -> None:
    breaker = opened()
    for _ in range(3000):
        breaker.picked(0.0)
        breaker.failed(0.0)
    assert breaker.until == 18.0


@given(
    st.lists(
        st.tuples(st.sampled_from(["succeeded", "failed", "picked", "abandoned"]), st.integers(0, 9)), max_size=60
    ),
    st.integers(1, 4),
)
def test_left_out_exactly_while_not_closed_and_never_longer_than_the_bound(
    events: list[tuple[str, int]], failures: int
) -> None:
    breaker, now = Breaker(Settings(failures=failures, open=Duration(2.0), max_open=Duration(7.0))), 0.0
    for event, seconds in events:
        now += seconds
        if event == "succeeded":
            breaker.succeeded()
        else:
            getattr(breaker, event)(now)
        assert (breaker.until == -inf) == (breaker.state is State.CLOSED)
        assert breaker.until <= now + 7.0
        if breaker.state is State.CLOSED:
            assert breaker.failures < failures


@pytest.mark.parametrize("max_open", [1.0, 5.0])
def test_bound_below_the_open_time_is_the_open_time(max_open: float) -> None:
    breaker = Breaker(Settings(failures=1, open=Duration(5.0), max_open=Duration(max_open)))
    breaker.failed(0.0)
    breaker.picked(5.0)
    breaker.failed(5.0)
    assert breaker.until == 10.0
