"""What other compiled modules use of the journal."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    STREAM = 1
    ESTIMATED = 2
    FROM_CACHE = 4
    UNKNOWN_PRICE = 8

cdef enum:  # places in Block.tokens, in the order of the columns
    INPUT = 0
    CACHED = 1
    CACHE_WRITE = 2
    OUTPUT = 3
    REASONING = 4
    INPUT_AUDIO = 5
    CACHED_AUDIO = 6
    OUTPUT_AUDIO = 7
    IMAGES = 8
    CLASSES = 9

cdef packed struct Block:  # the numbers of a record, as they lie in the file
    uint8_t version
    uint8_t tier           # 0 usual, 1 batch, 2 priority
    uint16_t flags
    uint16_t attempt
    uint16_t status
    int64_t time_us        # since 1970
    int64_t cost_nanousd
    double first_token_ms  # NaN: none
    double total_ms        # NaN: not known
    int64_t tokens[9]

cdef packed struct Slot:
    uint32_t state         # FREE, OPEN (a record as if killed), FINAL (a record that could not be written yet)
    uint32_t need          # bytes of the quota that are held for it
    uint64_t commit        # where its record is being written, segment << 40 | offset; 0 before
    uint32_t size          # of the frame at `frame`
    uint32_t head          # what of it stands before the error class
    uint32_t final_size    # of the frame at FINAL_AT
    uint32_t unused

cdef class Segment:
    cdef readonly long long number
    cdef readonly long long size
    cdef readonly long long rows
    cdef readonly long long drained

cdef class Journal:
    cdef readonly str folder
    cdef readonly bytes id
    cdef bytes place
    cdef public long long max_bytes
    cdef public long long other_bytes
    cdef public long long segment_bytes
    cdef public bint drop_oldest
    cdef readonly long long held_bytes
    cdef readonly long long pending_bytes
    cdef readonly long long rows
    cdef readonly long long dropped
    cdef readonly long long recovered
    cdef readonly int failing
    cdef readonly long long pinned
    cdef readonly list segments
    cdef Segment current
    cdef list stuck
    cdef int fd
    cdef int lock
    cdef int table_fd
    cdef char *table
    cdef int *spare
    cdef Py_ssize_t slots
    cdef Py_ssize_t spares
    cdef Py_ssize_t max_slots
    cdef unsigned char buffer[8192]

    cdef Py_ssize_t begin(self, const char *label, Py_ssize_t label_size, const char *request_id, Py_ssize_t id_size,
                          const char *tags, Py_ssize_t tags_size, Block *block) except -1
    cdef int finish(self, Py_ssize_t index, Block *block, const char *error_class, Py_ssize_t error_size) except -1
    cpdef int abandon(self, Py_ssize_t index) except -1

    cdef Slot *slot(self, Py_ssize_t index) except NULL
    cdef int room_for(self, Py_ssize_t need) except -1
    cdef int free(self, Slot *slot, Py_ssize_t index) except -1
    cdef int write(self, const unsigned char *frame, Py_ssize_t size, Slot *slot) except -1
    cdef int keep(self, Slot *slot, Py_ssize_t index, Py_ssize_t size) except -1
    cdef int rotate(self) except -1
    cdef int drop(self) except -1
    cdef bytes path(self, long long number)
    cdef int grow(self) except -1
    cdef int map_table(self, Py_ssize_t slots) except -1
    cdef int recover(self) except -1
    cdef void unmap(self) noexcept
    cdef bint written(self, uint64_t position) except -1
