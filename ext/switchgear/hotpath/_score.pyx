# cython: freethreading_compatible=False
"""Choosing among a model's targets. Documentation in the stub; reference in tests/reference/score.py."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from libc.stdlib cimport free, malloc


cdef struct Entry:
    double weight
    double held_until
    int tier


cdef class TargetTable:
    cdef Entry* entries
    cdef Py_ssize_t count

    def __cinit__(self, tiers, weights):
        cdef Py_ssize_t i
        self.count = len(tiers)
        if self.count == 0 or len(weights) != self.count:
            raise ValueError("a table needs as many weights as tiers, and at least one")
        self.entries = <Entry*>malloc(self.count * sizeof(Entry))
        if self.entries is NULL:
            raise MemoryError
        for i in range(self.count):
            self.entries[i].tier = tiers[i]
            self.entries[i].weight = weights[i]
            self.entries[i].held_until = 0.0
            if not (0.0 <= self.entries[i].weight < 1e300):
                raise ValueError("a weight is a finite number, zero or more")

    def __dealloc__(self):
        free(self.entries)

    def __len__(self):
        return self.count

    cpdef Py_ssize_t pick(self, double now, double draw, bytearray tried=None) except -2:
        cdef const unsigned char* left_out = NULL
        if tried is not None:
            if PyByteArray_GET_SIZE(tried) != self.count:
                raise ValueError("one byte a target")
            left_out = <const unsigned char*>PyByteArray_AS_STRING(tried)
        return choose(self.entries, self.count, now, draw, left_out)

    cpdef hold(self, Py_ssize_t index, double until):
        self.check(index)
        if until > self.entries[index].held_until:
            self.entries[index].held_until = until

    cpdef release(self, Py_ssize_t index):
        self.check(index)
        self.entries[index].held_until = 0.0

    cpdef double held_until(self, Py_ssize_t index) except? -1.0:
        self.check(index)
        return self.entries[index].held_until

    cpdef Py_ssize_t available(self, double now):
        cdef Py_ssize_t i, count = 0
        for i in range(self.count):
            count += self.entries[i].held_until <= now
        return count

    cdef int check(self, Py_ssize_t index) except -1:
        if not 0 <= index < self.count:
            raise IndexError("no such target")
        return 0


cdef Py_ssize_t choose(
    const Entry* entries, Py_ssize_t count, double now, double draw, const unsigned char* left_out
) noexcept nogil:
    """Two passes: the lowest available tier with its sum of weights, then the draw. One more where nothing is available."""
    cdef Py_ssize_t i, last = -1, spare = -1, weightless = 0
    cdef int tier = 0
    cdef double total = 0.0
    for i in range(count):
        if left_out is not NULL and left_out[i]:
            continue
        if entries[i].held_until > now:
            if spare < 0 or sooner(&entries[i], &entries[spare]):
                spare = i
            continue
        if last < 0 or entries[i].tier < tier:
            tier, total, weightless = entries[i].tier, 0.0, 0
        elif entries[i].tier > tier:
            continue
        last = i
        total += entries[i].weight
        weightless += entries[i].weight == 0.0
    if last < 0:
        return spare
    if total == 0.0:  # only targets of weight 0 are left: an even draw
        total = draw * <double>weightless
    else:
        total = draw * total
        weightless = 0
    for i in range(count):
        if (left_out is not NULL and left_out[i]) or entries[i].tier != tier or entries[i].held_until > now:
            continue
        if weightless == 0 and entries[i].weight == 0.0:
            continue
        last = i  # where rounding leaves a rest, the last one takes it
        total -= 1.0 if weightless else entries[i].weight
        if total < 0.0:
            break
    return last


cdef bint sooner(const Entry* one, const Entry* other) noexcept nogil:
    if one.held_until != other.held_until:
        return one.held_until < other.held_until
    return one.tier < other.tier
