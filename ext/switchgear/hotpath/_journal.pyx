"""The usage journal of one worker. Interface, format and rules in src/switchgear/hotpath/_journal.pyi.

What holds it together when the process is killed at any instruction:
- A slot of the table is a record, complete and checksummed, before its state says OPEN: it is what the ledger gets if
  nothing else follows.
- Before a record is written, its slot says where (`commit`). Whoever recovers the table looks there: a valid frame
  means that the record was written and only the slot not yet freed; none means that it was not.
- Nobody appends to a segment that another process wrote to: recovery starts a new one, so a torn frame is always
  the last of its segment.

Everything here runs under the GIL and gives it up nowhere in between, so the drain's thread may call it too: files are
opened and written by libc, not by `os`.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.errno cimport ENOSPC, errno
from libc.math cimport isnan
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free as c_free, realloc
from libc.string cimport memcpy, memset
from posix.fcntl cimport O_APPEND, O_CLOEXEC, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_WRONLY, open as c_open
from posix.mman cimport MAP_FAILED, MAP_SHARED, PROT_READ, PROT_WRITE, mmap, munmap
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec
from posix.unistd cimport close as c_close, ftruncate, pread, unlink, write as c_write

import fcntl
import math
import os

cdef extern from "crc32.h":
    void switchgear_crc_init() noexcept nogil
    uint32_t switchgear_crc(uint32_t sum, const unsigned char *data, size_t size) noexcept nogil

cdef extern from *:
    """
    /* The compiler must not move stores across it. For a process that may be killed anywhere that is enough: what
       has retired reaches the shared pages, and instructions retire in order. */
    #define switchgear_fence() __atomic_signal_fence(__ATOMIC_SEQ_CST)
    """
    void switchgear_fence() noexcept nogil

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

switchgear_crc_init()

cdef enum:
    SLOT_BYTES = 8192
    FRAME_AT = sizeof(Slot)   # of a slot: the record as if killed
    FINAL_AT = 4128           # of a slot: a record that could not be written yet
    FRAME_HEAD = 8            # length, checksum
    SEGMENT_HEAD = 32
    MAX_FRAME = 4064          # what fits a slot: SLOT_BYTES - FINAL_AT
    MAX_TEXT = 256            # bytes of one name
    MAX_TAGS = 960
    MAX_ERROR = 64
    LABELS = 10
    FREE = 0
    OPEN = 1
    FINAL = 2
    FIRST_SLOTS = 64
    POSITION_BITS = 40

cdef bytes MAGIC = b"SGUSAGE1"
cdef int64_t MAX_TOKENS = 1 << 40
cdef int64_t MAX_COST = (<int64_t>1 << 53) - 1
cdef double NAN = math.nan
cdef tuple CLASS_NAMES = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
                          "input_audio_tokens", "cached_audio_tokens", "output_audio_tokens", "images")
cdef dict TIERS = {"": 0, "batch": 1, "priority": 2}

SEGMENT_HEAD_BYTES = SEGMENT_HEAD
MAX_FRAME_BYTES = MAX_FRAME
MAX_TAGS_BYTES = MAX_TAGS


class JournalFull(Exception):
    """The quota of undrained bytes, or the table of open requests, has no room."""


class JournalTaken(Exception):
    """Another process holds the journal's lock, or the folder is gone."""


def label(*texts):
    cdef Py_ssize_t size
    cdef list parts = []
    if len(texts) != LABELS:
        raise TypeError(f"label: expected {LABELS} strings, got {len(texts)}")
    for text in texts:
        parts.append(_counted((<str?>text).encode("utf-8", "replace").replace(b"\0", b"?"), MAX_TEXT))
    return b"".join(parts)


