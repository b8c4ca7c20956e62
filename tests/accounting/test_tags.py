"""Tags are bounded whatever a client sends."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from switchgear.accounting.tags import encode, from_header


@given(st.dictionaries(st.text(max_size=100), st.text(max_size=400) | st.integers() | st.floats() | st.none()))
def test_encoded_tags_fit_a_row(tags: dict[str, object]) -> None:
    data = encode(tags)
    found = orjson.loads(data) if data else {}
    assert len(data) <= 960
    assert len(found) <= 16
    assert all(len(name) <= 64 and len(value) <= 256 for name, value in found.items())


def test_what_becomes_a_tag() -> None:
    assert encode({}) == b""
    assert encode({"a": {"b": 1}, "c": [1]}) == b""
    assert encode({"a": 1, "b": True, "c": "x\0y", "d": 1.5}) == b'{"a":"1","b":"true","c":"x?y","d":"1.5"}'
    assert encode({"\ud800": "\ud800"}) == b'{"?":"?"}'


def test_tags_of_a_header() -> None:
    assert from_header(b"team=search, run = 7,flag,,=x") == {"team": "search", "run": "7", "flag": ""}
    assert from_header(b"") == {}
