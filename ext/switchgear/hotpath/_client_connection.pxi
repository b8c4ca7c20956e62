# One connection: writes a request, frames its answer, knows which timeout runs.


cdef class Connection:
    # --- called by the event loop ---

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, exc):
        self.lost(exc is None)
        self.transport = None

    def eof_received(self):
        self.lost(True)
        return False

    def pause_writing(self):
        self.writing_paused = True

    def resume_writing(self):
        self.writing_paused = False
        if self.drained is not None:
            if not self.drained.done():
                self.drained.set_result(None)
        elif self.phase == UPLOADING:
            self.arm(FIRST_BYTE, self.pool.time())

    def data_received(self, data):
        cdef Response response
        if self.response == NULL:
            # Nothing was asked: whatever this is, the next answer would be mistaken for it.
            self.drop()
            return
        response = <Response>self.response
        self.answered = True
        self.receive(response, data if type(data) is bytes else bytes(data))
        response.wake()

    # --- writing ---

    cdef int begin(self, Response response, bytes head, object body, double now) except -1:
        """Send a request; its answer goes to `response`."""
        self.response = <void*>response
        response.conn = self
        self.uses += 1
        self.answered = False
        self.body_started = False
        self.informational = 0
        self.mode = HEAD
        self.disarm()
        if not isinstance(body, bytes):
            self.upload = self.pool.loop.create_task(self._upload(head, body))
        elif self.write_request(head, <bytes>body):
            self.arm(UPLOADING if self.writing_paused else FIRST_BYTE, now)
        return 0

    cdef int write_request(self, bytes head, bytes body) except -1:
        cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
        if size == 0:
            return self.write(head)
        if size + PyBytes_GET_SIZE(head) <= JOIN_BYTES:
            return self.write(head + body)
        return self.write((head, body))

    cdef bint write(self, object data) except -1:
        """Write bytes or a tuple of them; False when the transport is gone."""
        try:
            if type(data) is tuple:
                self.transport.writelines(data)
            else:
                self.transport.write(data)
        except (OSError, RuntimeError):
            # uvloop refuses to write to a transport that it closed but did not tell us about yet.
            self.lost(False)
            return False
        return True

    async def _upload(self, bytes head, body):
        """Write head and body as the iterator yields it; runs as a task that `stop_upload` cancels.

        Until the last piece is written only the deadline for everything runs, and idle_s while the upstream does not
        take what was written: a slow client is not the upstream's fault.
        """
        try:
            await self._write_pieces(head, body)
        except asyncio.CancelledError:
            if self.upload is not None:
                # Not cancelled by stop_upload: the loop shuts down.
                self.upload = None
                self.fail(UpstreamUnreachable("The request to the upstream was not sent to its end."))
            raise
        except Exception as exc:
            if self.upload is not None:
                self.upload = None
                self.fail(exc)
            return
        self.upload = None
        if self.response == NULL or self.phase != NO_PHASE:
            return
        if not self.body_started:
            self.arm(FIRST_BYTE, self.pool.time())
        elif (<Response>self.response).waiter is not None:
            self.arm(IDLE, self.pool.time())

    async def _write_pieces(self, bytes head, body):
        try:
            if not self.write(head):
                return
            async for piece in body:
                if self.state == CLOSED or not self.write(piece):
                    return
                while self.writing_paused:
                    self.drained = self.pool.create_future()
                    self.arm(UPLOADING, self.pool.time())
                    try:
                        await self.drained
                    finally:
                        self.drained = None
                    self.disarm()
        finally:
            # An iterator that was not read to its end is told so now, not when it is collected.
            close = getattr(body, "aclose", None)
            if close is not None:
                await close()

    cdef int stop_upload(self) except -1:
        if self.upload is not None:
            upload = self.upload
            self.upload = None
            upload.cancel()
        return 0

    # --- reading ---

    cdef int receive(self, Response response, bytes data) except -1:
        cdef Py_ssize_t at = 0
        if self.mode == HEAD:
            try:
                at = self.read_head(response, data)
            except ParseError as exc:
                return self.broken(f"is not HTTP: {exc}")
            if at < 0:
                return 0
            if self.tail is not None:
                data = self.tail
                self.tail = None
        return self.read_body(response, data, at)

    cdef Py_ssize_t read_head(self, Response response, bytes data) except -2:
        """Read the head; the offset of the body, in `tail` where that is set and in `data` else. -1: not all there."""
        cdef const char* raw = PyBytes_AS_STRING(data)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t scanned = 0
        cdef Py_ssize_t end
        cdef Facts facts
        if self.partial is not None:
            scanned = len(self.partial) - 2
            self.partial += data
            raw = PyByteArray_AS_STRING(self.partial)
            length = len(self.partial)
        while True:
            end = head_end(raw + at, length - at, scanned)
            if end > self.pool.max_head_bytes or (end < 0 and length - at > self.pool.max_head_bytes):
                raise ParseError("a header that is too long")
            if end < 0:
                if memcmp(raw + at, <const char*>b"HTTP/1.", min(length - at, 7)) != 0:
                    raise ParseError("no HTTP/1 status line")
                if self.partial is None:
                    self.partial = bytearray(raw[at:length])
                elif at > 0:
                    del self.partial[:at]
                return -1
            response.headers = []
            response.reason = response_head(raw + at, end, &facts, response.headers, True)
            at += end
            if facts.status >= 200:
                break
            # RFC 9110 §15.2: any number of interim answers may come first; nobody asked for another protocol.
            self.informational += 1
            if facts.status == 101 or self.informational > MAX_INFORMATIONAL:
                raise ParseError("an interim answer that was not asked for")
            scanned = 0
        if self.partial is not None:
            self.tail = PyBytes_FromStringAndSize(raw + at, length - at)
            self.partial = None
            at = 0
        self.head_arrived(response, &facts)
        return at

    cdef int head_arrived(self, Response response, Facts* facts) except -1:
        """Decide how the body is framed (RFC 9112 §6.3) and who waits for it."""
        response.status = facts.status
        response.content_length = facts.content_length
        response.event_stream = facts.event_stream
        response.headed = True
        self.keep_alive = facts.minor > 0 and not facts.close
        response.gathering = self.gather_bytes > 0 and not facts.event_stream
        if self.head_request or facts.status == 204 or facts.status == 304:
            self.mode = BODY_LENGTH
            self.left = 0
        elif facts.chunked:
            self.mode = BODY_CHUNKED
            if self.decoder is None:
                self.decoder = ChunkedDecoder(self.pool.max_head_bytes)
            else:
                self.decoder.reset()
        elif facts.content_length >= 0:
            self.mode = BODY_LENGTH
            self.left = facts.content_length
            if self.left > self.gather_bytes:
                response.gathering = False
        else:
            self.mode = BODY_UNTIL_CLOSE
            self.keep_alive = False
        if self.uses == 1 and self.pool.store_session is not None:
            # TLS 1.3 sends its tickets after the handshake: they are here when the first answer is.
            self.pool.store_session(self.transport.get_extra_info("ssl_object"))
        return 0

    cdef int read_body(self, Response response, bytes data, Py_ssize_t at) except -1:
        cdef Py_ssize_t length = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t end = length
        cdef bint ended = False
        cdef bytes piece
        if self.mode == BODY_CHUNKED:
            piece = self.decoder.take(data, at, &end)
            ended = self.decoder.done
        else:
            if self.mode == BODY_LENGTH:
                if length - at >= self.left:
                    end = at + <Py_ssize_t>self.left
                    ended = True
                self.left -= end - at
            piece = data if at == 0 and end == length else data[at:end]
        if piece:
            self.body_arrived(response, piece)
        if self.mode == BODY_CHUNKED and self.decoder.failure is not None:
            return self.broken(f"has a body that is not HTTP: {self.decoder.failure}")
        if ended:
            return self.finish(response, end < length)
        if response.gathering:
            if self.body_started and self.upload is None:
                self.arm(IDLE, self.pool.time())
        elif response.size > self.pool.high_water_bytes:
            self.pause()
        return 0

    cdef int body_arrived(self, Response response, bytes piece) except -1:
        self.body_started = True
        if self.phase != UPLOADING:
            # The idle timeout starts anew when somebody waits for more.
            self.disarm()
        response.push(piece)
        if response.gathering and response.size > self.gather_bytes:
            response.gathering = False
        return 0

    cdef int pause(self) except -1:
        if not self.reading_paused:
            self.reading_paused = True
            self.transport.pause_reading()
        return 0

    cdef int resume(self) except -1:
        self.reading_paused = False
        try:
            self.transport.resume_reading()
        except RuntimeError:
            pass    # closed by the loop, and connection_lost is on its way
        return 0

    # --- the end ---

    cdef int finish(self, Response response, bint excess) except -1:
        """The answer is complete. excess: bytes follow it that nobody asked for."""
        self.detach()
        self.disarm()
        response.ended = True
        if response.gathering:
            response.gathering = False
            response.body = response.take()
        if excess or not self.keep_alive or self.writing_paused or self.upload is not None:
            self.drop()
            return 0
        if self.reading_paused:
            self.resume()
        self.pool.release(self)
        return 0

    cdef Response detach(self):
        """Part from the response; it, or None."""
        cdef Response response
        if self.response == NULL:
            return None
        response = <Response>self.response
        self.response = NULL
        response.conn = None
        return response

    cdef int fail(self, Exception error, bint stale=False) except -1:
        """Close the connection and tell whoever waits for the answer why."""
        cdef Response response = self.detach()
        self.drop()
        if response is not None:
            response.error = error
            response.stale = stale
            response.wake()
        return 0

    cdef int broken(self, str what) except -1:
        return self.fail(UpstreamProtocolError(f"The upstream's answer {what}."))

    cdef int lost(self, bint clean) except -1:
        """The upstream closed the connection, or (not clean) it broke."""
        cdef Response response
        if self.state == CLOSED:
            return 0
        if self.response == NULL:
            return self.drop()
        if self.mode == BODY_UNTIL_CLOSE and clean:
            response = <Response>self.response
            self.finish(response, False)
            response.wake()
            return 0
        if self.answered:
            return self.broken("stops short")
        error = UpstreamUnreachable(NO_ANSWER)
        error.sent = True
        return self.fail(error, self.uses > 1)

    cdef int drop(self) except -1:
        """Close the connection now, leave the pool, free the slot."""
        if self.state == CLOSED:
            return 0
        self.pool.forget(self)
        self.state = CLOSED
        self.stop_upload()
        self.partial = None
        self.tail = None
        if self.transport is not None:
            try:
                self.transport.abort()
            except RuntimeError:
                pass    # the loop is closed, and its sockets with it
        return 0

    # --- timeouts ---

    cdef int arm(self, int phase, double now) except -1:
        self.phase = phase
        if phase == FIRST_BYTE:
            self.phase_deadline = now + self.first_byte_s
        else:
            self.phase_deadline = now + self.idle_s
            if phase == UPLOADING:
                self.unsent = self.transport.get_write_buffer_size()
        return 0

    cdef int disarm(self) except -1:
        self.phase = NO_PHASE
        self.phase_deadline = 0.0
        return 0

    cdef int overdue(self, double now) except -1:
        """The running phase is over its time."""
        if self.phase == FIRST_BYTE:
            return self.fail(timed_out("first_token", self.first_byte_s))
        if self.phase == UPLOADING and self.transport.get_write_buffer_size() != self.unsent:
            return self.arm(UPLOADING, now)     # slow, but it takes the body
        error = timed_out("idle", self.idle_s)
        error.answered = self.answered
        return self.fail(error)
