"""Errors in a client's words: as the body of an answer, and as the last event of a stream that has begun (§16, §15.3).

One place for all dialects: the edge renders answers with `error_body`, the gateway ends streams with `error_event`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchgear.providers.dialects import anthropic, chat_reply, gemini_reply, ollama_reply
from switchgear.wire.errors import responses_event

if TYPE_CHECKING:
    from switchgear.errors import GatewayError
    from switchgear.types import Dialect, StreamForm

_ENCODERS = {
    "openai": chat_reply.encode_error,
    "anthropic": anthropic.encode_error,
    "gemini": gemini_reply.encode_error,
    "ollama": ollama_reply.encode_error,
}


def error_body(
    dialect: Dialect,
    status: int,
    type: str,
    code: str | None,
    message: str,
    param: str | None = None,
    request_id: str = "",
    retry_after_s: float | None = None,
) -> bytes:
    """The dialect's error envelope. type, code: OpenAI's words; the other dialects' follow from the status."""
    return _ENCODERS[dialect](status, type, code, message, param, request_id, retry_after_s)


def error_event(form: StreamForm, error: GatewayError, request_id: str) -> bytes:
    """An error after the first byte of a stream; nothing follows it."""
    if form == "responses":
        return responses_event(error)
    dialect: Dialect = form if form == "anthropic" or form == "gemini" or form == "ollama" else "openai"
    body = error_body(dialect, error.status, error.type, error.code, error.message, error.param, request_id)
    if form == "ollama":
        return ollama_reply.one_line(body)
    return b"event: error\ndata: %b\n\n" % body if form == "anthropic" else b"data: %b\n\n" % body
