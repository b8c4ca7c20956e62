"""Gemini's errors and headers: the envelope of google.rpc.Status, faults that a request asked for."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs

import orjson

from switchgear.errors import GatewayError, MethodNotAllowed
from switchgear.simulator.answer import Answer, Burst, Headers, stream_answer
from switchgear.simulator.behaviour import Behaviour
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.openai_errors import retry_headers

CONTENT_TYPE = b"application/json; charset=UTF-8"
NOT_JSON = "Invalid JSON payload received. Expected an object key or }."
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_MESSAGES = {
    400: "Request contains an invalid argument.",
    401: "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential.",
    403: "The caller does not have permission",
    404: "Requested entity was not found.",
    429: "You exceeded your current quota, please check your plan and billing details. For more information on this "
    "error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.",
    503: "The model is overloaded. Please try again later.",
    504: "The request timed out. Please try again.",
}
_INTERNAL = "An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/"
_NO_KEY = (
    "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other "
    "form of API consumer identity to call this API."
)
_BAD_KEY = "API key not valid. Please pass a valid API key."
_RPC = "type.googleapis.com/google.rpc."


def wants_sse(exchange: Exchange) -> bool:
    """Whether a stream is asked for as server-sent events; otherwise it is one JSON array."""
    return parse_qs(exchange.head.query).get("alt") == ["sse"]


def streams(exchange: Exchange) -> bool:
    """Whether the request is for a stream."""
    return exchange.head.raw_path.endswith(":streamGenerateContent")


def envelope(code: int, message: str, status: str = "", details: list[Json] | None = None) -> Json:
    """The body of an error."""
    inner: Json = {"code": code, "message": message, "status": status or _name(code)}
    if details:
        inner["details"] = details
    return {"error": inner}


def _name(code: int) -> str:
    return _STATUSES.get(code, "INTERNAL" if code >= 500 else "INVALID_ARGUMENT")


def _answer(exchange: Exchange, status: int, body: Json) -> Answer:
    """Indented as Google's; in an array where the answer would have been one."""
    wrapped: object = [body] if streams(exchange) and not wants_sse(exchange) else body
    return Answer(
        orjson.dumps(wrapped, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE),
        status=status,
        content_type=CONTENT_TYPE,
    )


def error(exchange: Exchange, error: GatewayError) -> Answer:
    """The answer that `error` stands for."""
    answer = _answer(exchange, error.status, envelope(error.status, str(error), details=_violation(error)))
    if isinstance(error, MethodNotAllowed):
        answer.headers.append((b"allow", error.allow.encode("latin-1")))
    return answer


def _violation(error: GatewayError) -> list[Json] | None:
    """The details of a request that does not fit the schema of the service."""
    if not str(error).startswith("Invalid "):
        return None
    field = {"field": error.param} if error.param else {}
    return [{"@type": _RPC + "BadRequest", "fieldViolations": [{**field, "description": str(error)}]}]


def status(exchange: Exchange) -> Answer:
    """The error with the status asked for; none in an answer that has no body."""
    behaviour = exchange.behaviour
    if behaviour.status in (204, 304):
        return Answer(status=behaviour.status, content_type=CONTENT_TYPE)
    message = behaviour.message or _MESSAGES.get(behaviour.status, _INTERNAL)
    details = _quota(behaviour) if behaviour.status == 429 else None
    answer = _answer(exchange, behaviour.status, envelope(behaviour.status, message, behaviour.error_type, details))
    answer.headers += retry_headers(behaviour)
    return answer


def _quota(behaviour: Behaviour) -> list[Json]:
    quota = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        "quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        "quotaValue": "10",
    }
    details: list[Json] = [{"@type": _RPC + "QuotaFailure", "violations": [quota]}]
    if behaviour.retry_after:
        details.append({"@type": _RPC + "RetryInfo", "retryDelay": f"{behaviour.retry_after}s"})
    return details


def error_in_200(exchange: Exchange) -> Answer:
    """An error with status 200: as the only chunk of a stream, or as the body."""
    body = stream_error(exchange)
    if not streams(exchange):
        return Answer(orjson.dumps(body), content_type=CONTENT_TYPE)
    return stream_of(exchange, iter([[body]]))


def stream_error(exchange: Exchange) -> Json:
    """The chunk of an error in the middle of a stream; UNAVAILABLE unless another was asked for."""
    behaviour = exchange.behaviour
    code = int(behaviour.error_code) if behaviour.error_code.isdigit() else 503
    return envelope(code, behaviour.message or _MESSAGES.get(code, _INTERNAL), behaviour.error_type)


def stream_of(exchange: Exchange, chunks: Iterator[list[Json]]) -> Answer:
    """Bursts of chunks as server-sent events with CRLF, or as one JSON array."""
    if wants_sse(exchange):
        answer = stream_answer(tuple(_event(chunk) for chunk in burst) for burst in chunks)
        answer.headers[0] = (b"content-type", b"text/event-stream")
        return answer
    return Answer(content_type=CONTENT_TYPE, bursts=_array(chunks))


def _event(chunk: Json) -> bytes:
    return b"data: %b\r\n\r\n" % orjson.dumps(chunk)


def _array(chunks: Iterator[list[Json]]) -> Iterator[Burst]:
    opening = b"["
    for burst in chunks:
        out = []
        for chunk in burst:
            out.append(opening + orjson.dumps(chunk, option=orjson.OPT_INDENT_2))
            opening = b"\n,\r\n"
        yield tuple(out)
    yield (b"[]" if opening == b"[" else b"\n]",)


def rejected(exchange: Exchange) -> Answer:
    """The answer to a missing key (403) or a wrong one (400, not 401)."""
    if not exchange.head.credential:
        return _answer(exchange, 403, envelope(403, _NO_KEY))
    details: list[Json] = [
        {
            "@type": _RPC + "ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        },
        {"@type": _RPC + "LocalizedMessage", "locale": "en-US", "message": _BAD_KEY},
    ]
    return _answer(exchange, 400, envelope(400, _BAD_KEY, details=details))


def headers(exchange: Exchange) -> Headers:
    """What each answer has. Gemini sends neither rate limits nor an identifier."""
    return [(b"vary", b"Origin, X-Origin, Referer"), (b"server-timing", b"gfet4t7; dur=1")]


def json_answer(value: Json) -> Answer:
    """`value` as Google sends JSON."""
    return Answer(
        orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE), content_type=CONTENT_TYPE
    )
