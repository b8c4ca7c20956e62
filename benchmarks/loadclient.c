/* loadclient: an HTTP/1.1 load generator on one thread and one epoll.
 *
 *   loadclient unary  --url http://127.0.0.1:8080 --request FILE --connections 32 --duration 5 --warmup 1 [--rate R]
 *   loadclient stream ... [--streams COUNT] [--schedule FIRST_US,GAP_US]
 *   loadclient hold   ... --connections 2000 --duration 10
 *
 * unary: keep-alive connections in a closed loop, or with --rate at a constant rate whatever the server does; latency
 * then counts from the time a request was due, so that a stall is not hidden by requests that were never sent.
 * stream: each connection reads one SSE answer after the other, for a time or for a count of streams.
 * hold: one stream for each connection, kept open, to weigh the memory that open streams cost.
 *
 * A request file is a request line, header lines, an empty line and the body; Host and Content-Length are added.
 * --request may be given many times: requests take them in turn. --watch-pid reads CPU and memory of the server under
 * test at the edges of the measured window. Every answer's framing and status is checked; what is not as it should be
 * is counted by kind, "ok" is then false and the exit status 1. The result is JSON on stdout.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "http_response.h"
#include "loadclient_options.h"
#include "loadclient_result.h"
#include "sse_counter.h"

#define SECOND 1000000000ull
#define RETRY_NS (10 * 1000000ull)  /* between attempts to reach a server that refused or failed */
#define SWEEP_NS (100 * 1000000ull) /* how often time limits and memory are looked at */
#define READ_SIZE (256 * 1024)

enum connection_state { CLOSED, CONNECTING, IDLE, SENDING, READING };

struct connection {
    int fd;
    enum connection_state state;
    bool used;            /* an answer was read on it: a close before the next one is the server's right */
    bool want_write;
    bool has_work;        /* a request waits for, or is on, this connection */
    size_t sent;
    const struct request *request;
    uint64_t due, headers_at, last_event, retry_at, body_bytes;
    struct sse_counter sse;
    struct response response;
};

static struct {
    int epoll, timer;
    struct connection *connections;
    int *idle, idle_count, opened;
    uint64_t now, start, begin, end; /* begin, end: the measured window */
    bool measuring, finished, draining;
    uint64_t started, active;
    uint64_t next_sweep;
    char buffer[READ_SIZE];
} run;

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static uint64_t seconds_ns(double seconds)
{
    return (uint64_t)(seconds * (double)SECOND);
}

/* ---- connections ---- */

static void start_work(struct connection *c);

static void watch_fd(struct connection *c, bool write, bool add)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | (write ? EPOLLOUT : 0u), .data.ptr = c};
    if (!add && c->want_write == write)
        return;
    c->want_write = write;
    if (epoll_ctl(run.epoll, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, c->fd, &event) != 0)
        die("epoll_ctl failed");
}

static void close_connection(struct connection *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->state = CLOSED;
    c->used = false;
}

static void push_idle(struct connection *c)
{
    run.idle[run.idle_count++] = (int)(c - run.connections);
}

/* The request on this connection is over, for better or worse; give the connection its next one. */
static void work_ended(struct connection *c)
{
    c->has_work = false;
    run.active--;
    if (run.finished || run.draining || option.mode == HOLD)
        return;
    if (option.rate > 0)
        push_idle(c);
    else if (c->retry_at == 0)
        start_work(c);
    /* else the sweep starts it when its time has come */
}

static void fail(struct connection *c, enum failure kind)
{
    result.failures[kind]++;
    close_connection(c);
    c->retry_at = run.now + RETRY_NS;
    work_ended(c);
}

