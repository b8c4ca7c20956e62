/* What loadclient counts, and the JSON it prints of it. */
#ifndef SWITCHGEAR_LOADCLIENT_RESULT_H
#define SWITCHGEAR_LOADCLIENT_RESULT_H

#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "histogram.h"
#include "loadclient_options.h"

#define STATUS_MAX 600

enum failure {
    FAIL_CONNECT,
    FAIL_RESET,       /* the connection broke with an error */
    FAIL_CLOSED,      /* closed before a byte of the answer, on a connection that was new */
    FAIL_TRUNCATED,   /* closed before the answer's end */
    FAIL_TIMEOUT,
    FAIL_STATUS,
    FAIL_MALFORMED,
    FAIL_EXTRA_BYTES, /* bytes after the answer that nobody asked for */
    FAIL_NO_DONE,     /* a stream that ended properly but without [DONE] */
    FAIL_ERROR_EVENT,
    FAIL_ENDED_EARLY, /* hold: the stream ended while it was to be held */
    FAIL_SHORT_BODY,  /* fewer body bytes than --min-body */
    FAIL_KINDS,
};

static const char *const failure_names[FAIL_KINDS] = {
    "connect", "reset", "closed", "truncated", "timeout", "status", "malformed", "extra_bytes",
    "no_done", "error_event", "ended_early", "short_body",
};

static struct {
    uint64_t completed; /* answers read whole, those of the warm-up and after the window too */
    uint64_t requests, events, streams, done, body_bytes, reconnects, retries, backlog_max;
    uint64_t window_ns, open; /* open: streams that had not ended */
    struct rusage usage_begin, usage_end;
    struct core_times cores_begin, cores_end;
    uint64_t failures[FAIL_KINDS], statuses[STATUS_MAX];
    uint32_t events_min, events_max;
    struct histogram latency, headers, first_event, gap, delay;
} result;

static double usage_s(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

static uint64_t print_failures(void)
{
    uint64_t total = 0;
    printf("  \"errors\": {");
    for (int i = 0; i < FAIL_KINDS; i++) {
        if (result.failures[i])
            printf("%s\"%s\": %llu", total ? ", " : "", failure_names[i], (unsigned long long)result.failures[i]);
        total += result.failures[i];
    }
    printf("},\n  \"statuses\": {");
    for (int i = 0, seen = 0; i < STATUS_MAX; i++)
        if (result.statuses[i])
            printf("%s\"%d\": %llu", seen++ ? ", " : "", i, (unsigned long long)result.statuses[i]);
    printf("},\n");
    return total;
}

static void print_watched(void)
{
    printf("  \"watched\": [");
    for (int i = 0; i < option.watched_count; i++) {
        const struct watched *w = &option.watched[i];
        printf("%s\n    {\"pid\": %d, \"lost\": %s, \"cpu_s\": %.9f, \"rss_before_bytes\": %llu, \"rss_bytes\": %llu, \"rss_max_bytes\": %llu}",
               i ? "," : "", (int)w->pid, w->lost ? "true" : "false",
               w->lost ? 0.0 : (double)(w->cpu_end - w->cpu_begin) / 1e9, (unsigned long long)w->rss_before,
               (unsigned long long)w->rss_end, (unsigned long long)w->rss_max);
    }
    printf("],\n  \"cores_busy_s\": [");
    for (int i = 0; i < result.cores_end.count; i++)
        printf("%s%.2f", i ? ", " : "",
               (double)(result.cores_end.busy_ticks[i] - result.cores_begin.busy_ticks[i]) / (double)sysconf(_SC_CLK_TCK));
    printf("],\n");
}

static uint64_t report(void)
{
    static const char *const modes[] = {"unary", "stream", "hold"};
    double window = (double)result.window_ns / 1e9, cpu = usage_s(&result.usage_end) - usage_s(&result.usage_begin);
    if (option.mode == STREAM && result.open)
        result.failures[FAIL_TIMEOUT] += result.open;
    printf("{\n  \"mode\": \"%s\",\n  \"url\": \"%s\",\n  \"connections\": %d,\n  \"rate\": %.3f,\n", modes[option.mode],
           option.url, option.connections, option.rate);
    printf("  \"window_s\": %.6f,\n  \"completed\": %llu,\n  \"requests\": %llu,\n  \"requests_per_s\": %.2f,\n", window,
           (unsigned long long)result.completed, (unsigned long long)result.requests, (double)result.requests / window);
    printf("  \"body_bytes\": %llu,\n  \"reconnects\": %llu,\n  \"stale_retries\": %llu,\n  \"backlog_max\": %llu,\n",
           (unsigned long long)result.body_bytes, (unsigned long long)result.reconnects,
           (unsigned long long)result.retries, (unsigned long long)result.backlog_max);
    uint64_t failures = print_failures();
    histogram_json(stdout, "latency_us", &result.latency);
    if (option.mode != UNARY) {
        printf("  \"events\": %llu,\n  \"events_per_s\": %.2f,\n  \"streams\": %llu,\n  \"done\": %llu,\n",
               (unsigned long long)result.events, (double)result.events / window, (unsigned long long)result.streams,
               (unsigned long long)result.done);
        printf("  \"events_per_stream_min\": %u,\n  \"events_per_stream_max\": %u,\n  \"open\": %llu,\n",
               result.events_min, result.events_max, (unsigned long long)result.open);
        histogram_json(stdout, "headers_us", &result.headers);
        histogram_json(stdout, "first_event_us", &result.first_event);
        histogram_json(stdout, "gap_us", &result.gap);
        histogram_json(stdout, "event_delay_us", &result.delay);
    }
    print_watched();
    printf("  \"client_cpu_s\": %.6f,\n  \"ok\": %s\n}\n", cpu, failures == 0 ? "true" : "false");
    return failures;
}

#endif
