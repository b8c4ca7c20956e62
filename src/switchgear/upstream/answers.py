"""An upstream's answer, judged: an error to fail over from, or something for the client."""

from __future__ import annotations

import re
import time

from msgspec import DecodeError, Struct
from msgspec.json import Decoder
from msgspec.json import encode as json_string

from switchgear.errors import UpstreamError, UpstreamProtocolError, UpstreamRejected
from switchgear.routing.credentials import Credential
from switchgear.routing.retry import parse_retry_after
from switchgear.types import Headers, RequestContext
from switchgear.upstream.answer import EventRelay
from switchgear.upstream.coding import plain
from switchgear.upstream.upstream import Answered
from switchgear.upstream.usage import read_usage as read_usage
from switchgear.wire import errors as wire

ERROR_BODY_MAX = 256 * 1024
GATHER_MAX = 8 * 1024 * 1024  # an answer up to this size is read whole, so that its usage can be read
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
        body = await plain(response, body, ERROR_BODY_MAX)
    except UpstreamError:  # the status says enough; the body is broken
        body = b""
    response.close()
    if not 400 <= response.status < 600:
        message = f"The upstream answered with status {response.status}, which is no answer to this request."
        return rejected(502, [], wire.envelope(message, "server_error", "upstream_error"))
    return rejected(response.status, response.headers, body)


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


def client_name(ctx: RequestContext, model: str) -> bytes | None:
    """The model's name to put back, as a JSON string: only where the upstream was asked by another
    name than the client's."""
    return json_string(ctx.model) if ctx.model and model != ctx.model else None
