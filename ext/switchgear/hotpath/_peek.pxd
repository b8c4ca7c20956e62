"""So that _unary reads what was found without a detour through Python."""

cimport cython


@cython.final
@cython.freelist(64)
cdef class Request:
    cdef readonly str model
    cdef readonly Py_ssize_t model_start, model_end, stream_start, stream_end, user_start, user_end, end
    cdef readonly Py_ssize_t stream_options_start, stream_options_end
    cdef readonly long long max_tokens, n
    cdef readonly bint stream, include_usage, messages_empty, empty, signed
    cdef readonly int messages_kind, input_kind, prompt_kind
    # Where `prepare` has to write: the value of stream_options even if null, its include_usage even if false.
    cdef Py_ssize_t options_start, options_end, include_start, include_end, length
    cdef bint options_empty


@cython.final
@cython.freelist(64)
cdef class Reply:
    cdef readonly Py_ssize_t model_start, model_end, usage_start, usage_end, error_start, error_end
    cdef readonly Py_ssize_t choices_start, choices_end, tier_start, tier_end


cpdef Request peek_request(bytes body, int max_depth=*)
cpdef Reply peek_reply(bytes body, int max_depth=*)
cpdef bytes splice(bytes body, Py_ssize_t start, Py_ssize_t end, bytes value)
cpdef bytes prepare(bytes body, Request request, bytes model, bint ask_usage)
