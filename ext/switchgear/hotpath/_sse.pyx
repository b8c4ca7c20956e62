"""Server-sent events: a conforming parser, and the rewriter that relays a provider's stream. See _sse.pyi.

What is looked for, and how it is found in one pass, is in sse.h. Here: which bytes go out.
`Rewriter` walks over the whole blocks of a chunk; as long as nothing changes it only moves the end of a run of bytes
that go out as they came, and a run that is the whole chunk is the chunk itself. What changes is written to a buffer that
all rewriters share: nothing else runs between its first byte and the making of the result.
"""

import msgspec

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stddef cimport ptrdiff_t, size_t
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove

from switchgear.hotpath._json cimport *

include "_sse_scan.pxi"


CHAT = SSE_CHAT
RESPONSES = SSE_RESPONSES
OPAQUE = SSE_OPAQUE

cdef enum:
    MAX_EVENT_BYTES = 33554432


cdef inline bytes cut_out(const uint8_t *start, const uint8_t *end):
    return PyBytes_FromStringAndSize(<const char *>start, end - start)


cdef bytes repair(bytes text):
    """Each malformed sequence as U+FFFD, as the encoding standard has it."""
    return text.decode("utf-8", "replace").encode()


cdef inline const uint8_t *at(bytes text):
    return <const uint8_t *>PyBytes_AS_STRING(text)


include "_sse_parser.pxi"
include "_sse_sink.pxi"


cdef enum Verdict:
    KEEP  # goes out as it came
    DROP
    WRITTEN  # what goes out is in the sink


include "_sse_blocks.pxi"


# The one field beside the usage that says what it costs.
_Response = msgspec.defstruct("_Response", [("service_tier", str | None, None)])
_Event = msgspec.defstruct("_Event", [("service_tier", str | None, None), ("response", _Response | None, None)])
_event = msgspec.json.Decoder(_Event)


cdef bytes with_tier(bytes usage, bytes event):
    """A usage object with the service tier that its event tells outside of it; as it is where there is none."""
    if b'"service_tier"' not in event or b'"service_tier"' in usage:
        return usage
    try:
        read = _event.decode(event)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return usage
    tier = read.service_tier if read.response is None else read.response.service_tier
    inner = usage[1:-1].strip()
    if tier is None or not inner:
        return usage
    return b'{%b,"service_tier":%b}' % (inner, msgspec.json.encode(tier))


