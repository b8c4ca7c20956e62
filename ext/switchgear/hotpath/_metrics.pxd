"""So that _unary counts without a detour through Python."""

cdef class Slab:
    cdef double *data
    cdef Py_ssize_t slots
    cdef bint writable
    cdef void unmap(self) noexcept
    cdef int check(self, Py_ssize_t first, Py_ssize_t count, bint write) except -1
    cdef int refuse(self, Py_ssize_t first, Py_ssize_t count) except -1
    cpdef int add(self, Py_ssize_t slot, double amount=*) except -1
    cpdef int observe(self, Py_ssize_t first, tuple bounds, double value) except -1
