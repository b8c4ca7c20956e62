/* The canned answers of POST /v1/messages: what the canned chat answers say, as Anthropic says it.
 *
 * A stream has the same number of writes at the same times as a chat stream of as many tokens: message_start, the start
 * of the block and a ping where chat has its role; a delta for each token; the three events of the end in one write,
 * where chat has the finish. A translation of it therefore gives a client as many events as the chat stream does.
 */
#ifndef SWITCHGEAR_UPSTREAM_ANTHROPIC_H
#define SWITCHGEAR_UPSTREAM_ANTHROPIC_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Puts one event, in a chunk of its own, into `out`; returns its length. */
static inline size_t anthropic_chunk(char *out, size_t room, const char *type, const char *data)
{
    char event[900];
    int size = snprintf(event, sizeof event, "event: %s\ndata: %s\n\n", type, data);
    return (size_t)snprintf(out, room, "%x\r\n%s\r\n", size, event);
}

/* The body of an answer in one piece. */
static inline size_t anthropic_whole(char *out, size_t room, const char *model)
{
    return (size_t)snprintf(
        out, room,
        "{\"model\":\"%s\",\"id\":\"msg_01Qw7uXbN4tYfZk2RvLh8sCe\",\"type\":\"message\",\"role\":\"assistant\","
        "\"content\":[{\"type\":\"text\",\"text\":\"A circuit breaker stops calls to a service that keeps failing, so that "
        "callers fail fast and the service can recover; while it is open, requests that might have succeeded are "
        "refused.\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":38,"
        "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"cache_creation\":"
        "{\"ephemeral_5m_input_tokens\":0,\"ephemeral_1h_input_tokens\":0},\"output_tokens\":34,"
        "\"service_tier\":\"standard\"}}",
        model);
}

static inline size_t anthropic_first(char *out, size_t room, const char *model)
{
    char start[800];
    snprintf(start, sizeof start,
             "{\"type\":\"message_start\",\"message\":{\"model\":\"%s\",\"id\":\"msg_01Qw7uXbN4tYfZk2RvLh8sCe\","
             "\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,"
             "\"usage\":{\"input_tokens\":38,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,"
             "\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,\"ephemeral_1h_input_tokens\":0},\"output_tokens\":1,"
             "\"service_tier\":\"standard\"}}}",
             model);
    size_t size = anthropic_chunk(out, room, "message_start", start);
    size += anthropic_chunk(out + size, room - size, "content_block_start",
                            "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}");
    return size + anthropic_chunk(out + size, room - size, "ping", "{\"type\": \"ping\"}");
}

static inline size_t anthropic_delta(char *out, size_t room, const char *text)
{
    char delta[160];
    snprintf(delta, sizeof delta,
             "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"%s\"}}", text);
    return anthropic_chunk(out, room, "content_block_delta", delta);
}

/* Without the chunk that ends the body. */
static inline size_t anthropic_last(char *out, size_t room, uint32_t tokens)
{
    char delta[320];
    snprintf(delta, sizeof delta,
             "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":"
             "{\"input_tokens\":38,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":%u}}",
             tokens);
    size_t size =
        anthropic_chunk(out, room, "content_block_stop", "{\"type\":\"content_block_stop\",\"index\":0}");
    size += anthropic_chunk(out + size, room - size, "message_delta", delta);
    return size + anthropic_chunk(out + size, room - size, "message_stop", "{\"type\":\"message_stop\"}");
}

#endif
