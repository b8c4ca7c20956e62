"""`_price` against its reference, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.hotpath._price import PriceTable
from switchgear.types import Usage
from tests.reference.price import PriceTable as Reference

RATES = st.integers(0, 10**12) | st.sampled_from([0, 75_000, 2_000_000])
ROWS = st.lists(st.integers(0, 400_000), max_size=3, unique=True).flatmap(
    lambda starts: st.tuples(*(st.tuples(st.just(start), *[RATES] * 11) for start in (-1, *sorted(starts))))
)
TABLES = st.fixed_dictionaries({"": ROWS}, optional={"batch": ROWS, "priority": ROWS})
TOKENS = st.integers(-2, 2**40) | st.integers(0, 1000)
USAGES = st.builds(
    Usage,
    TOKENS,
    TOKENS,
    TOKENS,
    TOKENS,
    TOKENS,
    TOKENS,
    TOKENS,
    TOKENS,
    st.integers(-1, 10),
    st.sampled_from(["", "batch", "priority", "flex"]),
    st.booleans(),
    TOKENS,
    TOKENS,
    TOKENS,
)
ROW = (-1, *range(1, 12))


@given(TABLES, st.integers(0, 10**12), st.integers(0, 10**12), USAGES)
def test_as_the_reference(
    tables: dict[str, tuple[tuple[int, ...], ...]], image: int, request: int, usage: Usage
) -> None:
    table, reference = PriceTable(tables, image, request), Reference(tables, image, request)
    assert table.cost(usage) == reference.cost(usage)
    assert table.upper(usage.input_tokens, usage.output_tokens, usage.images) == reference.upper(
        usage.input_tokens, usage.output_tokens, usage.images
    )


@given(TABLES, st.integers(0, 10**12), st.integers(0, 10**12), st.data())
def test_the_upper_bound_holds(
    tables: dict[str, tuple[tuple[int, ...], ...]], image: int, request: int, data: st.DataObject
) -> None:
    given_, made = data.draw(st.integers(0, 10**6)), data.draw(st.integers(0, 10**6))
    cached = data.draw(st.integers(0, given_))
    written = data.draw(st.integers(0, given_ - cached))
    usage = Usage(
        given_,
        made,
        cached,
        written,
        data.draw(st.integers(0, made)),
        service_tier=data.draw(st.sampled_from(["", "batch", "priority", "flex"])),
        cache_write_1h_tokens=data.draw(st.integers(0, written)),
        images=data.draw(st.integers(0, 4)),
    )
    table = PriceTable(tables, image, request)
    assert table.cost(usage) <= table.upper(given_, made, usage.images)


def test_halves_are_rounded_up_once() -> None:
    table = PriceTable({"": [(-1, 500, *[0] * 6, 499, 0, 0, 0)]})
    assert [table.cost(Usage(given, made)) for given, made in ((1, 0), (0, 1), (1, 1), (3, 0))] == [1, 0, 1, 2]


def test_a_cost_beyond_64_bits_is_exact() -> None:
    table = PriceTable({"": [(-1, 10**12, *[0] * 10)]})
    assert table.cost(Usage(2**40)) == 2**40 * 10**9


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"batch": [ROW]},
        {"": []},
        {"": [ROW[:-1]]},
        {"": [(*ROW, 1)]},
        {"": [(-1, -1, *ROW[2:])]},
        {"": [ROW, ROW]},
    ],
)
def test_tables_that_make_no_sense(tables: dict[str, list[tuple[int, ...]]]) -> None:
    with pytest.raises(ValueError, match="expected"):
        PriceTable(tables)


def test_negative_prices() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        PriceTable({"": [ROW]}, -1)


def test_numbers_beyond_64_bits() -> None:
    with pytest.raises(OverflowError):
        PriceTable({"": [(-1, 2**64, *ROW[2:])]})
    with pytest.raises(OverflowError):
        PriceTable({"": [ROW]}).cost(Usage(2**64))
