# The fields that are looked for, and which of them a member's name stands for.

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
