"""One routing decision. Budgets: 1.5 µs over 16 targets, 25 µs over 1,000."""

from __future__ import annotations

from typing import Any

import pytest

from switchgear.hotpath._score import TargetTable


def table(targets: int) -> TargetTable:
    return TargetTable([index % 3 for index in range(targets)], [1.0 + index % 5 for index in range(targets)])


@pytest.mark.parametrize("targets", [1, 16, 1000])
def test_pick(benchmark: Any, targets: int) -> None:
    benchmark(table(targets).pick, 1.0, 0.999)


@pytest.mark.parametrize("targets", [16, 1000])
def test_pick_when_all_are_held(benchmark: Any, targets: int) -> None:
    held = table(targets)
    for index in range(targets):
        held.hold(index, 10.0 + index % 7)
    benchmark(held.pick, 1.0, 0.999)


@pytest.mark.parametrize("targets", [16, 1000])
def test_pick_among_the_untried(benchmark: Any, targets: int) -> None:
    benchmark(table(targets).pick, 1.0, 0.5, bytearray(index % 2 for index in range(targets)))
