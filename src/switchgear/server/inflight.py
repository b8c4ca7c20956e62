"""Requests in flight: how many, who has left, who sends too slowly.

Asking ASGI's `receive()` for a disconnect costs a hop between the server's thread and the event loop, so a request does
not ask for itself. A sweep every `SWEEP_S` arms the question for requests older than that; a short request never pays.
A client that left is noticed within `SWEEP_S` + one hop, and its handler is cancelled, which closes the upstream.

A client that stays but takes nothing of its answer holds the handler in `send`, where no timeout of an upstream ends
it: the sweep also looks for answers that stand still, and cancels those.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from switchgear.hotpath._head import Exchange

Receive = Callable[[], Awaitable[Any]]
SWEEP_S = 0.05
STALLED_EVERY_S = 0.5  # between looks at what stands still


class InFlight:
    """The table of exchanges of one worker.

    body_timeout_s: how long a client may take to send its body, and how long it may take nothing of its answer.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, body_timeout_s: float):
        self.loop = loop
        self.body_timeout_s = body_timeout_s
        self._young: dict[Exchange, None] = {}  # in order of arrival
        self._watched: dict[Exchange, None] = {}
        self._look_at = 0.0
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def enter(self, receive: Receive) -> Exchange:
        """Register the running task."""
        loop = self.loop
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("an ASGI application runs in a task")
        exchange = Exchange(task, receive, loop.time())
        self._young[exchange] = None
        self.count += 1
        return exchange

    def leave(self, exchange: Exchange) -> None:
        """Forget it; stop asking for its disconnect."""
        self.count -= 1
        if self._young.pop(exchange, self) is self:
            self._watched.pop(exchange, None)
        if exchange.watch is not None:
            exchange.watch.cancel()

    def oldest(self) -> float | None:
        """When the longest-running request began (`loop.time()`), None when there is none."""
        # A body that is still coming keeps its exchange among the young, and those behind it are watched before it.
        return min((exchange.since for table in (self._young, self._watched) for exchange in table), default=None)

    def sweep(self, now: float) -> None:
        """Arm the watch for disconnects of requests older than `SWEEP_S`; cut off bodies and
        answers that stand still."""
        due = []
        for exchange in self._young:
            if now - exchange.since < SWEEP_S:
                break
            if not exchange.reading:
                due.append(exchange)
            elif now - exchange.since > self.body_timeout_s and not exchange.reason:
                exchange.cancel("body_timeout")
        for exchange in due:
            del self._young[exchange]
            self._watched[exchange] = None
            exchange.watch = self.loop.create_task(_wait_for_disconnect(exchange))
        if now >= self._look_at:
            self._look_at = now + STALLED_EVERY_S
            for exchange in self._watched:
                if _stalled(exchange, now, self.body_timeout_s):
                    exchange.cancel("unread")


async def _wait_for_disconnect(exchange: Exchange) -> None:
    while (await exchange.receive())["type"] != "http.disconnect":
        pass
    exchange.cancel("gone")


def _stalled(exchange: Exchange, now: float, limit_s: float) -> bool:
    """Whether the client has taken nothing for `limit_s` of an answer that waits for it."""
    steps = exchange.reply.steps if exchange.reply is not None else 0
    if steps != exchange.steps or not steps & 1:
        exchange.steps, exchange.moved_at = steps, now
        return False
    return now - exchange.moved_at > limit_s and not exchange.reason
