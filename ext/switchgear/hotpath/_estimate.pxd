"""So that _unary estimates without a detour through Python."""

cdef class Family:
    cdef double ratio
    cdef double deviation
    cdef double error
    cdef double output
    cdef long long prompts
    cdef long long answers
    cdef long long used

cdef long long count(bytes body)

cdef class Estimates:
    cdef dict families        # by name
    cdef dict names           # of models as they were asked for -> their family; emptied whenever one is forgotten
    cdef Py_ssize_t most
    cdef long long clock
    cpdef long long raw(self, str model, bytes body) except -1
    cpdef tuple prompt(self, str model, bytes body)
    cpdef long long upper(self, str model, long long raw) except -1
    cpdef long long expected(self, str model, long long raw) except -1
    cpdef long long output(self, str model, long long max_tokens, long long n=*) except -1
    cpdef int observe(
        self, str model, long long raw, long long input_tokens, long long output_tokens, long long n=*
    ) except -1
    cdef Family known(self, str model)
    cdef Family add(self, str model)
