# Reading segments: frames into rows of the database, and into sums by hour.

cdef enum:
    MAX_LABELS_KNOWN = 4096

Row = tuple

cdef dict labels_known = {}  # the bytes of a label -> (its strings, those of them that aggregates go by)


cdef class Totals:
    """Sums over rows of one hour and one set of names."""

    cdef long long requests
    cdef long long errors
    cdef long long estimated
    cdef long long tokens[CLASSES]
    cdef long long cost_nanousd
    cdef long long first_tokens
    cdef long long timed
    cdef double first_token_ms
    cdef double total_ms

    cdef void count(self, const Block *block) noexcept:
        cdef int token
        self.requests += 1
        self.errors += not 200 <= block.status < 300
        self.estimated += (block.flags & ESTIMATED) != 0
        for token in range(CLASSES):
            self.tokens[token] += block.tokens[token]
        self.cost_nanousd += block.cost_nanousd
        if not isnan(block.first_token_ms):
            self.first_tokens += 1
            self.first_token_ms += block.first_token_ms
        if not isnan(block.total_ms):
            self.timed += 1
            self.total_ms += block.total_ms

    def add(self, Totals other not None):
        cdef int token
        self.requests += other.requests
        self.errors += other.errors
        self.estimated += other.estimated
        for token in range(CLASSES):
            self.tokens[token] += other.tokens[token]
        self.cost_nanousd += other.cost_nanousd
        self.first_tokens += other.first_tokens
        self.timed += other.timed
        self.first_token_ms += other.first_token_ms
        self.total_ms += other.total_ms

    def values(self):
        return (self.requests, self.errors, self.estimated, *[self.tokens[token] for token in range(CLASSES)],
                self.cost_nanousd, self.first_tokens, self.timed, self.first_token_ms, self.total_ms)


cdef Py_ssize_t skip_texts(const unsigned char *data, Py_ssize_t at, Py_ssize_t end, int count) except -1:
    cdef uint16_t size
    for _ in range(count):
        if at + 2 > end:
            raise ValueError("a record ends within a string")
        memcpy(&size, data + at, 2)
        at += 2 + size
    if at > end:
        raise ValueError("a record ends within a string")
    return at


cdef str text_at(const unsigned char *data, Py_ssize_t at):
    cdef uint16_t size
    memcpy(&size, data + at, 2)
    return PyUnicode_DecodeUTF8(<const char *>data + at + 2, size, "replace")


cdef tuple known_label(const unsigned char *data, Py_ssize_t size):
    """The strings of a label, each the same object every time, so that rows share them and hash them once."""
    cdef bytes key = PyBytes_FromStringAndSize(<const char *>data, size)
    cdef Py_ssize_t at = 0
    cdef list texts
    found = labels_known.get(key)
    if found is None:
        texts = []
        for _ in range(LABELS):
            texts.append(text_at(data, at))
            at = skip_texts(data, at, size, 1)
        if len(labels_known) >= MAX_LABELS_KNOWN:
            labels_known.clear()
        found = labels_known[key] = (tuple(texts), tuple(texts[:LABELS - 1]))
    return found


cdef tuple TIER_NAMES = ("", "batch", "priority")


cdef tuple row_of(const unsigned char *data, Py_ssize_t size, const Block *block, int journal, long long position,
                  dict totals):
    cdef Py_ssize_t at = sizeof(Block), tags_at, error_at
    cdef Py_ssize_t label_end = skip_texts(data, at, size, LABELS)
    cdef tuple known = known_label(data + at, label_end - at)
    cdef tuple names = <tuple>known[0]
    cdef Totals sums
    tags_at = skip_texts(data, label_end, size, 1)
    error_at = skip_texts(data, tags_at, size, 1)
    skip_texts(data, error_at, size, 1)
    if totals is not None:
        key = (block.time_us // 3600000000 * 3600, known[1])
        sums = totals.get(key)
        if sums is None:
            sums = totals[key] = Totals()
        sums.count(block)
    return (
        text_at(data, label_end), block.attempt, block.time_us,
        names[1], names[2], names[3], names[4], names[5], names[6], names[7], names[8], names[0],
        block.status, text_at(data, error_at),
        (block.flags & STREAM) != 0, (block.flags & FROM_CACHE) != 0,
        (block.flags & ESTIMATED) != 0, (block.flags & UNKNOWN_PRICE) != 0,
        block.tokens[0], block.tokens[1], block.tokens[2], block.tokens[3], block.tokens[4],
        block.tokens[5], block.tokens[6], block.tokens[7], block.tokens[8],
        TIER_NAMES[block.tier] if block.tier < 3 else "", block.cost_nanousd, names[9],
        None if isnan(block.first_token_ms) else block.first_token_ms,
        None if isnan(block.total_ms) else block.total_ms,
        text_at(data, tags_at), journal, position,
    )


def decode(const unsigned char[::1] data, long long base, long long segment, int journal=0, Py_ssize_t max_rows=1 << 30,
           dict totals=None):
    cdef Py_ssize_t at = 0, size, left = data.shape[0]
    cdef const unsigned char *start
    cdef Block block
    cdef list rows = []
    if left == 0:
        return rows, 0
    start = &data[0]
    while len(rows) < max_rows:
        size = whole_frame(start + at, left - at)
        if size == 0:
            break
        memcpy(&block, start + at + FRAME_HEAD, sizeof(Block))
        if block.version != 1:
            raise ValueError(f"a record of version {block.version}, written by a newer Switchgear")
        rows.append(row_of(start + at + FRAME_HEAD, size - FRAME_HEAD, &block, journal,
                           segment << POSITION_BITS | (base + at), totals))
        at += size
    return rows, at


def next_frame(const unsigned char[::1] data, Py_ssize_t start=0):
    cdef Py_ssize_t at, left = data.shape[0]
    for at in range(start, left):
        if whole_frame(&data[at], left - at):
            return at
    return -1


def count(const unsigned char[::1] data):
    cdef Py_ssize_t at = 0, size, left = data.shape[0]
    cdef long long rows = 0
    while at < left:
        size = whole_frame(&data[at], left - at)
        if size == 0:
            break
        at += size
        rows += 1
    return rows
