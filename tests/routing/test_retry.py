"""Outcomes, Retry-After, the plan's arithmetic, and the choice among errors."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.config.schema import Retries
from switchgear.config.values import Duration
from switchgear.errors import GatewayError, Overloaded, UpstreamRejected, UpstreamTimeout, UpstreamUnreachable
from switchgear.routing.retry import (
    MAX_RETRY_AFTER_S,
    Outcome,
    RetryPlan,
    Step,
    classify,
    most_useful,
    parse_retry_after,
)

RETRIES = Retries(attempts=3, budget=Duration(20.0), backoff=Duration(0.25), max_backoff=Duration(8.0))


@pytest.mark.parametrize(
    ("statuses", "retry", "unhealthy", "throttled", "refused", "healthy"),
    [
        ([200, 201, 204, 301, 400, 404, 405, 409, 410, 413, 415, 422, 451], False, False, False, False, True),
        ([401], True, False, False, True, False),
        ([403], True, False, False, False, False),
        ([402, 429], True, False, True, False, False),
        ([408, 425], True, False, False, False, False),
        ([500, 502, 503, 504, 520, 529, 599, 999], True, True, False, False, False),
        ([501], False, False, False, False, True),
    ],
)
def test_statuses(
    statuses: list[int], retry: bool, unhealthy: bool, throttled: bool, refused: bool, healthy: bool
) -> None:
    for status in statuses:
        found = classify(status)
        assert (found.retry, found.unhealthy, found.throttled, found.refused, found.healthy) == (
            retry,
            unhealthy,
            throttled,
            refused,
            healthy,
        ), status


@pytest.mark.parametrize("status", [400, 401, 403])
def test_an_error_about_authentication_is_a_refusal_by_any_4xx(status: int) -> None:
    assert classify(status, authentication=True) is Outcome.REFUSED
    assert classify(500, authentication=True) is Outcome.FAILED


def test_outcomes_are_distinct() -> None:
    assert len(list(Outcome)) == len({outcome.label for outcome in Outcome}) == 10


@pytest.mark.parametrize(
    ("value", "milliseconds", "seconds"),
    [
        (b"7", None, 7.0),
        (b" 1.5 ", None, 1.5),
        (b"0", None, 0.0),
        (b"7", b"250", 7.0),
        (b"1", b"0", 1.0),
        (b"soon", b"250", 0.25),
        (b"7", b"soon", 7.0),
        (None, b"1500.5", 1.5005),
        (formatdate(2_000_000_090, usegmt=True).encode(), None, 90.0),
        (b"Sun, 06 Nov 1994 08:49:37 GMT", None, 0.0),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", None, 0.0),
        (b"Sun Nov  6 08:49:37 1994", None, 0.0),
        (b"Fri, 31 Dec 9999 23:59:59 GMT", None, MAX_RETRY_AFTER_S),
        (b"99999999999", None, MAX_RETRY_AFTER_S),
        (b"", None, None),
        (None, None, None),
        (b"-1", None, None),
        (b"1e3", None, None),
        (b"nan", None, None),
        (b"inf", None, None),
        (b"1.2.3", None, None),
        (b".", None, None),
        (b"9" * 33, None, None),
        (b"Fri, 99 Foo 2026 99:99:99 GMT", None, None),
        (b"\xff\xfe", None, None),
    ],
)
def test_retry_after(value: bytes | None, milliseconds: bytes | None, seconds: float | None) -> None:
    found = parse_retry_after(value, milliseconds, wall_clock=2_000_000_000.0)
    assert found == (None if seconds is None else pytest.approx(seconds))


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_retry_after_never_raises(value: bytes, milliseconds: bytes) -> None:
    found = parse_retry_after(value, milliseconds, wall_clock=2_000_000_000.0)
    assert found is None or 0.0 <= found <= MAX_RETRY_AFTER_S


def test_another_target_at_once_until_the_attempts_are_used() -> None:
    plan = RetryPlan(RETRIES, 100.0)
    steps = []
    for _ in range(3):
        plan.begin()
        steps.append(plan.after(Outcome.FAILED, 101.0, 0.5, fresh=True))
    assert steps == [Step(True, 0.0), Step(True, 0.0), Step(False)]


def test_same_target_after_a_doubling_jittered_wait() -> None:
    plan = RetryPlan(Retries(attempts=10, budget=Duration(60.0)), 0.0)
    waits = []
    for _ in range(8):
        plan.begin()
        waits.append(plan.after(Outcome.FAILED, 0.0, 0.5, fresh=False).wait_s)
    assert waits == [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_retry_after_is_honoured_and_jitter_comes_on_top() -> None:
    plan = RetryPlan(RETRIES, 0.0)
    plan.begin()
    assert plan.after(Outcome.THROTTLED, 1.0, 0.5, fresh=False, held_s=7.0) == Step(True, 7.125)


def test_wait_that_outlasts_the_budget_is_not_begun() -> None:
    plan = RetryPlan(RETRIES, 0.0)
    plan.begin()
    assert plan.after(Outcome.THROTTLED, 1.0, 0.5, fresh=False, held_s=19.5) == Step(False)
    assert plan.after(Outcome.THROTTLED, 1.0, 0.5, fresh=False, held_s=19.0) == Step(True, 19.0)


def test_nothing_starts_after_the_budget() -> None:
    plan = RetryPlan(RETRIES, 0.0)
    plan.begin()
    assert plan.after(Outcome.FAILED, 20.0, 0.5, fresh=True) == Step(True, 0.0)
    assert plan.after(Outcome.FAILED, 20.001, 0.5, fresh=True) == Step(False)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if not outcome.retry])
def test_no_retry_of_what_a_retry_does_not_change(outcome: Outcome) -> None:
    plan = RetryPlan(RETRIES, 0.0)
    plan.begin()
    assert plan.after(outcome, 0.0, 0.5, fresh=True) == Step(False)


@given(
    attempts=st.integers(1, 20),
    budget=st.floats(0, 30),
    backoff=st.floats(0, 10),
    rounds=st.lists(
        st.tuples(
            st.sampled_from(list(Outcome)),
            st.floats(0, 5),
            st.floats(0, 1, exclude_max=True),
            st.booleans(),
            st.floats(0, 9),
        ),
        min_size=25,
        max_size=25,
    ),
)
def test_attempts_and_budget_are_never_exceeded(
    attempts: int, budget: float, backoff: float, rounds: list[tuple[Outcome, float, float, bool, float]]
) -> None:
    retries = Retries(attempts=attempts, budget=Duration(budget), backoff=Duration(backoff))
    plan, now, starts = RetryPlan(retries, 0.0), 0.0, []
    for outcome, took, draw, fresh, held_s in rounds:
        starts.append(now)
        assert plan.begin() == len(starts)
        now += took
        step = plan.after(outcome, now, draw, fresh=fresh, held_s=held_s)
        if not step.again:
            break
        assert step.wait_s == 0.0 if fresh else step.wait_s >= held_s
        now += step.wait_s
    assert len(starts) <= attempts
    assert starts[-1] <= budget + 1e-9


def rejected(status: int, retry_after_s: float | None = None) -> UpstreamRejected:
    return UpstreamRejected(status, [], b"", retry_after_s=retry_after_s)


def test_order_of_usefulness() -> None:
    ranked = [
        rejected(400),
        rejected(403),
        rejected(429),
        rejected(503),
        rejected(500),
        UpstreamTimeout("first_token", 30.0),
        UpstreamUnreachable("no connection"),
        rejected(401),
    ]
    for index, better in enumerate(ranked[:-1]):
        for worse in ranked[index + 1 :]:
            assert most_useful([better, worse]) is better
            assert most_useful([worse, better]) is better


@pytest.mark.parametrize(("one", "other"), [(400, 422), (404, 413), (503, 529), (500, 502)])
def test_latest_among_equals(one: int, other: int) -> None:
    errors = [rejected(one), rejected(other)]
    assert most_useful(errors) is errors[1]


def test_smallest_retry_after_of_all() -> None:
    errors = [rejected(429, 30.0), rejected(429, 12.0), rejected(503, 3.0), UpstreamUnreachable("no connection")]
    chosen = most_useful(errors)
    assert (chosen, chosen.retry_after_s) == (errors[1], 3.0)


def test_a_definite_answer_is_not_worth_waiting_for() -> None:
    assert most_useful([rejected(429, 30.0), rejected(400)]).retry_after_s is None


def test_own_overload_is_like_a_providers() -> None:
    full: GatewayError = Overloaded("no connection is free", retry_after_s=1.0)
    assert most_useful([UpstreamUnreachable("no connection"), full]) is full


def test_no_errors() -> None:
    with pytest.raises(ValueError, match="no errors"):
        most_useful([])
