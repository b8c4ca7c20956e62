# Looking into JSON text without decoding it: members of an object, elements of an array, string tokens to copy.
# A scan answers NULL or -1 when the text is not what it expects; the caller then decodes the event whole with orjson,
# which is strict, so that leniency here never lets a malformed event through as a good one.

cdef struct Field:
    const char* key
    Py_ssize_t key_len
    const char* p       # the value; for a string without its quotes
    Py_ssize_t n
    char kind           # first byte of the value


cdef inline const char* skip_space(const char* p, const char* end) noexcept nogil:
    while p < end and (p[0] == 32 or p[0] == 10 or p[0] == 13 or p[0] == 9):
        p += 1
    return p


cdef const char* string_end(const char* p, const char* end) noexcept nogil:
    """The closing quote of the string whose first byte is at `p`, or NULL."""
    cdef const char* q
    cdef const char* b
    cdef const char* start = p
    while True:
        q = <const char*>memchr(p, 34, end - p)
        if q == NULL:
            return NULL
        b = q
        while b > start and (b - 1)[0] == 92:
            b -= 1
        if (q - b) & 1 == 0:
            return q
        p = q + 1


cdef const char* value_end(const char* p, const char* end) noexcept nogil:
    """Just past the value that starts at `p`, or NULL."""
    cdef int depth = 0
    cdef const char* q
    cdef const char* start = p
    if p >= end:
        return NULL
    if p[0] == 34:
        q = string_end(p + 1, end)
        if q == NULL:
            return NULL
        return q + 1
    if p[0] == 123 or p[0] == 91:
        while p < end:
            if p[0] == 34:
                p = string_end(p + 1, end)
                if p == NULL:
                    return NULL
            elif p[0] == 123 or p[0] == 91:
                depth += 1
            elif p[0] == 125 or p[0] == 93:
                depth -= 1
                if depth == 0:
                    return p + 1
            p += 1
        return NULL
    while p < end and p[0] != 44 and p[0] != 125 and p[0] != 93 and p[0] > 32:
        p += 1
    if p == start:
        return NULL
    return p


cdef int members(const char* p, Py_ssize_t n, Field* out, int most) noexcept nogil:
    """The members of the object at `p`, at most `most` of them; -1 when it is not one or has more."""
    cdef const char* end = p + n
    cdef const char* q
    cdef int count = 0
    p = skip_space(p, end)
    if p >= end or p[0] != 123:
        return -1
    p = skip_space(p + 1, end)
    if p < end and p[0] == 125:
        return 0 if skip_space(p + 1, end) == end else -1
    while p < end and p[0] == 34:
        if count == most:
            return -1
        q = string_end(p + 1, end)
        if q == NULL:
            return -1
        out[count].key = p + 1
        out[count].key_len = q - p - 1
        p = skip_space(q + 1, end)
        if p >= end or p[0] != 58:
            return -1
        p = skip_space(p + 1, end)
        q = value_end(p, end)
        if q == NULL:
            return -1
        out[count].kind = p[0]
        if p[0] == 34:
            out[count].p = p + 1
            out[count].n = q - p - 2
        else:
            out[count].p = p
            out[count].n = q - p
        count += 1
        p = skip_space(q, end)
        if p >= end:
            return -1
        if p[0] == 125:
            return count if skip_space(p + 1, end) == end else -1
        if p[0] != 44:
            return -1
        p = skip_space(p + 1, end)
    return -1


cdef int elements(const char* p, Py_ssize_t n, Field* out, int most) noexcept nogil:
    """The elements of the array at `p` (keys unset), at most `most`; -1 when it is not one or has more."""
    cdef const char* end = p + n
    cdef const char* q
    cdef int count = 0
    p = skip_space(p, end)
    if p >= end or p[0] != 91:
        return -1
    p = skip_space(p + 1, end)
    if p < end and p[0] == 93:
        return 0
    while p < end:
        if count == most:
            return -1
        q = value_end(p, end)
        if q == NULL:
            return -1
        out[count].kind = p[0]
        out[count].p = p
        out[count].n = q - p
        count += 1
        p = skip_space(q, end)
        if p >= end:
            return -1
        if p[0] == 93:
            return count
        if p[0] != 44:
            return -1
        p = skip_space(p + 1, end)
    return -1


cdef inline bint named(Field* f, const char* name, Py_ssize_t n) noexcept nogil:
    return f.key_len == n and memcmp(f.key, name, n) == 0


cdef inline bint valued(Field* f, const char* text, Py_ssize_t n) noexcept nogil:
    return f.kind == 34 and f.n == n and memcmp(f.p, text, n) == 0


cdef long long integer(Field* f) noexcept nogil:
    """The value as a small non-negative integer, or -1."""
    cdef long long v = 0
    cdef Py_ssize_t i
    if f.n < 1 or f.n > 9:
        return -1
    for i in range(f.n):
        if f.p[i] < 48 or f.p[i] > 57:
            return -1
        v = v * 10 + (f.p[i] - 48)
    return v


cdef inline int hex4(const char* p) noexcept nogil:
    cdef int v = 0
    cdef int i
    cdef unsigned char c
    for i in range(4):
        c = <unsigned char>p[i]
        if 48 <= c <= 57:
            v = v * 16 + c - 48
        elif 65 <= (c & 0xDF) <= 70:
            v = v * 16 + (c & 0xDF) - 55
        else:
            return -1
    return v


