"""`_leases` against its reference, and what the reference cannot say: slots in a file, dropped reservations."""

from __future__ import annotations

import gc
import os
from math import inf
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from switchgear.hotpath._leases import KEY_BYTES, SLOT_BYTES, Bucket, Clock, LimitSet, Reservation, Slots
from tests.reference import leases as reference

AMOUNTS = st.integers(0, 50)
ANY = st.integers(-5, 80)
FIRM = st.integers(-1, 80)  # -1: as of the others


class AgainstReference(RuleBasedStateMachine):
    """Any sequence of takings, settlings and grants leaves the balances of the reference."""

    @initialize(
        rows=st.lists(
            st.tuples(st.integers(0, 5), st.booleans(), st.sampled_from([inf, 5.0]), st.integers(0, 2)), max_size=6
        )
    )
    def start(self, rows: list[tuple[int, bool, float, int]]) -> None:
        self.now = 0.0
        self.clock, self.other_clock = Clock(), reference.Clock()
        self.clock.until = self.other_clock.until = 8.0
        slots = Slots(4)
        self.buckets = tuple(
            Bucket(self.clock, slots, None, f"b{n}", *row[:2], row[3], row[2]) for n, row in enumerate(rows)
        )
        self.others = tuple(reference.Bucket(self.other_clock, *row) for row in rows)
        self.set = LimitSet(self.clock, self.buckets)
        self.pairs: list[tuple[Reservation, reference.Reservation]] = []

    @rule(amounts=st.tuples(st.integers(0, 2), AMOUNTS, AMOUNTS, AMOUNTS, FIRM, FIRM))
    def take(self, amounts: tuple[int, int, int, int, int, int]) -> None:
        short = self.set.short(self.now, *amounts)
        one, other = self.set.take(self.now, *amounts), reference.take(self.others, self.now, *amounts)
        assert (one is None) == (other is None) == bool(short)
        if one is not None and other is not None:
            assert [one.held(n) for n in range(len(self.buckets))] == [held for held, _ in other.amounts]
            self.pairs.append((one, other))

    @rule(data=st.data(), used=st.tuples(ANY, ANY, ANY), releases=st.booleans())
    def end(self, data: st.DataObject, used: tuple[int, int, int], releases: bool) -> None:
        if self.pairs:
            one, other = data.draw(st.sampled_from(self.pairs))
            assert (one.release() == other.release()) if releases else (one.settle(*used) == other.settle(*used))
            assert one.done

    @rule(data=st.data(), more=st.tuples(ANY, ANY, FIRM, FIRM))
    def extend(self, data: st.DataObject, more: tuple[int, int, int, int]) -> None:
        if self.pairs:
            one, other = data.draw(st.sampled_from(self.pairs))
            assert one.extend(self.now, *more) == other.extend(self.now, *more)

    @rule(amounts=st.tuples(AMOUNTS, AMOUNTS, AMOUNTS), free=st.integers(-50, 2000))
    def far(self, amounts: tuple[int, int, int], free: int) -> None:
        for one, other in zip(self.buckets, self.others, strict=True):
            one.free = other.free = free
        assert self.set.far(*amounts) == reference.far(self.others, *amounts)

    @rule(data=st.data(), amount=st.integers(0, 200), gives=st.booleans())
    def lease(self, data: st.DataObject, amount: int, gives: bool) -> None:
        if self.buckets:
            index = data.draw(st.integers(0, len(self.buckets) - 1))
            if gives:
                assert self.buckets[index].withdraw(amount) == self.others[index].withdraw(amount)
            else:
                self.buckets[index].grant(amount)
                self.others[index].grant(amount)

    @rule(data=st.data(), bypass=st.booleans())
    def bypass(self, data: st.DataObject, bypass: bool) -> None:
        if self.buckets:
            index = data.draw(st.integers(0, len(self.buckets) - 1))
            self.buckets[index].bypass = self.others[index].bypass = bypass

    @rule(passes=st.sampled_from([0.5, 1.0, 3.0]))
    def wait(self, passes: float) -> None:
        self.now += passes
        if passes < 1:
            self.clock.until = self.other_clock.until = self.now + 8

    @invariant()
    def balances_agree(self) -> None:
        for one, other in zip(getattr(self, "buckets", ()), getattr(self, "others", ()), strict=True):
            mine = (one.available, one.reserved, one.spent, one.taken)
            assert mine == (other.available, other.reserved, other.spent, other.taken)
            assert min(mine) >= 0


