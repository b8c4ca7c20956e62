"""The simulator without its sockets: from a request to the script of its answer.

1. `/_sim/…`: the control API          4. a recorded exchange, when one was named or matches
2. the API key, when one is asked for  5. an error, when one was asked for
3. what the request asks for: options, rules, headers, model   6. the wire format's handler

Everything that is not a handler's (errors, headers, a refused key) is in the dialect of the path (`dialects`);
then delivery, with or without faults. Everything runs in one event loop.
"""

from __future__ import annotations

import asyncio
import hmac
import random
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING

from switchgear.config.values import Duration
from switchgear.errors import GatewayError, InvalidRequest
from switchgear.simulator import control, delivery, dialects, routes
from switchgear.simulator.answer import Answer, Headers
from switchgear.simulator.behaviour import Behaviour, faulty, merge, parse, parse_model
from switchgear.simulator.chat_fast import FastChat
from switchgear.simulator.dialects import Dialect
from switchgear.simulator.exchange import Exchange, Store
from switchgear.simulator.faults import FaultTable
from switchgear.simulator.http import Head, HeadCache
from switchgear.simulator.journal import Journal, Record, Stats
from switchgear.simulator.multipart import parse_form
from switchgear.simulator.openai_errors import standard_headers
from switchgear.simulator.replay import Recordings, replay
from switchgear.simulator.settings import SimulatorSettings
from switchgear.simulator.wheel import Wheel

if TYPE_CHECKING:
    from switchgear.simulator.connection import Connection


