# A body with a few of its bytes replaced: what was found by peeking is where to write.

cdef inline char *put(char *out, const char *data, Py_ssize_t size) noexcept nogil:
    memcpy(out, data, size)
    return out + size


cpdef bytes splice(bytes body, Py_ssize_t start, Py_ssize_t end, bytes value):
    cdef const char *source = text_of(body)
    cdef const char *inserted = text_of(value)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(body), size = PyBytes_GET_SIZE(value)
    cdef bytes result
    cdef char *out
    if not 0 <= start <= end <= length:
        raise ValueError(f"the span {start}:{end} is not inside a body of {length} bytes")
    result = PyBytes_FromStringAndSize(NULL, length - (end - start) + size)
    out = put(PyBytes_AS_STRING(result), source, start)
    out = put(out, inserted, size)
    put(out, source + end, length - end)
    return result


cdef struct Edit:
    Py_ssize_t start, end, size
    const char *text


cdef inline Edit edit(Py_ssize_t start, Py_ssize_t end, const char *text, Py_ssize_t size) noexcept nogil:
    cdef Edit made
    made.start, made.end, made.text, made.size = start, end, text, size
    return made


cdef Edit usage_edit(Request request) noexcept:
    """What makes stream_options.include_usage true."""
    cdef Py_ssize_t inside = request.stream_options_start + 1
    if request.include_start >= 0:
        return edit(request.include_start, request.include_end, b"true", 4)
    if request.stream_options_start >= 0:
        return edit(inside, inside, b'"include_usage":true,', 20 if request.options_empty else 21)
    if request.options_start >= 0:
        return edit(request.options_start, request.options_end, b'{"include_usage":true}', 22)
    if request.empty:
        return edit(request.end, request.end, b'"stream_options":{"include_usage":true}', 39)
    return edit(request.end, request.end, b',"stream_options":{"include_usage":true}', 40)


cpdef bytes prepare(bytes body, Request request, bytes model, bint ask_usage):
    cdef const char *source = text_of(body)
    cdef Py_ssize_t length = PyBytes_GET_SIZE(body), at = 0, total = length
    cdef Edit[2] edits
    cdef bytes result
    cdef char *out
    cdef int count = 0, i
    if request is None:
        raise TypeError("request must not be None")
    if length != request.length:
        raise ValueError(f"the request was read from a body of {request.length} bytes, this one has {length}")
    if model is not None and request.model_start >= 0:
        edits[0] = edit(request.model_start, request.model_end, PyBytes_AS_STRING(model), PyBytes_GET_SIZE(model))
        count = 1
    if ask_usage and not request.include_usage:
        edits[count] = usage_edit(request)
        count += 1
    if count == 0:
        return body
    if count == 2 and edits[1].start < edits[0].start:
        edits[0], edits[1] = edits[1], edits[0]
    for i in range(count):
        total += edits[i].size - (edits[i].end - edits[i].start)
    result = PyBytes_FromStringAndSize(NULL, total)
    out = PyBytes_AS_STRING(result)
    for i in range(count):
        out = put(out, source + at, edits[i].start - at)
        out = put(out, edits[i].text, edits[i].size)
        at = edits[i].end
    put(out, source + at, length - at)
    return result
