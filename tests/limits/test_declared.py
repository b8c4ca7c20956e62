"""Which limits a configuration declares, and which hold for whom."""

from __future__ import annotations

from pathlib import Path

from switchgear.config.load import load, loads
from switchgear.limits.declared import Declared
from switchgear.limits.model import MAX_KEY_CHARS, Limit, Scope, nanousd
from switchgear.limits.windows import Window
from switchgear.types import Principal

BASE = "providers: {openai: {credentials: [sk-x, {value: sk-y, name: spare, limits: [{resource: requests, capacity: 7, window: minute}]}]}}\n"  # noqa: E501 - one line of YAML
EXAMPLE = Path(__file__).parents[1] / "config" / "limits.yaml"


def declared(text: str) -> Declared:
    return Declared(loads(BASE + text))


def ids(limits: list[Limit]) -> list[str]:
    return [limit.id for limit in limits]


def test_the_example_of_the_contract() -> None:
    found = Declared(load(EXAMPLE, environment={"OPENAI_API_KEY": "sk-x", "CI_KEY": "sk-0123456789abcdef"}))
    ci = found.scope(Principal("ci", "key"), "smart")
    assert ci == Scope("acme", "search", "ada", "ci", "smart")
    applying = {limit.id: limit for limit in found.of_request(ci)}
    assert list(applying) == [
        "key=ci,model=smart/output_tokens/minute/soft",
        "organization=acme/cost/month@Europe%2FBerlin/budget".replace("%2F", "/"),
        "project=search/tokens/minute",
        "key=ci/requests/hour",
        "key=ci/concurrent",
        "key=ci/cost/day@UTC/budget",
    ]
    acme = applying["organization=acme/cost/month@Europe/Berlin/budget"]
    assert (acme.capacity, acme.thresholds) == (10**12, (5 * 10**11, 8 * 10**11, 10**12))
    assert acme.window == Window("calendar", "month", "Europe/Berlin")
    assert (applying["key=ci/requests/hour"].fail_open, applying["key=ci/concurrent"].fail_open) == (False, True)
    soft = applying["key=ci,model=smart/output_tokens/minute/soft"]
    assert (soft.hard, soft.thresholds) == (False, (100_000,))
    other = found.of_request(found.scope(Principal("ci", "key"), "other"))
    assert ids(other) == list(applying)[1:]
    assert ids(list(found.all())) == [*list(applying)[1:], next(iter(applying))]


def test_a_token_that_is_called_like_a_key_is_not_that_key() -> None:
    found = declared(
        "keys: [{name: ci, value: sk-0123456789abcdef, limits: [{resource: requests, capacity: 1, window: day}]}]\n"
        "limits: [{scope: {}, resource: requests, capacity: 9, window: day}]"
    )
    assert ids(found.of_request(found.scope(Principal("ci", "jwt"), "m"))) == ["*/requests/day@UTC"]


def test_limits_of_the_same_words_are_numbered() -> None:
    found = declared(
        "keys: [{name: ci, value: sk-0123456789abcdef, limits: [{resource: requests, capacity: 1, window: day}]}]\n"
        "limits: [{scope: {key: ci}, resource: requests, capacity: 3, window: day}]"
    )
    applying = found.of_request(found.scope(Principal("ci", "key"), "m"))
    assert {limit.id: limit.capacity for limit in applying} == {
        "key=ci/requests/day@UTC": 1,
        "key=ci/requests/day@UTC/2": 3,
    }


def test_attempts_count_against_providers_and_credentials() -> None:
    found = declared(
        "keys: [{name: ci, value: sk-0123456789abcdef}]\n"
        "limits: [{scope: {provider: openai}, resource: concurrent, capacity: 5},"
        " {scope: {provider: openai, key: ci}, resource: tokens, capacity: 5, window: minute}]"
    )
    ci, other = Principal("ci", "key"), Principal("else", "jwt")
    assert found.of_attempts
    assert found.of_request(found.scope(ci, "m")) == []
    assert ids(found.of_attempt(found.scope(ci, "m", "openai", "spare"))) == [
        "provider=openai/concurrent",
        "key=ci,provider=openai/tokens/minute",
        "provider=openai,credential=spare/requests/minute",
    ]
    assert ids(found.of_attempt(found.scope(other, "m", "openai", "credential-1"))) == ["provider=openai/concurrent"]


def test_names_cannot_be_mistaken() -> None:
    assert Scope(key="a,model=b").name == "key=a%2Cmodel%3Db"
    assert Scope(key="a", model="b").name == "key=a,model=b"
    assert Scope(key="ключ").name == "key=%D0%BA%D0%BB%D1%8E%D1%87"


def test_long_ids_have_short_keys() -> None:
    day = Window("calendar", "day", "UTC")
    long, other = (Limit(letter * 300, Scope(), "cost", 1, day) for letter in "ab")
    assert len(long.key(1_800_000_000)) <= MAX_KEY_CHARS
    assert long.key(1_800_000_000) != other.key(1_800_000_000)
    assert Limit("key=ci/cost/day@UTC", Scope(), "cost", 1, day).key(5) == "key=ci/cost/day@UTC@5"


def test_dollars_are_exact() -> None:
    amounts = {0.1: 10**8, 1e-9: 1, 1234.567891234: 1_234_567_891_234, 0.3: 3 * 10**8, 5e-10: 1, 0.0: 0}
    assert {usd: nanousd(usd) for usd in amounts} == amounts
