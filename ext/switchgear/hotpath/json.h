/* A validating JSON walker (RFC 8259, strict): nothing is built, the caller steps into what it wants and skips the rest.
 *
 *     json_init(&j, begin, end, max_depth);
 *     if (json_enter(&j, '{') == 0)
 *         while ((r = json_member(&j, &first)) == 1) {      key in j.key..j.key_end, j.at on the value
 *             if (json_value(&j) < 0) break;                skipped, and validated
 *         }
 *     if (r == 0) r = json_finish(&j);
 *
 * A negative result means `problem` at `where`. Depth is bounded without recursion: one bit a level tells objects
 * from arrays.
 */
#ifndef SWITCHGEAR_JSON_H
#define SWITCHGEAR_JSON_H

#include "scan.h"

#define JSON_MAX_DEPTH 4096

typedef struct {
    const uint8_t *begin, *end, *at;
    const uint8_t *key, *key_end; /* the member's name, without its quotes */
    int key_escaped;              /* the name has an escape in it: compare with json_key_is only */
    int signed_member;            /* a member that carries reasoning signatures was seen, at any level */
    int depth, max_depth;
    const char *problem;
    const uint8_t *where;
    uint64_t objects[JSON_MAX_DEPTH / 64];
} json_t;

static inline void json_init(json_t *j, const uint8_t *begin, const uint8_t *end, int max_depth)
{
    j->begin = j->at = begin;
    j->end = end;
    j->key = j->key_end = begin;
    j->key_escaped = 0;
    j->signed_member = 0;
    j->depth = 0;
    j->max_depth = max_depth < JSON_MAX_DEPTH ? max_depth : JSON_MAX_DEPTH;
    j->problem = NULL;
    j->where = begin;
}

static inline int json_fail(json_t *j, const uint8_t *where, const char *problem)
{
    j->problem = problem;
    j->where = where;
    return -1;
}

