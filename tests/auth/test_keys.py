from __future__ import annotations

import gc
import re

import pytest

from switchgear.auth.keys import KeyStore, allowed_models
from switchgear.auth.refusals import incorrect_key, masked, missing_key
from switchgear.config.key_hash import KeyHash
from switchgear.config.schema import Key
from switchgear.errors import AuthenticationFailed
from switchgear.types import Principal

VALUE = "sk-sg-abcdefghijklmnop"


def store(**keys: str) -> KeyStore:
    return KeyStore(Key(name=name, value=KeyHash.of(value)) for name, value in keys.items())


def test_a_key_is_known_by_its_value() -> None:
    keys = store(one=VALUE, two=VALUE + "2")
    assert keys.authenticate(VALUE.encode()) == Principal(name="one", kind="key", prefix="sk-sg-ab")
    assert keys.authenticate(f"{VALUE}2".encode()).name == "two"


@pytest.mark.parametrize("token", [b"", b"\xff\x00", VALUE[:-1].encode(), VALUE.upper().encode(), VALUE.encode() * 100])
def test_any_other_value_is_nobodys(token: bytes) -> None:
    keys = store(one=VALUE)
    assert keys.find(token) is None
    with pytest.raises(AuthenticationFailed) as caught:
        keys.authenticate(token)
    assert (caught.value.status, caught.value.code, caught.value.type) == (
        401,
        "invalid_api_key",
        "invalid_request_error",
    )


def test_the_value_is_not_kept() -> None:
    keys = store(one="".join(("sk-sg-", "never", "-seen-", "again")))
    gc.collect()
    reachable: list[object] = []
    pending: list[object] = [keys]
    while pending:
        item = pending.pop()
        reachable.append(item)
        pending += [one for one in gc.get_referents(item) if isinstance(one, dict | tuple | bytes | str | Principal)]
    shown = " ".join(repr(item) for item in reachable)
    assert "sk-sg-ne" in shown  # the prefix, for logs
    assert "never" not in shown


def test_refused_tokens_leave_nothing_behind() -> None:
    keys = store(one=VALUE)
    for n in range(1000):
        keys.find(b"sk-sg-%d" % n)
    assert len(keys) == 1


def test_the_words_are_openais() -> None:
    assert str(incorrect_key(b"sk-sg-abcdefghijklmnopwxyz")) == (
        "Incorrect API key provided: sk-sg-ab****wxyz. "
        "You can find your API key at https://platform.openai.com/account/api-keys."
    )
    error = missing_key()
    assert (error.status, error.type, error.code) == (401, "invalid_request_error", None)
    assert str(error).startswith(
        "You didn't provide an API key. You need to provide your API key in an Authorization header"
    )


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (b"test-context-key", "test-con****-key"),
        (b"sk-short", "sk****"),
        (b"x", "x****"),
        (b"\x00\r\n\xff567-long-enough\x7f\x80", "????567-****gh??"),
    ],
)
def test_mask(token: bytes, expected: str) -> None:
    assert masked(token) == expected
    assert re.fullmatch(r"[\x21-\x7e]+", masked(token))


@pytest.mark.parametrize(
    ("models", "allowed", "refused"),
    [
        (["*"], ["anything", "a/b"], []),
        (["smart", "*"], ["anything"], []),
        (["smart"], ["smart"], ["smart2", "Smart", ""]),
        (["gpt-*"], ["gpt-", "gpt-4.1"], ["gpt", "a-gpt-4"]),
        (["smart", "openai/*", "o*"], ["smart", "openai/x", "o3"], ["azure/x"]),
        ([], [], ["smart", ""]),
    ],
)
def test_allowed_models(models: list[str], allowed: list[str], refused: list[str]) -> None:
    names, patterns = allowed_models(models)
    principal = Principal(name="p", kind="key", models=names, patterns=patterns)
    assert [principal.may_use(model) for model in allowed + refused] == [True] * len(allowed) + [False] * len(refused)
