"""Ollama's errors and headers: `{"error": text}`, whatever the status, and on a line of its own in a stream."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from switchgear.errors import GatewayError, MethodNotAllowed
from switchgear.simulator.answer import Answer, Burst, Headers, json_answer
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.openai_errors import retry_headers

NOT_JSON = "invalid JSON in request body"
CONTENT_TYPE = b"application/json; charset=utf-8"
_NDJSON = b"application/x-ndjson"
_MESSAGES = {
    400: "bad request",
    401: "unauthorized",
    403: "access denied",
    404: "model 'sim' not found",
    429: "too many requests",
    503: "server busy, please try again. maximum pending requests exceeded",
}
_INTERNAL = "llama runner process has terminated: exit status 2"


def error(exchange: Exchange, error: GatewayError) -> Answer:
    """The answer that `error` stands for."""
    answer = _answer(error.status, str(error))
    if isinstance(error, MethodNotAllowed):
        answer.headers.append((b"allow", error.allow.encode("latin-1")))
    return answer


def _answer(status: int, message: str) -> Answer:
    return Answer(orjson.dumps({"error": message}), status=status, content_type=CONTENT_TYPE)


def status(exchange: Exchange) -> Answer:
    """The error with the status asked for; none in an answer that has no body."""
    behaviour = exchange.behaviour
    if behaviour.status in (204, 304):
        return Answer(status=behaviour.status)
    answer = _answer(behaviour.status, behaviour.message or _MESSAGES.get(behaviour.status, _INTERNAL))
    answer.headers += retry_headers(behaviour)
    return answer


def error_in_200(exchange: Exchange) -> Answer:
    """An error with status 200: as the only line of a stream, or as the body."""
    body = stream_error(exchange)
    return json_answer(body) if exchange.json.get("stream") is False else stream_of(iter([[body]]))


def stream_error(exchange: Exchange) -> Json:
    """The line of an error in the middle of a stream."""
    return {"error": exchange.behaviour.message or _INTERNAL}


def stream_of(lines: Iterator[list[Json]]) -> Answer:
    """Bursts of objects, one a line."""
    return Answer(content_type=_NDJSON, bursts=_lines(lines))


def _lines(lines: Iterator[list[Json]]) -> Iterator[Burst]:
    for burst in lines:
        yield tuple(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in burst)


def rejected(exchange: Exchange) -> Answer:
    """The answer to a missing or wrong API key, as Ollama's cloud gives it."""
    return _answer(401, "unauthorized")


def headers(exchange: Exchange) -> Headers:
    """What each answer has: nothing of its own."""
    return []
