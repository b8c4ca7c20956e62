"""What the edge reads of a request's headers, in one pass. Documentation in the stub."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp, memcpy

import os


cdef bytes EMPTY = b""


cdef inline bint same(bytes name, const char* text, Py_ssize_t size) noexcept:
    return memcmp(PyBytes_AS_STRING(name), text, size) == 0


cdef bytes bearer(bytes value):
    """The token of `Bearer token`, or a bare token without a space; b"" for another scheme."""
    cdef const char* text = PyBytes_AS_STRING(value)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(value)
    if size > 7 and text[6] == c' ' and (memcmp(text, b"Bearer", 6) == 0 or value[:6].lower() == b"bearer"):
        return value[7:].strip()
    value = value.strip()
    return EMPTY if b" " in value or value.lower() == b"bearer" else value


cdef class Head:
    def __init__(self, headers, frozenset forward):
        cdef tuple pair
        cdef bytes name, token, api_key = EMPTY
        cdef Py_ssize_t size
        self.token = self.content_type = self.coding = self.origin = self.provider = self.request_id = self.strict = self.tags = EMPTY
        self.length = -1
        self.forwarded = []
        for item in headers:
            pair = item if type(item) is tuple else tuple(item)
            name = pair[0]
            size = PyBytes_GET_SIZE(name)
            if size == 13:
                if same(name, b"authorization", 13):
                    token = bearer(pair[1])
                    # Two that differ are the list they stand for (RFC 9110 §5.3), which is no key: whoever checked one of
                    # them before us must not have let the other one pass.
                    self.token = token if not self.token or token == self.token else self.token + b", " + token
                    continue
            elif size == 12:
                if same(name, b"content-type", 12):
                    self.content_type = pair[1]
                    continue
                if same(name, b"x-request-id", 12):
                    self.request_id = pair[1]
                    continue
            elif size == 14:
                if same(name, b"content-length", 14):
                    self.length = decimal(pair[1])
                    continue
                if same(name, b"x-goog-api-key", 14):
                    api_key = pair[1].strip()
                    continue
            elif size == 16:
                if same(name, b"content-encoding", 16):
                    self.coding = pair[1]
                    continue
            elif size == 6:
                if same(name, b"origin", 6):
                    self.origin = pair[1]
                    continue
            elif size == 9:
                if same(name, b"x-api-key", 9):
                    api_key = pair[1].strip()
                    continue
            elif size == 7:
                if same(name, b"api-key", 7):
                    api_key = pair[1].strip()
                    continue
            elif size == 19:
                if same(name, b"x-switchgear-strict", 19):
                    self.strict = pair[1]
                    continue
            elif size == 17:
                if same(name, b"x-switchgear-tags", 17):
                    self.tags = pair[1]
                    continue
            elif size == 21:
                if same(name, b"x-switchgear-provider", 21):
                    self.provider = pair[1]
                    continue
            if name in forward:
                self.forwarded.append(pair)
        if not self.token:
            self.token = api_key


cdef Py_ssize_t decimal(bytes value) except -3:
    """A decimal number of at most 18 digits; -2 for anything else."""
    cdef const char* text = PyBytes_AS_STRING(value)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(value), number = 0, i
    if size == 0 or size > 18:
        return -2
    for i in range(size):
        if not c'0' <= text[i] <= c'9':
            return -2
        number = number * 10 + (text[i] - c'0')
    return number


cdef class RequestIds:
    cdef bytes prefix
    cdef unsigned long long count

    def __init__(self):
        self.prefix = b"req_" + os.urandom(6).hex().encode()
        self.count = int.from_bytes(os.urandom(2), "big")

    cpdef bytes accept(self, bytes offered):
        cdef bytes made
        cdef char* out
        cdef int i
        if offered and well_formed(PyBytes_AS_STRING(offered), PyBytes_GET_SIZE(offered)):
            return offered
        self.count += 1
        made = PyBytes_FromStringAndSize(NULL, 28)
        out = PyBytes_AS_STRING(made)
        memcpy(out, PyBytes_AS_STRING(self.prefix), 16)
        for i in range(12):
            out[16 + i] = (<const char*>b"0123456789abcdef")[(self.count >> (4 * (11 - i))) & 15]
        return made


cdef bint well_formed(const char* text, Py_ssize_t size) noexcept:
    cdef Py_ssize_t i
    cdef char c
    if size > 128:
        return False
    for i in range(size):
        c = text[i]
        if not (c'a' <= c <= c'z' or c'A' <= c <= c'Z' or c'0' <= c <= c'9'):
            if i == 0 or not (c == c'.' or c == c'_' or c == c':' or c == c'-'):
                return False
    return True


cdef class Exchange:
    cdef readonly object task
    cdef readonly object receive
    cdef readonly double since
    cdef public bint reading
    cdef public str reason
    cdef public object watch
    cdef public object reply
    cdef public long long steps
    cdef public double moved_at

    def __cinit__(self, task, receive, double since):
        self.task = task
        self.receive = receive
        self.since = since
        self.reading = True
        self.reason = ""

    def cancel(self, str reason not None):
        self.reason = reason
        self.task.cancel()
