/* Blocks of an event stream (WHATWG HTML §9.2.6), and what an OpenAI-style event says.
 *
 * A block is the lines up to and including a blank one. One pass over it (sse_scan) finds its lines, whether it has
 * bytes beyond ASCII, and *hints*: quoted names that matter, as they stand in JSON without escapes. A hint may be wrong
 * (the name stood deeper, or was a value), a missing hint may not. Only a block with a hint that matters is walked
 * (sse_read), which validates it and finds the members for certain.
 */
#ifndef SWITCHGEAR_SSE_H
#define SWITCHGEAR_SSE_H

#include "json.h"

#define SSE_CHAT 0
#define SSE_RESPONSES 1
#define SSE_OPAQUE 2

#define SSE_DEPTH 512

#define HINT_MODEL 1u
#define HINT_USAGE 2u        /* any value: it may have to be cut */
#define HINT_USAGE_OBJECT 4u
#define HINT_ERROR 8u
#define HINT_FINISH 16u      /* a finish_reason that is a string */
#define HINT_RESPONSE 32u    /* "response": or the type of a closing event */
#define HINT_ERROR_TYPE 64u  /* "error" as a value */

typedef struct {
    const uint8_t *start, *end;      /* end: behind the blank line */
    const uint8_t *data, *data_end;  /* value of the first data line */
    const uint8_t *name, *name_end;  /* value of the last event line */
    int data_lines, comments, fields, ids; /* fields: lines that are neither data nor comments */
    int lone_cr;                     /* a line ends in CR alone */
    int swallow;                     /* ends in the last byte there is, a CR: an LF that follows belongs to it */
    int high;                        /* may have bytes above 0x7F */
    unsigned hints;
} sse_block;

/* First byte of the value that belongs to the name ending at p: 0 if no colon follows, 1 if the line ends before it. */
static inline int sse_value(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (p < end && *p == ':') {
        p++;
        while (p < end && (*p == ' ' || *p == '\t'))
            p++;
    } else if (p < end && *p != '\n' && *p != '\r')
        return 0;
    return p == end || *p == '\n' || *p == '\r' ? 1 : *p;
}

#define SSE_IS(p, end, text) ((end) - (p) >= (ptrdiff_t)sizeof(text) - 1 && memcmp(p, text, sizeof(text) - 1) == 0)

/* What the quote at p, with one of the letters of sse_letters behind it, begins. */
static unsigned sse_hint(const uint8_t *p, const uint8_t *end)
{
    int value;
    switch (p[1]) {
    case 'm':
        return SSE_IS(p, end, "\"model\"") && sse_value(p + 7, end) ? HINT_MODEL : 0;
    case 'u':
        if (!SSE_IS(p, end, "\"usage\"") || !(value = sse_value(p + 7, end)))
            return 0;
        return value == '{' || value == 1 ? HINT_USAGE | HINT_USAGE_OBJECT : HINT_USAGE;
    case 'f':
        if (!SSE_IS(p, end, "\"finish_reason\""))
            return 0;
        value = sse_value(p + 15, end);
        return value == '"' || value == 1 ? HINT_FINISH : 0;
    case 'e':
        if (!SSE_IS(p, end, "\"error\""))
            return 0;
        value = sse_value(p + 7, end);
        if (value == 0 || value == 1)
            return HINT_ERROR_TYPE | (value ? HINT_ERROR : 0);
        return value != 'n' && value != 'f' ? HINT_ERROR : 0;
    case 'r':
        if (SSE_IS(p, end, "\"response\""))
            return sse_value(p + 10, end) ? HINT_RESPONSE : 0;
        if (SSE_IS(p, end, "\"response.completed\"") || SSE_IS(p, end, "\"response.incomplete\"") ||
            SSE_IS(p, end, "\"response.failed\""))
            return HINT_RESPONSE;
        return 0;
    }
    return 0;
}

/* Which letters behind a quote are worth a look: (letter & mask) == first, or letter == second. */
typedef struct {
    uint8_t mask, first, second;
} sse_letters;

