"""An upstream's answer, judged: an error to fail over from, or something for the client."""

from __future__ import annotations

import re
import time
import zlib
from typing import Annotated

from msgspec import DecodeError, Meta, Struct
from msgspec.json import Decoder
from msgspec.json import encode as json_string

from switchgear.errors import UpstreamError, UpstreamProtocolError, UpstreamRejected
from switchgear.routing.credentials import Credential
from switchgear.routing.retry import parse_retry_after
from switchgear.types import Headers, RequestContext, Usage
from switchgear.upstream.answer import EventRelay
from switchgear.upstream.upstream import Answered
from switchgear.wire import errors as wire

ERROR_BODY_MAX = 256 * 1024
GATHER_MAX = 8 * 1024 * 1024  # an answer up to this size is read whole, so that its usage can be read
INFLATED_MAX = 64 * 1024 * 1024
OPENING_MAX = 2 * 1024 * 1024  # of a stream before its first event with data: comments, held back until then

# Not for the client: ours to set, or about the hop behind us.
OWN_HEADERS = frozenset(
    (
        b"content-length",
        b"x-request-id",
        b"date",
        b"server",
        b"set-cookie",
        b"alt-svc",
        b"strict-transport-security",
        b"www-authenticate",
        b"access-control-allow-origin",
        b"access-control-allow-credentials",
        b"access-control-expose-headers",
        b"vary",
    )
)


def client_headers(response: Answered) -> Headers:
    """The upstream's headers that go on to the client; its request id under a name of its own."""
    headers: Headers = []
    for pair in response.headers:
        if pair[0] not in OWN_HEADERS:
            headers.append(pair)
        elif pair[0] == b"x-request-id":
            headers.append((b"x-switchgear-upstream-request-id", pair[1]))
    return headers


def is_json(response: Answered) -> bool:
    """Whether the answer's content type is JSON (also `application/problem+json` and the like)."""
    kind = response.header(b"content-type")
    if kind == b"application/json":
        return True
    return kind is not None and b"json" in kind.split(b";", 1)[0].lower()


async def rejection(response: Answered) -> UpstreamRejected:
    """The error that an answer with an error status stands for. A redirect, which is not followed, or a number that is
    no status counts as 502."""
    try:
        body = response.body if response.body is not None else await response.read_all(ERROR_BODY_MAX)
    except UpstreamError:  # the status says enough; the body is broken
        body = b""
    response.close()
    if not 400 <= response.status < 600:
        message = f"The upstream answered with status {response.status}, which is no answer to this request."
        return rejected(502, [], wire.envelope(message, "server_error", "upstream_error"))
    return rejected(response.status, response.headers, plain(response, body))


def rejected(status: int, headers: Headers, body: bytes) -> UpstreamRejected:
    """An error answer as an exception, with the wait its headers ask for."""
    fields = dict(reversed(headers))
    wait = parse_retry_after(fields.get(b"retry-after"), fields.get(b"retry-after-ms"), wall_clock=time.time())
    return UpstreamRejected(status, headers, body, retry_after_s=wait)


_SECRET_MIN = 8  # bytes; a shorter value is found in words that have nothing to do with it


def scrub(error: UpstreamRejected, credential: Credential) -> None:
    """Take the credential out of an error that quotes it: clients read errors."""
    error.body = scrubbed(error.body, credential)
    error.headers = [(name, scrubbed(value, credential)) for name, value in error.headers]


def scrubbed(text: bytes, credential: Credential) -> bytes:
    """An upstream's words about a failure without the credential they quote; `text` itself where they do not."""
    for _, value in credential.headers:
        secret = value.removeprefix(b"Bearer ")
        if len(secret) >= _SECRET_MIN:
            text = text.replace(secret, b"[REDACTED]")
    return text


_BAD_KEY = (b"API_KEY_INVALID", b"API key not valid", b"Incorrect API key", b"invalid_api_key", b"Invalid API key")


def blames_credential(error: UpstreamRejected) -> bool:
    """Whether a 400 or 403 is about our credential: Gemini and xAI answer a bad key with 400 (TRANSLATION §16.2)."""
    return error.status in (400, 403) and any(words in error.body for words in _BAD_KEY)


def plain(response: Answered, body: bytes) -> bytes:
    """The body without a content coding. We ask for none; an upstream that sends one all the same is undone here.

    Raises `UpstreamProtocolError`: unknown or broken coding, or more than `INFLATED_MAX` bytes of content.
    """
    coding = response.header(b"content-encoding")
    if coding is None or coding.lower() == b"identity" or not body:
        return body
    if coding.lower() not in (b"gzip", b"x-gzip", b"deflate"):
        raise UpstreamProtocolError("The upstream used a content coding that was not asked for.")
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: gzip or zlib, whichever its header says
    try:
        content = inflate.decompress(body, INFLATED_MAX)
    except zlib.error as exc:
        raise UpstreamProtocolError("The upstream sent a body that cannot be decompressed.") from exc
    if inflate.unconsumed_tail or not inflate.eof:
        raise UpstreamProtocolError("The upstream sent a compressed body that is cut short or too large.")
    response.headers[:] = [
        pair for pair in response.headers if pair[0] != b"content-encoding"
    ]  # in place: it is theirs
    return content


class _ErrorStatus(Struct):
    code: int | str | None = None
    status: int | str | None = None


class _ErrorEvent(Struct):
    error: _ErrorStatus | str | None = None
    status_code: int | None = None


