"""Credential pools: rotation, pauses that only move out, refusals, and that the pool never empties itself."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.routing.credentials import TRANSITIONS, Credential, CredentialPool, Event, State

A, B, C = (Credential(name, [(b"authorization", b"Bearer sk-secret-" + name.encode())]) for name in "abc")


def picks(pool: CredentialPool, now: float, count: int) -> str:
    return "".join(chosen.name if (chosen := pool.pick(now)) else "-" for _ in range(count))


def states(pool: CredentialPool, now: float) -> list[tuple[str, str, float]]:
    return [(row["name"], row["state"], row["wait_s"]) for row in pool.snapshot(now)]


def test_table_is_total() -> None:
    assert {state: set(events) for state, events in TRANSITIONS.items()} == {state: set(Event) for state in State}


def test_no_secret_in_any_form() -> None:
    pool = CredentialPool([A, B])
    for text in (repr(A), str(A), f"{A}", repr(pool), repr(pool.snapshot(0.0))):
        assert "secret" not in text
    assert repr(A) == "<Credential a>"
    with pytest.raises(TypeError):
        pickle.dumps(A)


def test_provider_without_credentials_has_an_anonymous_one() -> None:
    pool = CredentialPool()
    chosen = pool.pick(0.0)
    assert chosen is not None
    assert (len(pool), chosen.name, chosen.headers) == (1, "anonymous", ())


def test_names_must_differ() -> None:
    with pytest.raises(ValueError, match=r"must differ: a$"):
        CredentialPool([A, B, Credential("a")])


def test_rotation_skips_what_is_throttled_or_invalid() -> None:
    pool = CredentialPool([A, B, C])
    assert picks(pool, 0.0, 6) == "abcabc"
    pool.throttle(B, 0.0, 10.0)
    assert picks(pool, 0.0, 4) == "acac"
    pool.refused(A, 0.0)
    assert picks(pool, 1.0, 3) == "ccc"
    assert (pool.available(1.0), pool.wait_s(1.0)) == (1, 0.0)
    assert states(pool, 1.0) == [("a", "invalid", 29.0), ("b", "throttled", 9.0), ("c", "available", 0.0)]
    assert picks(pool, 10.0, 4) == "bcbc"


def test_all_throttled_gives_the_one_that_is_free_soonest() -> None:
    pool = CredentialPool([A, B])
    pool.throttle(A, 0.0, 9.0)
    pool.throttle(B, 0.0, 4.0)
    assert picks(pool, 1.0, 3) == "bbb"
    assert (pool.available(1.0), pool.wait_s(1.0)) == (0, 3.0)
    only = CredentialPool([A])
    only.throttle(A, 0.0, 3600.0)
    assert picks(only, 0.0, 2) == "aa"


def test_a_pause_only_moves_out() -> None:
    pool = CredentialPool([A])
    pool.throttle(A, 0.0, 60.0)
    pool.throttle(A, 1.0, 2.0)
    pool.throttle(A, 1.0)
    pool.succeeded(A)
    assert states(pool, 1.0) == [("a", "throttled", 59.0)]
    pool.throttle(A, 1.0, 100.0)
    assert states(pool, 1.0) == [("a", "throttled", 100.0)]


def test_default_pause_doubles_per_pause_up_to_its_bound() -> None:
    pool, now, waits = CredentialPool([A]), 0.0, []
    for _ in range(7):
        for _ in range(20):  # many at once are one pause
            pool.throttle(A, now)
        waits.append(pool.wait_s(now))
        now += waits[-1]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert pool.available(now) == 1
    pool.succeeded(A)
    pool.throttle(A, now)
    assert pool.wait_s(now) == 1.0


def test_troubled_until_every_credential_has_been_answered_again() -> None:
    pool = CredentialPool([A, B])
    assert not pool.troubled
    pool.throttle(A, 0.0, 5.0)
    assert (pool.spare(0.0, {"b"}), pool.spare(0.0, ()), pool.spare(6.0, {"b"})) == (False, True, True)
    pool.succeeded(B)
    assert pool.troubled
    pool.succeeded(A)
    assert not pool.troubled
    assert picks(pool, 6.0, 4) in ("abab", "baba")


def test_names_tried_by_a_request_are_left_out() -> None:
    pool = CredentialPool([A, B])
    pool.refused(A, 0.0)
    assert pool.pick(0.0, {"a"}) is B
    assert pool.pick(0.0, {"a", "b"}) is None
    pool.throttle(B, 0.0, 5.0)
    assert pool.pick(0.0, {"a"}) is B


def test_all_invalid_are_tried_again_oldest_first_one_request_per_wait() -> None:
    pool = CredentialPool([A, B])
    pool.refused(A, 0.0)
    pool.refused(B, 1.0)
    assert picks(pool, 29.0, 2) == "--"
    assert pool.wait_s(29.0) == 1.0
    assert picks(pool, 31.0, 4) == "ab--"
    pool.refused(A, 32.0)
    assert states(pool, 32.0) == [("a", "invalid", 60.0), ("b", "invalid", 59.0)]
    pool.succeeded(B)
    assert picks(pool, 32.0, 3) == "bbb"


def test_requests_refused_together_count_once_and_the_wait_is_bounded() -> None:
    pool, now, waits = CredentialPool([A]), 0.0, []
    for _ in range(7):
        for _ in range(20):
            pool.refused(A, now)
        waits.append(pool.wait_s(now))
        now += waits[-1]
        assert pool.pick(now) is A
    assert waits == [30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0]


def test_reload_keeps_what_is_known_of_the_same_credential() -> None:
    old, new = CredentialPool([A, B]), CredentialPool([A, Credential("b", [(b"authorization", b"Bearer other")])])
    old.throttle(A, 0.0, 50.0)
    old.refused(B, 0.0)
    new.adopt(old)
    assert states(new, 0.0) == [("a", "throttled", 50.0), ("b", "available", 0.0)]


@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.sampled_from(["succeeded", "throttle", "refused", "pick"]),
            st.integers(0, 40),
            st.none() | st.integers(0, 100),
        ),
        max_size=80,
    ),
)
def test_never_empty_unless_all_are_invalid(count: int, events: list[tuple[int, str, int, int | None]]) -> None:
    credentials = [A, B, C, Credential("d")][:count]
    pool, now = CredentialPool(credentials), 0.0
    for which, event, seconds, retry_after in events:
        now += seconds
        credential = credentials[which % count]
        before = {row["name"]: row for row in pool.snapshot(now)}[credential.name]
        if event == "succeeded":
            pool.succeeded(credential)
        elif event == "throttle":
            pool.throttle(credential, now, retry_after)
            after = {row["name"]: row for row in pool.snapshot(now)}[credential.name]
            if before["state"] == "throttled":
                assert after["wait_s"] >= before["wait_s"]
            assert after["wait_s"] >= (retry_after or 0)
        elif event == "refused":
            pool.refused(credential, now)
        chosen = pool.pick(now)
        known = {row["name"]: row["state"] for row in pool.snapshot(now)}
        if chosen is None:
            assert set(known.values()) == {"invalid"}
        elif "available" in known.values():
            assert known[chosen.name] == "available"
        elif "throttled" in known.values():
            assert known[chosen.name] == "throttled"
        assert pool.wait_s(now) <= 600.0
        assert (pool.wait_s(now) == 0.0) or pool.available(now) == 0
