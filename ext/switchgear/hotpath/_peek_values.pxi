# Values of JSON text: numbers, read exactly, and kinds, in the words of an error.

cdef inline bint is_number(uint8_t c) noexcept nogil:
    return c == c"-" or c"0" <= c <= c"9"


cdef long long whole_number(const uint8_t *p, const uint8_t *end) noexcept nogil:
    """Value of a valid JSON number, exactly: -1 when negative, LARGEST when beyond it, -2 when it is no whole number.

    Digits and exponent are counted, not multiplied out: 1e400 is whole, 5.0 is 5, 1.5e1 is 15.
    """
    cdef bint negative = p[0] == c"-", fraction = False, minus
    cdef long long value = 0, zeros = 0, places = 0, exponent = 0
    cdef bint exponent_negative = False
    if negative:
        p += 1
    # value: the digits up to the last one that is not 0; zeros: those after it; places: digits behind the point.
    while p < end and (p[0] == c"." or c"0" <= p[0] <= c"9"):
        if p[0] == c".":
            fraction = True
        else:
            places += fraction
            if p[0] == c"0":
                zeros += value != 0
            else:
                while zeros > 0 and value <= LARGEST:
                    value *= 10
                    zeros -= 1
                zeros = 0
                if value <= LARGEST:
                    value = value * 10 + (p[0] - c"0")
        p += 1
    if p < end:
        p += 1
        exponent_negative = p[0] == c"-"
        if p[0] == c"-" or p[0] == c"+":
            p += 1
        while p < end:
            if exponent < <long long>1000000000000:
                exponent = exponent * 10 + (p[0] - c"0")
            p += 1
    if value == 0:
        return 0
    exponent = (-exponent if exponent_negative else exponent) + zeros - places
    if exponent < 0:
        return -2
    if negative:
        return -1
    while exponent > 0 and value <= LARGEST:
        value *= 10
        exponent -= 1
    return value if value < LARGEST else LARGEST


cdef str kind_of(const uint8_t *p, const uint8_t *end):
    if p[0] == c'"':
        return "a string"
    if p[0] == c"{":
        return "an object"
    if p[0] == c"[":
        return "an array"
    if p[0] == c"t" or p[0] == c"f":
        return "a boolean"
    if p[0] == c"n":
        return "null"
    while p < end and (is_number(p[0]) or p[0] == c"+"):
        p += 1
    return "a decimal number" if p < end and (p[0] == c"." or p[0] | 0x20 == c"e") else "an integer"
