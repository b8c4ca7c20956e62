from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.config.interpolate import Interpolated, interpolate

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
VALUES = st.text(max_size=20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", Interpolated("plain")),
        ("${A}", Interpolated("x", environment=True, whole=True)),
        ("-${A}-${A}", Interpolated("-x-x", environment=True)),
        ("${A}${A}", Interpolated("xx", environment=True)),
        ("${EMPTY}", Interpolated("", environment=True, whole=True)),
        ("${EMPTY:-d}", Interpolated("d", environment=True, whole=True)),
        ("${UNSET:-a:-b c}", Interpolated("a:-b c", environment=True, whole=True)),
        ("${UNSET:-}", Interpolated("", environment=True, whole=True)),
        ("$${A}", Interpolated("${A}")),
        ("$$$${A}", Interpolated("$${A}")),
        ("$$${A}", Interpolated("$x", environment=True)),
        ("$A $ 5$", Interpolated("$A $ 5$")),
        ("${D}", Interpolated("${A} $$", environment=True, whole=True)),
    ],
)
def test_cases(text: str, expected: Interpolated) -> None:
    assert interpolate(text, {"A": "x", "EMPTY": "", "D": "${A} $$"}) == expected


@pytest.mark.parametrize("text", ["${", "a ${A", "${}", "${1A}", "${A-b}", "${A B}", "${A:b}", "${:-x}"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape("expected ${NAME} or ${NAME:-default}")):
        interpolate(text, {"A": "x"})


def test_an_unset_variable_is_named() -> None:
    with pytest.raises(ValueError, match=re.escape("environment variable B is not set: set it, or give a default")):
        interpolate("${A}${B}", {"A": "x"})


@given(VALUES)
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    assert interpolate(text.replace("$", "$$"), {}) == Interpolated(text)


@given(NAMES, VALUES, VALUES.map(lambda text: text.replace("$", "")), VALUES.map(lambda text: text.replace("$", "")))
def test_a_value_goes_in_as_it_is(name: str, value: str, before: str, after: str) -> None:
    found = interpolate(f"{before}${{{name}}}{after}", {name: value})
    assert found == Interpolated(f"{before}{value}{after}", environment=True, whole=not before and not after)


@given(NAMES, VALUES, VALUES.filter(lambda text: "}" not in text))
def test_a_default_is_for_unset_and_empty(name: str, value: str, default: str) -> None:
    assert interpolate(f"${{{name}:-{default}}}", {name: value}).text == (value or default)
    assert interpolate(f"${{{name}:-{default}}}", {}).text == default


@given(st.text(alphabet="${}A:-x", max_size=30))
def test_any_text_is_taken_or_refused_with_words(text: str) -> None:
    try:
        found = interpolate(text, {"A": "v"})
    except ValueError as error:
        assert str(error).startswith(("expected ${NAME}", "environment variable "))  # noqa: PT017 - either outcome is right
    else:
        assert found.environment == ("${" in text.replace("$$", ""))
