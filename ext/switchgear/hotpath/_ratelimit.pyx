"""Headers that tell of limits. Contract: src/switchgear/hotpath/_ratelimit.pyi.

Numbers are written with snprintf into a buffer on the stack: they differ from answer to answer, names do not.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.math cimport ceil, fmax
from libc.stdint cimport int64_t
from libc.stdio cimport snprintf
from libc.time cimport gmtime_r, strftime, time_t, tm

from switchgear.hotpath._leases cimport Bucket

cdef enum:
    STEPS = 60  # of state/steps.py
    CALENDAR = 1
    SLIDING = 2
    ROOM = 64

cdef long long EXACT = 1 << 56

cdef dict KINDS = {"calendar": CALENDAR, "sliding": SLIDING}


cdef bytes write_duration(double seconds):
    cdef char text[ROOM]
    cdef int size
    # To the millisecond, rounded up; less than a microsecond is an error of arithmetic.
    cdef long long ms = <long long>ceil(fmax(0.0, seconds) * 1000.0 - 0.0005)
    cdef long long minutes, hours
    cdef int rest
    if ms < 1000:
        if ms == 0:
            return b"0s"
        size = snprintf(text, ROOM, "%dms", <int>ms)
        return PyBytes_FromStringAndSize(text, size)
    minutes = ms // 60000
    rest = <int>(ms - minutes * 60000)
    hours = minutes // 60
    if hours:
        size = snprintf(text, ROOM, "%lldh%dm", hours, <int>(minutes - hours * 60))
    elif minutes:
        size = snprintf(text, ROOM, "%lldm", minutes)
    else:
        size = 0
    size += snprintf(text + size, ROOM - size, "%d", rest // 1000)
    rest %= 1000
    if rest:
        size += snprintf(text + size, ROOM - size, ".%03d", rest)
        while text[size - 1] == 48:  # "0"
            size -= 1
    text[size] = 115  # "s"
    return PyBytes_FromStringAndSize(text, size + 1)


cdef bytes write_time(double unix_s):
    cdef char text[ROOM]
    cdef tm parts
    # Rounded up to the second; a tenth of one is an error of the estimated clock.
    cdef time_t second = <time_t>ceil(unix_s - 0.05)
    gmtime_r(&second, &parts)
    return PyBytes_FromStringAndSize(text, strftime(text, ROOM, "%Y-%m-%dT%H:%M:%SZ", &parts))


cdef bytes write_number(long long number):
    cdef char text[ROOM]
    return PyBytes_FromStringAndSize(text, snprintf(text, ROOM, "%lld", number))


def go_duration(double seconds):
    return write_duration(seconds).decode("ascii")


def rfc3339(double unix_s):
    return write_time(unix_s).decode("ascii")


cdef long long left_of(Bucket bucket, long long capacity):
    state = bucket.state
    if not state.heard:
        return capacity
    if not bucket.hard:
        return max(0, capacity - <long long>state.spent)
    return bucket.slot[0] + max(0, <long long>state.free)


def remaining(Bucket bucket not None, long long capacity):
    return left_of(bucket, capacity)


cdef class Family:
    def __init__(self, names, candidates, bint absolute):
        self.limit_name, self.remaining_name, self.reset_name = names
        self.absolute = absolute
        self.candidates = [Candidate(*candidate) for candidate in candidates]
        if not self.candidates:
            raise ValueError("a family of limits has at least one")

    cpdef int tell(self, list headers, double now_s) except -1:
        cdef Candidate candidate, found = None
        cdef long long left = 0, rest
        cdef double wait
        for candidate in self.candidates:
            rest = min(left_of(candidate.bucket, candidate.capacity), candidate.capacity)
            # Which has least left, as a part of its capacity.
            if found is None or <double>rest * found.capacity < <double>left * candidate.capacity:
                found = candidate
                left = rest
        headers.append((self.limit_name, found.written))
        headers.append((self.remaining_name, write_number(left)))
        if found.kind == CALENDAR:
            wait = fmax(0.0, found.bucket.state.end_s - now_s)
        elif found.kind == SLIDING:
            wait = found.whole_in_ms(found.capacity - left) / 1000.0
        else:  # never as new again
            return 0
        headers.append((self.reset_name, write_time(now_s + wait) if self.absolute else write_duration(wait)))
        return 0


cdef class Candidate:
    cdef Bucket bucket
    cdef long long capacity
    cdef long long length_ms
    cdef int kind
    cdef bytes written

    def __init__(self, Bucket bucket not None, long long capacity, str kind not None, long long length_ms):
        self.bucket = bucket
        self.capacity = capacity
        self.kind = KINDS.get(kind, 0)
        self.length_ms = length_ms
        self.written = write_number(capacity)

    cdef double whole_in_ms(self, long long taken):
        """As `state.steps.wait_ms`; the part of a step that is over is known from the store."""
        cdef long long steps, first = self.bucket.state.next_ms
        if taken <= 0 or self.capacity <= 0:
            return 0.0
        if taken < EXACT:
            steps = (taken * STEPS + self.capacity - 1) // self.capacity
        else:  # 64 bits would not do
            steps = <long long>ceil(<double>taken * STEPS / <double>self.capacity)
        return <double>((first or self.length_ms // STEPS) + (steps - 1) * self.length_ms // STEPS)
