"""A timer wheel: one timer of the event loop for any number of waiting streams.

Callbacks that fall due in the same millisecond share a slot; a heap holds the slots, so that 2,000 streams with a gap
of 20 ms cost at most 20 heap operations and 20 timers per gap, not 2,000 of each. A delay of 0 means the next turn of
the loop, and all of those share one callback.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

Callback = Callable[[], None]


class Wheel:
    """Calls back after a delay, to the millisecond. Not cancellable: a callback checks whether it is still wanted."""

    __slots__ = ("_armed", "_closed", "_handle", "_loop", "_ready", "_slots", "_ticks")

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = loop
        self._slots: dict[int, list[Callback]] = {}
        self._ticks: list[int] = []
        self._ready: list[Callback] = []
        self._armed = 0  # the tick that `_handle` waits for
        self._handle: asyncio.TimerHandle | None = None
        self._closed = False

    def after(self, delay_s: float, callback: Callback, last_due: float = 0.0) -> float:
        """Call `callback` in `delay_s` seconds or up to 1 ms later; returns when it is due (`loop.time()`).

        last_due: when the wait before this one was due. The delay counts from there, so that a row of waits does not
        drift with what each of them was late; but from now where that is a whole delay ago (the stream stood still).
        """
        now = self._loop.time()
        if delay_s <= 0.0:
            self._ready.append(callback)
            if len(self._ready) == 1:
                self._loop.call_soon(self._run_ready)
            return now
        due = (last_due if now - last_due < delay_s else now) + delay_s
        tick = int(due * 1000) + 1
        slot = self._slots.get(tick)
        if slot is not None:
            slot.append(callback)
            return due
        self._slots[tick] = [callback]
        heapq.heappush(self._ticks, tick)
        if self._ticks[0] == tick:
            self._arm()
        return due

    def close(self) -> None:
        """Forget everything that waits."""
        self._closed = True
        self._slots.clear()
        self._ticks.clear()
        self._ready.clear()
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed = self._ticks[0]
        self._handle = self._loop.call_at(self._armed / 1000, self._turn)

    def _turn(self) -> None:
        self._handle = None
        now = max(self._armed, int(self._loop.time() * 1000))
        while self._ticks and self._ticks[0] <= now:
            for callback in self._slots.pop(heapq.heappop(self._ticks)):
                callback()
        if self._ticks and not self._closed:
            self._arm()

    def _run_ready(self) -> None:
        ready, self._ready = self._ready, []
        for callback in ready:
            callback()
