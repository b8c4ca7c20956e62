"""An error as an answer in the dialect of the path: status, headers, body (TRANSLATION §16)."""

from __future__ import annotations

from math import ceil

from switchgear.errors import GatewayError, LimitReached, MethodNotAllowed, UnsupportedCoding, UpstreamRejected
from switchgear.providers.dialects.faults import error_body
from switchgear.providers.upstream_errors import read_fault
from switchgear.types import Dialect, Headers
from switchgear.upstream.answers import blames_credential
from switchgear.wire import errors as wire

_CONTENT_TYPE = (b"content-type", b"application/json")
_OPENAI_WIRES = ("openai", "azure")

# Upstream status -> status, type, code for the client, where they differ from the upstream's (TRANSLATION §16.2).
_MAPPED: dict[int, tuple[int, str, str | None]] = {
    401: (502, "server_error", "upstream_authentication_error"),
    403: (403, "permission_error", None),
    402: (402, "insufficient_quota", "insufficient_quota"),
    408: (504, "timeout", "upstream_timeout"),
    413: (413, "invalid_request_error", "request_too_large"),
    429: (429, "rate_limit_error", "rate_limit_exceeded"),
    503: (503, "server_error", "overloaded"),
    529: (503, "server_error", "overloaded_error"),
}


def error_answer(error: GatewayError, dialect: Dialect = "openai", request_id: str = "") -> tuple[int, Headers, bytes]:
    """(status, headers, body) for the client."""
    if isinstance(error, UpstreamRejected):
        if dialect == "openai" and error.wire in _OPENAI_WIRES:
            status, headers, body = _upstream_answer(error)
        else:
            status, headers, body = _translated_answer(error, dialect, request_id)
    else:
        status, headers = error.status, [_CONTENT_TYPE]
        body = error_body(
            dialect, status, error.type, error.code, error.message, error.param, request_id, error.retry_after_s
        )
    if dialect == "anthropic":
        headers.append((b"request-id", request_id.encode("latin-1", "replace")))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allow.encode()))
    if isinstance(error, UnsupportedCoding):
        headers.append((b"accept-encoding", b"identity"))
    if isinstance(error, LimitReached):
        headers += error.dialect_headers.get(dialect, ())
    if error.retry_after_s is not None:  # of all attempts the smallest: not always the header of the error that is told
        headers = [pair for pair in headers if pair[0] not in (b"retry-after", b"retry-after-ms")]
        headers.append((b"retry-after", b"%d" % max(1, ceil(error.retry_after_s))))
        if error.retry_after_s != int(error.retry_after_s):
            headers.append((b"retry-after-ms", b"%d" % ceil(round(error.retry_after_s * 1000, 3))))
    return status, headers, body


def _upstream_answer(error: UpstreamRejected) -> tuple[int, Headers, bytes]:
    """The upstream's own words where an OpenAI client can read them; the same facts in the envelope where it cannot."""
    headers: Headers = [_CONTENT_TYPE, *(pair for pair in error.headers if _is_kept(pair[0]))]
    # Our credential's fault: neither its status nor its words (they quote the key) are the client's.
    if error.status == 401 or blames_credential(error):
        message = "The upstream refused the gateway's credentials."
        return 502, [_CONTENT_TYPE], wire.envelope(message, "server_error", "upstream_authentication_error")
    status, kind, code = _MAPPED.get(error.status, (error.status, "", None))
    if wire.is_openai(error.body):
        return status, headers, error.body
    said = wire.describe(error.body)
    fallback = "server_error" if status >= 500 else "invalid_request_error"
    said_code = said.code if said.code and said.code != str(error.status) else None
    message = said.message or f"The upstream answered with status {error.status}."
    return status, headers, wire.envelope(message, said.type or kind or fallback, said_code or code, said.param)


def _translated_answer(error: UpstreamRejected, dialect: Dialect, request_id: str) -> tuple[int, Headers, bytes]:
    """Another format's error in the client's words; its own, where the provider speaks the client's dialect."""
    fault = read_fault(error.status, error.headers, error.body)
    status = fault.status
    if dialect == "anthropic" and fault.upstream_status == 529:
        status = 529
    headers: Headers = [_CONTENT_TYPE]
    if dialect == error.wire and not fault.credential and error.body[:1] == b"{":
        headers += [pair for pair in error.headers if _is_kept(pair[0]) or pair[0].startswith(b"anthropic-ratelimit-")]
        return status, headers, error.body
    headers += [pair for pair in error.headers if pair[0].startswith((b"retry-after", b"x-should-retry"))]
    wait = error.retry_after_s if error.retry_after_s is not None else fault.retry_after_s
    body = error_body(dialect, status, fault.type, fault.code, fault.message, fault.param, request_id, wait)
    return status, headers, body


def _is_kept(name: bytes) -> bool:
    return name.startswith((b"retry-after", b"x-ratelimit-", b"x-should-retry", b"openai-"))
