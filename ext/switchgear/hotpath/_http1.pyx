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


include "_http1_names.pxi"


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


include "_http1_fields.pxi"


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


include "_http1_chunked.pxi"
