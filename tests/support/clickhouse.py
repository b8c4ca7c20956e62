"""ClickHouse's HTTP interface as far as an INSERT goes: tokens are taken once, and it can fail before or after storing.

What the statements do was tried against the engine itself (chDB 26.9); this stands in for its server.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson


class ClickHouseServer(ThreadingHTTPServer):
    """rows: what the table holds. calls: (query, token or "", headers) of each request. fail: how the next ones go
    wrong, `before` or `after` storing, or `drop` the connection after it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rows: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str, dict[str, str]]] = []
        self.tokens: set[str] = set()
        self.fail: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def store(self, token: str, body: bytes) -> None:
        if token not in self.tokens:
            self.tokens.add(token)
            self.rows += [orjson.loads(line) for line in body.splitlines()]


class _Handler(BaseHTTPRequestHandler):
    server: ClickHouseServer

    def do_POST(self) -> None:
        settings = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        token = settings.get("insert_deduplication_token", "")
        self.server.calls.append((settings["query"], token, dict(self.headers)))
        fault = self.server.fail.pop(0) if self.server.fail else ""
        if settings["query"].startswith("INSERT") and fault != "before":
            self.server.store(token, body)
        if fault == "drop":
            self.close_connection = True
            return
        self.send_response(500 if fault else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the test looks at `calls`."""


@contextmanager
def clickhouse() -> Iterator[ClickHouseServer]:
    server = ClickHouseServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
