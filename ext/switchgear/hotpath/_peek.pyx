"""One pass over a JSON body: is it JSON, and where are the few fields a gateway acts on. See _peek.pyi.

The walker (json.h) validates; here its members are told apart by name. A name written with escapes counts as the name
it stands for: whoever decodes the body after us would see it so. Errors in a field are kept until the whole body is known
to be JSON: what is not JSON is reported as that.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memchr, memcpy

from switchgear.hotpath._json cimport *

import json as _json

cdef enum:
    LARGEST = 2147483647  # what a longer number counts as
    DEFAULT_DEPTH = 512

cdef enum Field:
    MODEL = 1
    STREAM = 2
    STREAM_OPTIONS = 4
    MAX_TOKENS = 8
    MAX_COMPLETION_TOKENS = 16
    MAX_OUTPUT_TOKENS = 32
    N = 64
    MESSAGES = 128
    INPUT = 256
    PROMPT = 512
    USER = 1024
    INCLUDE_USAGE = 2048
    USAGE = 4096  # this and the next three: of an answer
    ERROR = 8192
    CHOICES = 16384
    SERVICE_TIER = 32768

cdef dict NAMES = {
    MODEL: "model", STREAM: "stream", STREAM_OPTIONS: "stream_options", MAX_TOKENS: "max_tokens",
    MAX_COMPLETION_TOKENS: "max_completion_tokens", MAX_OUTPUT_TOKENS: "max_output_tokens", N: "n", MESSAGES: "messages",
    INPUT: "input", PROMPT: "prompt", USER: "user", INCLUDE_USAGE: "stream_options.include_usage",
}


class PeekError(ValueError):
    def __init__(self, message, param=None, code=None, position=-1):
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code
        self.position = position

    def __reduce__(self):
        return type(self), (self.message, self.param, self.code, self.position)


cdef class Request:
    def __cinit__(self):
        self.model_start = self.model_end = self.stream_start = self.stream_end = self.user_start = self.user_end = -1
        self.stream_options_start = self.stream_options_end = self.options_start = self.options_end = -1
        self.include_start = self.include_end = self.end = -1
        self.max_tokens = -1
        self.n = 1


cdef class Reply:
    def __cinit__(self):
        self.model_start = self.model_end = self.usage_start = self.usage_end = -1
        self.error_start = self.error_end = self.choices_start = self.choices_end = -1
        self.tier_start = self.tier_end = -1


cdef inline const char *text_of(bytes value) except NULL:
    if value is None:
        raise TypeError("expected bytes, got None")
    return PyBytes_AS_STRING(value)


cdef struct Problem:
    # The first field that cannot be used. expected NULL: it was given twice.
    Field field
    const char *expected
    const uint8_t *where


cdef inline Field field_of(const json_t *j) noexcept nogil:
    """Which field the member's name stands for, 0 for all others."""
    cdef ptrdiff_t length = j.key_end - j.key
    if j.key_escaped:
        return escaped_field_of(j)
    if length == 1:
        return N if j.key[0] == c"n" else <Field>0
    if length == 4:
        return USER if json_key_is(j, "user", 4, 0) else <Field>0
    if length == 5:
        if json_key_is(j, "model", 5, 0):
            return MODEL
        return INPUT if json_key_is(j, "input", 5, 0) else <Field>0
    if length == 6:
        if json_key_is(j, "stream", 6, 0):
            return STREAM
        return PROMPT if json_key_is(j, "prompt", 6, 0) else <Field>0
    if length == 8:
        return MESSAGES if json_key_is(j, "messages", 8, 0) else <Field>0
    if length == 10:
        return MAX_TOKENS if json_key_is(j, "max_tokens", 10, 0) else <Field>0
    if length == 14:
        return STREAM_OPTIONS if json_key_is(j, "stream_options", 14, 0) else <Field>0
    if length == 17:
        return MAX_OUTPUT_TOKENS if json_key_is(j, "max_output_tokens", 17, 0) else <Field>0
    if length == 21:
        return MAX_COMPLETION_TOKENS if json_key_is(j, "max_completion_tokens", 21, 0) else <Field>0
    return <Field>0


cdef Field escaped_field_of(const json_t *j) noexcept nogil:
    if json_key_is(j, "model", 5, 0):
        return MODEL
    if json_key_is(j, "stream", 6, 0):
        return STREAM
    if json_key_is(j, "stream_options", 14, 0):
        return STREAM_OPTIONS
    if json_key_is(j, "max_tokens", 10, 0):
        return MAX_TOKENS
    if json_key_is(j, "max_completion_tokens", 21, 0):
        return MAX_COMPLETION_TOKENS
    if json_key_is(j, "max_output_tokens", 17, 0):
        return MAX_OUTPUT_TOKENS
    if json_key_is(j, "n", 1, 0):
        return N
    if json_key_is(j, "messages", 8, 0):
        return MESSAGES
    if json_key_is(j, "input", 5, 0):
        return INPUT
    if json_key_is(j, "prompt", 6, 0):
        return PROMPT
    if json_key_is(j, "user", 4, 0):
        return USER
    return <Field>0


