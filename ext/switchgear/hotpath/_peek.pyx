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

include "_peek_fields.pxi"


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


include "_peek_values.pxi"


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


include "_peek_splice.pxi"
