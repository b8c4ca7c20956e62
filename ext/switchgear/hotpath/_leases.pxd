"""So that _unary takes and settles without a detour through Python."""

from libc.stdint cimport int64_t

cdef extern from *:
    """
    /* Volatile: the order of the stores is what a process that reads the mapping of a killed one relies on. */
    typedef volatile int64_t switchgear_cell;
    """
    ctypedef int64_t cell "switchgear_cell"

cdef class Slots:
    cdef char *data
    cdef Py_ssize_t count
    cdef Py_ssize_t used
    cdef list spare
    cdef bint shared
    cdef cell *acquire(self, bytes key, int64_t kind) noexcept
    cdef void give_back(self, cell *slot) noexcept

cdef class Clock:
    cdef public double until
    cdef public list touched

cdef class Bucket:
    cdef cell *slot
    cdef int64_t own[4]
    cdef Slots slots
    cdef Clock clock
    cdef readonly int resource
    cdef readonly bint hard
    cdef readonly bint firm
    cdef bint touched
    cdef public bint bypass
    cdef public int64_t free
    cdef public double ends_at
    cdef readonly int64_t taken
    cdef public object limit
    cdef public object state
    cdef inline int64_t need(self, int64_t requests, int64_t input_tokens, int64_t output_tokens, int64_t cost) noexcept
    cdef inline void touch(self)
    cdef void book(self, int64_t amount, int64_t *held, int64_t *leased)
    cdef void unbook(self, int64_t actual, int64_t held, int64_t leased)

cdef class Reservation:
    cdef tuple buckets
    cdef int64_t *cells
    cdef readonly bint done
    cpdef bint settle(self, int64_t input_tokens, int64_t output_tokens, int64_t cost_nanousd)
    cpdef bint release(self)
    cpdef bint extend(
        self, double now, int64_t output_tokens, int64_t cost_nanousd, int64_t longest=*, int64_t dearest=*
    )
    cdef bint finish(self, int64_t requests, int64_t input_tokens, int64_t output_tokens, int64_t cost)

cdef class LimitSet:
    cdef readonly tuple buckets
    cdef readonly Clock clock
    cdef public object plan
    cpdef bint far(self, int64_t input_tokens, int64_t longest, int64_t dearest)
    cpdef Reservation take(
        self, double now, int64_t requests, int64_t input_tokens, int64_t output_tokens, int64_t cost_nanousd,
        int64_t longest=*, int64_t dearest=*
    )
