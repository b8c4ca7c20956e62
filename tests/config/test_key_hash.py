from __future__ import annotations

from hashlib import sha256

import pytest

from switchgear.config.key_hash import KeyHash
from switchgear.config.load import loads

VALUE = "sk-sg-0123456789"


def test_the_digest_and_the_prefix_are_what_is_left() -> None:
    assert KeyHash.of(VALUE) == KeyHash(sha256(VALUE.encode()).digest(), "sk-sg-01", dotted=False, flaw="")
    assert KeyHash.of("a.key.with-two-dots").dotted
    assert repr(KeyHash.of(VALUE)) == f"{KeyHash.of(VALUE)}" == "KeyHash('***')"


@pytest.mark.parametrize(
    ("value", "flaw"),
    [
        ("", "expected 16 to 512 characters, got 0"),
        ("short-secret", "expected 16 to 512 characters, got 12"),
        ("x" * 513, "expected 16 to 512 characters, got 513"),
        ("with spaces in it", "expected visible ASCII characters without spaces, as it travels in a header"),
        ("\ud800" * 16, "expected visible ASCII characters without spaces, as it travels in a header"),
    ],
)
def test_what_cannot_be_a_key(value: str, flaw: str) -> None:
    assert KeyHash.of(value).flaw == flaw


def test_a_configuration_holds_no_value_of_a_key() -> None:
    config = loads(f'providers: {{openai: {{credentials: [abc]}}}}\nkeys: [{{name: me, value: "{VALUE}"}}]')
    assert VALUE not in repr(config)
    assert [key.value for key in config.keys] == [KeyHash.of(VALUE)]


def test_keys_that_are_limited_alike_share_what_says_so() -> None:
    limits = "limits: [{resource: requests, capacity: 10, window: {calendar: day}}], budget: {usd: 1}, models: [smart]"
    one, two, other = loads(
        "providers: {openai: {credentials: [abc]}}\n"
        f"keys: [{{name: a, value: {VALUE}a, {limits}}}, {{name: b, value: {VALUE}b, {limits}}},"
        f" {{name: c, value: {VALUE}c, limits: [{{resource: requests, capacity: 11, window: {{calendar: day}}}}]}}]"
    ).keys
    assert (one.limits, one.models, one.budget) == (two.limits, two.models, two.budget)
    assert one.limits is two.limits
    assert one.models is two.models
    assert one.budget is two.budget
    assert other.limits != one.limits
    assert other.limits[0].window is one.limits[0].window