static inline const uint8_t *json_blank(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

static inline void json_space(json_t *j)
{
    j->at = json_blank(j->at, j->end);
}

static inline int json_hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Past the string whose opening quote is at j->at. 1: it has escapes, 0: none. */
static inline int json_string(json_t *j)
{
    const uint8_t *open = j->at, *p = open + 1, *end = j->end, *where = p;
    int escaped = 0, i;
    for (;;) {
        p = scan_string(p, j->begin, end, &where);
        if (!p)
            return json_fail(j, where, "bytes that are not UTF-8");
        if (p == end)
            return json_fail(j, open, "a string that does not end");
        if (*p == '"') {
            j->at = p + 1;
            return escaped;
        }
        if (*p != '\\')
            return json_fail(j, p, "a control character inside a string, which must be escaped");
        escaped = 1;
        if (end - p < 2)
            return json_fail(j, open, "a string that does not end");
        switch (p[1]) {
        case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
            p += 2;
            break;
        case 'u':
            for (i = 2; i < 6; i++)
                if (p + i >= end || json_hex(p[i]) < 0)
                    return json_fail(j, p, "an escape that is not \\u and four hexadecimal digits");
            p += 6;
            break;
        default:
            return json_fail(j, p, "an escape that JSON does not have");
        }
    }
}

static inline const uint8_t *json_digits(const uint8_t *p, const uint8_t *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static inline int json_number(json_t *j)
{
    const uint8_t *p = j->at, *end = j->end, *q;
    if (*p == '-')
        p++;
    q = json_digits(p, end);
    if (q == p || (*p == '0' && q - p > 1))
        return json_fail(j, j->at, q == p ? "a minus sign without a number" : "a number with a leading zero");
    p = q;
    if (p < end && *p == '.') {
        q = json_digits(p + 1, end);
        if (q == p + 1)
            return json_fail(j, j->at, "a decimal point without digits after it");
        p = q;
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        q = json_digits(p, end);
        if (q == p)
            return json_fail(j, j->at, "an exponent without digits");
        p = q;
    }
    j->at = p;
    return 0;
}

static inline int json_word(json_t *j, const char *word, ptrdiff_t length)
{
    if (j->end - j->at < length || memcmp(j->at, word, (size_t)length))
        return json_fail(j, j->at, "something that is not a JSON value");
    j->at += length;
    return 0;
}

static inline int json_push(json_t *j, int object)
{
    if (j->depth >= j->max_depth)
        return json_fail(j, j->at, "values nested too deep");
    if ((j->depth & 63) == 0)
        j->objects[j->depth >> 6] = 0;
    if (object)
        j->objects[j->depth >> 6] |= (uint64_t)1 << (j->depth & 63);
    else
        j->objects[j->depth >> 6] &= ~((uint64_t)1 << (j->depth & 63));
    j->depth++;
    j->at++;
    return 0;
}

/* The name of a member and its colon; leaves j->at on the first byte after them that is not blank. */
static inline int json_name(json_t *j)
{
    int r;
    if (j->at >= j->end || *j->at != '"')
        return json_fail(j, j->at, "no name in double quotes where a member of an object should begin");
    j->key = j->at + 1;
    r = json_string(j);
    if (r < 0)
        return r;
    j->key_escaped = r;
    j->key_end = j->at - 1;
    switch (j->key_end - j->key) { /* TRANSLATION §2.4 */
    case 13:
        j->signed_member |= memcmp(j->key, "extra_content", 13) == 0;
        break;
    case 15:
        j->signed_member |= memcmp(j->key, "thinking_blocks", 15) == 0;
        break;
    case 17:
        j->signed_member |= memcmp(j->key, "reasoning_details", 17) == 0 || memcmp(j->key, "encrypted_content", 17) == 0;
        break;
    }
    json_space(j);
    if (j->at >= j->end || *j->at != ':')
        return json_fail(j, j->at, "no ':' after the name of a member");
    j->at++;
    json_space(j);
    return 0;
}

/* Past the value at j->at (blanks before it are skipped). */
static int json_value(json_t *j)
{
    const int base = j->depth;
    int object, r;
    for (;;) {
        json_space(j);
        if (j->at >= j->end)
            return json_fail(j, j->at, "the end where a value should be");
        switch (*j->at) {
        case '"':
            r = json_string(j);
            break;
        case '{':
        case '[':
            object = *j->at == '{';
            if (json_push(j, object) < 0)
                return -1;
            json_space(j);
            if (j->at < j->end && *j->at == (object ? '}' : ']')) {
                j->at++;
                j->depth--;
                r = 0;
                break;
            }
            if (object && json_name(j) < 0)
                return -1;
            continue;
        case 't':
            r = json_word(j, "true", 4);
            break;
        case 'f':
            r = json_word(j, "false", 5);
            break;
        case 'n':
            r = json_word(j, "null", 4);
            break;
        case '-': case '0': case '1': case '2': case '3': case '4':
        case '5': case '6': case '7': case '8': case '9':
            r = json_number(j);
            break;
        default:
            return json_fail(j, j->at, "something that is not a JSON value");
        }
        if (r < 0)
            return -1;
        for (;;) { /* after a value: close what ends here, until another value follows */
            if (j->depth == base)
                return 0;
            object = (int)(j->objects[(j->depth - 1) >> 6] >> ((j->depth - 1) & 63)) & 1;
            json_space(j);
            if (j->at < j->end && *j->at == ',') {
                j->at++;
                if (object) {
                    json_space(j);
                    if (json_name(j) < 0)
                        return -1;
                }
                break;
            }
            if (j->at >= j->end || *j->at != (object ? '}' : ']'))
                return json_fail(j, j->at, object ? "no ',' or '}' after a member" : "no ',' or ']' after an element");
            j->at++;
            j->depth--;
        }
    }
}

/* Step into the object or array (`open`: '{' or '[') at j->at. -1 with `problem` NULL: the value there is something else. */
static inline int json_enter(json_t *j, uint8_t open)
{
    json_space(j);
    if (j->at >= j->end)
        return json_fail(j, j->at, "the end where a value should be");
    if (*j->at != open)
        return -1;
    return json_push(j, open == '{');
}

/* Common part of json_member and json_element: 0 past the closing bracket, 1 when another one follows. */
static inline int json_next(json_t *j, int *first, uint8_t close)
{
    json_space(j);
    if (j->at < j->end && *j->at == close) {
        j->at++;
        j->depth--;
        return 0;
    }
    if (!*first) {
        if (j->at >= j->end || *j->at != ',')
            return json_fail(j, j->at, close == '}' ? "no ',' or '}' after a member" : "no ',' or ']' after an element");
        j->at++;
        json_space(j);
    }
    *first = 0;
    return 1;
}

/* The next member of the object stepped into: 1 with j->at on its value, 0 past the closing brace. *first starts as 1. */
static inline int json_member(json_t *j, int *first)
{
    int r = json_next(j, first, '}');
    return r == 1 ? (json_name(j) < 0 ? -1 : 1) : r;
}

static inline int json_element(json_t *j, int *first)
{
    return json_next(j, first, ']');
}

/* Nothing but blanks may follow. */
static inline int json_finish(json_t *j)
{
    json_space(j);
    return j->at == j->end ? 0 : json_fail(j, j->at, "something after the end of the JSON value");
}

/* Whether the member's name is `name` (lower-case ASCII), escapes resolved; `fold`: letters of either case. */
static inline int json_key_is(const json_t *j, const char *name, ptrdiff_t length, int fold)
{
    const uint8_t *p = j->key;
    ptrdiff_t i;
    int c;
    if (!j->key_escaped && !fold)
        return j->key_end - p == length && memcmp(p, name, (size_t)length) == 0;
    for (i = 0; i < length; i++) {
        if (p >= j->key_end)
            return 0;
        c = *p++;
        if (c == '\\') {
            c = *p++;
            if (c == 'u') {
                c = json_hex(p[0]) << 12 | json_hex(p[1]) << 8 | json_hex(p[2]) << 4 | json_hex(p[3]);
                p += 4;
            } else if (c != '"' && c != '\\' && c != '/')
                return 0; /* a control character */
        }
        if (fold && c >= 'A' && c <= 'Z')
            c |= 0x20;
        if (c != (uint8_t)name[i])
            return 0;
    }
    return p == j->key_end;
}

#endif
