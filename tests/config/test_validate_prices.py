"""Warnings about prices, and what is right: the errors are in broken/."""

from __future__ import annotations

from pathlib import Path

import pytest

from switchgear.config.load import load_with_warnings, loads
from switchgear.config.schema_prices import Price, UnknownPrice
from switchgear.config.validate_prices import starts_at
from switchgear.providers.registry import provider_types

HEAD = """
providers: {mine: {type: openai, credentials: [abc]}, local: {type: vllm, base_url: "http://127.0.0.1:1/v1"}}
keys: [{name: me, value: "0123456789abcdef"}]
"""


def warnings_of(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "c.yaml"
    path.write_text(HEAD.lstrip() + text)
    loaded = load_with_warnings(path, provider_types(), environment={})
    return [str(warning).replace(str(path), "c.yaml") for warning in loaded.warnings]


def test_providers_by_name_and_by_type(tmp_path: Path) -> None:
    text = """prices:
  mine/gpt-4.1: {input: 2, output: 8}
  openai/gpt-4.1: {input: 2, output: 8}
  local/*: {input: 0, output: 0}
  vllm/org/model*: {input: 0, output: 0}
"""
    assert warnings_of(tmp_path, text) == []


def test_prices_of_what_nobody_serves(tmp_path: Path) -> None:
    text = """prices:
  anthropic/claude: {input: 2, output: 8}
  mien/gpt-4.1: {input: 2, output: 8}
"""
    assert warnings_of(tmp_path, text) == [
        "c.yaml:4: prices.anthropic/claude: no provider of this configuration is of type anthropic",
        "c.yaml:5: prices.\"mien/gpt-4.1\": no provider has this name; did you mean 'mine'?",
    ]


def test_what_would_cost_nothing_is_told(tmp_path: Path) -> None:
    text = """prices: {mine/embed: {input: 0.02}, mine/image: {image: 0.04}, mine/call: {request: 0.005}}
unknown_price: {input: 0, output: 1}
"""
    assert warnings_of(tmp_path, text) == [
        "c.yaml:3: prices.mine/embed: no price of output: tokens that the model puts out cost nothing",
        "c.yaml:4: unknown_price.input: models without a known price are billed at nothing",
    ]


def test_everything_a_price_may_have() -> None:
    config = loads(
        HEAD
        + """
prices:
  mine/m:
    - {input: 1, output: 2}
    - from: 2026-01-31
      input: 1
      cached_input: 0.1
      cache_write: 1.25
      cache_write_1h: 2
      output: 2
      reasoning: 3
      input_audio: 4
      cached_audio: 0.4
      output_audio: 5
      request: 0.01
      image: 0.04
      batch: {input: 0.5, output: 1}
      priority: {input: 2, output: 4}
      tiers: [{above: 128000, input: 2}, {above: 200000, input: 3, output: 4}]
unknown_price: {input: 5, output: 15}
""",
        environment={},
    )
    entries = config.prices["mine/m"]
    assert isinstance(entries, list)
    assert entries[0] == Price(input=1.0, output=2.0)
    assert (entries[1].since, entries[1].cache_write_1h, entries[1].tiers[1].above) == ("2026-01-31", 2.0, 200000)
    assert config.unknown_price == UnknownPrice(input=5.0, output=15.0)


def test_unknown_price_is_not_refuse_unless_it_is_written() -> None:
    assert loads(HEAD, environment={}).unknown_price is None
    assert loads(HEAD + "unknown_price: refuse", environment={}).unknown_price == "refuse"


def test_a_date_of_toml() -> None:
    text = """
keys = [{name = "me", value = "0123456789abcdef"}]
[providers.mine]
credentials = ["abc"]
[[prices."mine/m"]]
from = 2026-01-31
input = 1
output = 2
"""
    entries = loads(text, "toml", environment={}).prices["mine/m"]
    assert isinstance(entries, list)
    assert entries[0].since == "2026-01-31"


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("1970-01-02", 86400.0),
        ("1970-01-02T01:00:00", 90000.0),
        ("1970-01-02 01:00:00+01:00", 86400.0),
        ("1970-01-02T00:00:00Z", 86400.0),
    ],
)
def test_when_a_price_begins(since: str, expected: float) -> None:
    assert starts_at(since) == expected
