"""docs/prices.md says what the code does."""

from __future__ import annotations

import re

import pytest

from switchgear.accounting.catalogue import bundled
from switchgear.accounting.price import UNKNOWN
from switchgear.accounting.prices import VENDORS, Prices
from switchgear.cli.prices import command
from switchgear.config.load import loads
from switchgear.config.schema_prices import Price
from switchgear.config.validate_prices import MAX_PRICE_USD, MIN_PRICE_USD
from switchgear.errors import PriceUnknown
from switchgear.providers.registry import BUILT_IN
from switchgear.types import SERVICE_TIERS, Usage
from tests.support.processes import ROOT

PAGE = (ROOT / "docs" / "prices.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
ENVIRONMENT = {"OPENAI_API_KEY": "abc", "CI_KEY": "0123456789abcdef"}
HEAD = 'providers: {local: {type: vllm, base_url: "http://127.0.0.1:1/v1"}}\n'
HEAD += 'keys: [{name: me, value: "0123456789abcdef"}]\n'
NOW = 1.8e9


def test_the_examples_load() -> None:
    free, whole = EXAMPLES
    assert loads(HEAD + free, environment={}).prices["local/*"] == Price(input=0.0, output=0.0)
    entries = loads(whole, environment=ENVIRONMENT).prices["openai/gpt-4.1"]
    assert isinstance(entries, list)
    unset = [name for name in Price.__struct_fields__ if getattr(entries[1], name) in (None, [])]
    assert unset == []  # "this is everything that an entry may have"


def test_the_table_of_unknown_prices() -> None:
    catalogue = bundled()
    rows = {
        cells[1].strip().strip("`"): cells[2:4]
        for line in PAGE.splitlines()
        if line.startswith("|")
        for cells in [line.split("|")]
    }
    for written, text in (
        ("not written", ""),
        ("refuse", "unknown_price: refuse"),
        ("cap", "unknown_price: {input: 1, output: 1}"),
    ):
        told = next(value for key, value in rows.items() if key.startswith("{" if written == "cap" else written))
        prices = Prices.from_config(loads(HEAD + text, environment={}), catalogue)
        for limited, cell in zip((False, True), told, strict=True):
            if "refused" in cell:
                with pytest.raises(PriceUnknown) as caught:
                    prices.require("local", "vllm", "m", NOW, limited=limited)
                assert f"{caught.value.status} and code `{caught.value.code}`" in PAGE.replace("\n", " ")
                continue
            price = prices.require("local", "vllm", "m", NOW, limited=limited)
            assert price.flagged
            assert (price is UNKNOWN) == ("`unknown`" in cell)
            assert (price.cost(Usage(1)) == 0) == ("cost 0" in cell)


def test_types_without_a_public_price() -> None:
    sentence = re.search(r"^(.*) run on your own machines", PAGE, re.M)
    assert sentence is not None
    assert {*re.findall(r"`([\w-]+)`", sentence[1]), "huggingface"} == set(BUILT_IN) - set(VENDORS)


def test_numbers_and_names() -> None:
    assert f"from {MIN_PRICE_USD:f} to {MAX_PRICE_USD:,.0f} USD" in PAGE
    assert ", ".join(f"`{name}`" for name in SERVICE_TIERS) in PAGE
    for name in command.commands:  # type: ignore[attr-defined]  # a click group
        assert f"switchgear prices {name} --config" in PAGE
    assert bundled().find("openai", "whisper-1") is None
