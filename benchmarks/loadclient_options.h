/* loadclient's options, and the requests it was given, as bytes ready to send. */
#ifndef SWITCHGEAR_LOADCLIENT_OPTIONS_H
#define SWITCHGEAR_LOADCLIENT_OPTIONS_H

#include <getopt.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "process_watch.h"

#define REQUESTS_MAX 4096

enum mode { UNARY, STREAM, HOLD };

struct request {
    char *bytes;
    size_t size;
};

static struct {
    enum mode mode;
    const char *url;
    struct sockaddr_storage address;
    socklen_t address_size;
    char host[280];
    struct request requests[REQUESTS_MAX];
    int request_count, connections, expect_status;
    double duration_s, warmup_s, ramp_s, timeout_s, rate;
    uint64_t streams, min_body, schedule_first, schedule_gap;
    bool scheduled, need_done;
    struct watched watched[WATCH_MAX];
    int watched_count;
} option = {.connections = 1, .expect_status = 200, .duration_s = 5, .timeout_s = 30, .ramp_s = -1, .need_done = true};

static void die(const char *message)
{
    fprintf(stderr, "loadclient: %s\n", message);
    exit(2);
}

static void parse_url(const char *url)
{
    char host[256] = "", port[8] = "80";
    if (sscanf(url, "http://[%255[^]]]:%7[0-9]", host, port) < 1 && sscanf(url, "http://%255[^:/]:%7[0-9]", host, port) < 1)
        die("--url is to be http://HOST:PORT");
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        die("cannot resolve the host of --url");
    memcpy(&option.address, found->ai_addr, found->ai_addrlen);
    option.address_size = found->ai_addrlen;
    freeaddrinfo(found);
    snprintf(option.host, sizeof option.host, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
    option.url = url;
}

static char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        die("cannot read a --request file");
    *size = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*size + 1);
    if (text == NULL || fread(text, 1, *size, file) != *size)
        die("cannot read a --request file");
    text[*size] = 0;
    fclose(file);
    return text;
}

/* Turns the file into the bytes to send. Called once the URL is known, for the Host header. */
static void load_request(const char *path)
{
    size_t size;
    char *text = read_file(path, &size), *body = strstr(text, "\n\n");
    if (body == NULL)
        die("a --request file has no empty line after its headers");
    *body = 0;
    body += 2;
    size_t body_size = size - (size_t)(body - text), room = size + strlen(option.host) + 512;
    char *bytes = malloc(room), *at = bytes;
    if (bytes == NULL)
        die("out of memory");
    bool first = true;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), first = false) {
        at += snprintf(at, room - (size_t)(at - bytes), first ? "%s HTTP/1.1\r\n" : "%s\r\n", line);
        if (first)
            at += sprintf(at, "Host: %s\r\n", option.host);
        if ((size_t)(at - bytes) + body_size + 128 > room) { /* each line grows by a carriage return */
            size_t used = (size_t)(at - bytes);
            room *= 2;
            bytes = realloc(bytes, room);
            if (bytes == NULL)
                die("out of memory");
            at = bytes + used;
        }
    }
    at += sprintf(at, "Content-Length: %zu\r\n\r\n", body_size);
    memcpy(at, body, body_size);
    if (option.request_count == REQUESTS_MAX)
        die("too many --request files");
    option.requests[option.request_count++] = (struct request){bytes, (size_t)(at - bytes) + body_size};
    free(text);
}

static void parse_options(int argc, char **argv)
{
    static const struct option names[] = {
        {"url", 1, 0, 'u'}, {"request", 1, 0, 'r'}, {"connections", 1, 0, 'c'}, {"duration", 1, 0, 'd'},
        {"warmup", 1, 0, 'w'}, {"ramp", 1, 0, 'a'}, {"rate", 1, 0, 'R'}, {"streams", 1, 0, 's'},
        {"timeout", 1, 0, 't'}, {"expect-status", 1, 0, 'e'}, {"min-body", 1, 0, 'm'}, {"schedule", 1, 0, 'S'},
        {"watch-pid", 1, 0, 'p'}, {"no-done", 0, 0, 'n'}, {0, 0, 0, 0},
    };
    const char *files[REQUESTS_MAX];
    int file_count = 0, letter;
    unsigned long long first, gap;
    if (argc < 2)
        die("a mode is to come first: unary, stream or hold");
    if (strcmp(argv[1], "unary") == 0)
        option.mode = UNARY;
    else if (strcmp(argv[1], "stream") == 0)
        option.mode = STREAM;
    else if (strcmp(argv[1], "hold") == 0)
        option.mode = HOLD;
    else
        die("the mode is one of unary, stream, hold");
    while ((letter = getopt_long(argc - 1, argv + 1, "", names, NULL)) != -1) {
        switch (letter) {
        case 'u': parse_url(optarg); break;
        case 'r':
            if (file_count == REQUESTS_MAX)
                die("too many --request files");
            files[file_count++] = optarg;
            break;
        case 'c': option.connections = atoi(optarg); break;
        case 'd': option.duration_s = atof(optarg); break;
        case 'w': option.warmup_s = atof(optarg); break;
        case 'a': option.ramp_s = atof(optarg); break;
        case 'R': option.rate = atof(optarg); break;
        case 's': option.streams = strtoull(optarg, NULL, 10); break;
        case 't': option.timeout_s = atof(optarg); break;
        case 'e': option.expect_status = atoi(optarg); break;
        case 'm': option.min_body = strtoull(optarg, NULL, 10); break;
        case 'n': option.need_done = false; break;
        case 'S':
            if (sscanf(optarg, "%llu,%llu", &first, &gap) != 2)
                die("--schedule is FIRST_US,GAP_US");
            option.schedule_first = first * 1000;
            option.schedule_gap = gap * 1000;
            option.scheduled = true;
            break;
        case 'p':
            if (option.watched_count == WATCH_MAX)
                die("too many --watch-pid");
            option.watched[option.watched_count++].pid = (pid_t)atoi(optarg);
            break;
        default: exit(2);
        }
    }
    if (option.url == NULL || file_count == 0 || option.connections < 1)
        die("--url, --request and --connections of at least 1 are needed");
    for (int i = 0; i < file_count; i++)
        load_request(files[i]);
    if (option.ramp_s < 0)
        option.ramp_s = option.mode == HOLD ? 1e-3 * option.connections : option.mode == STREAM ? option.warmup_s / 2 : 0;
}

#endif