_decode_error_event = Decoder(_ErrorEvent).decode


def embedded_error(body: bytes) -> UpstreamRejected:
    """The error inside a 200 (OpenRouter, Groq: TRANSLATION §10), its code as the status where it is one; else 502."""
    status = 502
    try:
        event = _decode_error_event(body)
    except (DecodeError, UnicodeDecodeError):
        pass
    else:
        code = event.error.code if isinstance(event.error, _ErrorStatus) else None
        for candidate in (code, event.status_code):
            if isinstance(candidate, int) and 400 <= candidate < 600:
                status = candidate
                break
    return rejected(status, [], body)


class _Failure(Struct):
    code: str | None = None
    message: str | None = None


class _FailedResponse(Struct):
    error: _Failure | None = None


class _FailedEvent(Struct):
    response: _FailedResponse | None = None


_decode_failed = Decoder(_FailedEvent).decode
_FAILURES = {"rate_limit_exceeded": 429, "invalid_prompt": 400, "context_length_exceeded": 400}


def failed_response(data: bytes) -> UpstreamRejected:
    """The error of a `response.failed` event as an error answer: 502 where its code names no status."""
    try:
        event = _decode_failed(data)
    except (DecodeError, UnicodeDecodeError):
        event = _FailedEvent()
    error = event.response.error if event.response is not None else None
    code = error.code if error is not None else None
    message = (error.message if error is not None else None) or "The upstream's answer failed."
    status = _FAILURES.get(code or "", 502)
    kind = "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    return rejected(status, [], wire.envelope(message, kind, code))


# Events that name an answer and hold nothing of it: an error right behind them is an error in its place.
_OPENING = re.compile(rb"^event: ?(?:response\.(?:created|in_progress|queued)|message_start|ping)\r?$", re.M)
_FAILED = re.compile(rb"^event: ?response\.failed\r?\ndata: ?(.*?)\r?$", re.M)


async def first_events(response: Answered, rewriter: EventRelay) -> bytes:
    """What can be forwarded up to and including the first event that is part of an answer.

    Only then is the answer's status settled: an error before it is an error answer, to fail over from.
    Raises `UpstreamRejected`, `UpstreamProtocolError`, `UpstreamTimeout`.
    """
    parts, size, openings = [], 0, 0
    while True:
        chunk = await response.read()
        try:
            parts.append(rewriter.feed(chunk) if chunk else rewriter.flush())
        except ValueError as exc:
            raise UpstreamProtocolError("The upstream sent an event that is too large.") from exc
        size += len(parts[-1])  # not of an event that is still coming: it may be large
        if rewriter.started:
            openings += len(_OPENING.findall(parts[-1]))
            if rewriter.events > openings or size > OPENING_MAX:
                first = parts[0] if len(parts) == 1 else b"".join(parts)
                _refuse(rewriter, first, rewriter.events == openings + 1)
                return first
        if not chunk:
            raise UpstreamProtocolError("The upstream's stream ended before its first event.")
        if size > OPENING_MAX:
            raise UpstreamProtocolError("The upstream's stream goes on and on without an event.")


def _refuse(rewriter: EventRelay, events: bytes, alone: bool) -> None:
    """Raise the error that a stream's first event is. alone: nothing but openings came with that event."""
    if not alone:
        return
    if rewriter.error is not None:
        raise embedded_error(rewriter.error)
    failed = _FAILED.search(events)
    if failed is not None:
        raise failed_response(failed[1])


Tokens = Annotated[int, Meta(ge=0, le=2**40)]  # more than anybody counts: what is beyond is no number of tokens


def client_name(ctx: RequestContext, model: str) -> bytes | None:
    """The model's name to put back, as a JSON string: only where the upstream was asked by another
    name than the client's."""
    return json_string(ctx.model) if ctx.model and model != ctx.model else None


class _Details(Struct):
    cached_tokens: Tokens | None = None
    cache_write_tokens: Tokens | None = None
    reasoning_tokens: Tokens | None = None


class _UsageWire(Struct):
    prompt_tokens: Tokens | None = None
    completion_tokens: Tokens | None = None
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    total_tokens: Tokens | None = None
    prompt_cache_hit_tokens: Tokens | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


_decode_usage = Decoder(_UsageWire).decode
_NO_DETAILS = _Details()


def read_usage(token: bytes) -> Usage | None:
    """A usage object (JSON text) of chat, responses or embeddings as `Usage`, None when it is none
    (TRANSLATION §12)."""
    try:
        usage = _decode_usage(token)
    except (DecodeError, UnicodeDecodeError):
        return None
    given = usage.prompt_tokens_details or usage.input_tokens_details or _NO_DETAILS
    made = usage.completion_tokens_details or usage.output_tokens_details or _NO_DETAILS
    prompt = usage.prompt_tokens if usage.prompt_tokens is not None else usage.input_tokens or 0
    completion = usage.completion_tokens if usage.completion_tokens is not None else usage.output_tokens or 0
    if usage.total_tokens is not None and made.reasoning_tokens and usage.total_tokens > prompt + completion:
        completion = usage.total_tokens - prompt  # xAI counts reasoning beside the completion
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cached_tokens=given.cached_tokens or usage.prompt_cache_hit_tokens or 0,
        cache_write_tokens=given.cache_write_tokens or 0,
        reasoning_tokens=made.reasoning_tokens or 0,
    )
