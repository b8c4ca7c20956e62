"""A body that breaks off is seen to have broken off: its framing is left open, whatever was known of its length."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cases.client import WAIT_S, at_rest, chat, post, total, until
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


def test_before_its_first_byte_it_is_an_error_like_any_other(start_gateway: Start, sim: SimulatorProcess) -> None:
    """Nothing was told yet: another target may have it, and else there is an answer that says so."""
    with scripted(lambda asked: Told([], content_type="audio/mpeg", cut=True)) as upstream:
        config = in_front_of(upstream, sim)
        config["models"]["saved"] = {"targets": [*config["models"]["m"]["targets"]]}
        config["models"]["saved"]["targets"].append({"provider": "sim", "model": "m", "tier": 1})
        gateway = start_gateway(config)
        wanted = {"input": "x", "voice": "alloy"}
        answer = post(gateway.origin, {"model": "m", **wanted}, SPEECH)
        assert (answer.status, answer.error["code"]) == (502, "upstream_protocol_error")
        saved = post(gateway.origin, {"model": "saved", **wanted}, SPEECH)
        assert (saved.status, saved.headers["x-switchgear-target"]) == (200, "sim/m")


@pytest.mark.parametrize("kind", ["bytes", "events"])
def test_a_client_that_stands_still_is_cut_off_for_good(start_gateway: Start, sim: SimulatorProcess, kind: str) -> None:
    """When it reads on after its time was up it finds no end, and no [DONE]."""
    event = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"x" * 60_000)
    stream = [event] * 400  # more than all buffers on the way hold

    def answer(asked: Asked) -> Told:
        kind_of = "text/event-stream" if kind == "events" else "audio/mpeg"
        return Told([*stream, b"data: [DONE]\n\n"], content_type=kind_of)

    with scripted(answer) as upstream:
        gateway = start_gateway(in_front_of(upstream, sim, body_timeout="1s"))
        wire = Wire(gateway, receive_buffer=4096)
        if kind == "events":
            wire.ask("/v1/chat/completions", chat("m", stream=True))
        else:
            wire.ask(SPEECH, {"model": "m", "input": "x", "voice": "alloy"})
        wire.read_until(b"\r\n\r\n")
        until(lambda: total(gateway.metrics(), "switchgear_client_disconnects_total") == 1)
        until(lambda: at_rest(gateway))
        rest = wire.rest()
        assert 0 < len(rest) < sum(map(len, stream))
        assert not rest.endswith(b"0\r\n\r\n")
        assert b"[DONE]" not in rest
        wire.socket.close()


def test_an_error_event_ends_a_stream_well(start_gateway: Start, sim: SimulatorProcess) -> None:
    """What broke off was told as an event: the body itself is whole, and the connection can be used again."""
    event = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    with scripted(lambda asked: Told([event], content_type="text/event-stream", cut=True)) as upstream:
        gateway = start_gateway(in_front_of(upstream, sim))
        wire = Wire(gateway)
        for _ in range(2):
            wire.ask("/v1/chat/completions", chat("m", stream=True))
            body = wire.read_until(b"\r\n0\r\n\r\n")
            assert b'"code":"upstream_protocol_error"' in body
        wire.socket.close()