cdef bytes _counted(bytes text, Py_ssize_t limit):
    """A string as it stands in a record: its length in two bytes, then itself, cut where a character begins."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(text)
    cdef const unsigned char *data = <const unsigned char *>PyBytes_AS_STRING(text)
    cdef uint16_t count
    if size > limit:
        size = limit
        while size > 0 and (data[size] & 0xC0) == 0x80:
            size -= 1
    count = <uint16_t>size
    return PyBytes_FromStringAndSize(<char *>&count, 2) + text[:size]


cdef int64_t bounded(object value, int64_t top) except -1:
    """The number within 0 … top: an upstream may claim anything, and its row must be stored all the same."""
    cdef int overflow = 0
    cdef long long number = PyLong_AsLongLongAndOverflow(value, &overflow)
    if overflow:
        return top if overflow > 0 else 0
    return 0 if number < 0 else (top if number > top else number)


cdef unsigned char *put_text(unsigned char *to, const char *text, Py_ssize_t size) noexcept:
    cdef uint16_t count = <uint16_t>size
    memcpy(to, &count, 2)
    memcpy(to + 2, text, size)
    return to + 2 + size


cdef void seal(unsigned char *frame, Py_ssize_t size) noexcept:
    """Write length and checksum of a frame whose payload is in place."""
    cdef uint32_t length = <uint32_t>(size - FRAME_HEAD)
    cdef uint32_t checksum
    memcpy(frame, &length, 4)
    checksum = switchgear_crc(switchgear_crc(0, frame, 4), frame + FRAME_HEAD, length)
    memcpy(frame + 4, &checksum, 4)


cdef Py_ssize_t whole_frame(const unsigned char *data, Py_ssize_t left) noexcept:
    """Bytes of the valid frame that begins at data; 0 when none does."""
    cdef uint32_t length, checksum
    if left < FRAME_HEAD:
        return 0
    memcpy(&length, data, 4)
    memcpy(&checksum, data + 4, 4)
    if length < sizeof(Block) or length > MAX_FRAME - FRAME_HEAD or <Py_ssize_t>length > left - FRAME_HEAD:
        return 0
    if switchgear_crc(switchgear_crc(0, data, 4), data + FRAME_HEAD, length) != checksum:
        return 0
    return FRAME_HEAD + <Py_ssize_t>length


cdef class Segment:
    def __cinit__(self, long long number, long long size=0):
        self.number = number
        self.size = size
        self.rows = 0
        self.drained = 0


cdef class Journal:
    def __cinit__(self):
        self.fd = self.lock = self.table_fd = -1
        self.table = NULL
        self.spare = NULL
        self.slots = self.spares = 0

    def __init__(self, str folder not None, *, long long max_bytes=1 << 30, long long segment_bytes=0,
                 bint drop_oldest=False, Py_ssize_t max_slots=32768):
        self.folder = folder
        self.place = os.fsencode(folder)
        self.id = bytes.fromhex(os.path.basename(folder))
        if len(self.id) != 16:
            raise ValueError(f"{folder}: expected a folder named by 32 hexadecimal digits")
        self.max_bytes = max_bytes
        self.segment_bytes = segment_bytes or min(8 << 20, max(4096, max_bytes // 8))
        self.drop_oldest = drop_oldest
        self.max_slots = max_slots
        self.pinned = -1
        self.stuck = []
        self.segments = []
        try:
            self._lock()
            self._find_segments()
            self.rotate()
            self.recover()
        except BaseException:
            self.close()
            raise

    def __dealloc__(self):
        self.unmap()

    def _lock(self):
        path = os.path.join(self.folder, "lock")
        try:
            self.lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The folder may have been removed, with the lock in it, between the two lines above.
            if os.stat(path).st_ino != os.fstat(self.lock).st_ino:
                raise JournalTaken(self.folder)
        except (BlockingIOError, FileNotFoundError):
            raise JournalTaken(self.folder) from None

    def _find_segments(self):
        cdef Segment found
        for name in os.listdir(self.folder):
            if name.endswith(".log"):
                size = os.stat(os.path.join(self.folder, name)).st_size
                found = Segment(int(name.removesuffix(".log")), size)
                found.rows = -1  # not counted yet
                self.segments.append(found)
        self.segments.sort(key=lambda segment: segment.number)
        self.held_bytes = sum(segment.size for segment in self.segments)

    # ---- opening, finishing, abandoning a request -------------------------------------------------------------

    def open(self, bytes label not None, bytes request_id not None, int attempt=1, *, long long time_us=0,
             bint stream=False, bytes tags=b"", input_tokens=0, output_tokens=0, cost_nanousd=0,
             bint unknown_price=False):
        cdef Block block
        memset(&block, 0, sizeof(Block))
        block.attempt = <uint16_t>min(max(attempt, 0), 65535)
        block.time_us = time_us
        block.flags = ESTIMATED | (STREAM if stream else 0) | (UNKNOWN_PRICE if unknown_price else 0)
        block.tokens[INPUT] = bounded(input_tokens, MAX_TOKENS)
        block.tokens[OUTPUT] = bounded(output_tokens, MAX_TOKENS)
        block.cost_nanousd = bounded(cost_nanousd, MAX_COST)
        return self.begin(PyBytes_AS_STRING(label), PyBytes_GET_SIZE(label), PyBytes_AS_STRING(request_id),
                          PyBytes_GET_SIZE(request_id), PyBytes_AS_STRING(tags), PyBytes_GET_SIZE(tags), &block)

    def append(self, Py_ssize_t slot, int status, usage=None, cost_nanousd=0, str error_class not None="",
               double first_token_ms=NAN, double total_ms=NAN, bint from_cache=False):
        cdef Block block
        cdef Py_ssize_t size
        cdef const char *text = PyUnicode_AsUTF8AndSize(error_class, &size)
        memset(&block, 0, sizeof(Block))
        block.status = <uint16_t>min(max(status, 0), 65535)
        block.first_token_ms = first_token_ms
        block.total_ms = total_ms
        block.flags = FROM_CACHE if from_cache else 0
        block.cost_nanousd = bounded(cost_nanousd, MAX_COST)
        if usage is not None:
            block.tokens[INPUT] = bounded(usage.input_tokens, MAX_TOKENS)
            block.tokens[CACHED] = bounded(usage.cached_tokens, MAX_TOKENS)
            block.tokens[CACHE_WRITE] = bounded(usage.cache_write_tokens, MAX_TOKENS)
            block.tokens[OUTPUT] = bounded(usage.output_tokens, MAX_TOKENS)
            block.tokens[REASONING] = bounded(usage.reasoning_tokens, MAX_TOKENS)
            block.tokens[INPUT_AUDIO] = bounded(usage.input_audio_tokens, MAX_TOKENS)
            block.tokens[CACHED_AUDIO] = bounded(usage.cached_audio_tokens, MAX_TOKENS)
            block.tokens[OUTPUT_AUDIO] = bounded(usage.output_audio_tokens, MAX_TOKENS)
            block.tokens[IMAGES] = bounded(usage.images, MAX_TOKENS)
            block.tier = TIERS.get(usage.service_tier, 0)
            block.flags |= ESTIMATED if usage.estimated else 0
        self.finish(slot, &block, text, size)

    cdef Py_ssize_t begin(self, const char *label, Py_ssize_t label_size, const char *request_id, Py_ssize_t id_size,
                          const char *tags, Py_ssize_t tags_size, Block *block) except -1:
        cdef Slot *slot
        cdef unsigned char *frame
        cdef unsigned char *end
        cdef Py_ssize_t index, size
        cdef timespec now
        if label_size > LABELS * (MAX_TEXT + 2):
            raise ValueError("expected a label made by label()")
        id_size = min(id_size, MAX_TEXT)
        if tags_size > MAX_TAGS:
            tags_size = 0
        size = FRAME_HEAD + sizeof(Block) + label_size + id_size + tags_size + 6 + 6
        self.room_for(size + MAX_ERROR)
        if self.spares == 0:
            self.grow()
        index = self.spare[self.spares - 1]
        slot = <Slot *>(self.table + index * SLOT_BYTES)
        if block.time_us == 0:
            clock_gettime(CLOCK_REALTIME, &now)
            block.time_us = <int64_t>now.tv_sec * 1000000 + now.tv_nsec // 1000
        block.version = 1
        block.status = 0
        block.first_token_ms = block.total_ms = NAN
        frame = <unsigned char *>slot + FRAME_AT
        memcpy(frame + FRAME_HEAD, block, sizeof(Block))
        end = frame + FRAME_HEAD + sizeof(Block)
        memcpy(end, label, label_size)
        end = put_text(end + label_size, request_id, id_size)
        end = put_text(end, tags, tags_size)
        slot.head = <uint32_t>(end - frame)
        end = put_text(end, b"killed", 6)
        seal(frame, size)
        slot.size = <uint32_t>size
        slot.need = <uint32_t>(size + MAX_ERROR)
        slot.commit = 0
        switchgear_fence()
        slot.state = OPEN
        self.spares -= 1
        self.pending_bytes += slot.need
        return index

    cdef int finish(self, Py_ssize_t index, Block *block, const char *error_class, Py_ssize_t error_size) except -1:
        cdef Slot *slot = self.slot(index)
        cdef Block *opened = <Block *>(<char *>slot + FRAME_AT + FRAME_HEAD)
        cdef unsigned char *end
        cdef Py_ssize_t size
        if error_size > MAX_ERROR:
            error_size = MAX_ERROR
            while error_size > 0 and (<unsigned char>error_class[error_size] & 0xC0) == 0x80:
                error_size -= 1
        block.version = 1
        block.attempt = opened.attempt
        block.time_us = opened.time_us
        block.flags |= opened.flags & ~ESTIMATED
        memcpy(self.buffer, <char *>slot + FRAME_AT, slot.head)
        memcpy(self.buffer + FRAME_HEAD, block, sizeof(Block))
        end = put_text(self.buffer + slot.head, error_class, error_size)
        size = end - self.buffer
        seal(self.buffer, size)
        if self.stuck:
            self.retry()
        if self.stuck or self.write(self.buffer, size, slot) != 0:
            return self.keep(slot, index, size)
        return self.free(slot, index)

    cpdef int abandon(self, Py_ssize_t index) except -1:
        return self.free(self.slot(index), index)

    cdef Slot *slot(self, Py_ssize_t index) except NULL:
        cdef Slot *slot
        if self.table == NULL:
            raise ValueError("the journal is closed")
        if index < 0 or index >= self.slots:
            raise IndexError(f"slot {index} of {self.slots}")
        slot = <Slot *>(self.table + index * SLOT_BYTES)
        if slot.state != OPEN:
            raise ValueError(f"slot {index} is not open")
        return slot

    cdef int free(self, Slot *slot, Py_ssize_t index) except -1:
        self.pending_bytes -= slot.need
        switchgear_fence()
        slot.state = FREE
        self.spare[self.spares] = <int>index
        self.spares += 1
        return 0

    cdef int keep(self, Slot *slot, Py_ssize_t index, Py_ssize_t size) except -1:
        """The disk takes nothing: hold the record in its slot, whose pages are allocated, until it does."""
        memcpy(<char *>slot + FINAL_AT, self.buffer, size)
        slot.final_size = <uint32_t>size
        switchgear_fence()
        slot.state = FINAL
        self.stuck.append(index)
        return 0

    def retry(self):
        cdef Slot *slot
        while self.stuck and self.table != NULL:
            slot = <Slot *>(self.table + <Py_ssize_t>self.stuck[0] * SLOT_BYTES)
            if self.write(<unsigned char *>slot + FINAL_AT, slot.final_size, slot) != 0:
                break
            self.free(slot, <Py_ssize_t>self.stuck.pop(0))
        return not self.stuck

    # ---- the quota --------------------------------------------------------------------------------------------

    cdef int room_for(self, Py_ssize_t need) except -1:
        if self.table == NULL:
            raise ValueError("the journal is closed")
        if self.failing and not self.drop_oldest:
            raise JournalFull(f"the journal cannot be written: {os.strerror(self.failing)}")
        if self.held_bytes + self.pending_bytes + self.other_bytes + need > self.max_bytes:
            if not self.drop_oldest:
                raise JournalFull(f"{self.held_bytes + self.other_bytes} bytes wait for the database")
            self.drop()
        return 0

    @property
    def full(self):
        if self.drop_oldest:
            return False
        used = self.held_bytes + self.pending_bytes + self.other_bytes + MAX_FRAME
        return self.failing != 0 or used > self.max_bytes

    @property
    def open_slots(self):
        return self.slots - self.spares

    @property
    def position(self):
        return self.current.number, self.current.size

    cdef int drop(self) except -1:
        """Remove the oldest segment that is neither written to nor being read; begin a new one where that is the last."""
        cdef Segment segment
        for again in range(2):
            for segment in self.segments:
                if segment is not self.current and segment.number != self.pinned:
                    if segment.rows < 0:
                        segment.rows = self._count(segment.number)
                    unlink(self.path(segment.number))
                    self.segments.remove(segment)
                    self.held_bytes -= segment.size
                    self.dropped += max(segment.rows - segment.drained, 0)
                    return 0
            if self.current.rows == self.current.drained or again:
                return 0
            self.rotate()
        return 0

    def drop_one(self):
        self.drop()

    def _count(self, long long number):
        with open(os.fsdecode(self.path(number)), "rb") as file:
            return count(file.read()[SEGMENT_HEAD:])

    # ---- files ------------------------------------------------------------------------------------------------

    cdef bytes path(self, long long number):
        return self.place + b"/%010d.log" % number  # no Python function in it: those may give up the GIL

    cdef int rotate(self) except -1:
        """Begin the next segment. Raises OSError when it cannot be created; the current one goes on then."""
        cdef long long number = (<Segment>self.segments[len(self.segments) - 1]).number + 1 if self.segments else 1
        cdef bytes path = self.path(number)
        cdef bytes head = MAGIC + self.id + PyBytes_FromStringAndSize(<char *>&number, 8)
        cdef int fd = c_open(PyBytes_AS_STRING(path), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0o600)
        if fd < 0:
            raise OSError(errno, os.strerror(errno), path.decode())
        if c_write(fd, PyBytes_AS_STRING(head), SEGMENT_HEAD) != SEGMENT_HEAD:
            code = errno or ENOSPC
            c_close(fd)
            unlink(path)
            raise OSError(code, os.strerror(code), path.decode())
        if self.fd >= 0:
            c_close(self.fd)
        self.fd = fd
        self.current = Segment(number, SEGMENT_HEAD)
        self.segments.append(self.current)
        self.held_bytes += SEGMENT_HEAD
        return 0

    cdef int write(self, const unsigned char *frame, Py_ssize_t size, Slot *slot) except -1:
        """0 when the whole frame stands in the segment, 1 when nothing of it does."""
        cdef Py_ssize_t wrote
        if self.current.size + size > self.segment_bytes and self.current.size > SEGMENT_HEAD or self.fd < 0:
            try:
                self.rotate()
            except OSError as error:
                self.failing = error.errno
                if self.fd < 0:
                    return 1
        slot.commit = <uint64_t>self.current.number << POSITION_BITS | <uint64_t>self.current.size
        switchgear_fence()
        wrote = c_write(self.fd, frame, size)
        if wrote == size:
            self.failing = 0
            self.current.size += size
            self.current.rows += 1
            self.held_bytes += size
            self.rows += 1
            return 0
        self.failing = errno if wrote < 0 else ENOSPC
        slot.commit = 0
        if wrote > 0 and ftruncate(self.fd, self.current.size) != 0:
            # A torn frame stays behind: it must be the last of its segment.
            c_close(self.fd)
            self.fd = -1
        if self.drop_oldest:
            self.drop()
        return 1

    # ---- the table of open requests ---------------------------------------------------------------------------

    cdef int grow(self) except -1:
        cdef Py_ssize_t wanted = max(FIRST_SLOTS, self.slots * 2)
        if wanted > self.max_slots:
            raise JournalFull(f"{self.slots} upstream requests are open")
        try:
            self.map_table(wanted)
        except OSError as error:
            raise JournalFull(f"the table of open requests cannot grow: {os.strerror(error.errno)}") from None
        return 0

    cdef int map_table(self, Py_ssize_t slots) except -1:
        """Make the table at least `slots` long. It is allocated, not only extended: a full disk is an error here, and
        no SIGBUS at a later store."""
        cdef void *mapped
        cdef int *spare
        cdef Py_ssize_t index
        if self.table_fd < 0:
            self.table_fd = os.open(os.path.join(self.folder, "open"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.posix_fallocate(self.table_fd, 0, slots * SLOT_BYTES)
        spare = <int *>realloc(self.spare, slots * sizeof(int))
        if spare == NULL:
            raise MemoryError()
        self.spare = spare
        mapped = mmap(NULL, slots * SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, self.table_fd, 0)
        if mapped == MAP_FAILED:
            raise OSError(errno, os.strerror(errno), self.folder)
        if self.table != NULL:
            munmap(self.table, self.slots * SLOT_BYTES)
        self.table = <char *>mapped
        for index in range(slots - 1, self.slots - 1, -1):  # the lowest is taken first: its pages are warm
            self.spare[self.spares] = <int>index
            self.spares += 1
        self.slots = slots
        return 0

    cdef int recover(self) except -1:
        """Write the records of requests that another process left open when it ended."""
        cdef Py_ssize_t index, size, at
        cdef Slot *slot
        path = os.path.join(self.folder, "open")
        known = os.stat(path).st_size // SLOT_BYTES if os.path.exists(path) else 0
        self.map_table(max(FIRST_SLOTS, known))
        for index in range(known):
            slot = <Slot *>(self.table + index * SLOT_BYTES)
            if slot.state != OPEN and slot.state != FINAL:
                continue
            if slot.commit == 0 or not self.written(slot.commit):
                at, size = (FRAME_AT, slot.size) if slot.state == OPEN else (FINAL_AT, slot.final_size)
                if size <= MAX_FRAME and whole_frame(<unsigned char *>slot + at, size) == size:
                    if self.write(<unsigned char *>slot + at, size, slot) != 0:
                        raise OSError(self.failing, os.strerror(self.failing), self.folder)
                    self.recovered += 1
            switchgear_fence()
            slot.state = FREE
        return 0

    cdef bint written(self, uint64_t position) except -1:
        """Whether a record was written at the position; a segment that is gone was drained, or dropped."""
        cdef unsigned char frame[MAX_FRAME]
        cdef bytes path = self.path(position >> POSITION_BITS)
        cdef Py_ssize_t got
        cdef int fd = c_open(PyBytes_AS_STRING(path), O_RDONLY | O_CLOEXEC)
        if fd < 0:
            return not os.path.exists(path)
        got = pread(fd, frame, MAX_FRAME, position & ((<uint64_t>1 << POSITION_BITS) - 1))
        c_close(fd)
        return got > 0 and whole_frame(frame, got) > 0

    def moved(self, str folder not None):
        self.folder = folder
        self.place = os.fsencode(folder)

    # ---- for the drain ----------------------------------------------------------------------------------------

    def pin(self, long long number):
        self.pinned = number

    def count_drained(self, long long number, long long rows):
        cdef Segment segment
        for segment in self.segments:
            if segment.number == number:
                segment.drained += rows

    def roll(self):
        self.rotate()

    def release(self, long long number):
        cdef Segment segment
        gone = [segment for segment in self.segments if segment.number < number and segment is not self.current]
        for segment in gone:
            self.segments.remove(segment)
            self.held_bytes -= segment.size
        return [os.fsdecode(self.path(segment.number)) for segment in gone]

    cdef void unmap(self) noexcept:
        if self.table != NULL:
            munmap(self.table, self.slots * SLOT_BYTES)
            self.table = NULL
        c_free(self.spare)
        self.spare = NULL
        self.slots = self.spares = 0

    def close(self):
        self.unmap()
        for fd in (self.fd, self.table_fd, self.lock):
            if fd >= 0:
                os.close(fd)
        self.fd = self.table_fd = self.lock = -1


include "_journal_read.pxi"
