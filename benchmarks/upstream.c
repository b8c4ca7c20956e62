/* upstream: a server of chat completions and of Anthropic's messages with canned answers, on one thread and one epoll.
 *
 * The simulator in Python answers some 40,000 requests a second on a core of its own; with the load generator on the
 * same core that is less than what nginx passes on, and a reference that waits for its upstream looks dearer than it
 * is: it wakes for single requests instead of batches. This server keeps every proxy under test at its own limit, and
 * its events leave on an absolute schedule (event i at first + i x gap after the request), so that what a proxy adds
 * to each can be told.
 *
 *   upstream [PORT]        prints its origin, http://127.0.0.1:PORT
 *
 * POST /v1/messages is answered as Anthropic does (upstream_anthropic.h), every other path as chat completions are.
 * It understands Content-Length bodies, "stream": true, "include_usage": true, and of the simulator's grammar in the
 * model's name first, gap (both in ms) and tokens. The model's name comes back in the answer. A client that does not
 * read is dropped: back-pressure is not what is measured here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "upstream_anthropic.h"

#define MILLISECOND 1000000ull
#define BUFFER_START 4096
#define BUFFER_MAX (64u << 20)
#define MODEL_MAX 128
#define MESSAGES "POST /v1/messages "

struct connection {
    int fd;
    char *buffer;
    size_t size, room;
    bool streaming, usage, messages; /* messages: Anthropic's format */
    char model[MODEL_MAX];
    uint64_t origin, first, gap; /* ns */
    uint32_t tokens, sent;       /* events to come and gone: role, tokens, finish */
    size_t timer;                /* place in the heap + 1; 0 when not in it */
    uint64_t due;
};

static struct {
    int epoll, listener, timer;
    uint64_t armed; /* what the timer is set to */
    struct connection **heap; /* streams by the time their next event is due */
    size_t count, room;
} server;

static const char *const words[] = {" the", " circuit", " breaker", " opens", " after", " repeated", " failures", " and"};

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void die(const char *message)
{
    perror(message);
    exit(2);
}

/* ---- the heap of timers ---- */

static void heap_place(size_t at, struct connection *c)
{
    server.heap[at] = c;
    c->timer = at + 1;
}