cdef Field reply_field_of(const json_t *j) noexcept nogil:
    if json_key_is(j, "model", 5, 0):
        return MODEL
    if json_key_is(j, "choices", 7, 0):
        return CHOICES
    if json_key_is(j, "usage", 5, 0):
        return USAGE
    if json_key_is(j, "service_tier", 12, 0):
        return SERVICE_TIER
    return ERROR if json_key_is(j, "error", 5, 0) else <Field>0


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


cdef int wrong(Problem *problem, Field field, const char *expected, const uint8_t *where) noexcept nogil:
    if problem.field == 0:
        problem.field = field
        problem.expected = expected
        problem.where = where
    return 0


cdef int stream_options(json_t *j, Request request, const uint8_t *start, Problem *problem) noexcept nogil:
    """The value of stream_options, an object, walked through. -1: not JSON."""
    cdef int first = 1, result, seen = 0
    cdef const uint8_t *value
    json_enter(j, c"{")
    if j.problem != NULL:
        return -1
    request.options_empty = True
    while True:
        result = json_member(j, &first)
        if result != 1:
            return result
        request.options_empty = False
        value = j.at
        if not json_key_is(j, "include_usage", 13, 0):
            if json_value(j) < 0:
                return -1
            continue
        if seen:
            wrong(problem, INCLUDE_USAGE, NULL, j.key - 1)
        seen = 1
        if json_value(j) < 0:
            return -1
        request.include_start = value - start
        request.include_end = j.at - start
        request.include_usage = value[0] == c"t"
        if value[0] != c"t" and value[0] != c"f" and value[0] != c"n":
            wrong(problem, INCLUDE_USAGE, "a boolean", value)


cdef int take(json_t *j, Request request, Field field, const uint8_t *start, long long *limits, Problem *problem) noexcept nogil:
    """The value of one of the fields. limits: max_completion_tokens, max_output_tokens, max_tokens; -1 when absent."""
    cdef const uint8_t *value = j.at
    cdef uint8_t kind = value[0] if value < j.end else 0
    cdef long long number
    cdef int result
    if field == STREAM_OPTIONS and kind == c"{":
        result = stream_options(j, request, start, problem)
    else:
        result = json_value(j)
    if result < 0:
        return -1
    if field == MODEL:
        if kind == c'"':
            request.model_start = value - start
            request.model_end = j.at - start
        else:
            wrong(problem, field, "a string", value)
    elif field == MESSAGES:
        request.messages_kind = kind
        if kind == c"[":
            value = json_blank(value + 1, j.end)
            request.messages_empty = value[0] == c"]"
    elif field == INPUT:
        request.input_kind = kind
    elif field == PROMPT:
        request.prompt_kind = kind
    elif field == STREAM_OPTIONS:
        request.options_start = value - start
        request.options_end = j.at - start
        if kind == c"{":
            request.stream_options_start = request.options_start
            request.stream_options_end = request.options_end
        elif kind != c"n":
            wrong(problem, field, "an object", value)
    elif kind == c"n":
        pass  # null: as if it were not there
    elif field == STREAM:
        if kind == c"t" or kind == c"f":
            request.stream = kind == c"t"
            request.stream_start = value - start
            request.stream_end = j.at - start
        else:
            wrong(problem, field, "a boolean", value)
    elif field == USER:
        if kind == c'"':
            request.user_start = value - start
            request.user_end = j.at - start
        else:
            wrong(problem, field, "a string", value)
    else:
        number = whole_number(value, j.at) if is_number(kind) else -2
        if number == -2:
            wrong(problem, field, "an integer", value)
        elif field == N:
            request.n = number if number > 1 else 1
        elif field == MAX_COMPLETION_TOKENS:
            limits[0] = number
        elif field == MAX_OUTPUT_TOKENS:
            limits[1] = number
        else:
            limits[2] = number
    return 0


cdef not_json(json_t *j, const uint8_t *start, int max_depth):
    cdef bytes before = PyBytes_FromStringAndSize(<const char *>start, j.where - start)
    line = before.count(b"\n") + 1
    column = len(before) - before.rfind(b"\n")
    found = j.problem.decode("ascii")
    if found == "values nested too deep":
        found = f"values nested deeper than {max_depth} levels"
    if j.end == start:
        hint = "The body is empty."
    else:
        hint = f"Found {found} at line {line}, column {column}, byte {len(before)}."
    raise PeekError(f"We could not parse the JSON body of your request. ({hint})", None, None, len(before))


cdef not_object(json_t *j):
    kind = kind_of(j.at, j.end)
    raise PeekError(
        f"We could not parse the JSON body of your request. (Expected an object, but got {kind}.)", None, None, j.at - j.begin
    )


