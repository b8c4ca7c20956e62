"""Redaction: no secret survives in any position, and what is no secret stays."""

from __future__ import annotations

import base64
import json
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchgear.config.values import Secret
from switchgear.observability.redaction import MAX_STRING_CHARS, is_secret_key, marker, redact, redact_text

WORDS = string.ascii_letters + string.digits
CORES = st.text(WORDS, min_size=20, max_size=60).map(lambda core: core + "7")


def jwt(core: str) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in ({"alg": "x"}, {"a": 1})]
    return ".".join([*(part.rstrip(b"=").decode() for part in parts), core])


SHAPES = st.sampled_from(
    [
        lambda core: f"sk-{core}",
        lambda core: f"sk-proj-{core}",
        lambda core: f"sk-ant-api03-{core}",
        lambda core: f"Bearer {core}",
        lambda core: f"authorization: bearer {core}",
        lambda core: f"Authorization: Digest x {core}",
        lambda core: f"set-cookie: a=1; session={core}",
        lambda core: f"api_key={core}",
        lambda core: f'"password": "{core}"',
        lambda core: f"redis://user:{core}@host:6379/0",
        lambda core: f"postgresql://{core}@host/db",
        lambda core: f"?x=1&access_token={core}&y=2",
        jwt,
    ]
)


def nested(text: str) -> st.SearchStrategy[Any]:
    """The text anywhere in a value: alone, in a list, as a value, as a key, as bytes, as an exception."""
    leaf = st.sampled_from([text, text.encode("utf-8", "replace"), ValueError(text), (text,), {text: 1}])
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=2),
            st.dictionaries(st.text(max_size=5), inner, min_size=1, max_size=2),
            st.tuples(st.integers(), inner),
        ),
        max_leaves=3,
    )


@given(data=st.data(), core=CORES, shape=SHAPES, before=st.text(max_size=30), after=st.text(max_size=30))
@settings(max_examples=200, deadline=None)
def test_no_secret_survives_in_any_position(
    data: st.DataObject, core: str, shape: Any, before: str, after: str
) -> None:
    value = data.draw(nested(before + shape(core) + after))
    assert core not in repr(redact(value))


SECRET_KEYS = [
    "Authorization", "x-api-key", "apiKey", "api_key", "OPENAI_API_KEY", "password", "db-password", "client_secret",
    "Set-Cookie", "accessToken", "refresh_token", "token", "jwt",
]  # fmt: skip  # a list of words


@given(
    key=st.sampled_from(SECRET_KEYS),
    value=st.text(min_size=6) | st.binary(min_size=6) | st.integers(100_000) | CORES.map(Secret),
)
@settings(deadline=None)
def test_a_value_under_a_secret_key_goes_whole(key: str, value: Any) -> None:
    found = redact({"deep": [{key: value}]})["deep"][0][key]
    assert found.startswith("[REDACTED LENGTH=")
    plain = value.reveal() if isinstance(value, Secret) else value
    assert found == marker(plain if isinstance(plain, str | bytes) else str(plain))


def test_marker_tells_length_and_a_short_hash() -> None:
    assert marker("sk-secret") == marker(b"sk-secret") == "[REDACTED LENGTH=9 HASH=746b]"
    assert marker("ä").startswith("[REDACTED LENGTH=2 HASH=")


@pytest.mark.parametrize(
    "text",
    [
        "configuration reloaded",
        "smart/gpt-4o-mini",
        "task-list of the risk-assessment desk-booking",
        "https://api.openai.com/v1/chat/completions?x=1",
        "user@example.org wrote",
        "max_tokens: 100, first_token_ms=12",
        "key-value pairs",
        "2026-11-21T10:00:00.000Z",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "key",
    ["model", "tokens", "max_tokens", "input_tokens", "first_token", "first_token_ms", "key", "key_prefix", "monkey"],
)
def test_ordinary_keys_stay(key: str) -> None:
    assert not is_secret_key(key)
    assert redact({key: "abc", "n": 5}) == {key: "abc", "n": 5}


def test_surroundings_stay() -> None:
    assert redact_text("GET /x?api_key=abcdef&b=1 with Bearer abc.def done") == (
        f"GET /x?api_key={marker('abcdef')}&b=1 with Bearer {marker('abc.def')} done"
    )
    assert redact_text("redis://u:p@h:1/0") == f"redis://{marker('u:p')}@h:1/0"


def test_secret_objects_and_broken_ones() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("sk-abcdefgh12345")

    found = redact({"provider": Secret("plainlooking"), "thing": Broken()})
    assert found == {"provider": marker("plainlooking"), "thing": "[Broken: RuntimeError]"}


def test_depth_and_length_are_bounded() -> None:
    value: Any = "x"
    for _ in range(100):
        value = [value]
    assert "[TOO DEEP]" in repr(redact(value))
    assert len(redact_text("x" * 10_000_000)) < MAX_STRING_CHARS + 50
    cut = redact_text(("eyJ" * 9 + " ") * 3000 + "sk-abcdefghij1234567890")
    assert len(cut) < MAX_STRING_CHARS + 50


@pytest.mark.parametrize("unit", ["a", "eyJ", "sk-", "://", "password ", "bearer ", "a.", "eyJaaaa."])
def test_hostile_text_is_bounded_work(unit: str) -> None:
    assert len(redact_text(unit * 200_000)) < 9 * MAX_STRING_CHARS