static void open_connection(struct connection *c)
{
    int yes = 1;
    c->fd = socket(option.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("cannot open a socket: too many connections for the limit on open files?");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    c->state = CONNECTING;
    if (connect(c->fd, (struct sockaddr *)&option.address, option.address_size) != 0 && errno != EINPROGRESS) {
        fail(c, FAIL_CONNECT);
        return;
    }
    watch_fd(c, true, true);
}

static void send_request(struct connection *c)
{
    while (c->sent < c->request->size) {
        ssize_t sent = send(c->fd, c->request->bytes + c->sent, c->request->size - c->sent, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN) {
                c->state = SENDING;
                watch_fd(c, true, false);
                return;
            }
            break; /* the reader sees why: an early answer, a close or a reset */
        }
        c->sent += (size_t)sent;
    }
    c->state = READING;
    watch_fd(c, false, false);
}

static void begin_request(struct connection *c)
{
    c->sent = 0;
    c->body_bytes = 0;
    c->headers_at = c->last_event = 0;
    memset(&c->sse, 0, sizeof c->sse);
    response_reset(&c->response);
    send_request(c);
}

/* Takes the next request, if one is due, onto this connection. */
static void start_work(struct connection *c)
{
    c->due = run.now;
    if (option.rate > 0) {
        c->due = run.start + (uint64_t)((double)run.started * (double)SECOND / option.rate);
        uint64_t late = run.now > c->due ? (uint64_t)((double)(run.now - c->due) / (double)SECOND * option.rate) : 0;
        if (run.measuring && late > result.backlog_max)
            result.backlog_max = late;
    }
    if (option.mode == STREAM && option.streams && run.started >= option.streams) {
        run.draining = true;
        return;
    }
    c->request = &option.requests[run.started++ % (uint64_t)option.request_count];
    c->has_work = true;
    c->retry_at = 0;
    run.active++;
    if (c->fd < 0)
        open_connection(c);
    else
        begin_request(c);
}

/* ---- answers ---- */

/* A sample belongs to the window when its request was due in it, also if its stream ends after it. */
static bool counts(const struct connection *c)
{
    return (run.measuring && c->due >= run.begin) || (run.finished && c->due >= run.begin && c->due < run.end);
}

static void on_event(struct connection *c, uint32_t events)
{
    if (run.measuring)
        result.events += events;
    if (c->last_event == 0) {
        if (counts(c))
            histogram_add(&result.first_event, run.now - c->due);
    } else if (run.measuring) {
        histogram_add(&result.gap, run.now - c->last_event);
        for (uint32_t i = 1; i < events; i++)
            histogram_add(&result.gap, 0);
    }
    c->last_event = run.now;
    if (!option.scheduled || !counts(c))
        return;
    for (uint32_t i = c->sse.events - events; i < c->sse.events; i++) {
        uint64_t planned = c->due + option.schedule_first + i * option.schedule_gap;
        histogram_add(&result.delay, run.now > planned ? run.now - planned : 0);
    }
}

static void on_body(void *owner, const char *data, size_t size)
{
    struct connection *c = owner;
    c->body_bytes += size;
    if (run.measuring)
        result.body_bytes += size;
    if (option.mode == UNARY)
        return;
    uint32_t before = c->sse.events;
    sse_feed(&c->sse, data, size);
    if (c->sse.events > before)
        on_event(c, c->sse.events - before);
}

static void on_complete(struct connection *c)
{
    bool stream = option.mode != UNARY;
    c->used = true;
    c->state = IDLE;
    result.completed++;
    if (run.measuring && c->response.status < STATUS_MAX)
        result.statuses[c->response.status]++;
    if (c->response.status != option.expect_status)
        result.failures[FAIL_STATUS]++;
    else if (c->body_bytes < option.min_body)
        result.failures[FAIL_SHORT_BODY]++;
    else if (stream && c->sse.error)
        result.failures[FAIL_ERROR_EVENT]++;
    else if (stream && option.need_done && !c->sse.done)
        result.failures[FAIL_NO_DONE]++;
    else if (option.mode == HOLD && !run.finished)
        result.failures[FAIL_ENDED_EARLY]++;
    if (run.measuring) {
        result.requests++;
        result.done += c->sse.done;
    }
    if (counts(c)) {
        histogram_add(&result.latency, run.now - c->due);
        if (stream) {
            if (result.streams++ == 0 || c->sse.events < result.events_min)
                result.events_min = c->sse.events;
            if (c->sse.events > result.events_max)
                result.events_max = c->sse.events;
        }
    }
    if (c->response.close) {
        close_connection(c);
        result.reconnects += run.measuring;
    }
    work_ended(c);
}

