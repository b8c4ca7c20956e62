# Header lines and trailers: their syntax, and what they say about the message.

cdef int note_content_length(const char* value, Py_ssize_t length, Facts* facts) except -1:
    cdef long long number = 0
    cdef Py_ssize_t i
    if length == 0 or length > 18:
        raise ParseError("a content-length that is not a number of bytes")
    for i in range(length):
        if value[i] < c"0" or value[i] > c"9":
            raise ParseError("a content-length that is not a number of bytes")
        number = number * 10 + (value[i] - c"0")
    if facts.content_length >= 0 and facts.content_length != number:
        raise ParseError("two different content-lengths")
    facts.content_length = number
    return 0


cdef bint is_event_stream(const char* value, Py_ssize_t length) noexcept nogil:
    if length < 17 or not same(value, 17, "text/event-stream", 17):
        return False
    return length == 17 or value[17] == c";" or value[17] == c" " or value[17] == c"\t"


cdef list connection_options(bytes value, Facts* facts, list named):
    """Options of a connection header that is more than one well-known word."""
    for option in value.lower().split(b","):
        option = option.strip(b" \t")
        if option == b"close":
            facts.close = True
        elif option and option != b"keep-alive":
            named = named or []
            named.append(option)
    return named


cdef int read_fields(const char* at, const char* end, Facts* facts, list headers, bint drop_hops) except -1:
    """Header lines up to and including the empty line. `facts` NULL: trailers, checked for their syntax only."""
    cdef const char* newline
    cdef const char* stop
    cdef const char* value
    cdef const char* colon
    cdef Py_ssize_t length
    cdef int kind = PLAIN
    cdef bytes name
    cdef list named = None
    while True:
        newline = <const char*>memchr(at, c"\n", end - at)
        if newline == NULL:
            raise ParseError("no empty line at the end of the header")
        stop = newline
        if stop > at and (stop - 1)[0] == c"\r":
            stop -= 1
        if stop == at:
            break
        if at[0] == c" " or at[0] == c"\t":
            raise ParseError("a folded header line")
        colon = <const char*>memchr(at, c":", stop - at)
        if colon == NULL:
            raise ParseError("a header line without a colon")
        name = header_name(at, colon - at, &kind)
        value = colon + 1
        at = newline + 1
        while value < stop and (value[0] == c" " or value[0] == c"\t"):
            value += 1
        while stop > value and ((stop - 1)[0] == c" " or (stop - 1)[0] == c"\t"):
            stop -= 1
        length = stop - value
        if facts == NULL:
            continue
        if kind != PLAIN:
            if kind == CONTENT_LENGTH:
                if facts.content_length >= 0:
                    # The same value again is one value (RFC 9110 §8.6); the second line goes.
                    note_content_length(value, length, facts)
                    continue
                note_content_length(value, length, facts)
            elif kind == TRANSFER_ENCODING:
                if facts.chunked or not same(value, length, "chunked", 7):
                    raise ParseError("a transfer-encoding other than chunked")
                facts.chunked = True
            elif kind == CONNECTION:
                if same(value, length, "close", 5):
                    facts.close = True
                elif not same(value, length, "keep-alive", 10):
                    named = connection_options(value[:length], facts, named)
            elif kind == CONTENT_TYPE:
                facts.event_stream = is_event_stream(value, length)
            if drop_hops and kind >= TRANSFER_ENCODING:
                continue
        headers.append((name, PyBytes_FromStringAndSize(value, length)))
    if facts != NULL:
        if facts.chunked and facts.content_length >= 0:
            raise ParseError("both content-length and transfer-encoding")
        if facts.chunked and facts.minor == 0:
            raise ParseError("a transfer-encoding in an HTTP/1.0 message")
        if drop_hops and named is not None:
            headers[:] = [header for header in headers if header[0] not in named]
    return 0
