"""The timer wheel: order, the next turn of the loop, closing."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from switchgear.simulator.wheel import Wheel


async def test_order_and_not_too_early() -> None:
    loop = asyncio.get_running_loop()
    wheel = Wheel(loop)
    done: list[tuple[str, float]] = []
    finished = asyncio.Event()
    start = loop.time()

    def note(name: str) -> None:
        done.append((name, loop.time() - start))

    for name, delay in (("c", 0.03), ("a", 0.0), ("b", 0.01), ("b2", 0.01)):
        wheel.after(delay, partial(note, name))
    wheel.after(0.04, finished.set)
    assert done == []
    await asyncio.wait_for(finished.wait(), 5)
    assert [name for name, _ in done] == ["a", "b", "b2", "c"]
    assert done[-1][1] >= 0.029
    wheel.close()


async def test_a_callback_may_wait_again() -> None:
    wheel = Wheel(asyncio.get_running_loop())
    finished = asyncio.Event()
    left = [20]

    def again() -> None:
        left[0] -= 1
        if left[0]:
            wheel.after(0.001 if left[0] % 2 else 0.0, again)
        else:
            finished.set()

    wheel.after(0.0, again)
    await asyncio.wait_for(finished.wait(), 5)
    assert left == [0]
    wheel.close()


async def test_close_forgets() -> None:
    wheel = Wheel(asyncio.get_running_loop())
    done: list[int] = []
    wheel.after(0.0, lambda: done.append(1))
    wheel.after(0.001, lambda: done.append(2))
    wheel.close()
    await asyncio.sleep(0.01)
    assert done == []


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time is what the test says."""

    now = 1000.0

    def time(self) -> float:
        return self.now


def test_a_row_of_waits_does_not_drift() -> None:
    """Each is called back late, by what the slot's rounding and a busy loop add; the next one makes up for it."""
    loop = Clock()
    wheel = Wheel(loop)
    due = wheel.after(0.02, lambda: None)
    assert due == pytest.approx(1000.02)
    for number in range(2, 101):
        loop.now = due + 0.0012
        due = wheel.after(0.02, lambda: None, due)
        assert due == pytest.approx(1000.0 + number * 0.02)
    loop.close()


def test_a_stream_that_stood_still_does_not_catch_up() -> None:
    """A client that did not read for a second gets no burst of fifty tokens."""
    loop = Clock()
    wheel = Wheel(loop)
    due = wheel.after(0.02, lambda: None)
    loop.now = due + 1.0
    assert wheel.after(0.02, lambda: None, due) == pytest.approx(loop.now + 0.02)
    assert wheel.after(0.0, lambda: None, due) == loop.now
    loop.close()
