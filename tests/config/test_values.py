from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.config.urls import without_userinfo
from switchgear.config.values import MAX_DURATION_S, MAX_SIZE_BYTES, Duration, Secret, Size

DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SIZE_UNITS = {"": 1, "B": 1, "KB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}


@given(st.integers(0, 3000), st.sampled_from(list(DURATION_UNITS)), st.sampled_from(["", " "]))
def test_a_duration_is_number_and_unit(number: int, unit: str, space: str) -> None:
    assert Duration.parse(f"{number}{space}{unit}") == number * DURATION_UNITS[unit]


@given(st.integers(0, 1000), st.sampled_from(list(SIZE_UNITS)), st.sampled_from(["", " "]))
def test_a_size_is_number_and_unit(number: int, unit: str, space: str) -> None:
    assert Size.parse(f"{number}{space}{unit}") == number * SIZE_UNITS[unit]


@given(st.floats(0, MAX_DURATION_S))
def test_a_plain_number_is_seconds(number: float) -> None:
    assert Duration.parse(number) == number


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans(), st.lists(st.integers())))
def test_anything_is_taken_in_range_or_refused_with_words(value: object) -> None:
    for kind, most in ((Duration, MAX_DURATION_S), (Size, MAX_SIZE_BYTES)):
        try:
            parsed = kind.parse(value)
        except ValueError as error:
            assert str(error).startswith("expected a ")  # noqa: PT017 - either outcome is right
        else:
            assert 0 <= parsed <= most


@pytest.mark.parametrize(
    "value", ["", "s", "1", "-1s", "1 week", "1e3s", "1s2m", "9" * 400 + "d", float("nan"), float("inf")]
)
def test_bad_durations(value: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        Duration.parse(value)


@pytest.mark.parametrize("value", ["", "KiB", "-1", "1.5.5MB", "1TB", "9" * 400 + "GiB", 1.5, True])
def test_bad_sizes(value: object) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        Size.parse(value)


def test_a_secret_shows_nothing_but_when_asked() -> None:
    secret = Secret("hunter2")
    assert f"{secret} {secret!r} {secret:>9}" == "*** Secret('***') ***"
    assert ("%s %r" % (secret, secret), str(secret)) == ("*** Secret('***')", "***")  # noqa: UP031 - as logging formats
    assert secret.reveal() == "hunter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@db:6379/0", "redis://***@db:6379/0"),
        ("redis+sentinel://a@b:p@w@h1:1,h2:2/x", "redis+sentinel://***@h1:1,h2:2/x"),
        ("postgresql://db/x?password=pw", "postgresql://db/x?***"),
        ("memory://", "memory://"),
        ("simulator:", "simulator:"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_password(url: str, shown: str) -> None:
    assert without_userinfo(url) == shown
