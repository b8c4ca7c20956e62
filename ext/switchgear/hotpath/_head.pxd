"""So that _unary reads a `Head` without a detour through Python."""

cdef class Head:
    cdef readonly bytes token
    cdef readonly bytes content_type
    cdef readonly bytes coding
    cdef readonly bytes origin
    cdef readonly bytes provider
    cdef readonly bytes request_id
    cdef readonly bytes strict
    cdef readonly bytes tags
    cdef readonly Py_ssize_t length
    cdef readonly list forwarded