/* The peer closed. Before the first byte, on a connection used before, that is an expired keep-alive: ask again. */
static void on_close(struct connection *c, int error)
{
    if (!c->has_work) {
        close_connection(c);
        return;
    }
    if (c->state == CONNECTING) {
        fail(c, FAIL_CONNECT);
    } else if (!c->response.begun && c->used) {
        result.retries++;
        close_connection(c);
        open_connection(c);
    } else if (error) {
        fail(c, FAIL_RESET);
    } else if (!c->response.begun) {
        fail(c, FAIL_CLOSED);
    } else if (c->response.state == RESPONSE_CLOSE_BODY) {
        c->response.state = RESPONSE_COMPLETE;
        on_complete(c);
    } else {
        fail(c, FAIL_TRUNCATED);
    }
}

static void on_readable(struct connection *c)
{
    ssize_t size = recv(c->fd, run.buffer, sizeof run.buffer, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        on_close(c, size < 0 ? errno : 0);
        return;
    }
    if (!c->has_work) {
        result.failures[FAIL_EXTRA_BYTES]++;
        close_connection(c);
        return;
    }
    size_t taken = response_feed(&c->response, run.buffer, (size_t)size, on_body, c);
    if (c->response.headers_done && c->headers_at == 0) {
        c->headers_at = run.now;
        if (counts(c))
            histogram_add(&result.headers, run.now - c->due);
    }
    if (c->response.state == RESPONSE_MALFORMED) {
        fail(c, FAIL_MALFORMED);
    } else if (c->response.state == RESPONSE_COMPLETE) {
        if (taken < (size_t)size) {
            fail(c, FAIL_EXTRA_BYTES);
        } else if (c->sent < c->request->size) { /* answered before the request was sent whole: no second one after it */
            c->response.close = true;
            on_complete(c);
        } else {
            on_complete(c);
        }
    }
}

static void on_ready(struct connection *c, uint32_t events)
{
    if (c->fd < 0)
        return; /* closed earlier in this round */
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error)
            fail(c, FAIL_CONNECT);
        else if (events & EPOLLOUT)
            begin_request(c);
        return;
    }
    if (c->state == SENDING && (events & EPOLLOUT))
        send_request(c);
    if (c->fd >= 0 && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        on_readable(c);
}

/* ---- the run ---- */

static void begin_window(void)
{
    for (int i = 0; option.mode == HOLD && i < run.opened; i++)
        result.failures[FAIL_TIMEOUT] += run.connections[i].has_work && run.connections[i].sse.events == 0;
    watch_rss(option.watched, option.watched_count, option.mode != HOLD);
    watch_cpu(option.watched, option.watched_count, true);
    watch_cores(&result.cores_begin);
    getrusage(RUSAGE_SELF, &result.usage_begin);
    run.now = run.begin = clock_ns();
    run.measuring = true;
}

static void end_window(void)
{
    watch_cpu(option.watched, option.watched_count, false);
    getrusage(RUSAGE_SELF, &result.usage_end);
    watch_cores(&result.cores_end);
    run.end = clock_ns();
    run.measuring = false;
    run.finished = true;
    watch_rss(option.watched, option.watched_count, false);
}

static void open_due(void)
{
    uint64_t ramp = seconds_ns(option.ramp_s);
    while (run.opened < option.connections && !run.finished && !run.draining &&
           run.now >= run.start + ramp * (uint64_t)run.opened / (uint64_t)option.connections) {
        struct connection *c = &run.connections[run.opened++];
        if (option.rate > 0)
            push_idle(c);
        else
            start_work(c);
    }
}