static void heap_sift(size_t at)
{
    struct connection *c = server.heap[at];
    while (at > 0 && server.heap[(at - 1) / 2]->due > c->due) {
        heap_place(at, server.heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (size_t child; (child = 2 * at + 1) < server.count; at = child) {
        if (child + 1 < server.count && server.heap[child + 1]->due < server.heap[child]->due)
            child++;
        if (server.heap[child]->due >= c->due)
            break;
        heap_place(at, server.heap[child]);
    }
    heap_place(at, c);
}

static void heap_push(struct connection *c, uint64_t due)
{
    c->due = due;
    if (c->timer == 0) {
        if (server.count == server.room) {
            server.room = server.room ? 2 * server.room : 1024;
            server.heap = realloc(server.heap, server.room * sizeof *server.heap);
            if (server.heap == NULL)
                die("realloc");
        }
        heap_place(server.count++, c);
    }
    heap_sift(c->timer - 1);
}

static void heap_remove(struct connection *c)
{
    if (c->timer == 0)
        return;
    size_t at = c->timer - 1;
    c->timer = 0;
    struct connection *last = server.heap[--server.count];
    if (last != c) {
        heap_place(at, last);
        heap_sift(at);
    }
}

/* ---- answers ---- */

static void drop(struct connection *c)
{
    heap_remove(c);
    close(c->fd);
    free(c->buffer);
    free(c);
}

/* False when the connection was dropped. */
static bool put(struct connection *c, const char *data, size_t size)
{
    if (send(c->fd, data, size, MSG_NOSIGNAL) == (ssize_t)size)
        return true;
    drop(c);
    return false;
}

static size_t chat_whole(char *out, size_t room, const char *model)
{
    return (size_t)snprintf(
        out, room,
        "{\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion\",\"created\":1755000000,"
        "\"model\":\"%s\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"A circuit breaker stops "
        "calls to a service that keeps failing, so that callers fail fast and the service can recover; while it is open, "
        "requests that might have succeeded are refused.\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,"
        "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":38,\"completion_tokens\":34,\"total_tokens\":72,"
        "\"prompt_tokens_details\":{\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0}},"
        "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_51b9c32e14\"}",
        model);
}

static bool answer_whole(struct connection *c)
{
    char body[1024], answer[1400];
    size_t size = (c->messages ? anthropic_whole : chat_whole)(body, sizeof body, c->model);
    int whole = snprintf(answer, sizeof answer,
                         "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s", size, body);
    return put(c, answer, (size_t)whole);
}

/* One event in a chunk of its own, as servers that flush each token send it. `more` goes in after the choices. */
static size_t event_chunk(const struct connection *c, char *out, size_t room, const char *choices, const char *more)
{
    char event[768];
    int size = snprintf(event, sizeof event,
                        "data: {\"id\":\"chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT\",\"object\":\"chat.completion.chunk\","
                        "\"created\":1755000000,\"model\":\"%s\",\"service_tier\":\"default\","
                        "\"system_fingerprint\":\"fp_51b9c32e14\",\"choices\":[%s]%s}\n\n",
                        c->model, choices, more);
    return (size_t)snprintf(out, room, "%x\r\n%s\r\n", size, event);
}

static size_t chat_last(const struct connection *c, char *out, size_t room)
{
    char usage[128];
    size_t size = event_chunk(c, out, room, "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}",
                              c->usage ? ",\"usage\":null" : "");
    if (c->usage) {
        snprintf(usage, sizeof usage, ",\"usage\":{\"prompt_tokens\":38,\"completion_tokens\":%u,\"total_tokens\":%u}",
                 c->tokens, c->tokens + 38);
        size += event_chunk(c, out + size, room - size, "", usage);
    }
    return size + (size_t)snprintf(out + size, room - size, "e\r\ndata: [DONE]\n\n\r\n");
}

static bool send_last(struct connection *c)
{
    static const char end[] = "0\r\n\r\n";
    char out[2400];
    size_t size = c->messages ? anthropic_last(out, sizeof out - sizeof end, c->tokens)
                              : chat_last(c, out, sizeof out - sizeof end);
    memcpy(out + size, end, sizeof end);
    c->streaming = false;
    return put(c, out, size + sizeof end - 1);
}

static size_t chat_event(const struct connection *c, char *out, size_t room, const char *text)
{
    char choice[160];
    snprintf(choice, sizeof choice, "{\"index\":0,\"delta\":{%s\"content\":\"%s\"},\"logprobs\":null,\"finish_reason\":null}",
             c->sent ? "" : "\"role\":\"assistant\",", text);
    return event_chunk(c, out, room, choice, c->usage ? ",\"usage\":null" : "");
}

/* The event that is due, and the time of the next. False when the connection was dropped. */
static bool send_event(struct connection *c)
{
    char out[2000];
    const char *text = c->sent ? words[c->sent % 8] : "";
    size_t size;
    if (c->sent > c->tokens) {
        heap_remove(c);
        return send_last(c);
    }
    if (!c->messages)
        size = chat_event(c, out, sizeof out, text);
    else if (c->sent == 0)
        size = anthropic_first(out, sizeof out, c->model);
    else
        size = anthropic_delta(out, sizeof out, text);
    if (!put(c, out, size))
        return false;
    c->sent++;
    heap_push(c, c->origin + c->first + c->sent * c->gap);
    return true;
}

static bool answer_stream(struct connection *c)
{
    static const char head[] =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
    c->streaming = true;
    c->sent = 0;
    c->origin = clock_ns();
    if (!put(c, head, sizeof head - 1))
        return false;
    heap_push(c, c->origin + c->first);
    return true;
}

/* ---- requests ---- */

static bool has_flag(const char *body, const char *name)
{
    const char *at = strstr(body, name);
    if (at == NULL)
        return false;
    at += strlen(name);
    while (*at == ' ' || *at == ':')
        at++;
    return strncmp(at, "true", 4) == 0;
}

static uint64_t grammar(const char *model, const char *key, uint64_t otherwise)
{
    const char *at = strstr(model, key);
    return at ? strtoull(at + strlen(key), NULL, 10) : otherwise;
}

static bool answer(struct connection *c, const char *body)
{
    const char *at = strstr(body, "\"model\"");
    size_t size = 0;
    if (at != NULL && (at = strchr(at + 7, '"')) != NULL)
        for (at++; at[size] != '"' && at[size] != 0 && size < MODEL_MAX - 1; size++)
            c->model[size] = at[size];
    c->model[size] = 0;
    c->usage = has_flag(body, "\"include_usage\"");
    if (!has_flag(body, "\"stream\""))
        return answer_whole(c);
    c->first = grammar(c->model, ";first=", 0) * MILLISECOND;
    c->gap = grammar(c->model, ";gap=", 0) * MILLISECOND;
    c->tokens = (uint32_t)grammar(c->model, ";tokens=", 16);
    return answer_stream(c);
}

/* Answers the requests that are whole in the buffer, one after the other; a stream holds up those behind it. */
static bool answer_buffered(struct connection *c)
{
    while (!c->streaming && c->size) {
        c->buffer[c->size] = 0;
        char *end = strstr(c->buffer, "\r\n\r\n");
        if (end == NULL)
            return true;
        *end = 0;
        const char *length = strcasestr(c->buffer, "\r\ncontent-length:");
        size_t head = (size_t)(end - c->buffer) + 4, whole = head + (length ? strtoul(length + 17, NULL, 10) : 0);
        *end = '\r';
        if (c->size < whole)
            return true;
        char kept = c->buffer[whole];
        c->buffer[whole] = 0;
        c->messages = strncmp(c->buffer, MESSAGES, sizeof MESSAGES - 1) == 0;
        if (!answer(c, c->buffer + head))
            return false;
        c->buffer[whole] = kept;
        c->size -= whole;
        memmove(c->buffer, c->buffer + whole, c->size);
    }
    return true;
}

static void on_readable(struct connection *c)
{
    if (c->size + 1 >= c->room) {
        c->room = c->room ? 2 * c->room : BUFFER_START;
        c->buffer = c->room > BUFFER_MAX ? NULL : realloc(c->buffer, c->room + 1);
        if (c->buffer == NULL)
            die("a request is too large");
    }
    ssize_t size = recv(c->fd, c->buffer + c->size, c->room - c->size, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        drop(c);
        return;
    }
    c->size += (size_t)size;
    answer_buffered(c);
}

static void on_accept(void)
{
    int fd, yes = 1;
    while ((fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (c == NULL)
            die("calloc");
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        if (epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &event) != 0)
            die("epoll_ctl");
    }
}

/* Sends what is due and sets the timer for the next. epoll_wait's own timeout is in whole ms: it would bunch the events
 * of streams that have nothing to do with each other. The timer is edge-triggered and need not be read. */
static void run_timers(void)
{
    uint64_t now = clock_ns();
    while (server.count && server.heap[0]->due <= now) {
        struct connection *c = server.heap[0];
        if (send_event(c) && !c->streaming)
            answer_buffered(c);
    }
    if (server.count == 0 || server.heap[0]->due == server.armed)
        return;
    server.armed = server.heap[0]->due;
    struct itimerspec when = {.it_value = {(time_t)(server.armed / 1000000000ull), (long)(server.armed % 1000000000ull)}};
    if (timerfd_settime(server.timer, TFD_TIMER_ABSTIME, &when, NULL) != 0)
        die("timerfd_settime");
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    struct epoll_event tick = {.events = EPOLLIN | EPOLLET, .data.ptr = &server.timer};
    struct rlimit files;
    int yes = 1;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    address.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    server.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    setsockopt(server.listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(server.listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(server.listener, 4096) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &size) != 0 ||
        epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.listener, &event) != 0 ||
        epoll_ctl(server.epoll, EPOLL_CTL_ADD, server.timer, &tick) != 0)
        die("cannot listen");
    printf("http://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        run_timers();
        int count = epoll_wait(server.epoll, events, 256, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                on_accept();
            else if (events[i].data.ptr != &server.timer)
                on_readable(events[i].data.ptr);
        }
    }
}