@cython.final
cdef class Rewriter:
    cdef readonly bytes error, usage, model
    cdef readonly Py_ssize_t events
    cdef readonly bint started, done, finished
    cdef bytes _name
    cdef uint8_t *_held  # a block without its end
    cdef size_t _length, _capacity, _max
    cdef sse_search _search
    cdef unsigned char _dialect
    cdef bint _hide, _begun, _swallow, _ids, _failed

    def __init__(self, int dialect=SSE_CHAT, *, bytes model=None, bint hide_usage=False, Py_ssize_t max_event_bytes=MAX_EVENT_BYTES):
        if dialect not in (SSE_CHAT, SSE_RESPONSES, SSE_OPAQUE):
            raise ValueError(f"not a dialect: {dialect}")
        if max_event_bytes < 1:
            raise ValueError(f"max_event_bytes must be at least 1, not {max_event_bytes}")
        self._dialect = dialect
        self._name = model
        self._hide = hide_usage and dialect == SSE_CHAT
        self._max = max_event_bytes

    def __dealloc__(self):
        free(self._held)

    @property
    def pending(self):
        return self._length

    def feed(self, bytes chunk not None):
        cdef const uint8_t *p = at(chunk)
        cdef const uint8_t *end = p + PyBytes_GET_SIZE(chunk)
        if self._failed:
            self._too_long()
        if self.done or p == end:
            return b""
        if self._swallow:
            self._swallow = False
            if p[0] == c"\n":
                p += 1
        if self._length:
            self._hold(p, end)
            p = self._held
            end = p + self._length
        if not self._begun:
            p = self._begin(p, end)
            if p == NULL:
                return b""
            if self._length:
                end = p + self._length
        if self._length == 0:
            return self._relay(chunk, p, end)
        if not sse_find(&self._search, p, end):
            if self._length > self._max:
                self._too_long()
            return b""
        return self._relay(None, p, end)

    def flush(self):
        cdef sse_block b
        cdef bytes text, data
        if self._failed:
            self._too_long()
        text = PyBytes_FromStringAndSize(<const char *>self._held, self._length)
        self._drop_held()
        if self.done or not self._begun or not text:
            return b""
        text += b"\n" if text.endswith(b"\n") else b"\n\n"
        if not sse_scan(&b, at(text), at(text) + PyBytes_GET_SIZE(text), self._dialect) or b.data_lines == 0:
            return b""
        data = cut_out(b.data, b.data_end) if b.data_lines == 1 else joined(&b)
        if not is_done(at(data), at(data) + len(data)) and not sse_is_json(at(data), at(data) + len(data)):
            return b""
        sink.length = 0
        if self._block(&b, b.start) == KEEP:
            return cut_out(b.start, b.end)
        return poured()

    cdef const uint8_t *_begin(self, const uint8_t *p, const uint8_t *end) except? NULL:
        """Where the stream begins, behind a byte order mark. NULL: it may still be one, and is held back."""
        cdef ptrdiff_t size = end - p if end - p < 3 else 3
        cdef bint mark = memcmp(p, b"\xef\xbb\xbf", size) == 0
        if mark and size < 3:
            if self._length == 0:
                self._hold(p, end)
            return NULL
        self._begun = True
        if mark:
            p += 3
        if self._length == 0:
            return p
        self._keep(p, end)
        return self._held

    cdef int _hold(self, const uint8_t *p, const uint8_t *end) except -1:
        """Append to what is held back. Grows by half, so that an event in many parts is copied a bounded number of times."""
        cdef size_t size = end - p, capacity
        cdef uint8_t *held
        if self._length + size > self._capacity:
            capacity = self._length + size
            capacity += capacity // 2 if self._length else 0
            held = <uint8_t *>realloc(self._held, capacity)
            if held == NULL:
                raise MemoryError
            self._held, self._capacity = held, capacity
        if size:
            memcpy(self._held + self._length, p, size)
            self._length += size
        return 0

    cdef int _keep(self, const uint8_t *p, const uint8_t *end) except -1:
        """Hold back [p, end) and nothing else; it may be a part of what is held."""
        cdef size_t size = end - p
        self._search.line = self._search.scanned = 0
        self._search.lone_cr = 0
        if size == 0:
            if self._held != NULL:
                self._drop_held()
        elif self._length:
            memmove(self._held, p, size)
            self._length = size
        else:
            self._hold(p, end)
        return 0

    cdef int _drop_held(self) noexcept:
        free(self._held)
        self._held = NULL
        self._length = self._capacity = 0
        self._search.line = self._search.scanned = 0
        self._search.lone_cr = 0
        return 0

    cdef int _too_long(self) except -1:
        self._failed = True
        self._drop_held()
        raise ValueError(f"an event is longer than {self._max} bytes")

    cdef bytes _relay(self, bytes chunk, const uint8_t *p, const uint8_t *end):
        """Send the whole blocks in [p, end), hold back the rest. chunk: the object these bytes are of, None: what is held."""
        cdef sse_block b
        cdef const uint8_t *run = p  # from here on nothing has changed
        cdef bytes result
        cdef int verdict
        sink.length = 0
        while p < end and not self.done and sse_scan(&b, p, end, self._dialect):
            if <size_t>(b.end - p) > self._max:
                self._too_long()
            p = b.end
            verdict = self._block(&b, run) if b.high or b.lone_cr else self._plain(&b, run)
            if verdict == DROP:
                put(run, b.start)
            if verdict != KEEP:
                run = p
            self._swallow = b.swallow
        if not self.done and <size_t>(end - p) > self._max:
            self._too_long()
        if sink.length:
            put(run, p)
            result = poured()
        elif chunk is not None and run == at(chunk) and p == run + PyBytes_GET_SIZE(chunk):
            return chunk
        else:
            result = cut_out(run, p)
        self._keep(p, p if self.done else end)
        return result

    cdef int _block(self, sse_block *b, const uint8_t *run) except -1:
        """A block that may have to be mended first: line ends that are CR alone, bytes that are not UTF-8."""
        cdef bint malformed = b.high and not utf8_valid(b.start, b.end)
        cdef sse_block mended
        cdef bytes text
        if not malformed and not b.lone_cr:
            return self._plain(b, run)
        text = cut_out(b.start, b.end)
        if b.lone_cr:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if malformed:
            text = repair(text)
        put(run, b.start)
        sse_scan(&mended, at(text), at(text) + PyBytes_GET_SIZE(text), self._dialect)
        if self._plain(&mended, mended.start) == KEEP:
            put(mended.start, mended.end)
        return WRITTEN

    cdef int _plain(self, sse_block *b, const uint8_t *run) except -1:
        """What becomes of a block. run: start of the bytes before it that are yet to be put into the sink, if it is written there."""
        cdef const uint8_t *data = b.data
        cdef const uint8_t *end = b.data_end
        cdef bytes whole = None
        if b.data_lines > 1:
            whole = joined(b)
            data, end = at(whole), at(whole) + PyBytes_GET_SIZE(whole)
        if b.data_lines == 0 or is_blank(data, end):
            return self._without_data(b, run)
        self.events += 1
        self.started = True
        if b.ids:
            self._ids = True
        if self._dialect != SSE_RESPONSES and is_done(data, end):
            self.done = True
            return KEEP
        if b.name != NULL and self._named(b, data, end):
            return KEEP
        if not b.hints & self._wanted():
            return KEEP
        return self._read(b, run, data, end, whole)

    cdef int _without_data(self, sse_block *b, const uint8_t *run) except -1:
        """Comments stay, fields go. Once an id was sent even a blank line is an event for an OpenAI client: then all goes."""
        cdef bytes line
        if self._ids:
            return DROP
        if b.data_lines == 0 and b.fields == 0:
            return KEEP
        if b.comments == 0:
            return DROP
        put(run, b.start)
        for line in lines_of(b):
            if line.startswith(b":"):
                line += b"\n"
                put(at(line), at(line) + PyBytes_GET_SIZE(line))
        put(<const uint8_t *>b"\n", <const uint8_t *>b"\n" + 1)
        return WRITTEN

    cdef bint _named(self, sse_block *b, const uint8_t *data, const uint8_t *end) except -1:
        """Whether the event's name says that it is an error; a name may also end a stream of the responses dialect."""
        if named(b, b"error", 5):
            if self.error is None:
                self.error = cut_out(data, end)
            return True
        if self._dialect == SSE_RESPONSES and (
            named(b, b"response.completed", 18) or named(b, b"response.incomplete", 19) or named(b, b"response.failed", 15)
        ):
            self.done = self.finished = True
        return False

    cdef unsigned _wanted(self) noexcept:
        """The hints for which an event has to be read."""
        cdef unsigned wanted = HINT_ERROR
        if self._dialect == SSE_CHAT:
            wanted |= HINT_USAGE_OBJECT
            if self._hide:
                wanted |= HINT_USAGE
            if not self.finished:
                wanted |= HINT_FINISH
            if self._name is not None or self.model is None:
                wanted |= HINT_MODEL
        elif self._dialect == SSE_RESPONSES:
            wanted |= HINT_ERROR_TYPE | HINT_RESPONSE
        return wanted

    cdef int _read(self, sse_block *b, const uint8_t *run, const uint8_t *data, const uint8_t *end, bytes whole) except -1:
        """An event that may say something: note it, and write the event anew if its model or usage has to change."""
        cdef sse_event e
        cdef int i, changes = 0
        if sse_read(&e, data, end, self._dialect, self._hide) < 0:
            return KEEP
        if e.model != NULL and self.model is None and e.model_end - e.model > 2:
            self.model = cut_out(e.model, e.model_end)
        if e.usage != NULL:
            self.usage = with_tier(cut_out(e.usage, e.usage_end), cut_out(data, end))
        elif e.groq != NULL and self.usage is None:
            self.usage = cut_out(e.groq, e.groq_end)
        if e.finish:
            self.finished = True
        if e.done:
            self.done = self.finished = True
        if e.error:
            if self.error is None:
                self.error = cut_out(data, end)
            return KEEP
        if self._hide and e.no_choices and e.usage != NULL:
            return DROP
        for i in range(e.edits):
            if not e.edit[i].cut and self._same(&e.edit[i]):
                e.edit[i].end = e.edit[i].start  # nothing to do here: an empty cut
                e.edit[i].cut = True
            else:
                changes += 1
        if changes == 0:
            return KEEP
        put(run, b.start)
        if whole is None:
            self._edited(&e, b.start, b.end)
        else:
            self._edited_lines(&e, b, data, end)
        return WRITTEN

    cdef bint _same(self, sse_edit *edit) noexcept:
        """Whether the model's name is to stay as it is."""
        cdef Py_ssize_t size = edit.end - edit.start
        if self._name is None:
            return True
        return PyBytes_GET_SIZE(self._name) == size and memcmp(at(self._name), edit.start, size) == 0

    cdef int _edited(self, sse_event *e, const uint8_t *p, const uint8_t *end) except -1:
        """[p, end) into the sink, edits made."""
        cdef int i
        for i in range(e.edits):
            put(p, e.edit[i].start)
            if not e.edit[i].cut:
                put(at(self._name), at(self._name) + PyBytes_GET_SIZE(self._name))
            p = e.edit[i].end
        return put(p, end)

    cdef int _edited_lines(self, sse_event *e, sse_block *b, const uint8_t *data, const uint8_t *end) except -1:
        """An event with several data lines into the sink, its data edited and again one data line for each of its lines."""
        cdef size_t before = sink.length
        cdef bytes edited, text
        cdef list out = []
        self._edited(e, data, end)
        edited = PyBytes_FromStringAndSize(sink.text + before, sink.length - before)
        sink.length = before
        for line in lines_of(b):
            if not is_data(line):
                out.append(line)
            elif edited is not None:
                out.extend([b"data: " + part for part in edited.split(b"\n")])
                edited = None
        text = b"\n".join(out) + b"\n\n"
        return put(at(text), at(text) + PyBytes_GET_SIZE(text))