static inline sse_letters sse_letters_of(int dialect)
{
    static const sse_letters chat = {0xE7, 'e', 'f'};       /* e, m, u and }; f */
    static const sse_letters responses = {0xFF, 'e', 'r'};
    static const sse_letters opaque = {0xFF, 'e', 'e'};
    return dialect == SSE_CHAT ? chat : dialect == SSE_RESPONSES ? responses : opaque;
}

/* The LF or CR that ends the line at p, or `end`. Gathers hints and whether there are bytes above 0x7F on the way. */
static inline const uint8_t *sse_line(const uint8_t *p, const uint8_t *end, sse_letters letters, sse_block *b)
{
#if SCAN_SSE2
    const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r'), quote = _mm_set1_epi8('"');
    const __m128i mask = _mm_set1_epi8((char)letters.mask), first = _mm_set1_epi8((char)letters.first);
    const __m128i second = _mm_set1_epi8((char)letters.second);
    for (; end - p >= 17; p += 16) {
        __m128i v = scan_load(p), next = scan_load(p + 1);
        __m128i letter = _mm_or_si128(_mm_cmpeq_epi8(_mm_and_si128(next, mask), first), _mm_cmpeq_epi8(next, second));
        __m128i stop = _mm_or_si128(_mm_and_si128(_mm_cmpeq_epi8(v, quote), letter),
                                    _mm_or_si128(_mm_cmpeq_epi8(v, lf), _mm_cmpeq_epi8(v, cr)));
        unsigned m = (unsigned)_mm_movemask_epi8(stop);
        b->high |= _mm_movemask_epi8(v);
        for (; m; m &= m - 1) {
            const uint8_t *at = p + __builtin_ctz(m);
            if (*at != '"')
                return at;
            b->hints |= sse_hint(at, end);
        }
    }
#endif
    for (; p < end; p++) {
        if (*p == '\n' || *p == '\r')
            return p;
        b->high |= *p & 0x80;
        if (*p == '"' && end - p > 1 && ((p[1] & letters.mask) == letters.first || p[1] == letters.second))
            b->hints |= sse_hint(p, end);
    }
    return end;
}

/* Behind the line end at `eol`; NULL when what there is does not tell. `blank`: the line is empty.
 * A CR that is the last byte may be half of a CRLF: only a block that is rewritten anyway need not wait for the rest. */
static inline const uint8_t *sse_next(const uint8_t *eol, const uint8_t *end, int blank, int *lone_cr, int *swallow)
{
    if (*eol == '\n')
        return eol + 1;
    if (end - eol >= 2) {
        if (eol[1] == '\n')
            return eol + 2;
        *lone_cr = 1;
        return eol + 1;
    }
    if (blank && *lone_cr) {
        *swallow = 1;
        return eol + 1;
    }
    return NULL;
}

/* Behind "name:" and one space, when the line is of that field (a line without a colon has an empty value). */
static inline const uint8_t *sse_field(const uint8_t *line, const uint8_t *eol, const char *name, ptrdiff_t length)
{
    const uint8_t *value = line + length;
    if (eol - line < length || memcmp(line, name, (size_t)length))
        return NULL;
    if (value == eol)
        return value;
    if (*value != ':')
        return NULL;
    value++;
    return value < eol && *value == ' ' ? value + 1 : value;
}

static inline void sse_classify(const uint8_t *line, const uint8_t *eol, sse_block *b)
{
    const uint8_t *value;
    if ((value = sse_field(line, eol, "data", 4))) {
        if (b->data_lines++ == 0) {
            b->data = value;
            b->data_end = eol;
        }
        return;
    }
    if (*line == ':') {
        b->comments++;
        return;
    }
    b->fields++;
    if ((value = sse_field(line, eol, "event", 5))) {
        b->name = value;
        b->name_end = eol;
    } else if (sse_field(line, eol, "id", 2))
        b->ids = 1;
}

/* Read the block at p. 1: it is whole. 0: its end is not there yet. */
static int sse_scan(sse_block *b, const uint8_t *p, const uint8_t *end, int dialect)
{
    const sse_letters letters = sse_letters_of(dialect);
    const uint8_t *eol, *next;
    memset(b, 0, sizeof *b);
    b->start = p;
    for (;;) {
        eol = sse_line(p, end, letters, b);
        if (eol == end || !(next = sse_next(eol, end, eol == p, &b->lone_cr, &b->swallow)))
            return 0;
        if (eol == p) {
            b->end = next;
            return 1;
        }
        sse_classify(p, eol, b);
        p = next;
    }
}

