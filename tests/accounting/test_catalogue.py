"""The catalogue against the package it comes from, in both of its forms, and files that are none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random

import pytest
from genai_prices.data import providers
from genai_prices.types import ModelInfo, ModelPrice, TieredPrices
from genai_prices.types import Usage as TheirUsage

from switchgear.accounting import bundle
from switchgear.accounting.catalogue import Catalogue, bundled, read
from switchgear.accounting.prices import VENDORS
from switchgear.types import ServiceTier, Usage

CONTEXTS: dict[ServiceTier, dict[str, str]] = {
    "": {},
    "batch": {"processing": "batch"},
    "priority": {"service_tier": "priority"},
    "flex": {"service_tier": "flex"},
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return bundled()


def in_whole_picodollars(price: ModelPrice) -> bool:
    """Whether each rate is a whole number of pico-dollars per token; a third of a dollar a million is not."""
    amounts: list[Decimal] = []
    for name, value in vars(price).items():
        if name.endswith("_mtok") and value is not None:
            tiered = isinstance(value, TieredPrices)
            amounts += [value.base, *(tier.price for tier in value.tiers)] if tiered else [value]
    return all(amount * 1_000_000 % 1 == 0 for amount in amounts)


def theirs(model: ModelInfo, usage: Usage, when: datetime) -> int | None:
    """What the package says a usage costs, nano-dollars; None where its rates are finer than ours."""
    same = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "cache_write_5m_tokens": usage.cache_write_tokens - usage.cache_write_1h_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
    }
    context = CONTEXTS[usage.service_tier]
    if not in_whole_picodollars(model.get_prices(when, context)):
        return None
    vendor = next(provider for provider in providers if any(model is each for each in provider.models))
    found = model.calc_price(TheirUsage(**same), vendor, genai_request_timestamp=when, price_context=context)
    return int((found.total_price * 10**9).to_integral_value(ROUND_HALF_UP))


def test_every_model_of_the_package_costs_what_the_package_says(catalogue: Catalogue) -> None:
    random = Random(1)  # noqa: S311 - the same usages in each run
    compared = 0
    for provider in providers:
        for model in provider.models:
            first = provider.find_model(model.id)
            schedule = catalogue.find(provider.id, model.id)
            if first is None or schedule is None:
                continue
            tokens = random.randrange(1, 400_000)
            cached, written, made = random.randrange(tokens // 2 + 1), random.randrange(tokens // 4 + 1), 1000
            usage = Usage(tokens, made, cached, written, 700, cache_write_1h_tokens=written // 3)
            usage.service_tier = random.choice(list(CONTEXTS))
            time_s = random.choice([1.70e9, 1.76e9, 1.79e9, 1.81e9]) + random.randrange(86400)
            expected = theirs(first, usage, datetime.fromtimestamp(time_s, UTC))
            price = schedule.at(time_s).price
            assert price is not None
            if expected is not None:
                assert (provider.id, model.id, price.cost(usage)) == (provider.id, model.id, expected)
                compared += 1
    assert compared > 1500


def test_the_models_of_every_vendor_with_public_prices_are_there(catalogue: Catalogue) -> None:
    assert all(vendor in catalogue for vendor in VENDORS.values())


def test_both_forms_are_the_same(catalogue: Catalogue) -> None:
    again = read(json.dumps([bundle.plain(provider) for provider in providers], default=float).encode())
    assert len(again) == len(catalogue)
    for provider in providers:
        for model in provider.models[:3]:
            one, other = catalogue.find(provider.id, model.id), again.find(provider.id, model.id)
            assert (one is None) == (other is None)
            if one is not None and other is not None:
                prices = one.at(1.8e9).price, other.at(1.8e9).price
                assert prices[0] is not None
                assert prices[1] is not None
                assert prices[0].to_json() == prices[1].to_json()


def test_names(catalogue: Catalogue) -> None:
    def version(vendor: str, name: str) -> str | None:
        schedule = catalogue.find(vendor, name)
        price = schedule.at(1.8e9).price if schedule is not None else None
        return price.version if price is not None else None

    assert version("openai", "GPT-4.1") == version("openai", "gpt-4.1") is not None
    assert version("openai", "gpt-4.1-20250414") == version("openai", "gpt-4.1-2025-04-14") is not None
    assert version("azure", "claude-sonnet-4-5") is not None  # sold by another vendor
    assert version("openai", "claude-sonnet-4-5") is None
    assert version("openai", "whisper-1") is None  # hours of audio: not in tokens
    assert version("nobody", "gpt-4.1") is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'[{"id": "a"}]',
        b'[{"id": "a", "models": [{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": "x"}}]}]',
        b'[{"id": "a", "models": [{"id": "m", "match": {"regex": "("}, "prices": {"input_mtok": 1}}]}]',
        b'[{"id": "a", "api_pattern": "(", "models": [{"id": "m", "match": {"equals": "m"}, "prices": {}}]}]',
        b'[{"id": "a", "models": [{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": -1}}]}]',
        b'[{"id": "a", "models": [{"id": "m", "match": {"equals": "m"}, "prices": '
        b'[{"constraint": {"start_date": "soon"}, "prices": {"input_mtok": 1}}]}]}]',
    ],
)
def test_what_is_no_catalogue(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a price catalogue"):
        read(content)


def test_the_source_of_a_file_is_its_content() -> None:
    content = (Path(__file__).parent / "fixtures" / "catalogue.json").read_bytes()
    assert read(content).source == read(content).source != read(content + b"\n").source
