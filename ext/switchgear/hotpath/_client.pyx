"""The upstream HTTP/1.1 client; interface and rules in src/switchgear/hotpath/_client.pyi.

What a request costs: one coroutine, one `Response`, one future, one `transport.write`. Everything else happens where it
is cheapest: bytes are parsed in `data_received` as they arrive; a timeout is a number that `Pool.sweep` compares; a
freed connection goes straight to the first request that waits for one. Tasks exist only to open a connection and to
write a body that is an iterator (it has to be abandoned when the answer comes first).

A slot is the right to have a connection: `slots` counts connections that are open or being opened. Whoever closes one
frees its slot at once, and the first waiter in the queue gets it.

The classes are declared in _client.pxd; the other parts are in the files included below.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE, PyBytes_FromStringAndSize
from libc.string cimport memcmp

from switchgear.hotpath._http1 cimport ChunkedDecoder, Facts, head_end, response_head

import asyncio
import socket
import ssl as tls
from collections import OrderedDict

from switchgear.errors import Overloaded, UpstreamProtocolError, UpstreamTimeout, UpstreamUnreachable
from switchgear.hotpath._http1 import ParseError

cdef enum:
    JOIN_BYTES = 65536          # head and body up to this size go out as one buffer
    MAX_INFORMATIONAL = 16      # 1xx answers before the real one
    RETRY_AFTER_S = 1           # what an overloaded pool tells the client

cdef enum ConnectionState:
    UNUSED
    BUSY
    CLOSED

# What the next bytes from the upstream are.
cdef enum Mode:
    HEAD
    BODY_LENGTH
    BODY_CHUNKED
    BODY_UNTIL_CLOSE

# Which timeout runs.
cdef enum Phase:
    NO_PHASE
    UPLOADING
    FIRST_BYTE
    IDLE

cdef str NO_ANSWER = "The upstream closed the connection without an answer."

include "_client_dial.pxi"
include "_client_response.pxi"
include "_client_connection.pxi"


cdef class Waiter:
    pass


cdef object unreachable(Exception exc):
    """What could not be reached, in words that hold no address; `exc` is kept as the cause."""
    if isinstance(exc, socket.gaierror):
        message = "The upstream's host name could not be resolved."
    elif isinstance(exc, tls.SSLCertVerificationError):
        message = "The upstream's TLS certificate could not be verified."
    elif isinstance(exc, tls.SSLError):
        message = "The TLS handshake with the upstream failed."
    elif isinstance(exc, ConnectionRefusedError):
        message = "The upstream refused the connection."
    else:
        message = "The upstream could not be reached."
    error = UpstreamUnreachable(message)
    error.__cause__ = exc
    return error


cdef object timed_out(str phase, double after_s):
    return UpstreamTimeout(phase, round(after_s, 3))


cdef object shut_down():
    return Overloaded("This connection pool is closed.", retry_after_s=float(RETRY_AFTER_S))


cdef class Pool:
    def __init__(
        self,
        loop,
        str host not None,
        int port,
        *,
        ssl=None,
        server_hostname=None,
        Py_ssize_t max_connections=1024,
        Py_ssize_t max_waiters=4096,
        double idle_s=60.0,
        double max_age_s=600.0,
        Py_ssize_t max_head_bytes=65536,
        Py_ssize_t high_water_bytes=65536,
    ):
        if max_connections < 1:
            raise ValueError("max_connections must be at least 1")
        self.loop = loop
        self.time = loop.time
        self.create_future = loop.create_future
        self.host = host
        self.port = port
        self.options = {}
        if ssl is not None:
            self.options["ssl"] = ssl
            self.options["server_hostname"] = server_hostname or host
        self.store_session = getattr(ssl, "store_session", None)
        self.max_connections = max_connections
        self.max_waiters = max_waiters
        self.idle_s = idle_s
        self.max_age_s = max_age_s
        self.max_head_bytes = max_head_bytes
        self.high_water_bytes = high_water_bytes
        self.closing = False
        self.slots = 0
        self.open = []
        self.unused = []
        self.opening = set()
        self.queue = OrderedDict()

    def __repr__(self):
        return f"<Pool connections={self.slots} idle={len(self.unused)} waiters={len(self.queue)}>"

    @property
    def connections(self):
        return self.slots

    @property
    def idle(self):
        return len(self.unused)

    @property
    def busy(self):
        return self.slots - len(self.unused)

    @property
    def waiters(self):
        return len(self.queue)

    async def send(
        self,
        bytes head not None,
        body=b"",
        *,
        Py_ssize_t gather_bytes=0,
        double connect_s=5.0,
        double first_byte_s=30.0,
        double idle_s=60.0,
        double deadline=0.0,
        bint head_request=False,
    ):
        cdef double started = self.time()
        cdef double now = started
        cdef bint retried = False
        cdef Connection conn
        cdef Response response
        if self.closing:
            raise shut_down()
        if deadline > 0.0 and now >= deadline:
            raise timed_out("total", 0.0)
        while True:
            conn = None if retried else self.take_unused(now)
            if conn is None:
                conn = await self._acquire(started, now + connect_s, connect_s, deadline, retried)
                now = self.time()
            response = Response.__new__(Response)
            conn.first_byte_s = first_byte_s
            conn.idle_s = idle_s
            conn.started = started
            conn.total_deadline = deadline
            conn.gather_bytes = gather_bytes
            conn.head_request = head_request
            conn.begin(response, head, body, now)
            conn = None
            if response.error is None:
                response.waiter = waiter = self.create_future()
                try:
                    await waiter
                except BaseException as exc:
                    response.close()
                    exc.sent = True
                    raise
            if response.headed and not response.gathering:
                return response     # what goes wrong from here on, read() tells
            if not response.stale or retried or not isinstance(body, bytes):
                raise response.error
            retried = True
            now = self.time()

    async def _acquire(self, double started, double expires, double connect_s, double deadline, bint fresh):
        """A connection for one request: idle, freed by another request, or new.

        fresh: after a stale one: a new one if there can be one, and the first place in the queue if not.
        """
        cdef Connection conn
        cdef Waiter waiter
        cdef double now
        while True:
            if not fresh:
                conn = self.take_unused(self.time())
                if conn is not None:
                    return conn
            elif self.slots >= self.max_connections and self.unused:
                (<Connection>self.unused[0]).drop()
            waiter = Waiter.__new__(Waiter)
            waiter.future = self.create_future()
            waiter.started = started
            waiter.expires = expires
            waiter.deadline = deadline
            waiter.connect_s = connect_s
            if self.slots < self.max_connections:
                self.slots += 1
            else:
                conn = await self._queue(waiter, fresh)
                if conn is not None:
                    if conn.state != CLOSED:
                        return conn
                    continue    # it closed between being handed over and this task's turn
                waiter.future = self.create_future()
                # The time in the queue is over: the connection gets connect_s of its own.
                now = self.time()
                waiter.expires = now + connect_s
            return await self._open(waiter)

    async def _queue(self, Waiter waiter, bint first):
        """Wait for a connection, or for a slot (None: the caller owns it then)."""
        if len(self.queue) >= self.max_waiters:
            raise Overloaded("Too many requests wait for this upstream.", retry_after_s=float(RETRY_AFTER_S))
        self.queue[waiter] = None
        if first:
            self.queue.move_to_end(waiter, last=False)
        try:
            outcome = await waiter.future
        except BaseException:
            self.queue.pop(waiter, None)
            if waiter.future.done() and not waiter.future.cancelled():
                # It was given something in the very turn of the loop in which it was cancelled.
                outcome = waiter.future.result()
                if outcome is None:
                    self.free_slot()
                elif isinstance(outcome, Connection):
                    self.give_back(outcome)
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _open(self, Waiter waiter):
        """Open a connection into the slot that the caller owns."""
        self.opening.add(waiter)
        waiter.task = self.loop.create_task(self._dial(waiter))
        try:
            outcome = await waiter.future
        except BaseException:
            if waiter.future.done() and not waiter.future.cancelled():
                outcome = waiter.future.result()
                if isinstance(outcome, Connection):
                    (<Connection>outcome).drop()
            else:
                self.settle(waiter, None)
            raise
        finally:
            waiter.task = None
        if isinstance(outcome, Exception):
            raise outcome
        if (<Connection>outcome).state == CLOSED:
            raise UpstreamUnreachable(NO_ANSWER)
        return outcome

    async def _dial(self, Waiter waiter):
        cdef Connection conn
        try:
            _, conn = await open_connection(self.loop, self._connection, self.host, self.port, self.options)
        except asyncio.CancelledError:
            waiter.task = None
            self.settle(waiter, UpstreamUnreachable("The upstream could not be reached."))
            raise
        except Exception as exc:
            waiter.task = None
            self.settle(waiter, unreachable(exc))
            return
        waiter.task = None
        if waiter not in self.opening or waiter.future.done():
            # Given up in the meantime. A future that is done before its waiter had its turn: it was cancelled.
            conn.drop()
            self.settle(waiter, None)
            return
        if conn.state == CLOSED:
            self.settle(waiter, UpstreamUnreachable(NO_ANSWER))
            return
        # The slot passes from the waiter to the connection.
        self.opening.discard(waiter)
        conn.born = self.time()
        conn.index = len(self.open)
        self.open.append(conn)
        waiter.future.set_result(conn)

    def _connection(self):
        cdef Connection conn = Connection.__new__(Connection)
        conn.pool = self
        conn.index = -1
        conn.state = BUSY
        return conn

    cdef Connection take_unused(self, double now):
        """The idle connection used last, or None."""
        cdef Connection conn
        while self.unused:
            conn = <Connection>self.unused[len(self.unused) - 1]
            if now - conn.born < self.max_age_s:
                self.unused.pop()
                conn.state = BUSY
                return conn
            conn.drop()
        return None

    cdef int release(self, Connection conn) except -1:
        """Take back a connection whose exchange is complete."""
        cdef double now = self.time()
        if now - conn.born >= self.max_age_s:
            conn.drop()
            return 0
        if self.queue and self.grant(conn):
            return 0
        if self.closing:
            conn.drop()
            return 0
        conn.state = UNUSED
        conn.idle_since = now
        self.unused.append(conn)
        return 0

    cdef int give_back(self, Connection conn) except -1:
        """Take back a connection that was handed over but not used."""
        if conn.state != CLOSED:
            self.release(conn)
        return 0

    cdef int forget(self, Connection conn) except -1:
        """A connection was closed: take it off the lists and free its slot."""
        cdef Connection last
        if conn.index < 0:
            return 0
        last = <Connection>self.open.pop()
        if last is not conn:
            self.open[conn.index] = last
            last.index = conn.index
        conn.index = -1
        if conn.state == UNUSED:
            self.unused.remove(conn)
        self.free_slot()
        return 0

    cdef int free_slot(self) except -1:
        if not (self.queue and self.grant(None)):
            self.slots -= 1
        return 0

    cdef bint grant(self, Connection conn) except -1:
        """Give a connection, or a slot (None), to the first request in the queue that still wants one."""
        cdef Waiter waiter
        while self.queue:
            waiter = self.queue.popitem(last=False)[0]
            if not waiter.future.done():
                waiter.future.set_result(conn)
                return True
        return False

    cdef int settle(self, Waiter waiter, object outcome) except -1:
        """End an attempt to open a connection without one, and free its slot."""
        if waiter not in self.opening:
            return 0
        self.opening.discard(waiter)
        if waiter.task is not None:
            waiter.task.cancel()
        if outcome is not None and not waiter.future.done():
            waiter.future.set_result(outcome)
        self.free_slot()
        return 0

    def sweep(self, double now):
        cdef Connection conn
        cdef Py_ssize_t i = len(self.open)
        # Backwards, since closing a connection moves the last of the list into its place.
        while i > 0:
            i -= 1
            if i >= len(self.open):
                continue
            conn = <Connection>self.open[i]
            if conn.state == UNUSED:
                if now - conn.idle_since >= self.idle_s or now - conn.born >= self.max_age_s:
                    conn.drop()
            elif conn.response != NULL:
                if conn.total_deadline > 0.0 and now >= conn.total_deadline:
                    conn.fail(timed_out("total", conn.total_deadline - conn.started))
                elif conn.phase_deadline > 0.0 and now >= conn.phase_deadline:
                    conn.overdue(now)
        if self.opening or self.queue:
            self.sweep_waiters(now)

    cdef int sweep_waiters(self, double now) except -1:
        cdef Waiter waiter
        cdef list opening = []
        cdef list queued = []
        for waiter in self.opening:
            if now >= waiter.expires or (waiter.deadline > 0.0 and now >= waiter.deadline):
                opening.append(waiter)
        for waiter in self.queue:
            if now >= waiter.expires or (waiter.deadline > 0.0 and now >= waiter.deadline):
                queued.append(waiter)
        # The queue first: a slot that an overdue attempt frees must not go to a waiter that is overdue itself.
        for waiter in queued:
            self.queue.pop(waiter, None)
            if waiter.future.done():
                continue
            if waiter.deadline > 0.0 and now >= waiter.deadline:
                outcome = timed_out("total", waiter.deadline - waiter.started)
            else:
                outcome = Overloaded(
                    f"No connection to the upstream became free within {waiter.connect_s:g} s.",
                    retry_after_s=float(RETRY_AFTER_S),
                )
            waiter.future.set_result(outcome)
        for waiter in opening:
            if waiter.deadline > 0.0 and now >= waiter.deadline:
                self.settle(waiter, timed_out("total", waiter.deadline - waiter.started))
            else:
                self.settle(waiter, timed_out("connect", waiter.connect_s))
        return 0

    def close(self):
        self.closing = True
        while self.unused:
            (<Connection>self.unused[len(self.unused) - 1]).drop()

    def abort(self):
        cdef Waiter waiter
        self.closing = True
        while self.queue:
            waiter = self.queue.popitem(last=False)[0]
            if not waiter.future.done():
                waiter.future.set_result(shut_down())
        for waiter in list(self.opening):
            self.settle(waiter, shut_down())
        while self.open:
            (<Connection>self.open[len(self.open) - 1]).fail(
                UpstreamUnreachable("The gateway closed its connection to the upstream.")
            )
