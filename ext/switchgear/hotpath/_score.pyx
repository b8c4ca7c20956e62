"""Choosing among a model's targets. Strategy and contract: src/switchgear/hotpath/_score.pyi.

One pass over the arrays finds the lowest tier with an available target and what its weights sum to, a second one
walks the cumulated weights up to the draw. Both are branches and additions over three C arrays: at 1,000 targets the
arrays are 20 KB and stay in the first-level cache, so keeping them sorted by tier would save nothing worth its code.
"""

from libc.math cimport INFINITY, isfinite, isnan
from libc.stdlib cimport free, malloc


cdef class TargetTable:
    def __cinit__(self, list tiers not None, list weights not None):
        cdef Py_ssize_t index
        cdef double weight
        self.count = 0
        self.tiers = NULL
        self.weights = NULL
        self.until = NULL
        if len(tiers) != len(weights):
            raise ValueError(f"{len(tiers)} tiers but {len(weights)} weights")
        # One element at least: malloc(0) may give NULL.
        self.tiers = <int *>malloc((len(tiers) + 1) * sizeof(int))
        self.weights = <double *>malloc((len(tiers) + 1) * sizeof(double))
        self.until = <double *>malloc((len(tiers) + 1) * sizeof(double))
        if self.tiers == NULL or self.weights == NULL or self.until == NULL:
            raise MemoryError
        for index in range(len(tiers)):
            weight = weights[index]
            if not isfinite(weight) or weight < 0:
                raise ValueError(f"weights[{index}]: expected a finite number >= 0, got {weight!r}")
            self.tiers[index] = tiers[index]
            self.weights[index] = weight
            self.until[index] = -INFINITY
        self.count = len(tiers)

    def __dealloc__(self):
        free(self.tiers)
        free(self.weights)
        free(self.until)

    def __len__(self):
        return self.count

    cdef const unsigned char *left_out(self, bytearray tried) except? NULL:
        if tried is None:
            return NULL
        if len(tried) < self.count:
            raise ValueError(f"tried has {len(tried)} bytes for {self.count} targets")
        return <const unsigned char *><char *>tried

    cdef int check(self, Py_ssize_t index) except -1:
        if index < 0 or index >= self.count:
            raise IndexError(f"target {index} of {self.count}")
        return 0

    cpdef Py_ssize_t pick(self, double now, double draw, bytearray tried=None) except? -1:
        cdef const unsigned char *out = self.left_out(tried)
        cdef Py_ssize_t index
        cdef Py_ssize_t last = -1     # of the best tier, one that may be drawn
        cdef Py_ssize_t soonest = -1  # of all, the one to fall back on
        cdef Py_ssize_t members = 0   # available targets in the best tier
        cdef int best = 0
        cdef double total = 0
        cdef double mark
        for index in range(self.count):
            if out != NULL and out[index]:
                continue
            if self.until[index] > now:
                if soonest < 0 or self.until[index] < self.until[soonest] or (
                    self.until[index] == self.until[soonest] and self.tiers[index] < self.tiers[soonest]
                ):
                    soonest = index
                continue
            if members == 0 or self.tiers[index] < best:
                best = self.tiers[index]
                members = 0
                total = 0
            elif self.tiers[index] > best:
                continue
            members += 1
            total += self.weights[index]
        if members == 0:
            return soonest
        # Weights of 0 only: all alike.
        mark = draw * (total if total > 0 else members)
        for index in range(self.count):
            if (out != NULL and out[index]) or self.until[index] > now or self.tiers[index] != best:
                continue
            if total > 0:
                if self.weights[index] == 0:
                    continue
                mark -= self.weights[index]
            else:
                mark -= 1
            last = index
            if mark < 0:
                return index
        # Rounding can leave a draw just under 1 at or above zero.
        return last

    def hold(self, Py_ssize_t index, double until):
        self.check(index)
        if isnan(until):
            raise ValueError("until is not a number")
        if until > self.until[index]:
            self.until[index] = until

    def release(self, Py_ssize_t index):
        self.check(index)
        self.until[index] = -INFINITY

    def held_until(self, Py_ssize_t index):
        self.check(index)
        return self.until[index]

    def available(self, double now):
        cdef Py_ssize_t index, found = 0
        for index in range(self.count):
            found += self.until[index] <= now
        return found

    def wait(self, double now, bytearray tried=None):
        cdef const unsigned char *out = self.left_out(tried)
        cdef Py_ssize_t index
        cdef double soonest = INFINITY
        for index in range(self.count):
            if out != NULL and out[index]:
                continue
            if self.until[index] <= now:
                return 0.0
            if self.until[index] < soonest:
                soonest = self.until[index]
        return soonest - now
