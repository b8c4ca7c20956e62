# What header names mean, and the cache of them: a name that was seen costs no allocation and no validation.

# What a header name means to whoever frames or relays the message.
cdef enum Kind:
    PLAIN
    CONTENT_LENGTH
    CONTENT_TYPE
    TRANSFER_ENCODING
    CONNECTION
    HOP                 # other hop-by-hop fields, RFC 9110 §7.6.1

cdef dict KINDS = {
    b"content-length": CONTENT_LENGTH,
    b"content-type": CONTENT_TYPE,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"keep-alive": HOP,
    b"te": HOP,
    b"trailer": HOP,
    b"upgrade": HOP,
}

# RFC 9110 §5.6.2: 0 where a byte is not a token character, else its lower case.
cdef unsigned char[256] TOKEN
memset(TOKEN, 0, sizeof(TOKEN))
for _code in bytearray(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"):
    TOKEN[_code] = _code
for _code in bytearray(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
    TOKEN[_code] = _code + 32

cdef enum:
    NAME_SLOTS = 512        # a power of two; two names in one slot evict each other, which costs time only
    NAME_BYTES = 48         # longer names are not cached
    LINE_BYTES = 4096       # a chunk-size line with its extensions

cdef struct Name:
    PyObject* lower         # owned; NULL: empty slot
    unsigned char length
    unsigned char kind
    char[NAME_BYTES] raw

cdef Name[NAME_SLOTS] NAMES
memset(NAMES, 0, sizeof(NAMES))


cdef inline uint64_t word(const char* data) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, data, 8)
    return value


cdef inline uint64_t name_hash(const char* data, Py_ssize_t length) noexcept nogil:
    """First, middle and last eight bytes and the length: enough to tell apart the names one server sends."""
    cdef uint64_t a = 0
    cdef uint64_t b = 0
    cdef uint64_t c = 0
    if length >= 8:
        a = word(data)
        b = word(data + length // 2 - 4)
        c = word(data + length - 8)
    else:
        memcpy(&a, data, length)
    a = (a ^ (b * <uint64_t>0x9E3779B97F4A7C15)) + c * <uint64_t>0xC2B2AE3D27D4EB4F + <uint64_t>length
    a ^= a >> 32
    a *= <uint64_t>0xD6E8FEB86659FD93
    return a ^ (a >> 32)


cdef bytes learn_name(const char* data, Py_ssize_t length, Name* slot, int* kind):
    """Check and lower a name that is not in the cache, and put it there."""
    cdef unsigned char lowered
    cdef Py_ssize_t i
    if length == 0:
        raise ParseError("a header line without a name")
    cdef bytes name = PyBytes_FromStringAndSize(NULL, length)
    cdef char* out = PyBytes_AS_STRING(name)
    for i in range(length):
        lowered = TOKEN[<unsigned char>data[i]]
        if lowered == 0:
            raise ParseError("a header name with a character that must not be in it")
        out[i] = <char>lowered
    kind[0] = KINDS.get(name, HOP if name.startswith(b"proxy-") else PLAIN)
    if length <= NAME_BYTES:
        Py_XDECREF(slot.lower)
        Py_INCREF(name)
        slot.lower = <PyObject*>name
        slot.length = <unsigned char>length
        slot.kind = <unsigned char>kind[0]
        memcpy(slot.raw, data, length)
    return name


cdef inline bytes header_name(const char* data, Py_ssize_t length, int* kind):
    cdef Name* slot = &NAMES[name_hash(data, length) & (NAME_SLOTS - 1)]
    if slot.lower != NULL and slot.length == length and memcmp(slot.raw, data, length) == 0:
        kind[0] = slot.kind
        return <bytes>slot.lower
    return learn_name(data, length, slot, kind)
