/* Counts server-sent events in a byte stream, in any split; LF and CRLF line ends.
 *
 * Only the first bytes of a line are kept: enough to tell `data:`, `data: [DONE]`, an error event and a comment apart.
 */
#ifndef SWITCHGEAR_SSE_COUNTER_H
#define SWITCHGEAR_SSE_COUNTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SSE_HEAD 24

struct sse_counter {
    uint32_t events; /* with data, [DONE] not among them */
    bool done;       /* [DONE] came */
    bool error;      /* an error event came: `event: error` or `data: {"error"` */
    bool data, last; /* of the event being read: it has data; it is [DONE] */
    size_t line_size;
    char head[SSE_HEAD];
};

static inline bool sse_head_is(const struct sse_counter *s, const char *prefix)
{
    size_t size = strlen(prefix);
    return s->line_size >= size && memcmp(s->head, prefix, size) == 0;
}

static inline void sse_line_end(struct sse_counter *s)
{
    if (s->line_size == 0 || (s->line_size == 1 && s->head[0] == '\r')) {
        if (s->last)
            s->done = true;
        else if (s->data)
            s->events++;
        s->data = s->last = false;
    } else if (sse_head_is(s, "data:")) {
        s->data = true;
        s->last = sse_head_is(s, "data: [DONE]") || sse_head_is(s, "data:[DONE]");
        s->error |= sse_head_is(s, "data: {\"error\"") || sse_head_is(s, "data: {\"type\":\"error\"");
    } else if (sse_head_is(s, "event: error")) {
        s->error = true;
    }
    s->line_size = 0;
}

static inline void sse_feed(struct sse_counter *s, const char *data, size_t size)
{
    const char *end = data + size;
    while (data < end) {
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        size_t part = (size_t)((newline ? newline : end) - data);
        if (s->line_size < SSE_HEAD) {
            size_t kept = SSE_HEAD - s->line_size;
            memcpy(s->head + s->line_size, data, part < kept ? part : kept);
        }
        s->line_size += part;
        data += part;
        if (newline) {
            sse_line_end(s);
            data++;
        }
    }
}

#endif
