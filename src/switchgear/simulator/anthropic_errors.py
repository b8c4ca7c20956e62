"""Anthropic's errors and headers: the envelope, the type that fits a status, faults that a request asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from switchgear.errors import GatewayError, MethodNotAllowed
from switchgear.simulator.answer import Answer, Headers, json_answer, sse, stream_answer
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.openai_errors import retry_headers

NOT_JSON = "The request body is not valid JSON"
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_MESSAGES = {
    400: "Error",
    401: "invalid x-api-key",
    402: "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or "
    "purchase credits.",
    403: "Your API key does not have permission to use the specified resource.",
    404: "Not found",
    413: "Request exceeds the maximum size",
    429: "This request would exceed your organization's rate limit of 50 requests per minute. Please reduce the "
    "frequency of your requests, or contact sales to discuss a rate limit increase.",
    503: "Overloaded",
    504: "The request timed out while processing.",
    529: "Overloaded",
}
_CODES = ("thread_not_found",)  # that clients look for
_INTERNAL = "Internal server error"
_LIMITS = (
    (b"requests", 4000, 3999),
    (b"tokens", 12000000, 11999000),
    (b"input-tokens", 10000000, 9999000),
    (b"output-tokens", 2000000, 2000000),
)


def request_id(exchange: Exchange) -> str:
    """The identifier in the header and in the envelope."""
    return f"req_{exchange.number:032x}"


def type_of(status: int) -> str:
    """The error type that goes with a status."""
    return _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def envelope(exchange: Exchange, kind: str, message: str, code: str | None = None) -> Json:
    """The body of an error. code: goes into its details."""
    error: Json = {"type": kind, "message": message}
    if code is not None:
        error["details"] = {"error_code": code}
    return {"type": "error", "error": error, "request_id": request_id(exchange)}


def error(exchange: Exchange, error: GatewayError) -> Answer:
    """The answer that `error` stands for."""
    code = error.code if error.code in _CODES else None
    answer = json_answer(envelope(exchange, type_of(error.status), str(error), code), status=error.status)
    if isinstance(error, MethodNotAllowed):
        answer.headers.append((b"allow", error.allow.encode("latin-1")))
    return answer


def status(exchange: Exchange) -> Answer:
    """The error with the status asked for; none in an answer that has no body."""
    behaviour = exchange.behaviour
    kind = behaviour.error_type or type_of(behaviour.status)
    message = behaviour.message or _MESSAGES.get(behaviour.status, _INTERNAL)
    body = b"" if behaviour.status in (204, 304) else orjson.dumps(envelope(exchange, kind, message))
    return Answer(body, status=behaviour.status, headers=retry_headers(behaviour))


def error_in_200(exchange: Exchange) -> Answer:
    """An error with status 200: alone in a stream, or as the body."""
    if exchange.json.get("stream"):
        return stream_answer(iter([(error_event(exchange),)]))
    behaviour = exchange.behaviour
    return json_answer(envelope(exchange, behaviour.error_type or "api_error", behaviour.message or _INTERNAL))


def error_event(exchange: Exchange) -> bytes:
    """The event of an error in the middle of a stream; overloaded unless another was asked for."""
    behaviour = exchange.behaviour
    body = envelope(exchange, behaviour.error_type or "overloaded_error", behaviour.message or "Overloaded")
    return sse(orjson.dumps(body), b"error")


def rejected(exchange: Exchange) -> Answer:
    """The answer to a missing or wrong API key."""
    message = "invalid x-api-key" if exchange.head.credential else "x-api-key header is required"
    return json_answer(envelope(exchange, "authentication_error", message), status=401)


def headers(exchange: Exchange) -> Headers:
    """What each answer has: identifiers and the rate limits, whose resets are RFC 3339."""
    reset = datetime.fromtimestamp(exchange.now + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    out: Headers = [
        (b"request-id", request_id(exchange).encode()),
        (b"anthropic-organization-id", b"00000000-0000-4000-8000-000000000000"),
    ]
    for name, limit, remaining in _LIMITS:
        out.append((b"anthropic-ratelimit-%b-limit" % name, b"%d" % limit))
        out.append((b"anthropic-ratelimit-%b-remaining" % name, b"%d" % remaining))
        out.append((b"anthropic-ratelimit-%b-reset" % name, reset))
    return out
