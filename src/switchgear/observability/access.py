"""The access line: one JSON line per request, for a share of them.

Rendered straight by orjson, past structlog: at full share it is written for every request. What a client chose (the
model's name, its request id) is searched for secrets all the same.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from random import random
from typing import TYPE_CHECKING, Any

import orjson

from switchgear.errors import ClientDisconnected, GatewayError
from switchgear.observability.redaction import redact_text

if TYPE_CHECKING:
    from switchgear.observability.metrics import Metrics
    from switchgear.observability.writer import LogWriter
    from switchgear.types import RequestContext

_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
_MAX_CHARS = 256


class AccessLog:
    """share: of requests that get a line, 0.0 to 1.0. `enabled` is what a caller tests before `line`.

    metrics: counts lines that the writer drops. writer: the process's own where not given.
    """

    __slots__ = ("_writer", "enabled", "share")

    def __init__(self, share: float, metrics: Metrics | None = None, writer: LogWriter | None = None):
        if writer is None:
            from switchgear.observability import logs  # logs imports this module

            writer = logs.writer
        self.share = share
        self.enabled = share > 0
        self._writer = writer
        if metrics is not None:
            writer.on_drop = metrics.log_lines_dropped

    def line(self, ctx: RequestContext, now: float) -> None:
        """Write the line of a request that has ended, if it is drawn. now: `loop.time()`. Never raises."""
        if not self.enabled or (self.share < 1 and random() >= self.share):  # noqa: S311  # a sample, not a secret
            return
        try:
            line = orjson.dumps(_fields(ctx, now), option=_OPTIONS)
        except (TypeError, ValueError, AttributeError):
            line = b'{"level":"error","event":"an access line could not be rendered"}\n'
        self._writer.write(line)


def _fields(ctx: RequestContext, now: float) -> dict[str, Any]:
    usage, principal, error = ctx.usage, ctx.principal, ctx.error
    fields: dict[str, Any] = {
        "time": datetime.now(UTC),
        "level": "info",
        "event": "request",
        "request_id": _text(ctx.request_id.decode("latin-1")),
        "endpoint": ctx.endpoint.name,
        "model": _text(ctx.model),
        "target": None if ctx.target is None else _text(ctx.target.name),
        "credential": ctx.credential_name or None,
        "status": ctx.status or _status(error),
        "attempts": ctx.attempts,
        "stream": ctx.stream,
        "first_token_ms": _ms(ctx.first_byte_at - ctx.started_at) if ctx.first_byte_at > 0 else None,
        "total_ms": _ms(now - ctx.started_at),
        "key": None if principal is None else principal.name,
        "key_prefix": None if principal is None else principal.prefix,
        "error": None if error is None else _code(error),
    }
    if usage is not None:
        fields["tokens"] = {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cached": usage.cached_tokens,
            "reasoning": usage.reasoning_tokens,
            "estimated": usage.estimated,
        }
    return fields


def _text(value: str) -> str:
    # Searched whole, then cut: a secret cut in two might not look like one.
    return redact_text(value)[:_MAX_CHARS].encode("utf-8", "replace").decode()


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _status(error: BaseException | None) -> int:
    if isinstance(error, ClientDisconnected | asyncio.CancelledError):
        return 499
    return error.status if isinstance(error, GatewayError) else 500


def _code(error: BaseException) -> str:
    if isinstance(error, ClientDisconnected | asyncio.CancelledError):
        return "client_disconnected"
    return (error.code if isinstance(error, GatewayError) else None) or type(error).__name__
