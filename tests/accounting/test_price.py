"""What classes without a price cost, steps by length, versions, and receipts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.accounting.price import UNKNOWN, Line, Price
from switchgear.accounting.rates import CLASSES, per_million, pico, steps_of
from switchgear.types import Usage

FULL = {name: 1_000_000 * (n + 1) for n, name in enumerate(CLASSES)}
TOKENS = st.integers(0, 10**7)
USAGES = st.builds(Usage, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, st.integers(0, 4))


@pytest.mark.parametrize(("usd", "expected"), [(2.0, 2_000_000), (0.1, 100_000), (0.000001, 1), (0.0000005, 1), (0, 0)])
def test_dollars_as_pico_dollars_per_token(usd: float, expected: int) -> None:
    assert per_million(usd) == expected


def test_other_units() -> None:
    assert (pico(0.04), pico(12.0, 1000)) == (40_000_000_000, 12_000_000_000)


@pytest.mark.parametrize(
    ("usage", "instead"),
    [
        (Usage(10, cached_tokens=10), "input"),
        (Usage(10, cache_write_tokens=10), "input"),
        (Usage(10, cache_write_tokens=10, cache_write_1h_tokens=10), "input"),
        (Usage(10, input_audio_tokens=10), "input"),
        (Usage(10, input_image_tokens=10), "input"),
        (Usage(10, cached_tokens=10, input_audio_tokens=10, cached_audio_tokens=10), "input"),
        (Usage(0, 10, reasoning_tokens=10), "output"),
        (Usage(0, 10, output_audio_tokens=10), "output"),
        (Usage(0, 10, output_image_tokens=10), "output"),
    ],
)
def test_a_class_without_a_price_costs_what_its_side_costs(usage: Usage, instead: str) -> None:
    rates = {"input": 2_000_000, "output": 8_000_000}
    assert Price("x", steps_of(rates)).cost(usage) == 10 * rates[instead] // 1000


def test_an_hour_costs_what_a_cache_write_does_and_cached_audio_what_cached_input_does() -> None:
    price = Price("x", steps_of({"input": 2_000_000, "cached_input": 1_000_000, "cache_write": 3_000_000}))
    assert price.cost(Usage(10, cache_write_tokens=10, cache_write_1h_tokens=10)) == 30_000
    assert price.cost(Usage(10, cached_tokens=10, input_audio_tokens=10, cached_audio_tokens=10)) == 10_000


def test_a_tier_costs_the_whole_request_and_keeps_what_it_does_not_give() -> None:
    base = {"input": 2_000_000, "cached_input": 500_000, "output": 8_000_000, "reasoning": 8_000_000}
    price = Price("x", steps_of(base, [(200_000, {"input": 4_000_000, "output": 12_000_000})]))
    usage = Usage(200_000, 100, cached_tokens=50_000, reasoning_tokens=40)
    assert price.cost(usage) == 150_000 * 2_000 + 50_000 * 500 + 100 * 8_000
    usage.input_tokens += 1
    assert price.cost(usage) == 150_001 * 4_000 + 50_000 * 500 + 60 * 12_000 + 40 * 8_000


def test_a_service_tier_replaces_class_by_class() -> None:
    steps = steps_of({"input": 2_000_000, "cached_input": 500_000, "output": 8_000_000}, [(1000, {"input": 3_000_000})])
    price = Price("x", steps, {"batch": steps_of({"input": 1_000_000})})
    assert price.cost(Usage(2000, 10, cached_tokens=1000, service_tier="batch")) == 1000 * 1000 + 1000 * 500 + 10 * 8000
    assert price.cost(Usage(2000, 10, cached_tokens=1000)) == 1000 * 3000 + 1000 * 500 + 10 * 8000


def test_images_and_requests() -> None:
    price = Price("x", {}, image_picousd=40_000_000_000, request_picousd=5_000_000_000)
    assert price.cost(Usage(images=3)) == 125_000_000
    assert price.receipt(Usage(images=3)).lines == (
        Line("image", 3, 40_000_000_000, 120_000_000_000),
        Line("request", 1, 5_000_000_000, 5_000_000_000),
    )


@given(USAGES)
def test_a_receipt_replays_to_the_cost(usage: Usage) -> None:
    price = Price("x", steps_of(FULL, [(1000, {"input": 77}), (5000, {"output": 333})]), request_picousd=1)
    receipt = price.receipt(usage)
    assert receipt.replay() == receipt.cost_nanousd == price.cost(usage)
    assert receipt.price_version == price.version
    assert receipt.above == (5000 if usage.input_tokens > 5000 else 1000 if usage.input_tokens > 1000 else None)


def test_versions_are_of_the_rates() -> None:
    price = Price("config", steps_of({"input": 1, "output": 2}))
    same = Price("config", steps_of({"output": 2, "input": 1, "reasoning": 2}))
    other = Price("config", steps_of({"input": 1, "output": 3}))
    assert price.version == same.version
    assert price.version != other.version
    assert price.version == "config+" + Price("cap", steps_of({"input": 1, "output": 2})).version.partition("+")[2]


def test_a_price_that_was_written_down() -> None:
    price = Price("config", steps_of(FULL, [(9, {"input": 5})]), {"batch": steps_of({"input": 3})}, image_picousd=7)
    written = json.loads(json.dumps(price.to_json()))
    again = Price.from_json(price.version, written)
    usage = Usage(100, 50, 30, 20, 10, images=2, service_tier="batch")
    assert again.receipt(usage) == price.receipt(usage)
    written["image"] = 8
    with pytest.raises(ValueError, match=r"not the rates of price version config\+"):
        Price.from_json(price.version, written)


def test_no_price_says_so() -> None:
    assert (UNKNOWN.version, UNKNOWN.known, UNKNOWN.flagged, UNKNOWN.cost(Usage(10, 10))) == ("unknown", False, True, 0)
    assert Price.from_json("unknown", UNKNOWN.to_json(), flagged=True).receipt(Usage(1)) == UNKNOWN.receipt(Usage(1))
