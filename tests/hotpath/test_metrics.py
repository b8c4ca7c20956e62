"""`_metrics`: what one process writes another reads; nothing outside the slots; nothing after close."""

from __future__ import annotations

from bisect import bisect_left
from math import inf, nan
from pathlib import Path
from struct import unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.hotpath._metrics import Slab


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "slab")


def test_file_holds_native_doubles(path: str) -> None:
    slab = Slab(path, 4)
    slab.add(0)
    slab.add(0, 2.5)
    slab.set(3, -1.0)
    assert len(slab) == 4
    assert [slab.get(slot) for slot in range(4)] == slab.read(0, 4) == [3.5, 0.0, 0.0, -1.0]
    assert unpack("=4d", Path(path).read_bytes()) == (3.5, 0.0, 0.0, -1.0)
    assert Path(path).stat().st_mode & 0o777 == 0o600


def test_reader_sees_what_is_written_and_cannot_write(path: str) -> None:
    writer, reader = Slab(path, 2), Slab(path, 2, writable=False)
    writer.add(1, 7.0)
    assert reader.read(0, 2) == [0.0, 7.0]
    for write in (lambda: reader.add(0), lambda: reader.set(0, 1.0), lambda: reader.observe(0, (), 1.0)):
        with pytest.raises(ValueError, match="reading only"):
            write()


def test_file_is_extended_and_keeps_its_values(path: str) -> None:
    Slab(path, 2).set(1, 5.0)
    larger = Slab(path, 1000)
    assert larger.read(0, 3) == [0.0, 5.0, 0.0]
    assert Path(path).stat().st_size == 8000
    assert len(Slab(path, 2)) == 2
    assert Path(path).stat().st_size == 8000


def test_reader_of_a_short_or_missing_file(path: str) -> None:
    with pytest.raises(FileNotFoundError):
        Slab(path, 1, writable=False)
    Slab(path, 1)
    with pytest.raises(ValueError, match="too few for 2 slots"):
        Slab(path, 2, writable=False)


@pytest.mark.parametrize("slots", [0, -1, 2**62])
def test_absurd_sizes_are_refused(path: str, slots: int) -> None:
    with pytest.raises(ValueError, match="slots"):
        Slab(path, slots)
    assert not Path(path).exists()


@given(
    bounds=st.lists(st.floats(-1e3, 1e3), max_size=12, unique=True).map(sorted).map(tuple),
    values=st.lists(st.floats(-1e4, 1e4) | st.sampled_from([0.0, 1.0]), max_size=20),
)
def test_histogram_counts_as_bisect_does(
    tmp_path_factory: pytest.TempPathFactory, bounds: tuple[float, ...], values: list[float]
) -> None:
    slab = Slab(str(tmp_path_factory.mktemp("slab") / "slab"), len(bounds) + 4)
    counts, total = [0.0] * (len(bounds) + 1), 0.0
    for value in values:
        slab.observe(1, bounds, value)
        counts[bisect_left(bounds, value)] += 1
        total += value
    assert slab.read(0, len(slab)) == [0.0, *counts, total, 0.0]


def test_histogram_edges(path: str) -> None:
    slab = Slab(path, 4)
    slab.observe(0, (1, 2), 1)  # type: ignore[arg-type]  # whole numbers serve as bounds too
    slab.observe(0, (1.0, 2.0), inf)
    slab.observe(0, (1.0, 2.0), nan)
    assert slab.read(0, 4) == [1.0, 0.0, 1.0, inf]


def test_nothing_outside_the_slots(path: str) -> None:
    slab = Slab(path, 4)
    for call in (
        lambda: slab.add(4),
        lambda: slab.add(-1),
        lambda: slab.get(2**60),
        lambda: slab.set(-(2**60), 0.0),
        lambda: slab.read(0, 5),
        lambda: slab.read(2, 2**62),
        lambda: slab.read(0, -1),
        lambda: slab.observe(0, (1.0, 2.0, 3.0), 1.0),
    ):
        with pytest.raises(IndexError, match="of 4"):
            call()
    assert slab.read(4, 0) == []


def test_nothing_after_close(path: str) -> None:
    slab = Slab(path, 4)
    slab.close()
    slab.close()
    assert len(slab) == 0
    for call in (lambda: slab.add(0), lambda: slab.get(0), lambda: slab.read(0, 1), lambda: slab.observe(0, (), 1.0)):
        with pytest.raises(ValueError, match="closed"):
            call()
