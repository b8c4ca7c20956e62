# Chunked bodies (RFC 9112 §7.1), decoded as they arrive.

# ChunkedDecoder.state: what the next byte belongs to.
cdef enum:
    SIZE            # hexadecimal digits
    SIZE_SPACE      # blanks after them
    EXTENSION       # from ";" to the end of the line
    SIZE_LF
    DATA
    DATA_CR
    DATA_LF
    TRAILER
    DONE


cdef inline int hex_value(unsigned char c) noexcept nogil:
    if c >= 48 and c <= 57:
        return c - 48
    c |= 32
    return c - 87 if c >= 97 and c <= 102 else -1


cdef class ChunkedDecoder:
    """See the stub. `take` is the C entrance: it never raises for bad input but sets `failure`, so that the body
    bytes before the fault are not lost with it."""

    def __cinit__(self, Py_ssize_t trailer_limit=65536):
        self.limit = trailer_limit
        self.reset()

    cdef void reset(self) noexcept:
        self.done = False
        self.rest = EMPTY
        self.failure = None
        self.state = SIZE
        self.digits = 0
        self.left = 0
        self.line = 0
        self.trailer = None

    def feed(self, bytes data not None):
        cdef Py_ssize_t used = 0
        cdef bytes out
        if self.done:
            self.rest += data
            return EMPTY
        out = EMPTY if self.failure is not None else self.take(data, 0, &used)
        if self.failure is not None:
            raise ParseError(self.failure)
        if self.done:
            self.rest = data[used:]
        return out

    def finish(self):
        if not self.done:
            raise Incomplete("a chunked body without its end")

    cdef bytes take(self, bytes data, Py_ssize_t start, Py_ssize_t* used):
        """Decode data[start:]; used[0]: offset of the first byte that does not belong to the body any more."""
        cdef const char* raw = PyBytes_AS_STRING(data)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t at = start
        cdef Py_ssize_t piece = 0           # of a first chunk, not yet copied
        cdef Py_ssize_t piece_length = 0
        cdef Py_ssize_t count
        cdef PyObject* joined = NULL        # several chunks, copied one after the other
        cdef Py_ssize_t joined_length = 0
        cdef int digit
        cdef unsigned char c
        cdef bytes copy
        while at < length:
            c = <unsigned char>raw[at]
            if self.state == DATA:
                count = length - at
                if count > self.left:
                    count = <Py_ssize_t>self.left
                if joined != NULL:
                    memcpy(PyBytes_AS_STRING(<object>joined) + joined_length, raw + at, count)
                    joined_length += count
                elif piece_length == 0:
                    piece = at
                    piece_length = count
                else:
                    copy = PyBytes_FromStringAndSize(NULL, length - start)
                    Py_INCREF(copy)
                    joined = <PyObject*>copy
                    copy = None
                    memcpy(PyBytes_AS_STRING(<object>joined), raw + piece, piece_length)
                    memcpy(PyBytes_AS_STRING(<object>joined) + piece_length, raw + at, count)
                    joined_length = piece_length + count
                self.left -= count
                at += count
                if self.left == 0:
                    self.state = DATA_CR
                continue
            if self.state == TRAILER:
                at = self.take_trailer(raw, at, length)
                if self.failure is not None or self.state == DONE:
                    break
                continue
            at += 1
            if self.state == SIZE:
                digit = hex_value(c)
                if digit >= 0:
                    self.left = (self.left << 4) | digit
                    self.digits += 1
                    if self.digits > 15:
                        self.failure = "a chunk size that is too large"
                        break
                    continue
                if self.digits == 0:
                    self.failure = "a chunk without a size"
                    break
                self.state = SIZE_SPACE
            if self.state == SIZE_SPACE:
                self.line += 1
                if c == c"\r":
                    self.state = SIZE_LF
                elif c == c";":
                    self.state = EXTENSION
                elif c != c" " and c != c"\t":
                    self.failure = "a chunk size that is not a number"
                    break
            elif self.state == EXTENSION:
                self.line += 1
                if c == c"\r":
                    self.state = SIZE_LF
                elif (c < 32 and c != 9) or c == 127:
                    self.failure = "a control character in a chunk extension"
                    break
            elif self.state == SIZE_LF:
                if c != c"\n":
                    self.failure = "a bare CR after a chunk size"
                    break
                self.state = DATA if self.left > 0 else TRAILER
                self.digits = 0
                self.line = 0
            elif self.state == DATA_CR:
                if c != c"\r":
                    self.failure = "a chunk longer than its size"
                    break
                self.state = DATA_LF
            elif self.state == DATA_LF:
                if c != c"\n":
                    self.failure = "a chunk longer than its size"
                    break
                self.state = SIZE
            if self.line > LINE_BYTES:
                self.failure = "a chunk size line that is too long"
                break
        used[0] = at
        if joined != NULL:
            _PyBytes_Resize(&joined, joined_length)
            copy = <bytes>joined
            Py_XDECREF(joined)
            return copy
        if piece_length == 0:
            return EMPTY
        if piece_length == length:
            return data
        return PyBytes_FromStringAndSize(raw + piece, piece_length)

    cdef Py_ssize_t take_trailer(self, const char* raw, Py_ssize_t at, Py_ssize_t length):
        """Trailer lines from `at`; the offset after what was taken. Done at the empty line."""
        cdef Py_ssize_t end
        cdef Py_ssize_t before
        if self.trailer is None:
            if raw[at] == c"\r" and at + 1 < length and raw[at + 1] == c"\n":
                self.finished()
                return at + 2
            # The LF in front makes the empty line that ends a section without any trailer look like all others.
            self.trailer = bytearray(b"\n")
        before = len(self.trailer)
        # Two bytes more than the limit: the empty line itself.
        count = min(length - at, self.limit + 3 - before)
        self.trailer += raw[at:at + count]
        cdef const char* section = self.trailer
        end = head_end(section, len(self.trailer), before - 2)
        if end < 0:
            if len(self.trailer) > self.limit:
                self.failure = "trailers that are too long"
            return at + count
        if unclean(<const unsigned char*>section, end):
            self.failure = "a control character in a trailer"
            return at + count
        try:
            read_fields(section + 1, section + end, NULL, None, False)
        except ParseError as exc:
            self.failure = str(exc)
            return at + count
        self.finished()
        return at + end - before

    cdef void finished(self) noexcept:
        self.state = DONE
        self.done = True
        self.trailer = None
