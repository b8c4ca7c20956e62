"""Counters in a shared file mapping. Contract: src/switchgear/hotpath/_metrics.pyi.

The file is allocated, not only extended: on a full file system creation fails with ENOSPC, where a sparse file
would raise SIGBUS at some later store. Files only grow, so a reader's mapping stays valid whatever the writer does.
Slots are 8-byte aligned, and an aligned 8-byte store is one store on every platform that wheels are built for.
"""

import errno
import os

from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from libc.math cimport isnan
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap


cdef class Slab:
    def __cinit__(self, str path not None, Py_ssize_t slots, bint writable=True):
        cdef void *mapped
        self.data = NULL
        self.slots = 0
        self.writable = writable
        if slots <= 0 or slots > (1 << 40):
            raise ValueError(f"slots: expected a positive number, got {slots}")
        fd = os.open(path, (os.O_RDWR | os.O_CREAT if writable else os.O_RDONLY) | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(fd).st_size
            if size < slots * 8:
                if not writable:
                    raise ValueError(f"{path}: {size} bytes are too few for {slots} slots")
                os.posix_fallocate(fd, 0, slots * 8)
            mapped = mmap(NULL, slots * 8, PROT_READ | PROT_WRITE if writable else PROT_READ, MAP_SHARED, fd, 0)
        finally:
            os.close(fd)
        if mapped == MAP_FAILED:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), path)
        self.data = <double *>mapped
        self.slots = slots

    def __dealloc__(self):
        self.unmap()

    cdef void unmap(self) noexcept:
        if self.data != NULL:
            munmap(self.data, self.slots * 8)
            self.data = NULL
            self.slots = 0

    def __len__(self):
        return self.slots

    cdef int check(self, Py_ssize_t first, Py_ssize_t count, bint write) except -1:
        # Written so that no sum can overflow.
        if first < 0 or count < 0 or count > self.slots or first > self.slots - count:
            self.refuse(first, count)
        if write and not self.writable:
            raise ValueError("the slab is open for reading only")
        return 0

    cdef int refuse(self, Py_ssize_t first, Py_ssize_t count) except -1:
        if self.data == NULL:
            raise ValueError("the slab is closed")
        raise IndexError(f"slots {first} to {first + count - 1} of {self.slots}")

    cpdef int add(self, Py_ssize_t slot, double amount=1.0) except -1:
        self.check(slot, 1, True)
        self.data[slot] += amount
        return 0

    def get(self, Py_ssize_t slot):
        self.check(slot, 1, False)
        return self.data[slot]

    def set(self, Py_ssize_t slot, double value):
        self.check(slot, 1, True)
        self.data[slot] = value

    cpdef int observe(self, Py_ssize_t first, tuple bounds, double value) except -1:
        cdef Py_ssize_t bucket = 0, count = len(bounds)
        self.check(first, count + 2, True)
        if isnan(value):
            return 0
        # Linear: latencies fall into the first half of some fifteen bounds, where halving would not be faster.
        while bucket < count:
            bound = bounds[bucket]
            if value <= (PyFloat_AS_DOUBLE(bound) if PyFloat_Check(bound) else <double>bound):
                break
            bucket += 1
        self.data[first + bucket] += 1
        self.data[first + count + 1] += value
        return 0

    def read(self, Py_ssize_t first, Py_ssize_t count):
        cdef Py_ssize_t index
        self.check(first, count, False)
        return [self.data[first + index] for index in range(count)]

    def close(self):
        self.unmap()
