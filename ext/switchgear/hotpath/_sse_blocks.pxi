# What a block says: its end marker, its name, its lines and its data.

cdef inline bint blank(uint8_t c) noexcept nogil:
    return c == c" " or c == c"\t" or c == c"\n"


cdef inline bint is_done(const uint8_t *p, const uint8_t *end) noexcept nogil:
    """`[DONE]`, blanks around it or not."""
    while p < end and blank(p[0]):
        p += 1
    while p < end and blank((end - 1)[0]):
        end -= 1
    return end - p == 6 and memcmp(p, b"[DONE]", 6) == 0


cdef inline bint is_blank(const uint8_t *p, const uint8_t *end) noexcept nogil:
    while p < end and blank(p[0]):
        p += 1
    return p == end


cdef inline bint named(const sse_block *b, const char *name, Py_ssize_t size) noexcept nogil:
    return b.name_end - b.name == size and memcmp(b.name, name, size) == 0


cdef list lines_of(const sse_block *b):
    """The lines of a block, without their ends and without the blank one."""
    cdef list lines = cut_out(b.start, b.end).splitlines()
    lines.pop()
    return lines


cdef bint is_data(bytes line):
    return line.partition(b":")[0] == b"data"


cdef bytes joined(const sse_block *b):
    """The data of a block with several data lines."""
    values = [line.partition(b":")[2] for line in lines_of(b) if is_data(line)]
    return b"\n".join([value[1:] if value.startswith(b" ") else value for value in values])
