"""Counting in a slab. Budget: about 50 ns for an addition, the call from Python included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from switchgear.hotpath._metrics import Slab

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


@pytest.fixture
def slab(tmp_path: Path) -> Slab:
    return Slab(str(tmp_path / "slab"), 4096)


def test_add(benchmark: Any, slab: Slab) -> None:
    # Many rounds of one sample: a single call is shorter than the clock's resolution.
    benchmark.pedantic(slab.add, (17,), iterations=10_000, rounds=20, warmup_rounds=1)


@pytest.mark.parametrize("value", [0.003, 0.8, 1000.0])
def test_observe(benchmark: Any, slab: Slab, value: float) -> None:
    benchmark.pedantic(slab.observe, (32, BOUNDS, value), iterations=10_000, rounds=20, warmup_rounds=1)


def test_read_a_thousand(benchmark: Any, slab: Slab) -> None:
    benchmark(slab.read, 0, 1000)
