"""What each class of tokens costs, as whole pico-dollars per token, with its steps by the length of the context.

A price in USD per million tokens is a number of pico-dollars per token times 10^-6, so that 1 USD per million is
1,000,000 pico-dollars per token and every product with a number of tokens is a whole number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

PICO_USD = 10**12
PICO_PER_NANO = 1000

Steps = tuple[tuple[int, int], ...]
"""Of one class, ascending: more than so many input tokens, pico-dollars per token from there on. Below the first step
the class has no price of its own."""

CLASSES = (
    "input",
    "cached_input",
    "cache_write",
    "cache_write_1h",
    "input_audio",
    "cached_audio",
    "input_image",
    "output",
    "reasoning",
    "output_audio",
    "output_image",
)
# What a class without a price of its own costs, in an order in which each finds the other filled in.
_INSTEAD = (
    ("cached_input", "input"),
    ("cache_write", "input"),
    ("cache_write_1h", "cache_write"),
    ("input_audio", "input"),
    ("cached_audio", "cached_input"),
    ("input_image", "input"),
    ("reasoning", "output"),
    ("output_audio", "output"),
    ("output_image", "output"),
)


class Rates(NamedTuple):
    """Pico-dollars per token of every class, for one service tier and one length of context."""

    input: int
    cached_input: int
    cache_write: int
    cache_write_1h: int
    input_audio: int
    cached_audio: int
    input_image: int
    output: int
    reasoning: int
    output_audio: int
    output_image: int


Bands = tuple[tuple[int, Rates], ...]
"""Ascending: with more than so many input tokens (-1 for the first), the whole request costs these rates."""


def pico(usd: Decimal | float, units: int = 1) -> int:
    """The pico-dollars of a unit of which `units` cost `usd`: the nearest whole number, halves up.

    A float counts as the decimal number that it is written as (0.1 is a tenth).
    """
    exact = usd if isinstance(usd, Decimal) else Decimal(repr(usd))
    return int((exact * PICO_USD / units).to_integral_value(ROUND_HALF_UP))


def per_million(usd: Decimal | float) -> int:
    """The pico-dollars per token of a price in USD per million tokens."""
    return pico(usd, 1_000_000)


def bands(steps: Mapping[str, Steps]) -> Bands:
    """The rates of every class between any two steps of any class. Without a price a side costs nothing."""
    starts = sorted({-1, *(above for each in steps.values() for above, _ in each if above >= 0)})
    return tuple((start, _filled(_own(steps, start))) for start in starts)


def _own(steps: Mapping[str, Steps], start: int) -> dict[str, int]:
    """The classes that have a price of their own for more than `start` input tokens."""
    found = {}
    for name, each in steps.items():
        for above, rate in each:
            if above <= start:
                found[name] = rate
    return found


def _filled(own: dict[str, int]) -> Rates:
    rates = {"input": 0, "output": 0} | own
    for name, instead in _INSTEAD:
        rates.setdefault(name, rates[instead])
    return Rates(**rates)


def steps_of(base: Mapping[str, int], tiers: Iterable[tuple[int, Mapping[str, int]]] = ()) -> dict[str, Steps]:
    """Steps of prices that are given for the whole and for each tier of the context's length."""
    found: dict[str, list[tuple[int, int]]] = {name: [(-1, rate)] for name, rate in base.items()}
    for above, rates in tiers:
        for name, rate in rates.items():
            found.setdefault(name, []).append((above, rate))
    return {name: tuple(sorted(each)) for name, each in found.items()}
