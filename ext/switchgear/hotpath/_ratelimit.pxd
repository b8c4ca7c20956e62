"""So that _unary tells of limits without a detour through Python."""

cdef class Family:
    cdef bytes limit_name
    cdef bytes remaining_name
    cdef bytes reset_name
    cdef bint absolute
    cdef list candidates
    cpdef int tell(self, list headers, double now_s) except -1
