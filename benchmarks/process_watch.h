/* CPU time and resident memory of other processes, read at the edges of the measured window.
 *
 * CPU is the process's CPU clock (clock_getcpuclockid): user + system of all its threads, the finished ones included,
 * with the scheduler's nanosecond resolution, where /proc/PID/stat has ticks of 10 ms. Memory is Rss of smaps_rollup,
 * which is exact; statm's figure lags by per-CPU batches.
 *
 * How busy each core was, whoever used it, comes from /proc/stat: with it the harness sees a load generator at its
 * limit, and other work on the server's core.
 */
#ifndef SWITCHGEAR_PROCESS_WATCH_H
#define SWITCHGEAR_PROCESS_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define WATCH_MAX 64
#define CORES_MAX 256

struct watched {
    pid_t pid;
    bool lost;                    /* it ended, or is not ours to see */
    uint64_t cpu_begin, cpu_end;  /* ns */
    uint64_t rss_before, rss_end, rss_max; /* bytes */
};

static inline bool watch_cpu_ns(pid_t pid, uint64_t *value)
{
    clockid_t clock;
    struct timespec now;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &now) != 0)
        return false;
    *value = (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
    return true;
}

static inline bool watch_rss_bytes(pid_t pid, uint64_t *value)
{
    char path[64], line[256];
    unsigned long long number;
    bool found = false;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        while (!found && fgets(line, sizeof line, file))
            found = sscanf(line, "Rss: %llu kB", &number) == 1;
        fclose(file);
        *value = number * 1024;
        if (found)
            return true;
    }
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    file = fopen(path, "r");
    if (file == NULL)
        return false;
    found = fscanf(file, "%*u %llu", &number) == 1;
    fclose(file);
    *value = number * (unsigned long long)sysconf(_SC_PAGESIZE);
    return found;
}

struct core_times {
    int count;
    uint64_t busy_ticks[CORES_MAX];
};

static inline void watch_cores(struct core_times *cores)
{
    char line[512];
    unsigned long long user, nice, kernel, idle, wait, irq, softirq, steal;
    int core;
    FILE *file = fopen("/proc/stat", "r");
    cores->count = 0;
    while (file != NULL && fgets(line, sizeof line, file)) {
        if (sscanf(line, "cpu%d %llu %llu %llu %llu %llu %llu %llu %llu", &core, &user, &nice, &kernel, &idle, &wait, &irq,
                   &softirq, &steal) != 9 || core < 0 || core >= CORES_MAX)
            continue;
        cores->busy_ticks[core] = user + nice + kernel + irq + softirq + steal;
        if (core >= cores->count)
            cores->count = core + 1;
    }
    if (file != NULL)
        fclose(file);
}

static inline void watch_cpu(struct watched *list, int count, bool begin)
{
    for (int i = 0; i < count; i++)
        list[i].lost |= !watch_cpu_ns(list[i].pid, begin ? &list[i].cpu_begin : &list[i].cpu_end);
}

static inline void watch_rss(struct watched *list, int count, bool before)
{
    for (int i = 0; i < count; i++) {
        uint64_t bytes;
        if (!watch_rss_bytes(list[i].pid, &bytes)) {
            list[i].lost = true;
            continue;
        }
        if (before)
            list[i].rss_before = bytes;
        list[i].rss_end = bytes;
        if (bytes > list[i].rss_max)
            list[i].rss_max = bytes;
    }
}

#endif
