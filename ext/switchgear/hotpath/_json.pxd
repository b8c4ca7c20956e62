"""json.h and scan.h, for the modules that use them."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t


cdef extern from "json.h" nogil:
    int JSON_MAX_DEPTH

    ctypedef struct json_t:
        const uint8_t *begin
        const uint8_t *end
        const uint8_t *at
        const uint8_t *key
        const uint8_t *key_end
        int key_escaped
        int signed_member
        const char *problem
        const uint8_t *where

    void json_init(json_t *j, const uint8_t *begin, const uint8_t *end, int max_depth)
    const uint8_t *json_blank(const uint8_t *p, const uint8_t *end)
    void json_space(json_t *j)
    int json_value(json_t *j)
    int json_enter(json_t *j, uint8_t open)
    int json_member(json_t *j, int *first)
    int json_element(json_t *j, int *first)
    int json_finish(json_t *j)
    int json_key_is(const json_t *j, const char *name, ptrdiff_t length, int fold)
    bint utf8_valid(const uint8_t *p, const uint8_t *end)
    const uint8_t *scan_eol(const uint8_t *p, const uint8_t *end)
