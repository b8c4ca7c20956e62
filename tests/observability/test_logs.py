"""Logs over real descriptors: structlog and the standard library in one format, access lines, the writer's bounds."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchgear.config.schema import Logging
from switchgear.errors import ClientDisconnected, UpstreamTimeout
from switchgear.observability import logs
from switchgear.observability.access import AccessLog
from switchgear.observability.metrics import Metrics
from switchgear.observability.redaction import marker
from switchgear.observability.writer import LogWriter
from switchgear.types import Endpoint, Principal, RequestContext, Target, Usage


class Sink:
    """A file that a writer writes to."""

    def __init__(self, path: Path):
        self.path = path
        self.writer = LogWriter(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))

    def text(self) -> str:
        assert self.writer.flush(10)
        return self.path.read_text()

    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    found = Sink(tmp_path / "log")
    monkeypatch.setattr(logs, "writer", found.writer)
    yield found
    assert found.writer.flush(10)
    root.handlers[:], root.level = before


def test_event_is_one_json_line(sink: Sink) -> None:
    logs.configure(Logging())
    logs.get("switchgear.test").info("configuration reloaded", models=3, provider="openai")
    (line,) = sink.text().splitlines()
    found = orjson.loads(line)
    assert list(found) == ["time", "level", "event", "logger", "models", "provider"]
    assert found.pop("time").endswith("Z")
    assert found == {
        "level": "info",
        "event": "configuration reloaded",
        "logger": "switchgear.test",
        "models": 3,
        "provider": "openai",
    }


def test_level_holds_for_both_and_follows_a_reload(sink: Sink) -> None:
    log, stdlib = logs.get("a"), logging.getLogger("some.library")
    for level in ("warning", "debug"):
        logs.configure(Logging(level=level))
        log.debug("debug")
        log.warning("warning")
        stdlib.debug("debug")
        stdlib.warning("warning %s", 1)
    found = [(line["logger"], line["event"]) for line in sink.lines()]
    assert found == [
        ("a", "warning"),
        ("some.library", "warning 1"),
        ("a", "debug"),
        ("a", "warning"),
        ("some.library", "debug"),
        ("some.library", "warning 1"),
    ]


def test_libraries_that_log_requests_and_their_own_steps_are_quiet(sink: Sink) -> None:
    logs.configure(Logging(level="debug"))
    logging.getLogger("httpx").info("HTTP Request: GET https://host/?key=abc")
    logging.getLogger("httpcore.http11").debug("receive_response_headers")
    logging.getLogger("_granian.asgi.io").info("Client disconnected")
    logging.getLogger("_granian").info("Starting granian")
    logging.getLogger("alembic.runtime.plugins").info("setup plugin")
    logging.getLogger("_granian").error("Worker failed")
    logging.getLogger("alembic.runtime.migration").warning("odd")
    assert [(line["logger"], line["event"]) for line in sink.lines()] == [
        ("_granian", "Worker failed"),
        ("alembic.runtime.migration", "odd"),
    ]


@pytest.mark.parametrize("logger", ["structlog", "stdlib"])
@pytest.mark.parametrize("form", ["json", "console"])
def test_secrets_and_exceptions(sink: Sink, logger: str, form: Any) -> None:
    logs.configure(Logging(format=form))
    try:
        raise ValueError("refused sk-abcdefgh12345678")
    except ValueError:
        if logger == "structlog":
            logs.get("a").exception("failed with Bearer abcdefgh", api_key="hunter2hunter2")
        else:
            logging.getLogger("a").exception("failed with %s", "Bearer abcdefgh")
    text = sink.text()
    assert "Traceback" in text
    assert marker("sk-abcdefgh12345678") in text
    assert marker("abcdefgh") in text
    assert "sk-abc" not in text
    assert "hunter2" not in text


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda key: key not in ("event", "level", "exc_info", "stack_info")),
        st.recursive(
            st.none() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.just("\ud800"),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
            max_leaves=6,
        ),
        max_size=5,
    )
)
@settings(max_examples=150, deadline=None)
def test_anything_renders_as_one_line(fields: dict[str, Any]) -> None:
    logs.configure(Logging())
    event = {"event": "x", **{key: value for key, value in fields.items() if key not in ("logger", "time")}}
    for processor in [*logs._PIPELINE, logs._render_json]:
        event = processor(None, "info", event)
    line = bytes(event)  # type: ignore[arg-type]  # the last processor gives the line
    assert line.count(b"\n") == 1
    assert orjson.loads(line)["level"] == "info"


def context(**fields: Any) -> RequestContext:
    ctx = RequestContext(
        Endpoint("chat.completions", "/chat/completions"),
        b"req-1",
        100.0,
        method="POST",
        path="/chat/completions",
        query=b"",
        client_headers=[],
        token=b"sk-client-secret-1234",
        body=b'{"messages": "content"}',
    )
    for name, value in fields.items():
        setattr(ctx, name, value)
    return ctx


def test_access_line(sink: Sink) -> None:
    ctx = context(
        model="smart",
        target=Target("openai", "gpt-4.1"),
        credential_name="main",
        status=200,
        attempts=2,
        stream=True,
        first_byte_at=100.25,
        usage=Usage(10, 20, 3, 0, 5),
        principal=Principal("ci", "key", prefix="sk-sg-ab"),
    )
    AccessLog(1.0, None, sink.writer).line(ctx, 101.5)
    (found,) = sink.lines()
    assert found.pop("time").endswith("Z")
    assert found == {
        "level": "info",
        "event": "request",
        "request_id": "req-1",
        "endpoint": "chat.completions",
        "model": "smart",
        "target": "openai/gpt-4.1",
        "credential": "main",
        "status": 200,
        "attempts": 2,
        "stream": True,
        "first_token_ms": 250.0,
        "total_ms": 1500.0,
        "key": "ci",
        "key_prefix": "sk-sg-ab",
        "error": None,
        "tokens": {"input": 10, "output": 20, "cached": 3, "reasoning": 5, "estimated": False},
    }


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UpstreamTimeout("idle", 3.0), 504, "upstream_timeout"),
        (ClientDisconnected(), 499, "client_disconnected"),
        (RuntimeError("sk-secret"), 500, "RuntimeError"),
    ],
)
def test_access_line_of_a_failure(sink: Sink, error: BaseException, status: int, code: str) -> None:
    AccessLog(1.0, None, sink.writer).line(context(error=error), 101.0)
    (found,) = sink.lines()
    assert (found["status"], found["error"], found["target"], found["key"]) == (status, code, None, None)


def test_access_line_hides_what_a_client_puts_into_its_names(sink: Sink) -> None:
    ctx = context(model="sk-abcdefgh12345678 \ud800", request_id=b"Bearer\xa0abc eyJhbGciOi.eyJzdWIiOi.c2ln")
    AccessLog(1.0, None, sink.writer).line(ctx, 101.0)
    text = sink.text()
    assert "REDACTED" in text
    assert all(secret not in text for secret in ("sk-", "eyJ", "content", "messages"))


def test_access_share(sink: Sink) -> None:
    none, half = AccessLog(0.0, None, sink.writer), AccessLog(0.5, None, sink.writer)
    assert (none.enabled, half.enabled) == (False, True)
    for _ in range(1000):
        none.line(context(), 101.0)
    assert sink.lines() == []
    for _ in range(1000):
        half.line(context(), 101.0)
    assert 350 < len(sink.lines()) < 650  # 9 standard deviations


def test_full_buffer_drops_and_counts_without_waiting(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path, "0")
    out, into = os.pipe()
    os.set_blocking(into, False)
    writer = LogWriter(into, capacity_bytes=200_000)
    access = AccessLog(1.0, metrics, writer)
    line = b"x" * 999 + b"\n"
    for _ in range(1000):  # a pipe holds 64 KiB, the buffer 200: most cannot be kept
        writer.write(line)
    assert access.enabled
    assert writer.dropped >= 700
    received = bytearray()
    reader = threading.Thread(target=lambda: [received.extend(part) for part in iter(lambda: os.read(out, 65536), b"")])
    reader.start()
    assert writer.flush(10)
    os.close(into)
    reader.join(10)
    os.close(out)
    assert len(received) == (1000 - writer.dropped) * 1000
    slot = metrics.slot("switchgear_log_lines_dropped_total")
    assert metrics.slab.get(slot) == writer.dropped


@pytest.mark.parametrize("broken", ["closed", "no reader"])
def test_broken_descriptor_drops_and_never_raises(broken: str) -> None:
    out, into = os.pipe()
    os.close(out)
    if broken == "closed":
        os.close(into)
    writer = LogWriter(into)
    for _ in range(10):
        writer.write(b"line\n")
    assert writer.flush(10)
    assert writer.dropped == 10
    if broken != "closed":
        os.close(into)


def test_lines_of_many_threads_stay_whole(sink: Sink) -> None:
    def write(number: int) -> None:
        for count in range(500):
            sink.writer.write(orjson.dumps({"thread": number, "count": count}) + b"\n")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    found = sink.lines()
    for number in range(4):
        assert [line["count"] for line in found if line["thread"] == number] == list(range(500))


def run(code: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # our own interpreter and code
        [sys.executable, "-c", code], capture_output=True, check=False, timeout=60
    )


def test_last_lines_are_written_at_exit() -> None:
    done = run(
        "from switchgear.config.schema import Logging\n"
        "from switchgear.observability import logs\n"
        "logs.configure(Logging())\n"
        "logs.get('a').error('last words')\n"
    )
    assert (done.returncode, done.stdout) == (0, b"")
    assert orjson.loads(done.stderr)["event"] == "last words"


def test_fork_writes_its_own_lines_once() -> None:
    done = run(
        "import os\n"
        "from switchgear.observability.logs import writer\n"
        "writer.write(b'parent\\n')\n"
        "if os.fork() == 0:\n"
        "    writer.write(b'child\\n'); writer.flush(5); os._exit(0)\n"
        "os.wait(); writer.flush(5)\n"
    )
    assert done.returncode == 0
    assert sorted(done.stderr.split()) == [b"child", b"parent"]


def test_granian_takes_the_configuration() -> None:
    done = run(
        "from granian.log import LogLevels, configure_logging, logger\n"
        "from switchgear.config.schema import Logging\n"
        "from switchgear.observability import logs\n"
        "configure_logging(LogLevels.warning, logs.stdlib_config(Logging()), True)\n"
        "logger.info('Starting granian'); logger.warning('Killing worker')\n"
    )
    assert (done.returncode, done.stdout) == (0, b"")
    found = orjson.loads(done.stderr)
    assert (found["logger"], found["level"], found["event"]) == ("_granian", "warning", "Killing worker")
