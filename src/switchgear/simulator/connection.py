"""One client connection: bytes in, answers out, in order.

At most one request is being answered; further ones (pipelined) wait in the parser, and reading pauses when they grow.
A plain chat request that arrives in one read takes the fast path: no script, no timer, one write.
Anything else becomes a script (`delivery`) that is advanced here and by the wheel, as fast as the client reads.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, cast

from switchgear.errors import GatewayError
from switchgear.simulator.answer import error_answer
from switchgear.simulator.delivery import Ending, Script, head_bytes
from switchgear.simulator.http import Head, RequestParser
from switchgear.simulator.journal import Record

if TYPE_CHECKING:
    from switchgear.simulator.service import Service

_log = logging.getLogger(__name__)
_FAILED = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_MAX_PIPELINED_BYTES = 256 * 1024
_WRITE_BUFFER_BYTES = 256 * 1024


class Connection(asyncio.Protocol):
    """See the module."""

    __slots__ = (
        "_due",
        "_head",
        "_parser",
        "_paused",
        "_reading",
        "_record",
        "_script",
        "_service",
        "_streaming",
        "_transport",
        "_waiting",
    )

    def __init__(self, service: Service):
        self._service = service
        settings = service.settings
        self._parser = RequestParser(service.heads, settings.max_head_bytes, settings.max_body_bytes)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]  # set before any other call
        self._script: Script | None = None
        self._record: Record | None = None
        self._head: Head | None = None
        self._due = 0.0  # when the answer's last wait was to end
        self._streaming = False
        self._paused = False  # the client does not read: the script waits for resume_writing
        self._waiting = False  # the wheel or resume_writing will call _advance
        self._reading = True

    # -- asyncio ---------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class does not inherit from it
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        self._service.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._service.closed(self)
        if self._record is not None:
            self._service.client_left(self._record, self._streaming)
            self._record = None
        self._script = None

    def data_received(self, data: bytes) -> None:
        if self._record is not None:
            self._hold(data)
            return
        try:
            request = self._parser.whole(data)
        except GatewayError as exc:
            self._refuse(exc)
            return
        if request is None:
            self._parser.feed(data)
            self._pump()
        elif not self._answer_fast(*request):
            self._answer(*request)
            if self._record is None:
                self._pump()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._record is not None and not self._waiting:
            self._continue()

    # -- requests --------------------------------------------------------------------------------------------------

    def _hold(self, data: bytes) -> None:
        """Keep what came while an answer is under way."""
        self._parser.feed(data)
        if self._reading and self._parser.buffered > _MAX_PIPELINED_BYTES:
            self._reading = False
            self._transport.pause_reading()

    def _pump(self) -> None:
        """Answer what is in the parser, until an answer takes time or bytes are missing."""
        while self._record is None and not self._transport.is_closing():
            try:
                request = self._parser.next()
            except GatewayError as exc:
                self._refuse(exc)
                return
            if request is None:
                if self._parser.wants_continue:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                if not self._reading and not self._transport.is_closing():
                    self._reading = True
                    self._transport.resume_reading()
                return
            if not self._answer_fast(*request):
                self._answer(*request)

    def _refuse(self, error: GatewayError) -> None:
        """Answer bytes that are no request, and close: nothing after them can be trusted."""
        self._service.stats.protocol_errors += 1
        answer = error_answer(error)
        closing = [(b"content-length", b"%d" % len(answer.body)), (b"connection", b"close")]
        self._transport.write(head_bytes(answer.status, answer.headers + closing) + answer.body)
        self._transport.close()

    def _answer_fast(self, head: Head, body: bytes) -> bool:
        service = self._service
        if not service.plain(head):
            return False
        now = time.time()
        out = service.answer_fast(body, now)
        if out is None:
            return False
        service.answered(head, body, now)
        self._transport.write(out)
        return True

    def _answer(self, head: Head, body: bytes) -> None:
        service = self._service
        record = service.begin(head, body)
        self._record, self._head, self._due = record, head, 0.0
        try:
            self._script, self._streaming = service.script(head, body, record)
        except Exception:
            _log.exception("simulator: request %d failed", record.number)
            self._transport.write(_FAILED)
            self._end(close=True)
            return
        self._advance()

    # -- the script ------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """The wheel's call: the wait is over."""
        self._waiting = False
        if self._script is not None and not self._paused:
            self._continue()

    def _continue(self) -> None:
        """Go on with the script; when it ends, with the requests that have come meanwhile."""
        self._advance()
        if self._record is None:
            self._pump()

    def _advance(self) -> None:
        script, transport, record = self._script, self._transport, self._record
        if script is None or record is None or transport.is_closing():
            return
        service = self._service
        try:
            for item in script:
                if type(item) is bytes:
                    if item:
                        transport.write(item)
                        record.events += 1
                        if service.watched:
                            service.notify()
                    if self._paused:
                        return
                elif type(item) is float:
                    self._waiting = True
                    self._due = service.wheel.after(item, self._wake, self._due)
                    return
                elif isinstance(item, Ending):
                    self._finish(item)
                    return
        except Exception:
            _log.exception("simulator: request %d failed", record.number)
            self._finish(Ending.RESET)
            return
        self._end(close=self._head is not None and not self._head.keep_alive)

    def _finish(self, ending: Ending) -> None:
        if ending is Ending.STALL:
            return  # connection_lost ends it
        self._end(close=ending is Ending.CLOSE)
        if ending is Ending.RESET:
            self._reset()

    def _end(self, *, close: bool) -> None:
        record, self._record, self._script = self._record, None, None
        if record is not None:
            self._service.finished(record)
        self._streaming = False
        if close:
            self._transport.close()

    def _reset(self) -> None:
        """Close with RST: a linger time of zero on the socket, through a duplicate of its descriptor."""
        peer = self._transport.get_extra_info("socket")
        if peer is not None:
            with socket.socket(fileno=os.dup(peer.fileno())) as duplicate:
                duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def abort(self) -> None:
        """Close now, whatever is under way."""
        self._transport.abort()
