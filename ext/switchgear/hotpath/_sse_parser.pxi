# The conforming parser (WHATWG HTML §9.2.6): bytes in, events out.

@cython.final
cdef class Event:
    cdef readonly str event
    cdef readonly bytes data
    cdef readonly str id


@cython.final
cdef class Parser:
    cdef bytearray _rest  # a line without its end
    cdef Py_ssize_t _scanned, _size, _max
    cdef bint _begun, _after_cr
    cdef list _data
    cdef str _event, _id

    def __init__(self, Py_ssize_t max_event_bytes=MAX_EVENT_BYTES):
        self._rest = bytearray()
        self._max = max_event_bytes
        self._data = []
        self._event = ""

    def feed(self, bytes chunk not None):
        cdef list events = []
        cdef Py_ssize_t line = 0, eol, size
        cdef const uint8_t *text
        self._rest += chunk
        if not self._begun and not self._begin():
            return events
        size = len(self._rest)
        while True:
            text = <const uint8_t *><char *>self._rest
            if self._after_cr and line < size:
                if text[line] == c"\n":
                    line += 1
                self._after_cr = False
            if self._scanned < line:
                self._scanned = line
            eol = scan_eol(text + self._scanned, text + size) - text
            self._scanned = eol
            if eol == size:
                break
            self._after_cr = text[eol] == c"\r"
            self._line(bytes(self._rest[line:eol]), events)
            line = eol + 1
        del self._rest[:line]
        self._scanned -= line
        self._check(size - line)
        return events

    def flush(self):
        cdef list events = []
        line = bytes(self._rest)
        self._rest = bytearray()
        self._scanned = 0
        if line:
            self._line(line, events)
        self._dispatch(events)
        return events

    cdef bint _begin(self):
        """Strip the byte order mark; False while it may still be one."""
        if len(self._rest) < 3 and b"\xef\xbb\xbf".startswith(self._rest):
            return False
        self._begun = True
        if self._rest.startswith(b"\xef\xbb\xbf"):
            del self._rest[:3]
        return True

    cdef int _check(self, Py_ssize_t more) except -1:
        if self._size + more > self._max:
            raise ValueError(f"an event is longer than {self._max} bytes")
        return 0

    cdef int _line(self, bytes line, list events) except -1:
        if not line:
            self._dispatch(events)
            return 0
        self._check(len(line))
        self._size += len(line)
        name, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        return 0

    cdef int _dispatch(self, list events) except -1:
        cdef Event event
        cdef bytes data
        if self._data:
            data = b"\n".join(self._data)
            if not utf8_valid(at(data), at(data) + PyBytes_GET_SIZE(data)):
                data = repair(data)
            event = Event.__new__(Event)
            event.event, event.data, event.id = self._event, data, self._id
            events.append(event)
            self._data = []
        self._event = ""
        self._size = 0
        return 0