/* Where the search for the end of a block that comes in parts stands, as offsets into it. */
typedef struct {
    size_t line, scanned;
    int lone_cr;
} sse_search;

/* Whether the block at p has its end by now. */
static int sse_find(sse_search *s, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *eol, *next;
    int swallow = 0;
    for (;;) {
        eol = scan_eol(p + s->scanned, end);
        s->scanned = (size_t)(eol - p);
        if (eol == end || !(next = sse_next(eol, end, eol == p + s->line, &s->lone_cr, &swallow)))
            return 0;
        if (eol == p + s->line)
            return 1;
        s->line = s->scanned = (size_t)(next - p);
    }
}

/* Members found at top level (RESPONSES: model and usage inside `response`); of one given twice the last counts, as for
 * a JSON parser, but each is edited. */
#define SSE_EDITS 16

typedef struct {
    const uint8_t *start, *end;
    int cut; /* else: put the model's name there */
} sse_edit;

typedef struct {
    const uint8_t *model, *model_end;  /* with quotes; NULL: none that is a string */
    const uint8_t *usage, *usage_end;  /* an object; NULL: none */
    const uint8_t *groq, *groq_end;    /* the same, of `x_groq`: older streams of Groq have it only there */
    int error, finish, done, no_choices;
    int edits, too_many;
    sse_edit edit[SSE_EDITS];
} sse_event;

static inline int sse_add(sse_event *e, const uint8_t *start, const uint8_t *end, int cut)
{
    if (e->edits == SSE_EDITS) {
        e->too_many = 1;
        return SSE_EDITS - 1;
    }
    e->edit[e->edits].start = start;
    e->edit[e->edits].end = end;
    e->edit[e->edits].cut = cut;
    return e->edits++;
}

/* What a dynamic language takes for true. */
static int sse_truthy(const uint8_t *p, const uint8_t *end)
{
    switch (*p) {
    case 'n': case 'f':
        return 0;
    case '"':
        return end - p > 2;
    case '{': case '[':
        p = json_blank(p + 1, end);
        return *p != '}' && *p != ']';
    case 't':
        return 1;
    }
    for (; p < end && (*p | 0x20) != 'e'; p++)
        if (*p >= '1' && *p <= '9')
            return 1;
    return 0;
}

static void sse_model(sse_event *e, const uint8_t *value, const uint8_t *end)
{
    e->model = NULL;
    if (*value != '"')
        return;
    e->model = value;
    e->model_end = end;
    sse_add(e, value, end, 0);
}

static void sse_usage(sse_event *e, const uint8_t *value, const uint8_t *end)
{
    e->usage = *value == '{' ? value : NULL;
    e->usage_end = end;
}

static inline int sse_named(const json_t *j, const char *name, ptrdiff_t length)
{
    return !j->key_escaped && json_key_is(j, name, length, 0);
}

/* The value of `choices`. */
static int sse_choices(json_t *j, sse_event *e)
{
    int first = 1, inner, r, q, finish, named;
    const uint8_t *value;
    e->no_choices = 0;
    e->finish = 0;
    if (j->at >= j->end || *j->at != '[')
        return json_value(j);
    if (json_enter(j, '[') < 0)
        return -1;
    e->no_choices = 1;
    while ((r = json_element(j, &first)) == 1) {
        e->no_choices = 0;
        if (j->at >= j->end || *j->at != '{') {
            if (json_value(j) < 0)
                return -1;
            continue;
        }
        if (json_enter(j, '{') < 0)
            return -1;
        inner = 1;
        finish = 0;
        while ((q = json_member(j, &inner)) == 1) {
            named = sse_named(j, "finish_reason", 13);
            value = j->at;
            if (json_value(j) < 0)
                return -1;
            if (named)
                finish = *value == '"';
        }
        if (q < 0)
            return -1;
        e->finish |= finish;
    }
    return r;
}

