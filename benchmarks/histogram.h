/* A log-linear histogram of nanoseconds.
 *
 * 1,024 buckets for each power of two: exact below 1,024 ns, then within 0.1 % (better than a microsecond below one
 * millisecond). Recording is two shifts and an increment, so that the load generator does not measure itself.
 */
#ifndef SWITCHGEAR_HISTOGRAM_H
#define SWITCHGEAR_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_BITS 10
#define HISTOGRAM_SUB (1u << HISTOGRAM_BITS)
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS + 1) * HISTOGRAM_SUB)

struct histogram {
    uint64_t count, sum, min, max;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_index(uint64_t value)
{
    if (value < HISTOGRAM_SUB)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
    return (shift + 1) * HISTOGRAM_SUB + (unsigned)((value >> shift) - HISTOGRAM_SUB);
}

/* The middle of a bucket's range. */
static inline uint64_t histogram_value(unsigned index)
{
    if (index < HISTOGRAM_SUB)
        return index;
    unsigned shift = index / HISTOGRAM_SUB - 1;
    return ((uint64_t)(index % HISTOGRAM_SUB + HISTOGRAM_SUB) << shift) + ((1ull << shift) >> 1);
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
    if (h->count == 0 || value < h->min)
        h->min = value;
    if (value > h->max)
        h->max = value;
    h->count++;
    h->sum += value;
    h->bucket[histogram_index(value)]++;
}

static inline uint64_t histogram_quantile(const struct histogram *h, double q)
{
    uint64_t rank = (uint64_t)(q * (double)h->count + 0.5), seen = 0;
    if (rank < 1)
        rank = 1;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen >= rank) {
            uint64_t value = histogram_value(i);
            return value > h->max ? h->max : value < h->min ? h->min : value;
        }
    }
    return h->max;
}

/* As a JSON member in microseconds: null without a sample. */
static inline void histogram_json(FILE *out, const char *name, const struct histogram *h)
{
    if (h->count == 0) {
        fprintf(out, "  \"%s\": null,\n", name);
        return;
    }
    fprintf(out,
            "  \"%s\": {\"count\": %llu, \"min\": %.2f, \"mean\": %.2f, \"p50\": %.2f, \"p90\": %.2f, "
            "\"p99\": %.2f, \"p999\": %.2f, \"max\": %.2f},\n",
            name, (unsigned long long)h->count, (double)h->min / 1e3, (double)h->sum / (double)h->count / 1e3,
            (double)histogram_quantile(h, 0.50) / 1e3, (double)histogram_quantile(h, 0.90) / 1e3,
            (double)histogram_quantile(h, 0.99) / 1e3, (double)histogram_quantile(h, 0.999) / 1e3,
            (double)h->max / 1e3);
}

#endif
