# An answer, and what of its body has arrived and was not read yet.


cdef class Response:
    def __cinit__(self):
        self.content_length = -1

    def __repr__(self):
        return f"<Response {self.status}>"

    def __del__(self):
        if self.conn is not None:
            self.close()

    def header(self, bytes name not None):
        cdef tuple header
        for header in self.headers:
            if <bytes>header[0] == name:
                return header[1]
        return None

    cdef void push(self, bytes piece):
        if self.size == 0:
            self.first = piece
        elif self.more is None:
            self.more = [self.first, piece]
            self.first = None
        else:
            self.more.append(piece)
        self.size += PyBytes_GET_SIZE(piece)

    cdef bytes take(self):
        """All unread bytes; lets the socket deliver again."""
        cdef bytes data = self.first
        if self.more is not None:
            data = b"".join(self.more)
            self.more = None
        elif data is None:
            data = b""
        self.first = None
        self.size = 0
        if self.conn is not None and self.conn.reading_paused:
            self.conn.resume()
        return data

    cdef void wake(self):
        """Resolve the future that is awaited, if what it waits for is there."""
        if self.waiter is None:
            return
        if self.error is None and not self.closed:
            if not self.headed or self.gathering:
                return
            if self.reading and self.size == 0 and not self.ended:
                return
        waiter = self.waiter
        self.waiter = None
        if not waiter.done():
            waiter.set_result(None)

    cdef object wait(self):
        """The future for the next bytes. The idle timeout runs only while somebody waits on it."""
        if self.waiter is not None:
            raise RuntimeError("another read() of this response is waiting")
        cdef Connection conn = self.conn
        if conn.phase == NO_PHASE and conn.upload is None:
            conn.arm(IDLE, conn.pool.time())
        self.reading = True
        self.waiter = conn.pool.create_future()
        return self.waiter

    def read_nowait(self):
        if self.size > 0:
            return self.take()
        if self.error is not None:
            raise self.error
        if self.ended:
            return b""
        if self.closed:
            raise RuntimeError("the response is closed")
        return None

    async def read(self):
        cdef object data
        while True:
            data = self.read_nowait()
            if data is not None:
                return data
            waiter = self.wait()
            try:
                await waiter
            except BaseException:
                self.close()
                raise

    async def read_all(self, Py_ssize_t limit_bytes):
        cdef list pieces = []
        cdef Py_ssize_t total = 0
        cdef bytes data
        while self.content_length <= limit_bytes or self.ended:
            data = self.read_nowait()
            if data is None:
                data = await self.read()
            if not data:
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
            total += PyBytes_GET_SIZE(data)
            if total > limit_bytes:
                break
            pieces.append(data)
        self.close()
        raise UpstreamProtocolError("The upstream's answer is longer than this gateway takes.")

    def close(self):
        cdef Connection conn = self.conn
        self.closed = True
        if conn is not None:
            conn.detach()
            conn.drop()
        self.wake()
