"""A body that breaks off is seen to have broken off: its framing is left open, whatever was known of its length."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cases.client import WAIT_S, at_rest, chat, until
from tests.conftest import basic_config
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess
from tests.support.scripted import Asked, ScriptedUpstream, Told, scripted

Start = Callable[..., GatewayProcess]
SPEECH = "/v1/audio/speech"
SOUND = bytes(range(256)) * 16


class Wire:
    """One client connection, as bytes."""

    def __init__(self, gateway: GatewayProcess, receive_buffer: int = 0):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(("127.0.0.1", gateway.port))

    def ask(self, path: str, body: Any) -> None:
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n"
        self.socket.sendall(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)

    def read_until(self, mark: bytes) -> bytes:
        got = b""
        while mark not in got:
            piece = self.socket.recv(65536)
            assert piece, got
            got += piece
        return got

    def rest(self) -> bytes:
        """All that comes until the server closes."""
        got = b""
        try:
            while piece := self.socket.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
        return got


@pytest.fixture
def wire(gateway: GatewayProcess) -> Iterator[Wire]:
    connection = Wire(gateway)
    yield connection
    connection.socket.close()


@pytest.fixture
def cut_off() -> Iterator[ScriptedUpstream]:
    """Sound of unknown length that breaks off after a piece."""
    with scripted(lambda asked: Told([SOUND], content_type="audio/mpeg", cut=True)) as upstream:
        yield upstream


def in_front_of(upstream: ScriptedUpstream, sim: SimulatorProcess, **server: Any) -> dict[str, Any]:
    config = basic_config(sim, models={"m": {"targets": [{"provider": "up", "model": "m"}]}}, server=server)
    url = f"{upstream.origin}/v1"
    config["providers"]["up"] = {"type": "openai", "base_url": url, "credentials": ["sk-up-000000"]}
    return config


def test_a_body_of_unknown_length(start_gateway: Start, sim: SimulatorProcess, cut_off: ScriptedUpstream) -> None:
    """No last chunk: the client's library raises where it would otherwise play half a song."""
    gateway = start_gateway(in_front_of(cut_off, sim))
    wire = Wire(gateway)
    wire.ask(SPEECH, {"model": "m", "input": "x", "voice": "alloy"})
    head, _, body = wire.rest().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"transfer-encoding: chunked" in head.lower()
    assert body == b"%X\r\n%b\r\n" % (len(SOUND), SOUND)
    wire.socket.close()
