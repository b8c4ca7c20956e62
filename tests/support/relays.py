"""Small servers between the gateway and a simulator: one that ends TLS, and an HTTP proxy that understands CONNECT."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

_IDLE_S = 30.0


class Relay:
    """What came through a relay. port: where it listens. targets: method and target of each request to a proxy."""

    def __init__(self) -> None:
        self.port = 0
        self.targets: list[str] = []


class _Server(socketserver.ThreadingTCPServer):
    """Threads, one a connection, that end when the server is closed: their sockets are shut down then."""

    request_queue_size = 64

    def __init__(self, host: str, state: Relay, to_port: int, context: ssl.SSLContext | None):
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.state, self.to_port, self.context = state, to_port, context
        self.open: set[socket.socket] = set()
        super().__init__((host, 0), _Handler)
        state.port = self.server_address[1]

    def server_close(self) -> None:
        for one in list(self.open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A connection that broke is what some tests are about."""


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        with ExitStack() as stack:
            client = self._adopt(stack, self.request)
            if self.server.context is not None:
                client = self._adopt(stack, self.server.context.wrap_socket(client, server_side=True))
            host, port, first = "127.0.0.1", self.server.to_port, b""
            if not port:
                host, port, first = self._asked(client)
            onward = self._adopt(stack, socket.create_connection((host, port), _IDLE_S))
            onward.sendall(first)
            back = threading.Thread(target=_copy, args=(onward, client))
            back.start()
            _copy(client, onward)
            back.join()

    def _adopt(self, stack: ExitStack, one: socket.socket) -> socket.socket:
        one.settimeout(_IDLE_S)
        self.server.open.add(one)
        stack.callback(self.server.open.discard, one)
        return stack.enter_context(one)

    def _asked(self, client: socket.socket) -> tuple[str, int, bytes]:
        """Where a proxy's client wants to go, and what to send there first."""
        top = b""
        while b"\r\n\r\n" not in top:
            top += client.recv(65536) or b"\r\n\r\n"
        method, target, _ = top.split(b"\r\n", 1)[0].decode().split(" ")
        self.server.state.targets.append(f"{method} {target}")
        authority, _, path = target.removeprefix("http://").partition("/")
        host, _, port = authority.rpartition(":")
        if method == "CONNECT":
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            return host.strip("[]"), int(port), b""
        return host.strip("[]"), int(port), top.replace(target.encode(), f"/{path}".encode(), 1)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Until one side ends; then both do."""
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with suppress(OSError):
            socket.socket.shutdown(one, socket.SHUT_RDWR)


@contextmanager
def _serving(server: _Server, state: Relay) -> Iterator[Relay]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def relay(to_port: int, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> Iterator[Relay]:
    """Listens on `host`, with TLS if there is a context, and passes bytes on to a local port."""
    state = Relay()
    with _serving(_Server(host, state, to_port, context), state):
        yield state


@contextmanager
def proxy() -> Iterator[Relay]:
    """An HTTP proxy: tunnels for CONNECT, and requests in absolute form passed on, one a connection."""
    state = Relay()
    with _serving(_Server("127.0.0.1", state, 0, None), state):
        yield state