/* Paced: gives requests that are due to idle connections, and sets the timer for the next one. */
static void issue_due(void)
{
    while (run.idle_count && !run.finished) {
        uint64_t due = run.start + (uint64_t)((double)run.started * (double)SECOND / option.rate);
        if (due > run.now) {
            struct itimerspec when = {.it_value = {(time_t)(due / SECOND), (long)(due % SECOND)}};
            timerfd_settime(run.timer, TFD_TIMER_ABSTIME, &when, NULL);
            return;
        }
        start_work(&run.connections[run.idle[--run.idle_count]]);
    }
}

static void sweep(void)
{
    uint64_t limit = seconds_ns(option.timeout_s);
    run.next_sweep = run.now + (run.opened ? RETRY_NS : SWEEP_NS);
    for (int i = 0; i < run.opened; i++) {
        struct connection *c = &run.connections[i];
        uint64_t since = c->last_event > c->due ? c->last_event : c->due;
        if (c->has_work && option.mode != HOLD && run.now > since + limit)
            fail(c, FAIL_TIMEOUT);
        else if (!c->has_work && c->retry_at && run.now >= c->retry_at && option.rate <= 0 && option.mode != HOLD &&
                 !run.finished && !run.draining)
            start_work(c);
    }
    if (option.mode == HOLD && run.measuring && run.now - run.begin > SWEEP_NS)
        watch_rss(option.watched, option.watched_count, false);
}

static bool all_open(void)
{
    if (run.opened < option.connections)
        return false;
    for (int i = 0; i < run.opened; i++)
        if (run.connections[i].has_work && run.connections[i].sse.events == 0)
            return false;
    return true;
}

/* Moves from warm-up to window to end; false when the run is over. */
static bool advance(void)
{
    if (!run.measuring && !run.finished) {
        bool ready = option.mode == HOLD
                         ? all_open() || run.now > run.start + seconds_ns(option.ramp_s + option.timeout_s)
                         : run.now >= run.start + seconds_ns(option.warmup_s);
        if (ready)
            begin_window();
    } else if (run.measuring) {
        bool by_count = option.mode == STREAM && option.streams;
        if (by_count ? run.draining && run.active == 0 : run.now >= run.begin + seconds_ns(option.duration_s))
            end_window();
    }
    if (!run.finished)
        return true;
    /* Streams that are under way are read to their end, so that a cut one is noticed and the server is left idle. */
    return option.mode == STREAM && run.active > 0 && run.now < run.end + seconds_ns(option.timeout_s);
}

static int wait_ms(void)
{
    if (run.opened < option.connections)
        return 1;
    return option.mode == HOLD && !run.measuring ? 10 : 5;
}

static void loop(void)
{
    struct epoll_event events[512];
    run.start = run.now = clock_ns();
    if (option.mode == HOLD)
        watch_rss(option.watched, option.watched_count, true);
    while (advance()) {
        open_due();
        if (option.rate > 0)
            issue_due();
        int count = epoll_wait(run.epoll, events, 512, wait_ms());
        run.now = clock_ns();
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) {
                uint64_t fired;
                if (read(run.timer, &fired, sizeof fired) < 0 && errno != EAGAIN)
                    die("the timer failed");
            } else {
                on_ready(events[i].data.ptr, events[i].events);
            }
        }
        if (run.now >= run.next_sweep)
            sweep();
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    parse_options(argc, argv);
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    run.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event tick = {.events = EPOLLIN, .data.ptr = NULL};
    if (run.epoll < 0 || run.timer < 0 || epoll_ctl(run.epoll, EPOLL_CTL_ADD, run.timer, &tick) != 0)
        die("cannot set up epoll");
    run.connections = calloc((size_t)option.connections, sizeof *run.connections);
    run.idle = calloc((size_t)option.connections, sizeof *run.idle);
    if (run.connections == NULL || run.idle == NULL)
        die("out of memory");
    for (int i = 0; i < option.connections; i++)
        run.connections[i].fd = -1;
    loop();
    result.window_ns = run.end - run.begin;
    result.open = run.active;
    return report() ? 1 : 0;
}
