"""So that _unary picks without a detour through Python."""

cdef class TargetTable:
    cdef Py_ssize_t count
    cdef int *tiers
    cdef double *weights
    cdef double *until
    cdef const unsigned char *left_out(self, bytearray tried) except? NULL
    cdef int check(self, Py_ssize_t index) except -1
    cpdef Py_ssize_t pick(self, double now, double draw, bytearray tried=*) except? -1
