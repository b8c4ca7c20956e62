cdef struct Band
cdef struct Edge

cdef struct Bands:
    Band *bands
    Py_ssize_t count

cdef class PriceTable:
    cdef long long image, request
    cdef Bands usual
    cdef Bands *tables
    cdef Edge *edges
    cdef Py_ssize_t edge_count
    cdef dict names

    cdef int note_edges(self) except -1
    cpdef object cost(self, object usage)
    cpdef object upper(self, long long input_tokens, long long output_tokens, long long images=*)
    cdef Band *band(self, object service_tier, long long tokens)
