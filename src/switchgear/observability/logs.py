"""Logs: structlog to JSON lines (or a console), on stderr; the standard library's loggers in the same format.

    log = logs.get(__name__)
    log.info("configuration reloaded", models=3)

Every event goes through one pipeline: level, time, logger, exception as text, redaction, rendering; then into the
writer's buffer (`writer`). Content of requests and answers is never handed to a logger. The access line of a request is
rendered apart (`access`), since it is the one line that is written per request.
"""

from __future__ import annotations

import logging
import logging.config
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from switchgear.observability.access import AccessLog as AccessLog
from switchgear.observability.redaction import redact, redact_event
from switchgear.observability.writer import LogWriter

if TYPE_CHECKING:
    from switchgear.config.schema import Logging

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_FIRST = ("time", "level", "event", "logger")
_STDERR = 2

writer = LogWriter(_STDERR)
"""What all loggers of the process write to."""


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of a module. It follows later calls of `configure`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


def configure(logging_config: Logging) -> None:
    """Set level and format, for structlog and the standard library. May be called again, as after a reload."""
    render = _render_json if logging_config.format == "json" else _console()
    _configure_structlog(_LEVELS[logging_config.level], render)
    StdlibHandler.render = staticmethod(render)
    logging.config.dictConfig(stdlib_config(logging_config))


def stdlib_config(logging_config: Logging) -> dict[str, Any]:
    """A `logging.config.dictConfig` that sends everything here; granian takes it as its own.

    httpx and httpcore log each request with its address, query included, granian each client that left in the middle of
    an answer and each step of its start, Alembic each plugin: only their warnings pass.
    """
    level = logging_config.level.upper()
    ours = {"handlers": ["switchgear"], "level": level, "propagate": False}
    quiet = "WARNING" if level in ("DEBUG", "INFO") else level
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {},
        "handlers": {"switchgear": {"class": "switchgear.observability.logs.StdlibHandler"}},
        "root": {"handlers": ["switchgear"], "level": level},
        "loggers": {
            "_granian": {**ours, "level": quiet},
            "granian.access": dict(ours),
            "httpx": {"level": quiet},
            "httpcore": {"level": quiet},
            "alembic": {"level": quiet},
        },
    }


def _configure_structlog(level: int, render: Any) -> None:
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *_PIPELINE, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Lines,
        cache_logger_on_first_use=False,  # a later `configure` holds for every logger
    )


class _Lines:
    """The end of structlog's chain: whatever the level, a rendered line. name: the logger's."""

    def __init__(self, name: str = ""):
        self.name = name

    def msg(self, line: bytes) -> None:
        writer.write(line)

    debug = info = warning = warn = error = critical = exception = fatal = log = msg


def _add_name(logger: Any, _method: str, event: Any) -> Any:
    event.setdefault("logger", getattr(logger, "name", ""))
    return event


def _add_time(_logger: Any, _method: str, event: Any) -> Any:
    event["time"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _render_json(_logger: Any, _method: str, event: Any) -> bytes:
    ordered = {key: event.pop(key) for key in _FIRST if key in event}
    ordered.update(event)
    try:
        return orjson.dumps(ordered, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate, or an integer beyond 64 bits
        return orjson.dumps(_plain(ordered), option=orjson.OPT_APPEND_NEWLINE)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**64 else str(value)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _console() -> Any:
    renderer = structlog.dev.ConsoleRenderer(colors=os.isatty(_STDERR), timestamp_key="time")

    def render(logger: Any, method: str, event: Any) -> bytes:
        return renderer(logger, method, event).encode("utf-8", "replace") + b"\n"

    return render


_PIPELINE: list[Any] = [
    structlog.processors.add_log_level,
    _add_time,
    _add_name,
    structlog.processors.format_exc_info,
    redact_event,
]


class StdlibHandler(logging.Handler):
    """Records of the standard library's loggers, through the same pipeline. `render` is set by `configure`."""

    render = staticmethod(_render_json)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            event: dict[str, Any] = {"event": record.getMessage(), "logger": record.name}
            if record.exc_info:
                event["exc_info"] = record.exc_info
            event["level"] = record.levelname.lower()
            whole = structlog.processors.format_exc_info(None, "", _add_time(None, "", event))
            writer.write(self.render(None, record.levelname.lower(), redact(whole)))
        except Exception:  # logging must not raise into whoever logs
            writer.write(b'{"level":"error","event":"a log record could not be rendered"}\n')


# Until `configure` is called: what the defaults of the configuration say.
_configure_structlog(logging.INFO, _render_json)
