/* Sixteen bytes at a time: UTF-8 validation, the inside of JSON strings, the lines of an event stream.
 *
 * SSE2 is part of x86-64, so it is chosen when the compiler targets it; anything else, or
 * -DSWITCHGEAR_PORTABLE, takes plain C with the same results. Nothing is read outside [begin, end).
 */
#ifndef SWITCHGEAR_SCAN_H
#define SWITCHGEAR_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__) && !defined(SWITCHGEAR_PORTABLE)
#define SCAN_SSE2 1
#include <emmintrin.h>
#else
#define SCAN_SSE2 0
#endif

/* Length of the well-formed UTF-8 sequence at p (RFC 3629: no surrogates, no overlong forms), 0 when it is none. */
static inline int utf8_step(const uint8_t *p, const uint8_t *end)
{
    uint8_t lead = p[0], low = 0x80, high = 0xBF;
    ptrdiff_t left = end - p;
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    if (lead < 0xE0)
        return left >= 2 && (p[1] & 0xC0) == 0x80 ? 2 : 0;
    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    if (left < 3 || p[1] < low || p[1] > high || (p[2] & 0xC0) != 0x80)
        return 0;
    if (lead < 0xF0)
        return 3;
    return left >= 4 && (p[3] & 0xC0) == 0x80 ? 4 : 0;
}

#if SCAN_SSE2

static inline __m128i scan_load(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

static inline __m128i scan_at_least(__m128i v, uint8_t k)
{
    return _mm_cmpeq_epi8(_mm_max_epu8(v, _mm_set1_epi8((char)k)), v);
}

/* A bit for each of the 16 bytes at p that is wrong after the three before it. Reads p[-3]. A sequence cut short is
 * reported at the byte that should have continued it. */
static inline unsigned utf8_errors(const uint8_t *p)
{
    __m128i c = scan_load(p), p1 = scan_load(p - 1), p2 = scan_load(p - 2), p3 = scan_load(p - 3);
    __m128i continues = _mm_cmplt_epi8(c, _mm_set1_epi8(-64)); /* 0x80–0xBF, as signed numbers */
    __m128i should = _mm_or_si128(scan_at_least(p1, 0xC0), _mm_or_si128(scan_at_least(p2, 0xE0), scan_at_least(p3, 0xF0)));
    __m128i wrong = _mm_xor_si128(continues, should);
    wrong = _mm_or_si128(wrong, scan_at_least(c, 0xF5));
    wrong = _mm_or_si128(wrong, _mm_cmpeq_epi8(_mm_and_si128(c, _mm_set1_epi8((char)0xFE)), _mm_set1_epi8((char)0xC0)));
#define SECOND(lead, bad) wrong = _mm_or_si128(wrong, _mm_and_si128(_mm_cmpeq_epi8(p1, _mm_set1_epi8((char)(lead))), bad))
    SECOND(0xE0, _mm_cmplt_epi8(c, _mm_set1_epi8((char)0xA0)));
    SECOND(0xED, _mm_cmpgt_epi8(c, _mm_set1_epi8((char)0x9F)));
    SECOND(0xF0, _mm_cmplt_epi8(c, _mm_set1_epi8((char)0x90)));
    SECOND(0xF4, _mm_cmpgt_epi8(c, _mm_set1_epi8((char)0x8F)));
#undef SECOND
    return (unsigned)_mm_movemask_epi8(wrong);
}

/* The start of the sequence that the three bytes before p leave unfinished, else p. */
static inline const uint8_t *utf8_back(const uint8_t *p)
{
    if (p[-1] >= 0xC0)
        return p - 1;
    if (p[-2] >= 0xE0)
        return p - 2;
    return p[-3] >= 0xF0 ? p - 3 : p;
}

#endif

/* Whether [p, end) is well-formed UTF-8. */
static inline int utf8_valid(const uint8_t *p, const uint8_t *end)
{
    int step;
#if SCAN_SSE2
    const uint8_t *begin = p;
    unsigned high, unfinished = 0;
    while (p < end && p - begin < 3) {
        if (!(step = utf8_step(p, end)))
            return 0;
        p += step;
    }
    for (; end - p >= 16; p += 16) {
        high = (unsigned)_mm_movemask_epi8(scan_load(p));
        if (!(high | unfinished))
            continue;
        if (utf8_errors(p))
            return 0;
        unfinished = high & 0xE000u;
    }
    if (unfinished)
        p = utf8_back(p);
#endif
    while (p < end) {
        if (*p < 0x80) {
            p++;
            continue;
        }
        if (!(step = utf8_step(p, end)))
            return 0;
        p += step;
    }
    return 1;
}

/* The next `"`, `\` or control character from p on, inside a JSON string, or `end`; NULL for bytes that are not UTF-8,
 * with *where at them. The byte at p begins a character. */
static inline const uint8_t *scan_string(const uint8_t *p, const uint8_t *begin, const uint8_t *end, const uint8_t **where)
{
    int step;
#if SCAN_SSE2
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1F);
    unsigned special, high, wrong, unfinished = 0;
    while (p - begin < 3 && p < end && *p != '"' && *p != '\\' && *p > 0x1F) {
        if (!(step = utf8_step(p, end))) {
            *where = p;
            return NULL;
        }
        p += step;
    }
    if (p - begin < 3)
        return p;
    for (; end - p >= 16; p += 16) {
        __m128i v = scan_load(p);
        special = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)),
                                                           _mm_cmpeq_epi8(_mm_max_epu8(v, control), control)));
        high = (unsigned)_mm_movemask_epi8(v);
        if (high | unfinished) {
            wrong = utf8_errors(p);
            if (special) /* up to and including the special byte: it may have come too early */
                wrong &= (special & (0u - special)) * 2 - 1;
            if (wrong) {
                *where = p + __builtin_ctz(wrong);
                return NULL;
            }
            unfinished = high & 0xE000u;
        }
        if (special)
            return p + __builtin_ctz(special);
    }
    if (unfinished)
        p = utf8_back(p);
#else
    (void)begin;
#endif
    while (p < end && *p != '"' && *p != '\\' && *p > 0x1F) {
        if (*p < 0x80) {
            p++;
            continue;
        }
        if (!(step = utf8_step(p, end))) {
            *where = p;
            return NULL;
        }
        p += step;
    }
    return p;
}

/* The next LF or CR from p on, or `end`. */
static inline const uint8_t *scan_eol(const uint8_t *p, const uint8_t *end)
{
#if SCAN_SSE2
    const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r');
    for (; end - p >= 16; p += 16) {
        __m128i v = scan_load(p);
        unsigned m = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, lf), _mm_cmpeq_epi8(v, cr)));
        if (m)
            return p + __builtin_ctz(m);
    }
#endif
    while (p < end && *p != '\n' && *p != '\r')
        p++;
    return p;
}

#endif
