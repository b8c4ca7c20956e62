"""Reading a response head and a chunked body, against httptools (llhttp with Python callbacks) on the same bytes."""

from typing import Any

import httptools
import pytest

from switchgear.hotpath._http1 import ChunkedDecoder, parse_response_head

# The headers that a chat completion of api.openai.com comes with: 25 of them, values made up.
HEAD = b"".join(
    line + b"\r\n"
    for line in (
        b"HTTP/1.1 200 OK",
        b"Date: Thu, 01 Jan 2026 00:00:00 GMT",
        b"Content-Type: application/json",
        b"Content-Length: 700",
        b"Connection: keep-alive",
        b"access-control-expose-headers: X-Request-ID",
        b"openai-organization: example-organization",
        b"openai-processing-ms: 412",
        b"openai-project: proj_0123456789abcdefghijklmn",
        b"openai-version: 2020-10-01",
        b"x-envoy-upstream-service-time: 431",
        b"x-ratelimit-limit-requests: 10000",
        b"x-ratelimit-limit-tokens: 30000000",
        b"x-ratelimit-remaining-requests: 9999",
        b"x-ratelimit-remaining-tokens: 29999967",
        b"x-ratelimit-reset-requests: 6ms",
        b"x-ratelimit-reset-tokens: 0s",
        b"x-request-id: req_0123456789abcdef0123456789abcdef",
        b"cf-cache-status: DYNAMIC",
        b"Set-Cookie: __cf_bm=0123456789.abcdefghijklmnopqrstuvwxyz; path=/; HttpOnly; Secure; SameSite=None",
        b"Strict-Transport-Security: max-age=31536000; includeSubDomains; preload",
        b"X-Content-Type-Options: nosniff",
        b"Server: cloudflare",
        b"CF-RAY: 0123456789abcdef-FRA",
        b'alt-svc: h3=":443"; ma=86400',
        b"vary: accept-encoding",
        b"",
    )
)
BODY = b'{"pad":"' + b"x" * 690 + b'"}'
EVENT = b"data: " + b"y" * 240 + b"\n\n"
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)


class Collector:
    """What a client has to collect from httptools to know what `parse_response_head` returns."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.reason = b""
        self.body: list[bytes] = []
        self.complete = False

    def on_status(self, reason: bytes) -> None:
        self.reason = reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        self.complete = True


def with_httptools(data: bytes) -> Collector:
    collector = Collector()
    parser = httptools.HttpResponseParser(collector)
    parser.feed_data(data)
    parser.get_status_code()
    parser.should_keep_alive()
    return collector


def test_head_ours(benchmark: Any) -> None:
    parsed = benchmark(parse_response_head, HEAD + BODY)
    assert parsed is not None
    assert len(parsed[4]) == 25


def test_head_httptools(benchmark: Any) -> None:
    collector = benchmark(with_httptools, HEAD + BODY)
    assert collector.complete
    assert collector.headers == parse_response_head(HEAD)[4]  # type: ignore[index]  # the head is whole


@pytest.mark.parametrize("events", [1, 8])
def test_chunks_ours(benchmark: Any, events: int) -> None:
    decoder = ChunkedDecoder()
    assert benchmark(decoder.feed, CHUNK * events) == EVENT * events


@pytest.mark.parametrize("events", [1, 8])
def test_chunks_httptools(benchmark: Any, events: int) -> None:
    collector = Collector()
    parser = httptools.HttpResponseParser(collector)
    parser.feed_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    def feed() -> bytes:
        collector.body.clear()
        parser.feed_data(CHUNK * events)
        return b"".join(collector.body)

    assert benchmark(feed) == EVENT * events
