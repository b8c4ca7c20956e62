"""HTTP/1.1 heads and chunked bodies in C; interface and rules in src/switchgear/hotpath/_http1.pyi.

A head is read in three passes that each run at memory speed: find its end (memchr from line to line), check all of it
for control characters (one loop that the compiler vectorises), then split it into lines. Header names come out of a
fixed-size cache keyed by the bytes as sent, which holds the lower-case object, so that a name costs no allocation, no
validation and no classification after it was first seen.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE, _PyBytes_Resize
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset


class ParseError(ValueError):
    """The bytes are not an HTTP/1.1 message; the message says what is wrong and holds none of the bytes."""


class Incomplete(ParseError):
    """The input ended inside the message."""


# What a header name means to whoever frames or relays the message.
cdef enum Kind:
    PLAIN
    CONTENT_LENGTH
    CONTENT_TYPE
    TRANSFER_ENCODING
    CONNECTION
    HOP                 # other hop-by-hop fields, RFC 9110 §7.6.1

cdef dict KINDS = {
    b"content-length": CONTENT_LENGTH,
    b"content-type": CONTENT_TYPE,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"keep-alive": HOP,
    b"te": HOP,
    b"trailer": HOP,
    b"upgrade": HOP,
}

# RFC 9110 §5.6.2: 0 where a byte is not a token character, else its lower case.
cdef unsigned char[256] TOKEN
memset(TOKEN, 0, sizeof(TOKEN))
for _code in bytearray(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"):
    TOKEN[_code] = _code
for _code in bytearray(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
    TOKEN[_code] = _code + 32

cdef enum:
    NAME_SLOTS = 512        # a power of two; two names in one slot evict each other, which costs time only
    NAME_BYTES = 48         # longer names are not cached
    LINE_BYTES = 4096       # a chunk-size line with its extensions

cdef struct Name:
    PyObject* lower         # owned; NULL: empty slot
    unsigned char length
    unsigned char kind
    char[NAME_BYTES] raw

cdef Name[NAME_SLOTS] NAMES
memset(NAMES, 0, sizeof(NAMES))

cdef bytes OK = b"OK"
cdef bytes EMPTY = b""


cdef Py_ssize_t head_end(const char* data, Py_ssize_t length, Py_ssize_t start) noexcept nogil:
    """Offset just after the empty line, or -1. Searching may begin at `start`, two bytes before what is new."""
    cdef Py_ssize_t at = start if start > 0 else 0
    cdef const char* newline
    while at < length:
        newline = <const char*>memchr(data + at, c"\n", length - at)
        if newline == NULL:
            return -1
        at = newline - data + 1
        if at < length:
            if data[at] == c"\n":
                return at + 1
            if data[at] == c"\r" and at + 1 < length and data[at + 1] == c"\n":
                return at + 2
    return -1


cdef bint unclean(const unsigned char* data, Py_ssize_t length) noexcept nogil:
    """Whether a control character other than HTAB stands in the head, or a CR without its LF.

    The last byte is LF, so the byte after a CR can always be looked at. No branch leaves the loop: it is vectorised.
    """
    cdef unsigned char bad = 0
    cdef unsigned char c
    cdef Py_ssize_t i
    for i in range(length - 1):
        c = data[i]
        bad |= (
            ((c < 32) & (c != 9) & (c != 10) & (c != 13))
            | (c == 127)
            | ((c == 13) & (data[i + 1] != 10))
        )
    return bad


cdef inline bint same(const char* data, Py_ssize_t length, const char* lower, Py_ssize_t lower_length) noexcept nogil:
    """Case-insensitive equality with a lower-case ASCII literal."""
    cdef Py_ssize_t i
    cdef unsigned char c
    if length != lower_length:
        return False
    for i in range(length):
        c = <unsigned char>data[i]
        if c >= 65 and c <= 90:
            c += 32
        if c != <unsigned char>lower[i]:
            return False
    return True


cdef inline uint64_t word(const char* data) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, data, 8)
    return value


cdef inline uint64_t name_hash(const char* data, Py_ssize_t length) noexcept nogil:
    """First, middle and last eight bytes and the length: enough to tell apart the names one server sends."""
    cdef uint64_t a = 0
    cdef uint64_t b = 0
    cdef uint64_t c = 0
    if length >= 8:
        a = word(data)
        b = word(data + length // 2 - 4)
        c = word(data + length - 8)
    else:
        memcpy(&a, data, length)
    a = (a ^ (b * <uint64_t>0x9E3779B97F4A7C15)) + c * <uint64_t>0xC2B2AE3D27D4EB4F + <uint64_t>length
    a ^= a >> 32
    a *= <uint64_t>0xD6E8FEB86659FD93
    return a ^ (a >> 32)


cdef bytes learn_name(const char* data, Py_ssize_t length, Name* slot, int* kind):
    """Check and lower a name that is not in the cache, and put it there."""
    cdef unsigned char lowered
    cdef Py_ssize_t i
    if length == 0:
        raise ParseError("a header line without a name")
    cdef bytes name = PyBytes_FromStringAndSize(NULL, length)
    cdef char* out = PyBytes_AS_STRING(name)
    for i in range(length):
        lowered = TOKEN[<unsigned char>data[i]]
        if lowered == 0:
            raise ParseError("a header name with a character that must not be in it")
        out[i] = <char>lowered
    kind[0] = KINDS.get(name, HOP if name.startswith(b"proxy-") else PLAIN)
    if length <= NAME_BYTES:
        Py_XDECREF(slot.lower)
        Py_INCREF(name)
        slot.lower = <PyObject*>name
        slot.length = <unsigned char>length
        slot.kind = <unsigned char>kind[0]
        memcpy(slot.raw, data, length)
    return name


cdef inline bytes header_name(const char* data, Py_ssize_t length, int* kind):
    cdef Name* slot = &NAMES[name_hash(data, length) & (NAME_SLOTS - 1)]
    if slot.lower != NULL and slot.length == length and memcmp(slot.raw, data, length) == 0:
        kind[0] = slot.kind
        return <bytes>slot.lower
    return learn_name(data, length, slot, kind)


cdef int note_content_length(const char* value, Py_ssize_t length, Facts* facts) except -1:
    cdef long long number = 0
    cdef Py_ssize_t i
    if length == 0 or length > 18:
        raise ParseError("a content-length that is not a number of bytes")
    for i in range(length):
        if value[i] < c"0" or value[i] > c"9":
            raise ParseError("a content-length that is not a number of bytes")
        number = number * 10 + (value[i] - c"0")
    if facts.content_length >= 0 and facts.content_length != number:
        raise ParseError("two different content-lengths")
    facts.content_length = number
    return 0


cdef bint is_event_stream(const char* value, Py_ssize_t length) noexcept nogil:
    if length < 17 or not same(value, 17, "text/event-stream", 17):
        return False
    return length == 17 or value[17] == c";" or value[17] == c" " or value[17] == c"\t"


cdef list connection_options(bytes value, Facts* facts, list named):
    """Options of a connection header that is more than one well-known word."""
    for option in value.lower().split(b","):
        option = option.strip(b" \t")
        if option == b"close":
            facts.close = True
        elif option and option != b"keep-alive":
            named = named or []
            named.append(option)
    return named


cdef int read_fields(const char* at, const char* end, Facts* facts, list headers, bint drop_hops) except -1:
    """Header lines up to and including the empty line. `facts` NULL: trailers, checked for their syntax only."""
    cdef const char* newline
    cdef const char* stop
    cdef const char* value
    cdef const char* colon
    cdef Py_ssize_t length
    cdef int kind = PLAIN
    cdef bytes name
    cdef list named = None
    while True:
        newline = <const char*>memchr(at, c"\n", end - at)
        if newline == NULL:
            raise ParseError("no empty line at the end of the header")
        stop = newline
        if stop > at and (stop - 1)[0] == c"\r":
            stop -= 1
        if stop == at:
            break
        if at[0] == c" " or at[0] == c"\t":
            raise ParseError("a folded header line")
        colon = <const char*>memchr(at, c":", stop - at)
        if colon == NULL:
            raise ParseError("a header line without a colon")
        name = header_name(at, colon - at, &kind)
        value = colon + 1
        at = newline + 1
        while value < stop and (value[0] == c" " or value[0] == c"\t"):
            value += 1
        while stop > value and ((stop - 1)[0] == c" " or (stop - 1)[0] == c"\t"):
            stop -= 1
        length = stop - value
        if facts == NULL:
            continue
        if kind != PLAIN:
            if kind == CONTENT_LENGTH:
                if facts.content_length >= 0:
                    # The same value again is one value (RFC 9110 §8.6); the second line goes.
                    note_content_length(value, length, facts)
                    continue
                note_content_length(value, length, facts)
            elif kind == TRANSFER_ENCODING:
                if facts.chunked or not same(value, length, "chunked", 7):
                    raise ParseError("a transfer-encoding other than chunked")
                facts.chunked = True
            elif kind == CONNECTION:
                if same(value, length, "close", 5):
                    facts.close = True
                elif not same(value, length, "keep-alive", 10):
                    named = connection_options(value[:length], facts, named)
            elif kind == CONTENT_TYPE:
                facts.event_stream = is_event_stream(value, length)
            if drop_hops and kind >= TRANSFER_ENCODING:
                continue
        headers.append((name, PyBytes_FromStringAndSize(value, length)))
    if facts != NULL:
        if facts.chunked and facts.content_length >= 0:
            raise ParseError("both content-length and transfer-encoding")
        if facts.chunked and facts.minor == 0:
            raise ParseError("a transfer-encoding in an HTTP/1.0 message")
        if drop_hops and named is not None:
            headers[:] = [header for header in headers if header[0] not in named]
    return 0


cdef inline const char* end_of_line(const char* newline, const char* start) noexcept nogil:
    return newline - 1 if newline > start and (newline - 1)[0] == c"\r" else newline


cdef void forget(Facts* facts) noexcept nogil:
    memset(facts, 0, sizeof(Facts))
    facts.content_length = -1


cdef bytes response_head(const char* data, Py_ssize_t length, Facts* facts, list headers, bint drop_hops):
    """Read a whole head of exactly `length` bytes (as `head_end` found it); the reason phrase.

    drop_hops: leave hop-by-hop headers out of `headers`. Raises ParseError.
    """
    cdef const char* newline
    cdef const char* stop
    cdef bytes reason
    forget(facts)
    if unclean(<const unsigned char*>data, length):
        raise ParseError("a control character in the header")
    newline = <const char*>memchr(data, c"\n", length)
    if newline == NULL:
        raise ParseError("no empty line at the end of the header")
    stop = end_of_line(newline, data)
    # HTTP/1.x SP 3DIGIT [SP reason]; the space after the status is missing in what some servers send.
    if (
        stop - data < 12
        or memcmp(data, <const char*>b"HTTP/1.", 7) != 0
        or data[7] < c"0" or data[7] > c"9"
        or data[8] != c" "
        or data[9] < c"1" or data[9] > c"9"
        or data[10] < c"0" or data[10] > c"9"
        or data[11] < c"0" or data[11] > c"9"
        or (stop - data > 12 and data[12] != c" ")
    ):
        raise ParseError("no HTTP/1 status line")
    facts.minor = data[7] - c"0"
    facts.status = (data[9] - c"0") * 100 + (data[10] - c"0") * 10 + (data[11] - c"0")
    if stop - data == 15 and data[13] == c"O" and data[14] == c"K":
        reason = OK
    elif stop - data <= 13:
        reason = EMPTY
    else:
        reason = PyBytes_FromStringAndSize(data + 13, stop - data - 13)
    read_fields(newline + 1, data + length, facts, headers, drop_hops)
    return reason


def parse_response_head(bytes data not None, Py_ssize_t limit=65536):
    cdef const char* raw = PyBytes_AS_STRING(data)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t end = head_end(raw, length, 0)
    cdef Facts facts
    cdef list headers = []
    if end > limit or (end < 0 and length > limit):
        raise ParseError("a header that is too long")
    if end < 0:
        if memcmp(raw, <const char*>b"HTTP/1.", min(length, 7)) != 0:
            raise ParseError("no HTTP/1 status line")
        return None
    reason = response_head(raw, end, &facts, headers, False)
    return end, facts.minor, facts.status, reason, headers


cdef Py_ssize_t skip_empty_lines(const char* data, Py_ssize_t length) noexcept nogil:
    """RFC 9112 §2.2: a server ignores empty lines before a request line."""
    cdef Py_ssize_t at = 0
    while at < length:
        if data[at] == c"\n":
            at += 1
        elif data[at] == c"\r" and at + 1 < length and data[at + 1] == c"\n":
            at += 2
        else:
            break
    return at


cdef bint is_token(const char* data, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(length):
        if TOKEN[<unsigned char>data[i]] == 0:
            return False
    return length > 0


cdef bint is_target(const char* data, Py_ssize_t length) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(length):
        if <unsigned char>data[i] < 33 or <unsigned char>data[i] > 126:
            return False
    return length > 0


def parse_request_head(bytes data not None, Py_ssize_t limit=65536):
    cdef const char* raw = PyBytes_AS_STRING(data)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t start = skip_empty_lines(raw, length)
    cdef Py_ssize_t end = head_end(raw, length, start)
    cdef const char* newline
    cdef const char* stop
    cdef const char* space
    cdef const char* line
    cdef Facts facts
    cdef list headers = []
    if end > limit or (end < 0 and length > limit):
        raise ParseError("a header that is too long")
    if end < 0:
        return None
    forget(&facts)
    line = raw + start
    if unclean(<const unsigned char*>line, end - start):
        raise ParseError("a control character in the header")
    newline = <const char*>memchr(line, c"\n", end - start)
    stop = end_of_line(newline, line)
    space = <const char*>memchr(line, c" ", stop - line)
    # method SP target SP HTTP/1.x: nine bytes from the second space on
    if (
        space == NULL
        or stop - space < 11
        or not is_token(line, space - line)
        or memcmp(stop - 9, <const char*>b" HTTP/1.", 8) != 0
        or (stop - 1)[0] < c"0" or (stop - 1)[0] > c"9"
        or not is_target(space + 1, stop - 9 - (space + 1))
    ):
        raise ParseError("no HTTP/1 request line")
    facts.minor = (stop - 1)[0] - c"0"
    read_fields(newline + 1, raw + end, &facts, headers, False)
    method = PyBytes_FromStringAndSize(line, space - line)
    target = PyBytes_FromStringAndSize(space + 1, stop - 9 - (space + 1))
    return end, facts.minor, method, target, headers


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