class Service:
    """What all connections of one simulator share."""

    def __init__(self, settings: SimulatorSettings, loop: asyncio.AbstractEventLoop):
        self.settings = settings
        self.heads = HeadCache()
        self.wheel = Wheel(loop)
        self.stats = Stats()
        self.journal = Journal(settings.journal_requests, settings.journal_body_bytes)
        self.rng = random.Random(settings.seed)  # noqa: S311 - reproducible jitter, not a secret
        self.faults = FaultTable(self.rng)
        self.connections: set[Connection] = set()
        self._store = Store(settings)
        self._recordings = Recordings(settings.recordings) if settings.recordings else None
        self._fast = FastChat(settings)
        self._key = settings.api_key.reveal().encode() if settings.api_key else None
        self._default = Behaviour(
            first_token=Duration(settings.first_token_s),
            gap=Duration(settings.gap_s),
            jitter=settings.jitter,
            tokens=settings.tokens,
        )
        self._instant = settings.first_token_s == 0 and self._recordings is None
        self._number = 0  # of the last request
        self._second = 0
        self._date = self._head_200 = b""
        self._watchers: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    # -- the fast path ---------------------------------------------------------------------------------------------

    def plain(self, head: Head) -> bool:
        """Whether a request with this head may take the fast path."""
        if self.faults or not self._instant:
            return False
        if head.memo is None:
            head.memo = (
                head.method == "POST"
                and head.raw_path == "/v1/chat/completions"
                and head.keep_alive
                and head.minor == 1
                and not head.controls
                and self._admits(head)
            )
        return head.memo is True

    def answer_fast(self, body: bytes, now: float) -> bytes | None:
        """The whole answer as bytes, or None when the request is not plain."""
        second, number = int(now), self._number + 1
        answer = self._fast.answer(body, number, second)
        if answer is None:
            return None
        if second != self._second:
            self._new_second(second)
        return b"%bx-request-id: req_%032x\r\ncontent-length: %d\r\n\r\n%b" % (
            self._head_200,
            number,
            len(answer),
            answer,
        )

    def answered(self, head: Head, body: bytes, now: float) -> None:
        """Count and remember a request of the fast path."""
        self._number += 1
        self.stats.requests += 1
        record = self.journal.add(self._number, head, body, now)
        record.status = 200
        record.finished_at = now
        if self._watchers:
            self.notify()

    def _new_second(self, second: int) -> None:
        self._second = second
        self._date = formatdate(second, usegmt=True).encode()
        headers = [(b"content-type", b"application/json"), *self._own(), *standard_headers()]
        self._head_200 = delivery.head_bytes(200, headers)[:-2]

    def _own(self) -> Headers:
        return [(b"date", self._date), (b"server", b"switchgear-simulator")]

    # -- the whole path --------------------------------------------------------------------------------------------

    def script(self, head: Head, body: bytes, record: Record) -> tuple[delivery.Script, bool]:
        """(how the answer leaves, whether it is streamed)."""
        exchange = Exchange(self.settings, self._store, head, body, record.number, int(record.started_at))
        try:
            answer = self._respond(exchange, dialects.of(head))
        except GatewayError as exc:
            answer = dialects.of(head).error(exchange, exc)
        record.status = answer.status
        return self._deliver(exchange, answer), answer.bursts is not None

    def _respond(self, exchange: Exchange, dialect: Dialect) -> Answer:
        head = exchange.head
        if head.raw_path.startswith(control.PREFIX):
            return control.respond(self, exchange)
        if not self._admits(head):
            return dialect.rejected(exchange)
        exchange.path_model = dialect.path_model(head.raw_path)
        broken = self._read_body(exchange, dialect.not_json)
        exchange.behaviour = self._behaviour(exchange)
        replayed = self._replayed(exchange)
        if replayed is not None:
            return replayed
        if exchange.behaviour.status:
            return dialect.status(exchange)
        route, exchange.path_id = routes.find(dialect.name, head.method, head.raw_path)
        if broken is not None and route.body != "none":
            raise broken
        if exchange.behaviour.error_in_200:
            return dialect.error_in_200(exchange)
        if route.body == "multipart" and "multipart/" not in head.content_type:
            raise InvalidRequest(f"Invalid Content-Type header ({head.content_type}), expected multipart/form-data.")
        return route.handler(exchange)

    def _admits(self, head: Head) -> bool:
        return self._key is None or hmac.compare_digest(head.credential.encode(), self._key)

    def _read_body(self, exchange: Exchange, not_json: str) -> InvalidRequest | None:
        """Decode the body as far as it can be; what is wrong with it matters only to a route that wants it."""
        try:
            if "multipart/" in exchange.head.content_type:
                exchange.form = parse_form(exchange.head.content_type, exchange.body)
            else:
                exchange.decode(not_json)
        except InvalidRequest as exc:
            return exc
        return None

    def _behaviour(self, exchange: Exchange) -> Behaviour:
        head, model = exchange.head, exchange.model
        exchange.base_model, by_model = parse_model(model) if ";" in model else (model, {})
        by_rule = self.faults.pick(head.path, model, head.credential) if self.faults else {}
        by_header = parse(dict(head.controls)) if head.controls else {}
        return merge(self._default, by_rule, by_header, by_model)

    def _replayed(self, exchange: Exchange) -> Answer | None:
        wanted = exchange.behaviour.recording
        if self._recordings is None:
            if wanted:
                raise InvalidRequest("The simulator has no recordings.", code="recording_not_found")
            return None
        if wanted:
            return replay(self._recordings.by_id(wanted), self.settings.replay_split)
        head = exchange.head
        found = self._recordings.find(head.method, head.path, exchange.body)
        return replay(found, self.settings.replay_split) if found else None

    def _deliver(self, exchange: Exchange, answer: Answer) -> delivery.Script:
        head, behaviour = exchange.head, exchange.behaviour
        headers = self._headers(exchange, answer)
        head_only = head.method == "HEAD"
        if faulty(behaviour):
            return delivery.Faulty(answer, headers, behaviour, self.rng, head_only=head_only).script()
        wait = float(behaviour.first_token)
        if answer.bursts is None or head_only:
            script = delivery.whole(answer, headers, wait, head_only=head_only)
        else:
            script = delivery.streamed(answer, headers, wait, float(behaviour.gap), minor=head.minor)
        return delivery.varied(script, behaviour.jitter, self.rng) if behaviour.jitter else script

    def _headers(self, exchange: Exchange, answer: Answer) -> Headers:
        second = int(time.time())
        if second != self._second:
            self._new_second(second)
        headers = list(answer.headers)
        if not answer.bare:
            headers += self._own()
            headers += dialects.of(exchange.head).headers(exchange)
        elif exchange.head.raw_path.startswith(control.PREFIX):
            headers.append((b"date", self._date))
        if not exchange.head.keep_alive:
            headers.append((b"connection", b"close"))
        elif exchange.head.minor == 0:
            headers.append((b"connection", b"keep-alive"))
        more = {
            name.lower().encode("latin-1", "replace"): value.encode("latin-1", "replace")
            for name, value in exchange.behaviour.headers.items()
        }
        return [pair for pair in headers if pair[0] not in more] + list(more.items()) if more else headers

    # -- what connections report -----------------------------------------------------------------------------------

    def begin(self, head: Head, body: bytes) -> Record:
        """A request arrived whole and is being answered. One to the control API is neither counted nor remembered."""
        self._number += 1
        if head.raw_path.startswith(control.PREFIX):
            return Record(self._number, head, b"", len(body), time.time())
        self.stats.requests += 1
        self.stats.in_flight += 1
        record = self.journal.add(self._number, head, body, time.time())
        self.notify()
        return record

    def finished(self, record: Record) -> None:
        """The answer is out."""
        record.finished_at = time.time()
        self._ended(record)
        self.notify()

    def _ended(self, record: Record) -> bool:
        if record.head.raw_path.startswith(control.PREFIX):
            return False
        self.stats.in_flight -= 1
        self.stats.events += record.events
        return True

    def client_left(self, record: Record, streaming: bool) -> None:
        """The client closed before that."""
        record.client_closed_at = time.time()
        if self._ended(record):
            self.stats.aborted += 1
            self.stats.aborted_streams += streaming
        self.notify()

    def opened(self, connection: Connection) -> None:
        """A client connected."""
        self.connections.add(connection)
        self.stats.connections_total += 1
        self.stats.open_connections += 1
        self.notify()

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self.stats.open_connections -= 1
        self.notify()

    # -- for tests -------------------------------------------------------------------------------------------------

    @property
    def watched(self) -> bool:
        """Whether anybody waits for a change."""
        return bool(self._watchers)

    def notify(self) -> None:
        """Something changed: wake whoever waits for it."""
        if not self._watchers:
            return
        for condition, future in list(self._watchers):
            if not future.done() and condition():
                future.set_result(None)

    async def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Return when `condition()` holds; it is asked again after each change. Raises `TimeoutError`."""
        if condition():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (condition, future)
        self._watchers.append(entry)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        finally:
            self._watchers.remove(entry)
