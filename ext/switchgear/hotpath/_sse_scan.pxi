# What sse.h offers: blocks found in one pass, and events read.

cdef extern from "sse.h" nogil:
    int SSE_CHAT, SSE_RESPONSES, SSE_OPAQUE
    unsigned HINT_MODEL, HINT_USAGE, HINT_USAGE_OBJECT, HINT_ERROR, HINT_FINISH, HINT_RESPONSE, HINT_ERROR_TYPE

    ctypedef struct sse_block:
        const uint8_t *start
        const uint8_t *end
        const uint8_t *data
        const uint8_t *data_end
        const uint8_t *name
        const uint8_t *name_end
        int data_lines, comments, fields, ids, lone_cr, swallow, high
        unsigned hints

    ctypedef struct sse_search:
        size_t line, scanned
        int lone_cr

    ctypedef struct sse_edit:
        const uint8_t *start
        const uint8_t *end
        int cut

    ctypedef struct sse_event:
        const uint8_t *model
        const uint8_t *model_end
        const uint8_t *usage
        const uint8_t *usage_end
        const uint8_t *groq
        const uint8_t *groq_end
        int error, finish, done, no_choices, edits
        sse_edit *edit

    int sse_scan(sse_block *b, const uint8_t *p, const uint8_t *end, int dialect)
    int sse_find(sse_search *s, const uint8_t *p, const uint8_t *end)
    int sse_read(sse_event *e, const uint8_t *begin, const uint8_t *end, int dialect, int hide)
    bint sse_is_json(const uint8_t *begin, const uint8_t *end)
