"""What a wire format gives back: status, headers, and a body, whole or in bursts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from switchgear.errors import GatewayError, MethodNotAllowed

Headers = list[tuple[bytes, bytes]]
Burst = tuple[bytes, ...]
"""Events that leave together, each whole; between two bursts lies one gap."""

JSON = b"application/json"
EVENT_STREAM = b"text/event-stream; charset=utf-8"


class Answer:
    """One answer. Either `body` is all of it, or `bursts` yields it piece by piece (then it is sent chunked).

    bare: without the headers that OpenAI adds to each answer: the control API and replayed exchanges.
    split: bytes per write of a streamed body; 0: an event (burst member) per write.
    """

    __slots__ = ("bare", "body", "bursts", "headers", "split", "status")

    def __init__(
        self,
        body: bytes = b"",
        *,
        status: int = 200,
        content_type: bytes = JSON,
        headers: Headers | None = None,
        bursts: Iterator[Burst] | None = None,
        bare: bool = False,
        split: int = 0,
    ):
        self.status = status
        self.body = body
        self.bursts = bursts
        self.headers: Headers = [*([(b"content-type", content_type)] if content_type else []), *(headers or [])]
        self.bare = bare
        self.split = split

    @property
    def event_stream(self) -> bool:
        """Whether the body is server-sent events."""
        return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in self.headers)


def json_answer(value: Any, *, status: int = 200, bare: bool = False) -> Answer:
    """`value` as compact JSON."""
    return Answer(orjson.dumps(value), status=status, bare=bare)


def stream_answer(bursts: Iterator[Burst]) -> Answer:
    """Server-sent events with the headers OpenAI sends."""
    return Answer(content_type=EVENT_STREAM, headers=[(b"cache-control", b"no-cache")], bursts=bursts)


def error_body(message: str, type: str, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """OpenAI's error envelope."""
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


def error_answer(error: GatewayError) -> Answer:
    """The answer that `error` stands for."""
    answer = json_answer(
        error_body(str(error), error.type, param=error.param, code=error.code),
        status=error.status,
    )
    if isinstance(error, MethodNotAllowed):
        answer.headers.append((b"allow", error.allow.encode("latin-1")))
    return answer


def sse(data: bytes, event: bytes = b"") -> bytes:
    """One event."""
    return b"event: %b\ndata: %b\n\n" % (event, data) if event else b"data: %b\n\n" % data


DONE = sse(b"[DONE]")
