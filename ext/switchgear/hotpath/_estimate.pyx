"""What a request will use, before it is known. Contract: src/switchgear/hotpath/_estimate.pyi.

The prompt: one pass over the bytes, by the class of each: a table lookup and a run length. Quarters of tokens are
summed, so that no floating point is needed. What is learnt: a record a family, found by the model's name as it was
asked for, so that the name is taken apart once.
"""

from libc.math cimport fabs, llrint

import re

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
    return count(body)


cdef long long count(bytes body):
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


MAX_FAMILIES = 512
LEARNT_AFTER = 20
FIRST_OUTPUT = 4096
HALF_LIFE = 2000
cdef enum:
    C_LEARNT_AFTER = 20
    C_FIRST_OUTPUT = 4096
cdef double FIRST_UPPER = 1.3
cdef double SMOOTH = 1.0 / 8.0
cdef double SMOOTH_DEVIATION = 1.0 / 4.0
cdef double DEVIATIONS = 3.0
cdef double FORGET = 0.5 ** (1.0 / HALF_LIFE)
cdef double HEADROOM = 1.25
cdef double LEAST_RATIO = 0.1  # outside it is no ratio of a tokenizer, but an image, a cache, a fault
cdef double MOST_RATIO = 10.0
cdef object DATE = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|latest)$")


def family_of(str model not None):
    return DATE.sub("", model.rpartition("/")[2])


cdef class Family:
    """error: mean of |expected - reported| / reported. used: of the table's clock."""

    def __cinit__(self):
        self.ratio = 1.0


cdef class Estimates:
    def __init__(self, Py_ssize_t max_families=MAX_FAMILIES):
        self.most = max_families
        self.families = {}
        self.names = {}
        self.clock = 0

    cpdef long long raw(self, str model, bytes body) except -1:
        return count(body)

    cpdef tuple prompt(self, str model, bytes body):
        cdef long long raw = self.raw(model, body)
        return raw, self.upper(model, raw)

    cpdef long long upper(self, str model, long long raw) except -1:
        cdef Family family = self.known(model)
        if family is None or family.prompts < C_LEARNT_AFTER:
            return <long long>(raw * FIRST_UPPER) + 1
        return <long long>(raw * (family.ratio + DEVIATIONS * family.deviation)) + 1

    cpdef long long expected(self, str model, long long raw) except -1:
        cdef Family family = self.known(model)
        return raw if family is None else llrint(raw * family.ratio)

    cpdef long long output(self, str model, long long max_tokens, long long n=1) except -1:
        cdef Family family
        n = max(1, n)
        if max_tokens >= 0:
            return max_tokens * n
        family = self.known(model)
        if family is None or family.answers < C_LEARNT_AFTER:
            return C_FIRST_OUTPUT * n
        return (<long long>(family.output * HEADROOM) + 1) * n

    cpdef int observe(
        self, str model, long long raw, long long input_tokens, long long output_tokens, long long n=1
    ) except -1:
        cdef Family family = self.known(model)
        cdef double seen
        if family is None:
            family = self.add(model)
        self.clock += 1
        family.used = self.clock
        if raw > 0 and LEAST_RATIO <= <double>input_tokens / raw <= MOST_RATIO:
            learn_ratio(family, raw, input_tokens)
        if output_tokens > 0:
            family.answers += 1
            seen = <double>output_tokens / max(1, n)
            family.output = max(family.output * FORGET, seen)
        return 0

    def errors(self):
        cdef Family family
        found = {}
        for name, family in self.families.items():
            if family.prompts:
                found[name] = family.error
        return found

    cdef Family known(self, str model):
        """None for a family nothing was learnt of."""
        found = self.names.get(model)
        if found is None:
            found = self.families.get(family_of(model))
            if found is not None:
                if len(self.names) >= 4 * self.most:
                    self.names.clear()
                self.names[model] = found
        return <Family>found

    cdef Family add(self, str model):
        cdef Family family = Family()
        if len(self.families) >= self.most:
            del self.families[min(self.families, key=self.used)]
            self.names.clear()
        self.families[family_of(model)] = family
        return family

    def used(self, str name not None):
        return (<Family>self.families[name]).used


cdef void learn_ratio(Family family, long long raw, long long reported) noexcept:
    cdef double ratio = <double>reported / raw
    cdef double error = fabs(raw * family.ratio - reported) / reported
    if family.prompts == 0:
        family.ratio = ratio
        family.deviation = ratio / 2
        family.error = error
    else:
        family.deviation += (fabs(ratio - family.ratio) - family.deviation) * SMOOTH_DEVIATION
        family.ratio += (ratio - family.ratio) * SMOOTH
        family.error += (error - family.error) * SMOOTH
    family.prompts += 1
