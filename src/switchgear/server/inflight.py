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
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from switchgear.server.reply import AsgiReply

Receive = Callable[[], Awaitable[Any]]
SWEEP_S = 0.05
STALLED_EVERY_S = 0.5  # between looks at what stands still
Reason = Literal["gone", "body_timeout", "unread"]


class Exchange:
    """One request being handled by `task`. `reading` while its body is still being received."""

    # Defaults stand on the class: most requests never change them, and what is not stored per request costs nothing.
    reading = True
    reason: Reason | Literal[""] = ""
    watch: asyncio.Task[None] | None = None
    reply: AsgiReply | None = None
    steps = 0  # of the reply, when the sweep last saw it move
    moved_at = 0.0

    def __init__(self, task: asyncio.Task[Any], receive: Receive, since: float):
        self.task = task
        self.receive = receive
        self.since = since

    def cancel(self, reason: Reason) -> None:
        """Cancel the handler; it finds the reason here."""
        self.reason = reason
        self.task.cancel()

    async def wait_for_disconnect(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.cancel("gone")

    def stalled(self, now: float, limit_s: float) -> bool:
        """Whether the client has taken nothing for `limit_s` of an answer that waits for it."""
        reply = self.reply
        if reply is None or reply.steps != self.steps or not reply.steps & 1:
            self.steps, self.moved_at = (reply.steps if reply is not None else 0), now
            return False
        return now - self.moved_at > limit_s and not self.reason


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

    def __len__(self) -> int:
        return len(self._young) + len(self._watched)

    def enter(self, receive: Receive) -> Exchange:
        """Register the running task."""
        loop = self.loop
        task = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("an ASGI application runs in a task")
        exchange = Exchange(task, receive, loop.time())
        self._young[exchange] = None
        return exchange

    def leave(self, exchange: Exchange) -> None:
        """Forget it; stop asking for its disconnect."""
        if self._young.pop(exchange, self) is self:
            self._watched.pop(exchange, None)
        if exchange.watch is not None:
            exchange.watch.cancel()

    def oldest(self) -> float | None:
        """When the longest-running request began (`loop.time()`), None when there is none."""
        # A body that is still coming keeps its exchange among the young, and those behind it are watched before it.
        return min((exchange.since for table in (self._young, self._watched) for exchange in table), default=None)

    def sweep(self, now: float) -> None:
        """Arm the watch for disconnects of requests older than `SWEEP_S`; cut off bodies and answers that stand
        still."""
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
            exchange.watch = self.loop.create_task(exchange.wait_for_disconnect())
        if now >= self._look_at:
            self._look_at = now + STALLED_EVERY_S
            for exchange in self._watched:
                if exchange.stalled(now, self.body_timeout_s):
                    exchange.cancel("unread")