/* The value of `response`, or of `x_groq` (then only the usage in it is looked for). */
static int sse_inner(json_t *j, sse_event *e, int groq)
{
    int first = 1, r, model, usage;
    const uint8_t *value;
    if (groq)
        e->groq = NULL;
    else
        e->model = e->usage = NULL;
    if (j->at >= j->end || *j->at != '{')
        return json_value(j);
    if (json_enter(j, '{') < 0)
        return -1;
    while ((r = json_member(j, &first)) == 1) {
        model = !groq && sse_named(j, "model", 5);
        usage = sse_named(j, "usage", 5);
        value = j->at;
        if (json_value(j) < 0)
            return -1;
        if (model)
            sse_model(e, value, j->at);
        else if (usage && groq) {
            e->groq = *value == '{' ? value : NULL;
            e->groq_end = j->at;
        } else if (usage)
            sse_usage(e, value, j->at);
    }
    return r;
}

static void sse_type(sse_event *e, int *is_error, const uint8_t *value, const uint8_t *end)
{
    *is_error = SSE_IS(value, end, "\"error\"");
    e->done = SSE_IS(value, end, "\"response.completed\"") || SSE_IS(value, end, "\"response.incomplete\"") ||
              SSE_IS(value, end, "\"response.failed\"");
}

/* Read the JSON object in [begin, end). 0: done. -1: it is none, or has more to edit than SSE_EDITS. `hide`: usage is to be cut out. */
static int sse_read(sse_event *e, const uint8_t *begin, const uint8_t *end, int dialect, int hide)
{
    json_t j;
    const uint8_t *comma, *name, *value;
    int first = 1, r, kept = 0, open = -1, cut, is_error = 0;
    enum { OTHER, MODEL, USAGE, CHOICES, GROQ, RESPONSE, TYPE, ERROR } member;
    memset(e, 0, offsetof(sse_event, edit));
    json_init(&j, begin, end, SSE_DEPTH);
    if (json_enter(&j, '{') < 0)
        return -1;
    for (;;) {
        comma = json_blank(j.at, end);
        if ((r = json_member(&j, &first)) != 1)
            break;
        name = j.key - 1;
        value = j.at;
        member = OTHER;
        if (sse_named(&j, "error", 5))
            member = ERROR;
        else if (dialect == SSE_CHAT)
            member = sse_named(&j, "choices", 7)  ? CHOICES
                     : sse_named(&j, "model", 5)  ? MODEL
                     : sse_named(&j, "usage", 5)  ? USAGE
                     : sse_named(&j, "x_groq", 6) ? GROQ
                                                  : OTHER;
        else if (dialect == SSE_RESPONSES)
            member = sse_named(&j, "response", 8) ? RESPONSE : sse_named(&j, "type", 4) ? TYPE : OTHER;
        r = member == CHOICES                         ? sse_choices(&j, e)
            : member == RESPONSE || member == GROQ ? sse_inner(&j, e, member == GROQ)
                                                   : json_value(&j);
        if (r < 0)
            return -1;
        if (open >= 0) { /* a cut at the front takes the comma after it, and the blanks */
            e->edit[open].end = name;
            open = -1;
        }
        cut = 0;
        if (member == MODEL)
            sse_model(e, value, j.at);
        else if (member == USAGE) {
            sse_usage(e, value, j.at);
            cut = hide && (*value == '{' || *value == 'n');
        } else if (member == ERROR)
            e->error = sse_truthy(value, j.at);
        else if (member == TYPE)
            sse_type(e, &is_error, value, j.at);
        if (!cut)
            kept++;
        else if (kept)
            sse_add(e, comma, j.at, 1);
        else
            open = sse_add(e, name, j.at, 1);
    }
    if (r < 0 || json_finish(&j) < 0 || e->too_many)
        return -1;
    e->error |= is_error;
    return 0;
}

/* Whether [begin, end) is one JSON value. */
static inline int sse_is_json(const uint8_t *begin, const uint8_t *end)
{
    json_t j;
    json_init(&j, begin, end, SSE_DEPTH);
    return json_value(&j) == 0 && json_finish(&j) == 0;
}

#endif
