"""`_score` against its reference, and what the reference cannot say: wrong arguments, shares over many draws."""

from __future__ import annotations

from math import inf, nan
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from switchgear.hotpath._score import TargetTable
from tests.reference.score import TargetTable as Reference

TIERS = st.integers(0, 3)
WEIGHTS = st.sampled_from([0.0, 1.0, 1.0, 3.0, 0.1]) | st.floats(0, 1e6, allow_nan=False)
DRAWS = st.floats(0, 1, exclude_max=True)
TIMES = st.integers(0, 20).map(float)


class AgainstReference(RuleBasedStateMachine):
    """Any sequence of holds, releases and picks gives what the reference gives."""

    @initialize(rows=st.lists(st.tuples(TIERS, WEIGHTS), min_size=1, max_size=12))
    def start(self, rows: list[tuple[int, float]]) -> None:
        tiers, weights = [tier for tier, _ in rows], [weight for _, weight in rows]
        self.now = 0.0
        self.tried = bytearray(len(tiers))
        self.table, self.reference = TargetTable(tiers, weights), Reference(tiers, weights)

    @rule(data=st.data(), until=TIMES | st.just(inf))
    def hold(self, data: st.DataObject, until: float) -> None:
        index = data.draw(st.integers(0, len(self.reference) - 1))
        self.table.hold(index, until)
        self.reference.hold(index, until)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.reference) - 1))
        self.table.release(index)
        self.reference.release(index)

    @rule(seconds=st.integers(0, 5))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds

    @rule(draw=DRAWS)
    def pick(self, draw: float) -> None:
        assert self.table.pick(self.now, draw) == self.reference.pick(self.now, draw)

    @rule(draw=DRAWS)
    def pick_untried(self, draw: float) -> None:
        picked = self.table.pick(self.now, draw, self.tried)
        assert picked == self.reference.pick(self.now, draw, self.tried)
        if picked >= 0:
            assert not self.tried[picked]
            self.tried[picked] = 1
        else:
            self.tried = bytearray(len(self.tried))

    @invariant()
    def same_state(self) -> None:
        assert self.table.available(self.now) == self.reference.available(self.now)
        assert self.table.wait(self.now) == self.reference.wait(self.now)
        assert self.table.wait(self.now, self.tried) == self.reference.wait(self.now, self.tried)
        for index in range(len(self.reference)):
            assert self.table.held_until(index) == self.reference.held_until(index)


TestAgainstReference = AgainstReference.TestCase
TestAgainstReference.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


@given(weights=st.lists(st.integers(0, 20), min_size=1, max_size=8), seed=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_evenly_spaced_draws_give_exact_shares(weights: list[int], seed: int) -> None:
    # One draw in the middle of each unit of weight: each target is picked exactly as often as its weight says.
    total = sum(weights) or len(weights)
    table = TargetTable([0] * len(weights), [float(weight) for weight in weights])
    draws = [(step + 0.5) / total for step in range(total)]
    Random(seed).shuffle(draws)  # noqa: S311  # repeatable, not secret
    counts = [0] * len(weights)
    for draw in draws:
        counts[table.pick(0.0, draw)] += 1
    assert counts == (weights if any(weights) else [1] * len(weights))


def test_random_draws_pass_a_chi_square_test() -> None:
    weights = [1.0, 2.0, 3.0, 4.0, 0.0, 10.0]
    table, random, draws = TargetTable([0] * 6, weights), Random(20), 100_000  # noqa: S311  # repeatable
    counts = [0] * 6
    for _ in range(draws):
        counts[table.pick(0.0, random.random())] += 1
    assert counts[4] == 0
    expected = [draws * weight / sum(weights) for weight in weights]
    square = sum((count - want) ** 2 / want for count, want in zip(counts, expected, strict=True) if want)
    assert square < 18.47  # the 99.9th percentile at 4 degrees of freedom


def test_largest_draw_stays_on_a_weighted_target() -> None:
    table = TargetTable([0, 0, 0, 0], [0.1, 0.2, 0.7, 0.0])
    assert table.pick(0.0, 1 - 2**-53) == 2
    assert table.pick(0.0, 1.0) == 2


def test_lower_tier_first_then_next_when_held() -> None:
    table = TargetTable([1, 0, 0], [1.0, 1.0, 0.0])
    assert table.pick(0.0, 0.99) == 1
    table.hold(1, 10.0)
    assert table.pick(0.0, 0.5) == 2  # weight 0: what is left in the tier
    table.hold(2, 10.0)
    assert table.pick(0.0, 0.5) == 0
    assert table.pick(10.0, 0.5) == 1


def test_all_held_gives_the_soonest_and_tier_breaks_ties() -> None:
    table = TargetTable([1, 0, 0], [1.0, 1.0, 1.0])
    for index, until in enumerate([5.0, 7.0, 5.0]):
        table.hold(index, until)
    assert table.available(0.0) == 0
    assert table.pick(0.0, 0.5) == 2
    assert table.pick(0.0, 0.5, bytearray(b"\0\0\1")) == 0
    assert table.pick(0.0, 0.5, bytearray(b"\1\1\1")) == -1
    assert table.wait(1.0) == 4.0
    assert table.wait(1.0, bytearray(b"\1\1\1")) == inf


def test_deadline_only_moves_out_until_released() -> None:
    table = TargetTable([0], [1.0])
    assert table.held_until(0) == -inf
    table.hold(0, 9.0)
    table.hold(0, 3.0)
    assert table.held_until(0) == 9.0
    table.release(0)
    table.hold(0, 3.0)
    assert table.held_until(0) == 3.0


def test_no_targets() -> None:
    table = TargetTable([], [])
    assert (len(table), table.pick(0.0, 0.5), table.available(0.0), table.wait(0.0)) == (0, -1, 0, inf)


@pytest.mark.parametrize(("tiers", "weights"), [([0], []), ([0], [-1.0]), ([0], [nan]), ([0], [inf]), ([0, 1], [1.0])])
def test_wrong_tables_are_refused(tiers: list[int], weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        TargetTable(tiers, weights)


@pytest.mark.parametrize("index", [-1, 2, 2**40])
def test_indices_are_checked(index: int) -> None:
    table = TargetTable([0, 0], [1.0, 1.0])
    for call in (lambda: table.hold(index, 1.0), lambda: table.release(index), lambda: table.held_until(index)):
        with pytest.raises(IndexError):
            call()


def test_short_tried_and_nan_deadline_are_refused() -> None:
    table = TargetTable([0, 0], [1.0, 1.0])
    with pytest.raises(ValueError, match="1 bytes for 2 targets"):
        table.pick(0.0, 0.5, bytearray(1))
    with pytest.raises(ValueError, match="1 bytes for 2 targets"):
        table.wait(0.0, bytearray(1))
    with pytest.raises(ValueError, match="not a number"):
        table.hold(0, nan)
