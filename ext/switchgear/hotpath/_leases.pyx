"""Spending leases in memory. Contract: src/switchgear/hotpath/_leases.pyi.

A bucket's balance is four numbers in a slot of a file mapping, so that what a killed process had not spent can be read
by another one. A taking first leaves `available` and then enters `reserved`; a settling first enters `spent`: killed
between two stores, a process leaves less to be given back than there was, never more.
"""

import os

cimport cython
from libc.math cimport INFINITY
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.mman cimport MAP_ANONYMOUS, MAP_FAILED, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap

cdef enum:
    AVAILABLE = 0
    RESERVED = 1
    SPENT = 2
    SEQ = 3
    KIND = 4
    LENGTH = 5
    BASE = 6
    HEAD = 64         # bytes before the key
    SLOT = 256        # bytes

cdef enum:
    REQUESTS = 0
    INPUT = 1
    OUTPUT = 2
    TOKENS = 3
    CONCURRENT = 4
    COST = 5

cdef enum:
    FIXED = 0  # of `state.store.Kind`: a calendar window or a total
    FAR = 16

SLOT_BYTES = SLOT
FAR_ANSWERS = FAR
KEY_BYTES = SLOT - HEAD


@cython.no_gc  # refers to numbers only, and buckets give their slots back while a cycle is being cleared
cdef class Slots:
    def __cinit__(self, Py_ssize_t count, int fd=-1, Py_ssize_t offset=0):
        cdef void *mapped
        self.data = NULL
        self.count = 0
        self.used = 0
        self.spare = []
        self.shared = fd >= 0
        if count < 0 or count > (1 << 24):
            raise ValueError(f"count: expected 0 to {1 << 24}, got {count}")
        if count == 0:
            return
        if fd >= 0:
            os.posix_fallocate(fd, offset, count * SLOT)
            mapped = mmap(NULL, count * SLOT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset)
        else:
            mapped = mmap(NULL, count * SLOT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if mapped == MAP_FAILED:
            raise MemoryError("no memory for the slots of leases")
        self.data = <char *>mapped
        self.count = count

    def __dealloc__(self):
        if self.data != NULL:
            munmap(self.data, self.count * SLOT)

    def __len__(self):
        return self.used - len(self.spare)

    cdef cell *acquire(self, bytes key, int64_t kind) noexcept:
        # NULL when all are in use or the key is too long: the bucket then counts in memory of its own.
        cdef Py_ssize_t index
        cdef char *at
        cdef cell *slot
        if len(key) > SLOT - HEAD:
            return NULL
        if self.spare:
            index = self.spare.pop()
        elif self.used < self.count:
            index = self.used
            self.used += 1
        else:
            return NULL
        at = self.data + index * SLOT
        slot = <cell *>at
        slot[LENGTH] = 0
        slot[AVAILABLE] = slot[RESERVED] = slot[SPENT] = slot[SEQ] = 0
        slot[KIND] = kind
        memcpy(at + HEAD, <char *>key, len(key))
        slot[LENGTH] = len(key)  # last: a slot without a length is nobody's
        return slot

    cdef void give_back(self, cell *slot) noexcept:
        slot[LENGTH] = 0
        self.spare.append((<char *>slot - self.data) // SLOT)


cdef class Clock:
    def __init__(self):
        self.until = -INFINITY
        self.touched = []


@cython.no_gc_clear  # its slot goes back when it is deallocated, for which it needs `slots`
cdef class Bucket:
    def __cinit__(self, Clock clock not None, Slots slots not None, limit, str key, int resource, bint hard,
                  int64_t kind=0, double ends_at=INFINITY, int64_t base=0):
        if not 0 <= resource <= COST:
            raise ValueError(f"resource: expected 0 to {COST}, got {resource}")
        self.clock = clock
        self.slots = slots
        self.slot = slots.acquire(key.encode(), kind)
        if self.slot == NULL:
            memset(self.own, 0, sizeof(self.own))
            self.slot = <cell *>self.own
        else:
            self.slot[BASE] = base
        self.slot[SPENT] = base
        self.limit = limit
        self.resource = resource
        self.hard = hard
        self.firm = hard and kind == FIXED
        self.ends_at = ends_at

    def __dealloc__(self):
        if self.slot != NULL and self.slot != <cell *>self.own:
            self.slots.give_back(self.slot)

    cdef inline int64_t need(
        self, int64_t requests, int64_t input_tokens, int64_t output_tokens, int64_t cost
    ) noexcept:
        if self.resource == REQUESTS or self.resource == CONCURRENT:
            return requests
        if self.resource == INPUT:
            return input_tokens
        if self.resource == OUTPUT:
            return output_tokens
        if self.resource == TOKENS:
            return input_tokens + output_tokens
        return cost

    cdef inline void touch(self):
        if not self.touched:
            self.touched = True
            self.clock.touched.append(self)

    cdef void book(self, int64_t amount, int64_t *held, int64_t *leased):
        # held: what enters `reserved`. leased: what leaves `available`, less where nothing is checked.
        cdef int64_t from_lease = 0
        if self.hard:
            from_lease = min(amount, self.slot[AVAILABLE])
            self.slot[AVAILABLE] = self.slot[AVAILABLE] - from_lease
        self.slot[RESERVED] = self.slot[RESERVED] + amount
        held[0] += amount
        leased[0] += from_lease
        self.taken += amount
        self.touch()

    cdef void unbook(self, int64_t actual, int64_t held, int64_t leased):
        cdef int64_t back
        if self.resource == CONCURRENT:
            actual = 0
        elif actual > 0:
            self.slot[SPENT] = self.slot[SPENT] + actual
        self.slot[RESERVED] = self.slot[RESERVED] - held
        if self.hard:
            back = leased - actual
            if back < 0 and -back > self.slot[AVAILABLE]:
                back = -self.slot[AVAILABLE]  # the rest is a debt: `spent` tells the store of it
            self.slot[AVAILABLE] = self.slot[AVAILABLE] + back
        self.touch()

    @property
    def available(self):
        return self.slot[AVAILABLE]

    @property
    def reserved(self):
        return self.slot[RESERVED]

    @property
    def spent(self):
        return self.slot[SPENT]

    @property
    def seq(self):
        return self.slot[SEQ]

    @property
    def adoptable(self):
        return self.slots.shared and self.slot != <cell *>self.own

    def number(self, int64_t seq):
        self.slot[SEQ] = seq

    def grant(self, int64_t amount):
        if amount < 0:
            raise ValueError("amount: expected >= 0")
        self.slot[AVAILABLE] = self.slot[AVAILABLE] + amount

    def withdraw(self, int64_t amount):
        amount = max(0, min(amount, self.slot[AVAILABLE]))
        self.slot[AVAILABLE] = self.slot[AVAILABLE] - amount
        return amount

    def untouch(self):
        self.touched = False


# No freelist: what comes out of one counts as finalized, and its `__del__` would not be called.
cdef class Reservation:
    def __cinit__(self):
        self.cells = NULL
        self.done = True

    def __dealloc__(self):
        free(self.cells)

    def __del__(self):
        # Dropped without an end: nobody knows what it cost, so it cost what was reserved.
        cdef Py_ssize_t index, count
        cdef Bucket bucket
        if self.done:
            return
        self.done = True
        count = len(self.buckets)
        for index in range(count):
            bucket = <Bucket>self.buckets[index]
            bucket.unbook(self.cells[index], self.cells[index], self.cells[count + index])

    def held(self, Py_ssize_t index):
        if not 0 <= index < len(self.buckets):
            raise IndexError(f"bucket {index} of {len(self.buckets)}")
        return self.cells[index]

    cpdef bint settle(self, int64_t input_tokens, int64_t output_tokens, int64_t cost_nanousd):
        return self.finish(1, max(0, input_tokens), max(0, output_tokens), max(0, cost_nanousd))

    cpdef bint release(self):
        return self.finish(0, 0, 0, 0)

    cdef bint finish(self, int64_t requests, int64_t input_tokens, int64_t output_tokens, int64_t cost):
        cdef Py_ssize_t index, count
        cdef int64_t actual
        cdef Bucket bucket
        if self.done:
            return False
        self.done = True
        count = len(self.buckets)
        for index in range(count):
            bucket = <Bucket>self.buckets[index]
            if bucket.resource == REQUESTS:
                actual = self.cells[index] if requests else 0
            else:
                actual = bucket.need(0, input_tokens, output_tokens, cost)
            bucket.unbook(actual, self.cells[index], self.cells[count + index])
        return True

    cpdef bint extend(
        self, double now, int64_t output_tokens, int64_t cost_nanousd, int64_t longest=-1, int64_t dearest=-1
    ):
        cdef Py_ssize_t index, count = len(self.buckets)
        cdef int64_t amount
        cdef Bucket bucket
        if self.done:
            return False
        output_tokens, cost_nanousd = max(0, output_tokens), max(0, cost_nanousd)
        longest, dearest = of_firm(output_tokens, longest), of_firm(cost_nanousd, dearest)
        for index in range(count):
            bucket = <Bucket>self.buckets[index]
            amount = wanted(bucket, 0, 0, output_tokens, cost_nanousd, longest, dearest)
            if amount > 0 and lacks(bucket, now, amount):
                return False
        for index in range(count):
            bucket = <Bucket>self.buckets[index]
            amount = wanted(bucket, 0, 0, output_tokens, cost_nanousd, longest, dearest)
            if amount > 0:
                bucket.book(amount, &self.cells[index], &self.cells[count + index])
        return True

    def short(
        self, double now, int64_t output_tokens, int64_t cost_nanousd, int64_t longest=-1, int64_t dearest=-1
    ):
        longest, dearest = of_firm(output_tokens, longest), of_firm(cost_nanousd, dearest)
        return shortage(self.buckets, now, 0, 0, output_tokens, cost_nanousd, longest, dearest)

    @property
    def sets(self):
        return self.buckets


cdef inline int64_t of_firm(int64_t amount, int64_t firm) noexcept:
    return firm if firm >= 0 else amount


cdef inline int64_t wanted(
    Bucket bucket, int64_t requests, int64_t input_tokens, int64_t output_tokens, int64_t cost, int64_t longest,
    int64_t dearest,
) noexcept:
    if bucket.firm:
        return bucket.need(requests, input_tokens, longest, dearest)
    return bucket.need(requests, input_tokens, output_tokens, cost)


cdef inline bint lacks(Bucket bucket, double now, int64_t amount) noexcept:
    if not bucket.hard:
        return now >= bucket.ends_at
    if bucket.bypass:
        return False
    return bucket.slot[AVAILABLE] < amount or now >= bucket.ends_at or now >= bucket.clock.until


cdef list shortage(
    tuple buckets, double now, int64_t requests, int64_t input_tokens, int64_t output_tokens, int64_t cost,
    int64_t longest, int64_t dearest,
):
    cdef list found = []
    cdef Bucket bucket
    cdef int64_t amount
    for item in buckets:
        bucket = <Bucket>item
        amount = wanted(bucket, requests, input_tokens, output_tokens, cost, longest, dearest)
        if lacks(bucket, now, amount):
            found.append((bucket, amount))
    return found


cdef class LimitSet:
    def __cinit__(self, Clock clock not None, tuple buckets not None, plan=None):
        for bucket in buckets:
            if not isinstance(bucket, Bucket):
                raise TypeError(f"expected buckets, got {type(bucket).__name__}")
        self.clock = clock
        self.buckets = buckets
        self.plan = plan

    def __len__(self):
        return len(self.buckets)

    cpdef bint far(self, int64_t input_tokens, int64_t longest, int64_t dearest):
        cdef Bucket bucket
        for item in self.buckets:
            bucket = <Bucket>item
            if bucket.firm and bucket.need(0, input_tokens, longest, dearest) > (
                bucket.slot[AVAILABLE] + max(0, bucket.free)
            ) // FAR:
                return False
        return True

    def replace(self, tuple buckets not None):
        for bucket in buckets:
            if not isinstance(bucket, Bucket):
                raise TypeError(f"expected buckets, got {type(bucket).__name__}")
        self.buckets = buckets

    cpdef Reservation take(
        self, double now, int64_t requests, int64_t input_tokens, int64_t output_tokens, int64_t cost_nanousd,
        int64_t longest=-1, int64_t dearest=-1,
    ):
        cdef tuple buckets = self.buckets
        cdef Py_ssize_t index, count = len(buckets)
        cdef Bucket bucket
        cdef Reservation made
        if requests < 0 or input_tokens < 0 or output_tokens < 0 or cost_nanousd < 0:
            raise ValueError("amounts: expected >= 0")
        longest, dearest = of_firm(output_tokens, longest), of_firm(cost_nanousd, dearest)
        for index in range(count):
            bucket = <Bucket>buckets[index]
            if lacks(
                bucket, now, wanted(bucket, requests, input_tokens, output_tokens, cost_nanousd, longest, dearest)
            ):
                return None
        made = Reservation.__new__(Reservation)
        made.cells = <int64_t *>calloc(2 * count + 1, sizeof(int64_t))
        if made.cells == NULL:
            raise MemoryError
        made.buckets = buckets
        made.done = False
        for index in range(count):
            bucket = <Bucket>buckets[index]
            bucket.book(
                wanted(bucket, requests, input_tokens, output_tokens, cost_nanousd, longest, dearest),
                &made.cells[index], &made.cells[count + index],
            )
        return made

    def short(
        self, double now, int64_t requests, int64_t input_tokens, int64_t output_tokens, int64_t cost_nanousd,
        int64_t longest=-1, int64_t dearest=-1,
    ):
        longest, dearest = of_firm(output_tokens, longest), of_firm(cost_nanousd, dearest)
        return shortage(self.buckets, now, requests, input_tokens, output_tokens, cost_nanousd, longest, dearest)
