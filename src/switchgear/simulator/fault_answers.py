"""Answers that a request asked to be errors: OpenAI's shape, with the type, code and message that fit the status."""

from __future__ import annotations

import orjson

from switchgear.simulator.answer import Answer, Headers, error_body, json_answer, sse, stream_answer
from switchgear.simulator.behaviour import Behaviour

_RATE_LIMIT = (
    "Rate limit reached for this model in organization org-simulator on requests per min (RPM): Limit 3, Used 3, "
    "Requested 1. Please try again later."
)
_DEFAULTS: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The request is invalid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", "permission_denied", "You are not allowed to use this resource."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    408: ("timeout", "request_timeout", "The request timed out."),
    409: ("conflict", None, "The request conflicts with another one."),
    413: ("invalid_request_error", "request_too_large", "The request is too large."),
    422: ("invalid_request_error", None, "The request could not be processed."),
    429: ("requests", "rate_limit_exceeded", _RATE_LIMIT),
}
_SERVER = ("server_error", None, "The server had an error while processing your request. Sorry about that!")
_OVERLOADED = ("server_error", "overloaded", "The engine is currently overloaded, please try again later.")


def _fields(status: int, behaviour: Behaviour) -> tuple[str, str | None, str]:
    kind, code, message = _DEFAULTS.get(status, _OVERLOADED if status == 503 else _SERVER)
    return behaviour.error_type or kind, behaviour.error_code or code, behaviour.message or message


def retry_headers(behaviour: Behaviour) -> Headers:
    """`retry-after`, `retry-after-ms` and `x-should-retry`, as far as they were asked for."""
    wanted = (
        (b"retry-after", behaviour.retry_after),
        (b"retry-after-ms", behaviour.retry_after_ms),
        (b"x-should-retry", behaviour.should_retry),
    )
    return [(name, value.encode("latin-1", "replace")) for name, value in wanted if value]


def status_answer(behaviour: Behaviour) -> Answer:
    """The error with the status asked for. A status below 300 or without a body by definition has none."""
    kind, code, message = _fields(behaviour.status, behaviour)
    body = b"" if behaviour.status in (204, 304) else orjson.dumps(error_body(message, kind, code=code))
    return Answer(body, status=behaviour.status, headers=retry_headers(behaviour))


def error_in_200_answer(behaviour: Behaviour, stream: bool) -> Answer:
    """An error with status 200, as OpenRouter reports that a provider behind it failed (TRANSLATION §10)."""
    error = {
        "message": behaviour.message or "Provider returned error",
        "code": int(behaviour.error_code) if behaviour.error_code.isdigit() else 502,
        "metadata": {"provider_name": "Simulator", "raw": "error"},
    }
    if not stream:
        return json_answer({"error": error})
    chunk = {
        "id": "gen-simulator",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "simulator",
        "error": error,
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "error"}],
    }
    return stream_answer(iter([(sse(orjson.dumps(chunk)),)]))


def error_event(behaviour: Behaviour) -> dict[str, dict[str, str | None]]:
    """The object of an error in the middle of a stream."""
    kind, code, message = _fields(500, behaviour)
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
