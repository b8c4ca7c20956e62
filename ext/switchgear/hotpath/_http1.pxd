"""What other compiled modules take from _http1 at C level."""


cdef struct Facts:
    # What the header lines say about the message, so that no caller looks for it again.
    int status                  # of a response
    int minor                   # HTTP/1.minor
    long long content_length    # -1: not given
    bint chunked                # transfer-encoding: chunked
    bint close                  # connection: close
    bint event_stream           # content-type: text/event-stream


cdef Py_ssize_t head_end(const char* data, Py_ssize_t length, Py_ssize_t start) noexcept nogil

cdef bytes response_head(const char* data, Py_ssize_t length, Facts* facts, list headers, bint drop_hops)


cdef class ChunkedDecoder:
    cdef readonly bint done
    cdef readonly bytes rest
    cdef str failure                # why decoding stopped; None while all is well
    cdef int state
    cdef int digits                 # of the size, so far
    cdef long long left             # bytes of the current chunk still to come; the size while its line is read
    cdef Py_ssize_t line            # bytes of the current size line
    cdef Py_ssize_t limit           # bytes of trailers at most
    cdef bytearray trailer
    cdef void reset(self) noexcept
    cdef bytes take(self, bytes data, Py_ssize_t start, Py_ssize_t* used)
    cdef Py_ssize_t take_trailer(self, const char* raw, Py_ssize_t at, Py_ssize_t length)
    cdef void finished(self) noexcept
