/* An incremental HTTP/1.1 response reader, strict enough to be a check of the server.
 *
 * `response_feed` takes the bytes that arrived, in any split, and returns how many belong to the current response.
 * Framing is content-length, chunked, or until the connection closes; 1xx answers are skipped. Body bytes are handed
 * to a callback where they lie and are never copied. Anything against RFC 9112 ends in RESPONSE_MALFORMED.
 */
#ifndef SWITCHGEAR_HTTP_RESPONSE_H
#define SWITCHGEAR_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define RESPONSE_LINE_MAX 8192

enum response_state {
    RESPONSE_STATUS,
    RESPONSE_HEADER,
    RESPONSE_LENGTH_BODY,
    RESPONSE_CLOSE_BODY,
    RESPONSE_CHUNK_SIZE,
    RESPONSE_CHUNK_DATA,
    RESPONSE_CHUNK_END,
    RESPONSE_TRAILER,
    RESPONSE_COMPLETE,
    RESPONSE_MALFORMED,
};

typedef void (*response_body_fn)(void *owner, const char *data, size_t size);

struct response {
    enum response_state state;
    int status;
    bool close, chunked, has_length, begun, headers_done, http10;
    uint64_t left;                /* bytes to come of the body or of the chunk */
    size_t line_size;
    char line[RESPONSE_LINE_MAX]; /* a line that arrived in pieces */
};

static inline void response_reset(struct response *r)
{
    memset(r, 0, offsetof(struct response, line));
}

static inline bool response_parse_number(const char *text, size_t size, int base, uint64_t *value)
{
    uint64_t total = 0;
    if (size == 0 || size > 15)
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
        if (digit >= base)
            return false;
        total = total * (unsigned)base + (unsigned)digit;
    }
    *value = total;
    return true;
}

static inline void response_status_line(struct response *r, const char *line, size_t size)
{
    uint64_t status;
    if (size < 12 || memcmp(line, "HTTP/1.", 7) != 0 || line[8] != ' ' || !response_parse_number(line + 9, 3, 10, &status)) {
        r->state = RESPONSE_MALFORMED;
        return;
    }
    r->http10 = line[7] == '0';
    r->close = r->http10;
    r->status = (int)status;
    r->state = RESPONSE_HEADER;
}

static inline bool response_name_is(const char *line, size_t size, const char *name)
{
    return size == strlen(name) && strncasecmp(line, name, size) == 0;
}

static inline void response_header_line(struct response *r, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    if (colon == NULL || colon == line) {
        r->state = RESPONSE_MALFORMED;
        return;
    }
    size_t name_size = (size_t)(colon - line);
    const char *value = colon + 1, *end = line + size;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t value_size = (size_t)(end - value);
    if (response_name_is(line, name_size, "content-length")) {
        if (r->has_length || !response_parse_number(value, value_size, 10, &r->left))
            r->state = RESPONSE_MALFORMED;
        r->has_length = true;
    } else if (response_name_is(line, name_size, "transfer-encoding")) {
        r->chunked = response_name_is(value, value_size, "chunked");
        if (!r->chunked)
            r->state = RESPONSE_MALFORMED;
    } else if (response_name_is(line, name_size, "connection")) {
        if (response_name_is(value, value_size, "close"))
            r->close = true;
        else if (response_name_is(value, value_size, "keep-alive"))
            r->close = false;
    }
}

static inline void response_headers_end(struct response *r)
{
    if (r->status >= 100 && r->status < 200) {
        response_reset(r);
        r->begun = true;
        return;
    }
    r->headers_done = true;
    if (r->status == 204 || r->status == 304)
        r->state = RESPONSE_COMPLETE;
    else if (r->chunked)
        r->state = r->has_length ? RESPONSE_MALFORMED : RESPONSE_CHUNK_SIZE;
    else if (r->has_length)
        r->state = r->left ? RESPONSE_LENGTH_BODY : RESPONSE_COMPLETE;
    else {
        r->close = true;
        r->state = RESPONSE_CLOSE_BODY;
    }
}

static inline void response_line(struct response *r, const char *line, size_t size)
{
    switch (r->state) {
    case RESPONSE_STATUS:
        response_status_line(r, line, size);
        break;
    case RESPONSE_HEADER:
        if (size == 0)
            response_headers_end(r);
        else
            response_header_line(r, line, size);
        break;
    case RESPONSE_CHUNK_SIZE: {
        const char *extension = memchr(line, ';', size);
        if (!response_parse_number(line, extension ? (size_t)(extension - line) : size, 16, &r->left))
            r->state = RESPONSE_MALFORMED;
        else
            r->state = r->left ? RESPONSE_CHUNK_DATA : RESPONSE_TRAILER;
        break;
    }
    case RESPONSE_CHUNK_END:
        r->state = size == 0 ? RESPONSE_CHUNK_SIZE : RESPONSE_MALFORMED;
        break;
    case RESPONSE_TRAILER:
        if (size == 0)
            r->state = RESPONSE_COMPLETE;
        break;
    default:
        r->state = RESPONSE_MALFORMED;
    }
}

/* One line, whole or in pieces; returns the bytes taken. */
static inline size_t response_take_line(struct response *r, const char *data, size_t size)
{
    const char *newline = memchr(data, '\n', size);
    size_t taken = newline ? (size_t)(newline - data) + 1 : size;
    const char *line = data;
    size_t line_size = taken;
    if (newline == NULL || r->line_size) {
        if (r->line_size + taken > RESPONSE_LINE_MAX) {
            r->state = RESPONSE_MALFORMED;
            return taken;
        }
        memcpy(r->line + r->line_size, data, taken);
        r->line_size += taken;
        if (newline == NULL)
            return taken;
        line = r->line;
        line_size = r->line_size;
    }
    r->line_size = 0;
    if (line_size < 2 || line[line_size - 2] != '\r') {
        r->state = RESPONSE_MALFORMED;
        return taken;
    }
    response_line(r, line, line_size - 2);
    return taken;
}

static inline size_t response_feed(struct response *r, const char *data, size_t size, response_body_fn body, void *owner)
{
    size_t at = 0;
    if (size)
        r->begun = true;
    while (at < size && r->state != RESPONSE_COMPLETE && r->state != RESPONSE_MALFORMED) {
        size_t part = size - at;
        switch (r->state) {
        case RESPONSE_LENGTH_BODY:
        case RESPONSE_CHUNK_DATA:
            if (part > r->left)
                part = (size_t)r->left;
            body(owner, data + at, part);
            r->left -= part;
            if (r->left == 0)
                r->state = r->state == RESPONSE_CHUNK_DATA ? RESPONSE_CHUNK_END : RESPONSE_COMPLETE;
            at += part;
            break;
        case RESPONSE_CLOSE_BODY:
            body(owner, data + at, part);
            at += part;
            break;
        default:
            at += response_take_line(r, data + at, part);
        }
    }
    return at;
}

#endif
