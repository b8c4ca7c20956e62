"""Requests at a constant rate over kept connections, and how each of them ended.

The generator has to cost little: what it takes of the machine is missing to the gateway, and shows in its p99. So an
answer is parsed where it arrives (llhttp), and a request is bytes that were written once.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from contextlib import suppress
from typing import Any, NamedTuple

from httptools import HttpResponseParser

from switchgear.hotpath._estimate import Estimates, estimate_tokens
from tests.cases.client import chat
from tests.support.metered import request

KEYS = {"open": "sk-open-0123456789abcdef", "closed": "sk-closed-0123456789abcdef"}
CLOSED_SHARE = 0.2
MAX_IN_FLIGHT = 600
QUIET_S = 20.0
"""An answer that takes longer counts as none."""
KEPT_BYTES = 2048
"""Of a body: enough for an error."""
TAGS = {f"k{n}": "x" * 200 for n in range(4)}
"""With them a row is about a kilobyte, so that a quota is soon full."""


ANSWER_TOKENS = 8


def prompt_tokens() -> int:
    """How many a request reserves at most while nothing is learnt of the model. It never is: what the simulator counts,
    without the tags, is too far from it."""
    return Estimates().upper("sim", estimate_tokens(json.dumps(_question(stream=False)).encode()))


def _question(*, stream: bool) -> Any:
    return chat("sim", stream=stream, max_tokens=ANSWER_TOKENS, metadata=TAGS)


class Sent(NamedTuple):
    """A request and its end. at_s: since the load began. status: 0 where no head came. whole: its body came to its
    end. code: of an error."""

    key: str
    at_s: float
    took_s: float
    status: int
    whole: bool
    request_id: str
    code: str

    @property
    def ended_s(self) -> float:
        return self.at_s + self.took_s


class _Connection(asyncio.Protocol):
    """One kept connection with at most one request on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[bool] | None = None
        self.closed = False
        self._begin()

    def _begin(self) -> None:
        self._parser = HttpResponseParser(self)
        self.status, self.request_id, self.body = 0, "", bytearray()
        self._close_after = False

    async def ask(self, sent: bytes) -> bool:
        """Send and wait for the end of the answer. Whether it came."""
        assert self._transport is not None
        self._begin()
        self._done = self._loop.create_future()
        give_up = self._loop.call_later(QUIET_S, self.close)
        self._transport.write(sent)
        try:
            return await self._done
        finally:
            give_up.cancel()
            self._done = None
            if self._close_after:
                self.close()

    def close(self) -> None:
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
        self._end(False)

    def _end(self, whole: bool) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(whole)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of a TCP connection

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except Exception:  # whatever is no HTTP is no answer
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._end(False)

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"x-request-id":
            self.request_id = value.decode()
        elif lower == b"connection" and value == b"close":
            self._close_after = True

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if len(self.body) < KEPT_BYTES:
            self.body += body

    def on_message_complete(self) -> None:
        self._end(True)


class Storm:
    """Requests at `rate` a second for `seconds`, and on until `enough` is set; a fifth of them of the key `closed`,
    half of them streams."""

    def __init__(self, port: int, seconds: float, rate: float):
        self.port, self.seconds, self.rate = port, seconds, rate
        self.sent: list[Sent] = []
        self.skipped = 0
        """Requests that were due while `MAX_IN_FLIGHT` were under way."""
        self.late_s: list[float] = []
        """How late this generator itself was: what the machine adds to every time that is measured."""
        self.enough = asyncio.Event()
        self.began = time.monotonic()
        self._idle: list[_Connection] = []
        self._under_way: set[asyncio.Task[None]] = set()
        dice = random.Random(16)  # noqa: S311 - reproducible, not secret
        self._requests = [
            (key, request(_question(stream=dice.random() < 0.5), key=KEYS[key]))
            for key in dice.choices(("open", "closed"), (1 - CLOSED_SHARE, CLOSED_SHARE), k=500)
        ]

    @property
    def now_s(self) -> float:
        return time.monotonic() - self.began

    async def run(self) -> None:
        """Send them all, and wait for the last answer."""
        self.began = time.monotonic()
        number = 0
        while self.now_s < self.seconds or not self.enough.is_set():
            due = int(self.now_s * self.rate)
            self.late_s.append(max(0.0, self.now_s - (number + 1) / self.rate))
            while number < due:
                number += 1
                if len(self._under_way) >= MAX_IN_FLIGHT:
                    self.skipped += 1
                    continue
                task = asyncio.create_task(self._one(*self._requests[number % len(self._requests)]))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
            await asyncio.sleep(max(0.001, (number + 1) / self.rate - self.now_s))
        if self._under_way:
            await asyncio.wait(self._under_way)
        for connection in self._idle:
            connection.close()

    async def _one(self, key: str, what: bytes) -> None:
        at_s = self.now_s
        connection = await self._connection()
        if connection is None:
            self.sent.append(Sent(key, at_s, self.now_s - at_s, 0, False, "", ""))
            return
        whole = await connection.ask(what)
        code = _code(bytes(connection.body)) if connection.status not in (0, 200) else ""
        self.sent.append(Sent(key, at_s, self.now_s - at_s, connection.status, whole, connection.request_id, code))
        if not connection.closed:
            self._idle.append(connection)

    async def _connection(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:  # as any client does: the other side closed it while it was idle
                return connection
        loop = asyncio.get_running_loop()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(QUIET_S):
                _, made = await loop.create_connection(lambda: _Connection(loop), "127.0.0.1", self.port)
                return made
        return None


def _code(body: bytes) -> str:
    """`code` of an error's envelope, without a parser."""
    _, found, rest = body.partition(b'"code":"')
    return rest.partition(b'"')[0].decode("utf-8", "replace") if found else ""
