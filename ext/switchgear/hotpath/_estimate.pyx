"""An estimate of prompt tokens from the bytes of a body. Contract: src/switchgear/hotpath/_estimate.pyi.

One pass over the bytes, by the class of each: a table lookup and a run length. Quarters of tokens are summed, so that
no floating point is needed.
"""

cdef enum:
    OTHER = 0       # punctuation, brackets, quotes
    LETTER = 1
    DIGIT = 2
    SPACE = 3
    ESCAPE = 4      # backslash
    TWO = 5         # first byte of two, three, four
    THREE = 6
    FOUR = 7
    CONTINUED = 8

cdef enum:
    BLOB = 1024       # letters and digits in a row: no words, but data in base64
    BLOB_TOKENS = 1000

cdef unsigned char[256] CLASS

cdef void fill() noexcept:
    cdef int byte
    for byte in range(256):
        if byte in (9, 10, 13, 32):
            CLASS[byte] = SPACE
        elif 48 <= byte <= 57:
            CLASS[byte] = DIGIT
        elif 65 <= byte <= 90 or 97 <= byte <= 122:
            CLASS[byte] = LETTER
        elif byte == 92:
            CLASS[byte] = ESCAPE
        elif byte < 128:
            CLASS[byte] = OTHER
        elif byte < 192:
            CLASS[byte] = CONTINUED
        elif byte < 224:
            CLASS[byte] = TWO
        elif byte < 240:
            CLASS[byte] = THREE
        else:
            CLASS[byte] = FOUR

fill()


cdef inline bint in_base64(unsigned char byte) noexcept:
    return CLASS[byte] == LETTER or CLASS[byte] == DIGIT or byte == 43 or byte == 47 or byte == 45 or byte == 95


def estimate_tokens(bytes body not None):
    cdef const unsigned char *text = <const unsigned char *><char *>body
    cdef Py_ssize_t size = len(body), at = 0, run, blob, looked = 0
    cdef long long quarters = 0
    cdef int kind
    while at < size:
        kind = CLASS[text[at]]
        run = at + 1
        if kind == LETTER:
            while run < size and CLASS[text[run]] == LETTER:
                run += 1
            # One token a word; long ones fall into pieces.
            quarters += 4 + 4 * min((run - at - 1) // 8, BLOB)
        elif kind == DIGIT:
            while run < size and CLASS[text[run]] == DIGIT:
                run += 1
            quarters += 4 * ((run - at + 2) // 3)
        elif kind == SPACE:
            while run < size and CLASS[text[run]] == SPACE:
                run += 1
            quarters += 4 if run - at > 1 else 0  # a single space belongs to the word
        elif kind == ESCAPE:
            if run < size and text[run] == 117:  # \uXXXX: a character of any script
                run = min(size, run + 5)
            else:
                run = min(size, run + 1)
            quarters += 3
        elif kind == OTHER:
            while run < size and CLASS[text[run]] == OTHER:
                run += 1
            quarters += 3 + (run - at) // 2
        elif kind == TWO:
            run = min(size, at + 2)
            quarters += 2
        elif kind == THREE:
            run = min(size, at + 3)
            quarters += 4
        elif kind == FOUR:
            run = min(size, at + 4)
            quarters += 8
        if (kind == LETTER or kind == DIGIT) and at >= looked and run < size and in_base64(text[run]):
            blob = run
            while blob < size and in_base64(text[blob]):
                blob += 1
            if blob - at >= BLOB:
                quarters += 4 * BLOB_TOKENS
                run = blob
            looked = blob  # no byte is looked at a third time
        at = run
    return (quarters + 3) // 4
