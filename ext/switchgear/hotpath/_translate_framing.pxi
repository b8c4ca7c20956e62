# Cutting the input into events: server-sent events (WHATWG HTML §9.2.6, TRANSLATION §20), or JSON values one after the
# other (Ollama's lines, Gemini's array, an error body in place of a stream). A whole event goes to the decoder as a
# pointer into the input; only what is unfinished at the end of a chunk is copied.

cdef enum:
    UNDECIDED = 0
    SSE = 1
    VALUES = 2


cdef class Framer:
    cdef Decoder decoder
    cdef Turn turn
    cdef int mode
    cdef Buffer pending
    cdef Buffer joined
    cdef Py_ssize_t max_event
    cdef long long events
    # offsets from the start of the block in hand
    cdef Py_ssize_t line, scan
    cdef Py_ssize_t data_at, data_len
    cdef int data_lines
    cdef bint error_name
    cdef bint skip_lf
    # JSON values
    cdef int depth
    cdef bint quoted, escape

    cdef int feed(self, const char* p, Py_ssize_t n) except -1:
        cdef Py_ssize_t used
        if self.turn.over or n == 0:
            return 0
        if self.pending.n:
            self.pending.put(p, n)
            used = self.take(self.pending.p, self.pending.n)
            if self.turn.over:
                self.pending.clear()
                return 0
            self.pending.cut_front(used)
        else:
            used = self.take(p, n)
            if self.turn.over:
                return 0
            self.pending.put(p + used, n - used)
        if self.pending.n > self.max_event:
            self.turn.fail(Fault(502, "The upstream sent an event that is too long.", "server_error", "upstream_protocol_error", None), None)
            self.pending.clear()
        return 0

    cdef Py_ssize_t take(self, const char* p, Py_ssize_t n) except -1:
        cdef Py_ssize_t skip = 0
        cdef Py_ssize_t used
        if self.mode == UNDECIDED:
            if n < 3 and memcmp(p, b"\xef\xbb\xbf", n) == 0:
                return 0
            if n >= 3 and memcmp(p, b"\xef\xbb\xbf", 3) == 0:
                skip = 3
            used = skip
            while used < n and (p[used] == 32 or p[used] == 10 or p[used] == 13 or p[used] == 9):
                used += 1
            if used == n:
                return 0
            # no field of an event stream begins with a bracket: this is JSON
            self.mode = VALUES if p[used] == 123 or p[used] == 91 else SSE
        if self.mode == SSE:
            return skip + self.sse(p + skip, n - skip)
        return skip + self.values(p + skip, n - skip)

    cdef void fresh(self) noexcept:
        self.data_lines = 0
        self.data_len = 0
        self.error_name = False

    cdef Py_ssize_t sse(self, const char* p, Py_ssize_t n) except -1:
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t line = self.line
        cdef Py_ssize_t scan = self.scan
        cdef Py_ssize_t lim, eol, nxt
        cdef const char* q
        cdef const char* r
        if self.skip_lf and line < n:
            self.skip_lf = False
            if p[line] == 10:
                line += 1
                scan = line
                if self.data_lines == 0 and not self.error_name:
                    start = line
        while scan < n:
            q = <const char*>memchr(p + scan, 10, n - scan)
            lim = n if q == NULL else q - p
            r = <const char*>memchr(p + scan, 13, lim - scan)
            if r != NULL:
                eol = r - p
                nxt = eol + 1
                if nxt < n:
                    if p[nxt] == 10:
                        nxt += 1
                else:
                    self.skip_lf = True
            elif q != NULL:
                eol = lim
                nxt = eol + 1
            else:
                scan = n
                break
            if eol == line:
                if self.data_lines:
                    self.dispatch(p + start)
                    if self.turn.over:
                        return n
                self.fresh()
                start = nxt
            else:
                self.field(p + line, eol - line, line - start, p + start)
                if self.data_lines == 0 and not self.error_name:
                    start = nxt
            line = scan = nxt
        self.line = line - start
        self.scan = scan - start
        return start

    cdef int field(self, const char* p, Py_ssize_t n, Py_ssize_t at, const char* block) except -1:
        cdef Py_ssize_t skip
        if p[0] == 100 and n >= 4 and memcmp(p, b"data", 4) == 0 and (n == 4 or p[4] == 58):
            skip = 4 if n == 4 else 5
            if n > skip and p[skip] == 32:
                skip += 1
            if self.data_lines == 0:
                self.data_at = at + skip
                self.data_len = n - skip
            else:
                if self.data_lines == 1:
                    self.joined.clear()
                    self.joined.put(block + self.data_at, self.data_len)
                self.joined.put(b"\n", 1)
                self.joined.put(p + skip, n - skip)
            self.data_lines += 1
        elif p[0] == 101 and n >= 6 and memcmp(p, b"event:", 6) == 0:
            skip = 7 if n > 6 and p[6] == 32 else 6
            self.error_name = n - skip == 5 and memcmp(p + skip, b"error", 5) == 0
        return 0

    cdef int dispatch(self, const char* block) except -1:
        if self.data_lines == 1:
            return self.event(block + self.data_at, self.data_len)
        return self.event(self.joined.p, self.joined.n)

    cdef Py_ssize_t values(self, const char* p, Py_ssize_t n) except -1:
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t i = self.scan
        cdef char c
        while i < n:
            c = p[i]
            i += 1
            if self.depth == 0:
                if c == 123:
                    start = i - 1
                    self.depth = 1
                elif c == 32 or c == 10 or c == 13 or c == 9 or c == 44 or c == 91 or c == 93:
                    start = i
                else:
                    self.turn.fail(Fault(502, "The upstream sent something that is not JSON.", "server_error", "upstream_protocol_error", None), None)
                    return n
            elif self.quoted:
                if self.escape:
                    self.escape = False
                elif c == 92:
                    self.escape = True
                elif c == 34:
                    self.quoted = False
            elif c == 34:
                self.quoted = True
            elif c == 123 or c == 91:
                self.depth += 1
            elif c == 125 or c == 93:
                self.depth -= 1
                if self.depth == 0:
                    self.event(p + start, i - start)
                    if self.turn.over:
                        return n
                    start = i
        self.scan = n - start
        return start

    cdef int event(self, const char* p, Py_ssize_t n) except -1:
        """One event's data. What cannot be read ends the stream with an error event."""
        while n and (p[n - 1] == 32 or p[n - 1] == 9):
            n -= 1
        if n == 0:
            return 0
        self.events += 1
        return self.hand_on(p, n)

    cdef int hand_on(self, const char* p, Py_ssize_t n) except -1:
        """Give an event to the decoder, or with NULL the end of the input."""
        try:
            if p == NULL:
                self.decoder.close()
            elif n == 6 and memcmp(p, b"[DONE]", 6) == 0:
                self.decoder.done()
            else:
                self.decoder.event(p, n, self.error_name)
        except _Overlong as e:
            self.turn.over = False
            self.turn.fail(Fault(502, f"The answer is too long to translate: {e}.", "server_error", "upstream_error", None), None)
        except (ValueError, RecursionError, OverflowError):
            self.turn.over = False
            self.turn.fail(Fault(502, "The upstream sent something that cannot be read.", "server_error", "upstream_protocol_error", None), None)
        return 0

    cdef int flush(self) except -1:
        """End of input. A block that lacks only its blank line counts; a torn one does not."""
        cdef Py_ssize_t n = self.pending.n
        if not self.turn.over and self.mode == SSE and n:
            if n > self.line:
                self.field(self.pending.p + self.line, n - self.line, self.line, self.pending.p)
            if self.data_lines:
                whole = self.joined.copy() if self.data_lines > 1 else PyBytes_FromStringAndSize(
                    self.pending.p + self.data_at, self.data_len)
                if whole.strip() == b"[DONE]" or _is_json(whole):
                    self.event(PyBytes_AS_STRING(whole), PyBytes_GET_SIZE(whole))
        self.pending.clear()
        if not self.turn.over:
            self.hand_on(NULL, 0)
        return 0


cdef bint _is_json(bytes text):
    try:
        decode(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    except (ValueError, RecursionError):
        return False
    return True


cdef class Decoder:
    """Reads one upstream format. `event` gets whole events, `done` is [DONE], `close` the end of the input."""
    cdef Turn turn

    cdef int event(self, const char* p, Py_ssize_t n, bint named_error) except -1:
        return 0

    cdef int done(self) except -1:
        return 0

    cdef int close(self) except -1:
        return self.turn.cut_short()

    cdef int report(self, object body, const char* p, Py_ssize_t n) except -1:
        return self.turn.fail(read_fault(body), PyBytes_FromStringAndSize(p, n))
