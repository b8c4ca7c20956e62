"""OpenAI's errors and headers: faults that a request asked for, a refused key, what stands on each answer."""

from __future__ import annotations

import orjson

from switchgear.errors import AuthenticationFailed, GatewayError, InvalidRequest
from switchgear.simulator.answer import Answer, Headers, error_answer, error_body, json_answer, sse, stream_answer
from switchgear.simulator.behaviour import Behaviour
from switchgear.simulator.exchange import Exchange

_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API "
    "from your browser and are prompted for a username and password. You can obtain an API key from "
    "https://platform.openai.com/account/api-keys."
)
_WRONG_KEY = (
    "Incorrect API key provided: {}. You can find your API key at https://platform.openai.com/account/api-keys."
)
_STANDARD: Headers = [
    (b"openai-processing-ms", b"1"),
    (b"openai-version", b"2020-10-01"),
    (b"openai-organization", b"org-simulator"),
    (b"x-ratelimit-limit-requests", b"10000"),
    (b"x-ratelimit-limit-tokens", b"10000000"),
    (b"x-ratelimit-remaining-requests", b"9999"),
    (b"x-ratelimit-remaining-tokens", b"9999990"),
    (b"x-ratelimit-reset-requests", b"6ms"),
    (b"x-ratelimit-reset-tokens", b"0s"),
]

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


def error(exchange: Exchange, error: GatewayError) -> Answer:
    """The answer that `error` stands for."""
    return error_answer(error)


def rejected(exchange: Exchange) -> Answer:
    """The answer to a missing or wrong API key."""
    credential = exchange.head.credential
    if not credential:
        return error_answer(InvalidRequest(_NO_KEY, status=401))
    shown = credential if len(credential) <= 12 else f"{credential[:8]}{'*' * (len(credential) - 12)}{credential[-4:]}"
    return error_answer(AuthenticationFailed(_WRONG_KEY.format(shown)))


def standard_headers() -> Headers:
    """What each answer has, but for the request's identifier."""
    return _STANDARD


def headers(exchange: Exchange) -> Headers:
    """What each answer has."""
    return [*_STANDARD, (b"x-request-id", b"req_%032x" % exchange.number)]


def status(exchange: Exchange) -> Answer:
    """The error with the status asked for. A status below 300 or without a body by definition has none."""
    behaviour = exchange.behaviour
    kind, code, message = _fields(behaviour.status, behaviour)
    body = b"" if behaviour.status in (204, 304) else orjson.dumps(error_body(message, kind, code=code))
    return Answer(body, status=behaviour.status, headers=retry_headers(behaviour))


def error_in_200(exchange: Exchange) -> Answer:
    """An error with status 200, as OpenRouter reports that a provider behind it failed."""
    behaviour = exchange.behaviour
    error = {
        "message": behaviour.message or "Provider returned error",
        "code": int(behaviour.error_code) if behaviour.error_code.isdigit() else 502,
        "metadata": {"provider_name": "Simulator", "raw": "error"},
    }
    if not exchange.json.get("stream"):
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
