# The buffer for what is written anew. All rewriters share it: nothing else runs between its first byte and `poured`.

cdef struct Sink:
    char *text
    size_t length, capacity


cdef Sink sink

cdef enum:
    SPARE = 1048576  # a buffer that has grown beyond this is not kept


cdef int put(const uint8_t *start, const uint8_t *end) except -1:
    cdef size_t size = end - start, capacity
    cdef char *text
    if sink.length + size > sink.capacity:
        capacity = (sink.length + size) * 2 + 1024
        text = <char *>realloc(sink.text, capacity)
        if text == NULL:
            raise MemoryError
        sink.text, sink.capacity = text, capacity
    if size:
        memcpy(sink.text + sink.length, start, size)
        sink.length += size
    return 0


cdef bytes poured():
    cdef bytes result = PyBytes_FromStringAndSize(sink.text, sink.length)
    sink.length = 0
    if sink.capacity > SPARE:
        free(sink.text)
        sink.text, sink.capacity = NULL, 0
    return result
