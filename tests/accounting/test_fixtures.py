"""Usage as vendors tell it, read and billed, exact to the nano-dollar (CASES 14).

Each case of fixtures/VENDOR.json has the usage of an answer, the classes it stands for, the products of tokens and
published prices, and their sum; fixtures/catalogue.json has those prices in the form of the catalogue.
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from switchgear.accounting.catalogue import Catalogue, read
from switchgear.accounting.prices import Prices
from switchgear.hotpath._peek import peek_reply
from switchgear.types import Usage
from switchgear.upstream.anthropic_relay import read_counts
from switchgear.upstream.native import _gemini_usage
from switchgear.upstream.usage import read_usage

FIXTURES = Path(__file__).parent / "fixtures"
CATALOGUE: Catalogue = read((FIXTURES / "catalogue.json").read_bytes())
CASES: list[dict[str, Any]] = [
    case
    for path in sorted(FIXTURES.glob("*.json"))
    if path.stem != "catalogue"
    for case in json.loads(path.read_text())["cases"]
]


def told(case: dict[str, Any]) -> Usage | None:
    """The usage of a case's answer, read as the gateway reads it."""
    body = json.dumps(case["answer"]).encode()
    if case["format"] == "gemini":
        return _gemini_usage(json.dumps(case["answer"]["usageMetadata"]).encode())
    found = peek_reply(body)
    token = body[found.usage_start : found.usage_end]
    tier = body[found.tier_start : found.tier_end] if found.tier_start >= 0 else b""
    return read_counts(token) if case["format"] == "anthropic" else read_usage(token, tier)


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60
    priced = {product["class"] for case in CASES for product in case["products"]}
    assert priced >= {"cached_input", "cache_write", "cache_write_1h", "input_audio", "cached_audio", "output_audio"}
    assert priced >= {"reasoning", "input_image", "output_image", "request"}
    for kind in ("cached_input", "reasoning"):
        vendors = {case["provider_type"] for case in CASES for product in case["products"] if product["class"] == kind}
        assert len(vendors) >= 4


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['model']}: {case['name']}")
def test_usage_and_cost(case: dict[str, Any]) -> None:
    usage = told(case)
    assert usage == Usage(**case["usage"])
    prices = Prices({}, CATALOGUE)
    time_s = datetime.fromisoformat(case["at"]).timestamp()
    price = prices.at("any", case["provider_type"], case["model"], time_s)
    assert price is not None
    assert not price.flagged
    receipt = price.receipt(usage)
    assert [(line.what, line.quantity, Decimal(line.product_picousd) / 1_000_000) for line in receipt.lines] == [
        (product["class"], product["tokens"], Decimal(product["product_microusd"])) for product in case["products"]
    ]
    assert price.cost(usage) == receipt.cost_nanousd == receipt.replay() == case["cost_nanousd"]
    assert price.upper(usage.input_tokens, usage.output_tokens) >= case["cost_nanousd"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['model']}: {case['name']}")
def test_the_products_of_a_case_are_right(case: dict[str, Any]) -> None:
    total = Decimal(0)
    for product in case["products"]:
        rate = Decimal(product["usd_per_million"]) if "usd_per_million" in product else None
        exact = product["tokens"] * rate if rate is not None else Decimal(product["usd_per_thousand"]) * 1000
        assert exact == Decimal(product["product_microusd"])
        total += exact
    assert total == Decimal(case["sum_microusd"])
    assert case["cost_nanousd"] == int(total * 1000 + Decimal("0.5"))
