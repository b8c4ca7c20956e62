"""Which price a target has: the order of sources, dates, caches, and what happens without one (CASES 13)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from switchgear.accounting.catalogue import Catalogue, read
from switchgear.accounting.price import UNKNOWN
from switchgear.accounting.prices import CACHE_SIZE, VENDORS, Prices
from switchgear.config.environment import from_environment
from switchgear.config.load import loads
from switchgear.errors import PriceUnknown
from switchgear.providers.registry import provider_types
from switchgear.types import Usage

CATALOGUE: Catalogue = read((Path(__file__).parent / "fixtures" / "catalogue.json").read_bytes())
HEAD = """
providers: {mine: {type: openai, credentials: [abc]}, local: {type: vllm, base_url: "http://127.0.0.1:1/v1"}}
keys: [{name: me, value: "0123456789abcdef"}]
"""
NOW = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
MILLION = Usage(1_000_000)


def prices(text: str = "") -> Prices:
    return Prices.from_config(loads(HEAD + text, environment={}), CATALOGUE)


def usd(found: Prices, provider: str, kind: str, model: str, at: float = NOW) -> float | None:
    """The price of a million input tokens, USD."""
    price = found.at(provider, kind, model, at)
    return price.cost(MILLION) / 1e9 if price is not None else None


def test_name_before_type_exact_before_beginnings_longest_first() -> None:
    found = prices("""
prices:
  mine/gpt-4.1:  {input: 1, output: 1}
  openai/gpt-4.1: {input: 2, output: 1}
  openai/gpt-4o: {input: 3, output: 1}
  mine/gpt-4*: {input: 4, output: 1}
  openai/gpt-4o-*: {input: 5, output: 1}
  openai/gpt-*: {input: 6, output: 1}
  mine/gpt-*: {input: 7, output: 1}
""")
    assert usd(found, "mine", "openai", "gpt-4.1") == 1
    assert usd(found, "other", "openai", "gpt-4.1") == 2
    assert usd(found, "mine", "openai", "gpt-4o") == 3
    assert usd(found, "mine", "openai", "gpt-4-turbo") == 4
    assert usd(found, "mine", "openai", "gpt-4o-mini") == 5
    assert usd(found, "mine", "openai", "gpt-5") == 7
    assert usd(found, "other", "openai", "gpt-5") == 6
    assert usd(found, "other", "openai", "o3") == 2  # the catalogue


def test_dates_hand_over_to_each_other_and_to_the_catalogue_before() -> None:
    found = prices("""
prices:
  mine/gpt-4.1:
    - {from: 2026-03-01, input: 30, output: 1}
    - {from: 2026-02-01, input: 20, output: 1}
""")
    for day, expected in (("2026-01-31T23:59:59", 2), ("2026-02-01", 20), ("2026-02-28", 20), ("2026-03-01", 30)):
        time_s = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
        for _ in range(2):
            assert usd(found, "mine", "openai", "gpt-4.1", time_s) == expected
    assert usd(found, "mine", "openai", "gpt-4.1", 0.0) == 2


def test_times_of_the_day_come_round() -> None:
    found = prices()
    midnight = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
    for day in range(3):
        for hour, expected in ((0.0, 0.135), (0.5, 0.27), (16.49, 0.27), (16.5, 0.135), (23.99, 0.135)):
            time_s = midnight + day * 86400 + hour * 3600
            assert usd(found, "deepseek", "deepseek", "deepseek-chat", time_s) == expected


def test_what_runs_on_ones_own_machine_has_no_public_price() -> None:
    for kind in ("ollama", "vllm", "llama-cpp"):
        assert prices().at("local", kind, "gpt-4.1", NOW) is None
    assert set(provider_types()) - set(VENDORS) == {"ollama", "vllm", "llama-cpp", "huggingface"}


def test_the_address_tells_the_vendor_behind_a_compatible_type() -> None:
    found = Prices({}, CATALOGUE, addresses={"a": "https://api.groq.com/openai/v1", "b": "http://127.0.0.1:1/v1"})
    assert usd(found, "a", "openai", "llama-3.3-70b-versatile") == 0.59
    assert usd(found, "b", "openai", "llama-3.3-70b-versatile") is None
    assert usd(found, "b", "openai", "gpt-4.1") == 2


def test_an_unknown_model_where_money_is_not_spoken_of_is_flagged() -> None:
    found = prices("prices: {mine/other: {input: 1, output: 1}}")
    assert found.at("mine", "openai", "gpt-99", NOW) is None
    price = found.require("mine", "openai", "gpt-99", NOW)
    assert price is UNKNOWN
    assert (price.flagged, price.known, price.version) == (True, False, "unknown")


@pytest.mark.parametrize(
    ("text", "limited"), [("unknown_price: refuse", False), ("", True), ("unknown_price: refuse", True)]
)
def test_an_unknown_model_where_money_is_limited_is_refused(text: str, limited: bool) -> None:
    with pytest.raises(PriceUnknown) as caught:
        prices(text).require("local", "vllm", "qwen3", NOW, limited=limited)
    error = caught.value
    assert (error.status, error.type, error.code, error.param) == (
        403,
        "invalid_request_error",
        "price_unknown",
        "model",
    )
    assert "'local/qwen3'" in error.message


@pytest.mark.parametrize("limited", [False, True])
def test_a_declared_cap_is_billed_and_flagged(limited: bool) -> None:
    price = prices("unknown_price: {input: 5, output: 15}").require("local", "vllm", "qwen3", NOW, limited=limited)
    assert price.cost(Usage(1000, 100, cached_tokens=500, reasoning_tokens=10)) == 1000 * 5000 + 100 * 15000
    assert (price.flagged, price.known) == (True, True)
    assert price.version.startswith("cap+")
    assert price.receipt(Usage(1)).flagged


def test_a_known_model_is_not_touched_by_the_rule() -> None:
    price = prices("unknown_price: refuse").require("mine", "openai", "gpt-4.1", NOW, limited=True)
    assert not price.flagged
    assert price.version.startswith("genai-prices/")


def test_junk_names_leave_a_bounded_memory() -> None:
    found = Prices({}, Catalogue([], "none"))
    for n in range(CACHE_SIZE + 100):
        assert found.at("mine", "openai", f"junk-{n}", NOW) is None
    assert len(found._known) == CACHE_SIZE


def test_a_price_is_the_same_object_until_it_changes() -> None:
    found = prices()
    first = found.at("deepseek", "deepseek", "deepseek-chat", NOW + 3600)
    assert found.at("deepseek", "deepseek", "deepseek-chat", NOW + 7200) is first
    assert found.at("deepseek", "deepseek", "deepseek-chat", NOW + 18 * 3600) is not first
    assert found.at("deepseek", "deepseek", "deepseek-chat", NOW + 86400 + 3600) is first
    span = found._known["deepseek", "deepseek", "deepseek-chat"].span
    assert (span.since_s, span.until_s) == (NOW + 86400 + 1800, NOW + 86400 + 16.5 * 3600)
    found = prices("prices: {mine/x: {input: 1, output: 1}}")
    found.at("mine", "openai", "x", NOW)
    assert math.isinf(found._known["mine", "openai", "x"].span.until_s)


def test_the_built_in_simulator_is_declared_to_cost_nothing() -> None:
    config = from_environment({})
    price = Prices.from_config(config, CATALOGUE).require("simulator", "openai", "gpt-4.1", NOW, limited=True)
    assert (price.cost(MILLION), price.flagged) == (0, False)
    assert price.version.startswith("config+")
    assert from_environment({"OPENAI_API_KEY": "abc"}).prices == {}