cdef unusable(Problem *problem, const uint8_t *start, const uint8_t *end):
    name = NAMES[<int>problem.field]
    position = problem.where - start
    if problem.expected == NULL:
        raise PeekError(f"Invalid body: '{name}' is given twice.", name, "duplicate_field", position)
    expected = problem.expected.decode("ascii")
    kind = kind_of(problem.where, end)
    got = kind if kind == "null" else f"{kind} instead"
    raise PeekError(f"Invalid type for '{name}': expected {expected}, but got {got}.", name, "invalid_type", position)


cdef str model_name(const uint8_t *p, const uint8_t *end, Py_ssize_t position):
    """The string between the quotes at p and end-1."""
    cdef str name
    if memchr(p, c"\\", end - p) == NULL:
        return PyUnicode_DecodeUTF8(<const char *>p + 1, end - p - 2, NULL)
    name = _json.loads(PyBytes_FromStringAndSize(<const char *>p, end - p))
    try:
        name.encode()
    except UnicodeEncodeError:
        raise PeekError(
            "Invalid value for 'model': half of a surrogate pair is not a character.", "model", "invalid_value", position
        ) from None
    return name


cdef int check_depth(int max_depth) except -1:
    if not 1 <= max_depth <= JSON_MAX_DEPTH:
        raise ValueError(f"max_depth must be from 1 to {JSON_MAX_DEPTH}, not {max_depth}")
    return 0


cpdef Request peek_request(bytes body, int max_depth=DEFAULT_DEPTH):
    cdef json_t j
    cdef const uint8_t *start = <const uint8_t *>text_of(body)
    cdef const uint8_t *end = start + PyBytes_GET_SIZE(body)
    cdef Request request = Request.__new__(Request)
    cdef Problem problem
    cdef long long[3] limits
    cdef const uint8_t *other_model = NULL
    cdef int first = 1, result, seen = 0, i
    cdef Field field
    check_depth(max_depth)
    limits[0] = limits[1] = limits[2] = -1
    problem.field = <Field>0
    json_init(&j, start, end, max_depth)
    if json_enter(&j, c"{") < 0:
        if j.problem != NULL or json_value(&j) < 0 or json_finish(&j) < 0:
            not_json(&j, start, max_depth)
        j.at = start
        json_space(&j)
        not_object(&j)
    request.empty = True
    while True:
        result = json_member(&j, &first)
        if result != 1:
            break
        request.empty = False
        field = field_of(&j)
        if field == 0:
            # A server that matches names in any case (Go's encoding/json does) would take this one for the model.
            if (j.key_escaped or j.key_end - j.key == 5) and json_key_is(&j, "model", 5, 1):
                other_model = j.key - 1
            result = json_value(&j)
        else:
            if seen & <int>field:
                wrong(&problem, field, NULL, j.key - 1)
            seen |= <int>field
            result = take(&j, request, field, start, limits, &problem)
        if result < 0:
            break
    if result == 0:
        request.end = j.at - 1 - start
        result = json_finish(&j)
    if result < 0:
        not_json(&j, start, max_depth)
    if other_model != NULL and seen & <int>MODEL:
        wrong(&problem, MODEL, NULL, other_model)
    if problem.field != 0:
        unusable(&problem, start, end)
    for i in range(3):
        if limits[i] >= 0:
            request.max_tokens = limits[i]
            break
    if request.model_start >= 0:
        request.model = model_name(start + request.model_start, start + request.model_end, request.model_start)
    request.signed = j.signed_member
    request.length = end - start
    return request


cpdef Reply peek_reply(bytes body, int max_depth=DEFAULT_DEPTH):
    cdef json_t j
    cdef const uint8_t *start = <const uint8_t *>text_of(body)
    cdef const uint8_t *value
    cdef Reply reply = Reply.__new__(Reply)
    cdef int first = 1, result
    cdef Py_ssize_t value_start, value_end
    cdef Field name
    check_depth(max_depth)
    json_init(&j, start, start + PyBytes_GET_SIZE(body), max_depth)
    if json_enter(&j, c"{") < 0:
        if j.problem != NULL or json_value(&j) < 0 or json_finish(&j) < 0:
            not_json(&j, start, max_depth)
        j.at = start
        json_space(&j)
        not_object(&j)
    while True:
        result = json_member(&j, &first)
        if result != 1:
            break
        name = reply_field_of(&j)
        value = j.at
        result = json_value(&j)
        if result < 0:
            break
        value_start = value - start
        value_end = j.at - start
        if (
            ((name == MODEL or name == SERVICE_TIER) and value[0] != c'"')
            or (value[0] == c"n" and (name == USAGE or name == ERROR))
        ):
            value_start = value_end = -1
        if name == MODEL:
            reply.model_start, reply.model_end = value_start, value_end
        elif name == CHOICES:
            reply.choices_start, reply.choices_end = value_start, value_end
        elif name == USAGE:
            reply.usage_start, reply.usage_end = value_start, value_end
        elif name == SERVICE_TIER:
            reply.tier_start, reply.tier_end = value_start, value_end
        elif name == ERROR:
            reply.error_start, reply.error_end = value_start, value_end
    if result == 0:
        result = json_finish(&j)
    if result < 0:
        not_json(&j, start, max_depth)
    return reply


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