cdef bint copyable(const char* p, Py_ssize_t n) noexcept nogil:
    """Whether the inside of a string token may be copied as it is: no control byte, escapes RFC 8259 knows,
    surrogates in pairs, UTF-8 that RFC 3629 allows."""
    cdef const unsigned char* s = <const unsigned char*>p
    cdef const unsigned char* end = s + n
    cdef unsigned char c
    cdef int u
    while s < end:
        c = s[0]
        if c == 92:
            if s + 1 >= end:
                return False
            c = s[1]
            if c == 117:
                if end - s < 6:
                    return False
                u = hex4(<const char*>s + 2)
                if u < 0 or (0xDC00 <= u <= 0xDFFF):
                    return False
                s += 6
                if 0xD800 <= u <= 0xDBFF:
                    if end - s < 6 or s[0] != 92 or s[1] != 117:
                        return False
                    u = hex4(<const char*>s + 2)
                    if u < 0xDC00 or u > 0xDFFF:
                        return False
                    s += 6
            elif c == 110 or c == 34 or c == 92 or c == 47 or c == 98 or c == 102 or c == 114 or c == 116:
                s += 2
            else:
                return False
        elif c < 32 or c == 34:
            return False
        elif c < 128:
            s += 1
        elif 0xC2 <= c <= 0xDF:
            if end - s < 2 or (s[1] & 0xC0) != 0x80:
                return False
            s += 2
        elif 0xE0 <= c <= 0xEF:
            if end - s < 3 or (s[1] & 0xC0) != 0x80 or (s[2] & 0xC0) != 0x80:
                return False
            if (c == 0xE0 and s[1] < 0xA0) or (c == 0xED and s[1] > 0x9F):
                return False
            s += 3
        elif 0xF0 <= c <= 0xF4:
            if end - s < 4 or (s[1] & 0xC0) != 0x80 or (s[2] & 0xC0) != 0x80 or (s[3] & 0xC0) != 0x80:
                return False
            if (c == 0xF0 and s[1] < 0x90) or (c == 0xF4 and s[1] > 0x8F):
                return False
            s += 4
        else:
            return False
    return True


cdef long long characters(const char* p, Py_ssize_t n) noexcept nogil:
    """Code points in an escaped string, for the offsets of citations."""
    cdef Py_ssize_t i = 0
    cdef long long count = 0
    while i < n:
        if p[i] == 92:
            if i + 1 < n and p[i + 1] == 117:
                if not (i + 3 < n and (p[i + 2] & 0xDF) == 68 and (p[i + 3] & 0xDF) >= 67):
                    count += 1  # the low half of a pair is not counted again
                i += 6
            else:
                count += 1
                i += 2
        else:
            if (<unsigned char>p[i] & 0xC0) != 0x80:
                count += 1
            i += 1
    return count


cdef bint blank(const char* p, Py_ssize_t n) noexcept nogil:
    """Whether an escaped string holds nothing but JSON white space."""
    cdef Py_ssize_t i = 0
    while i < n:
        if p[i] == 32:
            i += 1
        elif p[i] == 92 and i + 1 < n and (p[i + 1] == 110 or p[i + 1] == 114 or p[i + 1] == 116):
            i += 2
        else:
            return False
    return True


cdef object decode(const char* p, Py_ssize_t n):
    """The JSON text at `p` as Python objects. Invalid UTF-8 and lone surrogates become U+FFFD later; raises ValueError."""
    cdef bytes text = PyBytes_FromStringAndSize(p, n)
    try:
        return orjson.loads(text)
    except ValueError:
        # orjson takes neither invalid UTF-8 nor half a surrogate pair, which providers do send; the standard library does
        return _python_json.loads(text.decode("utf-8", "replace"))


cdef bytes escaped(str s):
    """The inside of the JSON string token for `s`."""
    cdef bytes token
    try:
        token = orjson.dumps(s)
    except TypeError:  # a lone surrogate
        token = orjson.dumps(s.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))
    return token[1:len(token) - 1]


cdef bytes dumped(object value):
    """`value` as compact JSON, whatever strings and numbers it holds."""
    try:
        return orjson.dumps(value)
    except TypeError:  # lone surrogates, integers beyond 64 bits, deep nesting
        text = _python_json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


cdef bytes unescaped(bytes inside):
    """What an escaped string stands for, as UTF-8."""
    return (<str>orjson.loads(b'"' + inside + b'"')).encode()


cdef bytes compact_escaped(const char* p, Py_ssize_t n):
    """The JSON value at `p`, its insignificant white space removed, as the inside of a string token."""
    cdef Buffer out = Buffer()
    cdef Py_ssize_t i = 0
    cdef bint inside = False
    cdef unsigned char c
    out.room(n + n // 8 + 16)
    while i < n:
        c = <unsigned char>p[i]
        if c == 34:
            inside = not inside
            out.put(b'\\"', 2)
        elif c == 92:
            out.put(b"\\\\", 2)
            i += 1
            if i < n:
                if p[i] == 34:
                    out.put(b'\\"', 2)
                elif p[i] == 92:
                    out.put(b"\\\\", 2)
                else:
                    out.put(p + i, 1)
        elif inside or not (c == 32 or c == 10 or c == 13 or c == 9):
            out.put(p + i, 1)
        i += 1
    return out.copy()


cdef inline dict as_dict(object v):
    return <dict>v if type(v) is dict else {}


cdef inline list as_list(object v):
    return <list>v if type(v) is list else []


cdef inline object as_key(object v):
    """`v` where it can be a key, else -1."""
    return v if type(v) is int or type(v) is str else -1


cdef inline str as_str(object v):
    return <str>v if type(v) is str else ""


cdef long long as_int(object v) except? -2:
    """A token count: -1 when it is not a finite number."""
    if type(v) is int:
        return v if -1 <= v < 1 << 53 else -1
    if type(v) is float and 0 <= v < 1e15:
        return <long long>(<double>v)
    return -1
