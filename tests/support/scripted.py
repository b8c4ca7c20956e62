"""A tiny upstream whose answers a test scripts: any wire format, over a real socket."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WAIT_S = 15.0


@dataclass
class Asked:
    """A request as it arrived. target: path and query. headers: names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Told:
    """An answer. hold: after the parts keep the body open until the other side leaves. cut: break off after them."""

    parts: list[bytes]
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    hold: bool = False
    cut: bool = False


def told(value: Any, status: int = 200, **headers: str) -> Told:
    """A JSON answer."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Told([body], status, headers={name.replace("_", "-"): text for name, text in headers.items()})


def events(body: bytes, *, ndjson: bool = False, **options: Any) -> Told:
    """A stream."""
    return Told([body], content_type="application/x-ndjson" if ndjson else "text/event-stream", **options)


class ScriptedUpstream:
    """answer: what to tell for a request. left: set when a held answer's reader went away."""

    def __init__(self, answer: Callable[[Asked], Told]):
        self.answer = answer
        self.requests: list[Asked] = []
        self.left = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, self.rfile.read(length))
                owner.requests.append(asked)
                owner.tell(self, owner.answer(asked))

            do_GET = do_POST = handle_one

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def tell(self, handler: BaseHTTPRequestHandler, answer: Told) -> None:
        handler.send_response(answer.status)
        handler.send_header("content-type", answer.content_type)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        whole = answer.content_type == "application/json" and not answer.hold and not answer.cut
        if whole:
            body = b"".join(answer.parts)
            handler.send_header("content-length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
            return
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        for part in answer.parts:
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        if answer.hold:
            readable, _, _ = select.select([handler.connection], [], [], WAIT_S)
            if readable and handler.connection.recv(1) == b"":
                self.left.set()
            handler.close_connection = True
        elif answer.cut:
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
        else:
            handler.wfile.write(b"0\r\n\r\n")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@contextmanager
def scripted(answer: Callable[[Asked], Told]) -> Iterator[ScriptedUpstream]:
    upstream = ScriptedUpstream(answer)
    try:
        yield upstream
    finally:
        upstream.close()