TestAgainstReference = AgainstReference.TestCase
TestAgainstReference.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


def one(resource: int = 3, *, hard: bool = True, slots: Slots | None = None, key: str = "k") -> Bucket:
    clock = Clock()
    clock.until = inf
    bucket = Bucket(clock, Slots(1) if slots is None else slots, None, key, resource, hard)
    bucket.grant(100)
    return bucket


def of(bucket: Bucket) -> LimitSet:
    clock = Clock()
    return LimitSet(clock, (bucket,))


def test_a_reservation_that_is_dropped_costs_what_it_reserved() -> None:
    bucket = one()
    held = of(bucket).take(0.0, 1, 20, 10, 0)
    assert held is not None
    del held
    gc.collect()
    assert (bucket.available, bucket.reserved, bucket.spent) == (70, 0, 30)


def test_what_is_touched_is_listed_once() -> None:
    clock = Clock()
    clock.until = inf
    bucket = Bucket(clock, Slots(1), None, "k", 0, True)
    bucket.grant(5)
    limits = LimitSet(clock, (bucket,))
    for _ in range(3):
        limits.take(0.0, 1, 0, 0, 0)
    assert clock.touched == [bucket]
    clock.touched = []
    bucket.untouch()
    limits.take(0.0, 1, 0, 0, 0)
    assert clock.touched == [bucket]


def test_balances_are_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "slots"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    slots = Slots(3, fd, 65536)
    first, second = one(slots=slots, key="first"), one(slots=slots, key="zwö")
    first.number(7)
    of(first).take(0.0, 1, 20, 10, 0)
    raw = path.read_bytes()[65536:]
    os.close(fd)
    numbers = [int.from_bytes(raw[at : at + 8], "little") for at in range(0, 48, 8)]
    assert numbers == [70, 0, 30, 7, 0, 5]  # dropped at once: spent
    assert raw[64:69] == b"first"
    assert raw[SLOT_BYTES + 64 : SLOT_BYTES + 68] == "zwö".encode()
    assert second.adoptable
    assert len(slots) == 2
    del first, second
    gc.collect()
    assert len(slots) == 0
    assert path.read_bytes()[65536 + 40] == 0


def test_without_a_slot_a_bucket_counts_in_memory_of_its_own() -> None:
    slots = Slots(1)
    kept = one(slots=slots)
    for bucket in (one(slots=slots), one(slots=Slots(1), key="x" * (KEY_BYTES + 1))):
        assert not bucket.adoptable
        held = of(bucket).take(0.0, 1, 1, 1, 0)
        assert held is not None
        held.settle(1, 1, 0)
        assert (bucket.available, bucket.reserved, bucket.spent) == (98, 0, 2)
    assert kept.available == 100


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="resource"):
        Bucket(Clock(), Slots(0), None, "k", 6, True)
    with pytest.raises(ValueError, match="amount"):
        one().grant(-1)
    with pytest.raises(ValueError, match="amounts"):
        of(one()).take(0.0, 1, -1, 0, 0)
    with pytest.raises(ValueError, match="count"):
        Slots(-1)
    with pytest.raises(TypeError, match="buckets"):
        LimitSet(Clock(), ("bucket",))  # type: ignore[arg-type]  # what is tested
    held = of(one()).take(0.0, 0, 0, 0, 0)
    assert held is not None
    with pytest.raises(IndexError):
        held.held(1)
