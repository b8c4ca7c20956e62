"""CASES 19: a documented cap on bodies; 413 in OpenAI's envelope, whether the length was declared or not."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import openai
import pytest

from tests.cases.client import CHAT, Answer, calls, post
from tests.conftest import basic_config
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

Start = Callable[..., GatewayProcess]
CAP = 16 * 1024 * 1024
CHUNK = 64 * 1024


def sized(size: int, *, stream: bool = False) -> bytes:
    """A chat request of exactly `size` bytes."""
    start = b'{"model":"sim","stream":%b,"messages":[{"role":"user","content":"' % (b"true" if stream else b"false")
    end = b'"}]}'
    return start + b"x" * (size - len(start) - len(end)) + end


def chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), CHUNK):
        yield body[start : start + CHUNK]


def send(gateway: GatewayProcess, body: bytes, *, chunked: bool, path: str = CHAT) -> Answer:
    """Send all that the gateway takes, then read its answer."""
    framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % len(body)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as client:
        client.sendall(
            b"POST %b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ncontent-type: application/json\r\n%b\r\n\r\n"
            % (path.encode(), KEY.encode(), framing)
        )
        try:
            for part in chunks(body):
                client.sendall(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
            if chunked:
                client.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered and reads no more
        got = b""
        while b"\r\n\r\n" not in got:
            got += client.recv(65536)
        head, _, rest = got.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        while "content-length" in headers and len(rest) < int(headers["content-length"]):
            rest += client.recv(65536)
        while "chunked" in headers.get("transfer-encoding", "") and not rest.endswith(b"0\r\n\r\n"):
            rest += client.recv(65536)
        return Answer(int(lines[0].split(" ")[1]), headers, rest)


REFUSAL = {
    "message": f"The request body is larger than the limit of {CAP} bytes.",
    "type": "invalid_request_error",
    "param": None,
    "code": "request_too_large",
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "declared"])
def test_at_the_cap(gateway: GatewayProcess, sim: SimulatorProcess, chunked: bool, stream: bool) -> None:
    answer = send(gateway, sized(CAP, stream=stream), chunked=chunked)
    assert answer.status == 200
    added = len(',"stream_options":{"include_usage":true}') if stream else 0
    assert calls(sim)[-1]["body_bytes"] == CAP + added


@pytest.mark.parametrize("size", [CAP + 1, CAP + 4 * 1024 * 1024])
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "declared"])
def test_over_the_cap(gateway: GatewayProcess, sim: SimulatorProcess, chunked: bool, size: int) -> None:
    answer = send(gateway, sized(size), chunked=chunked)
    assert (answer.status, answer.error) == (413, REFUSAL)
    assert calls(sim) == []


def test_a_declared_length_is_refused_unread(gateway: GatewayProcess) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n"
            % (KEY.encode(), 10**15)
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_the_sdk_raises(gateway: GatewayProcess) -> None:
    with (
        openai.OpenAI(base_url=gateway.url, api_key=KEY, max_retries=0) as client,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        client.chat.completions.create(model="sim", messages=[{"role": "user", "content": "x" * (CAP + 1)}])
    assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "declared"])
def test_a_cap_of_ones_own(start_gateway: Start, sim: SimulatorProcess, chunked: bool) -> None:
    gateway = start_gateway(basic_config(sim, server={"body_limit": "2KiB"}))
    assert send(gateway, sized(2048), chunked=chunked).status == 200
    assert send(gateway, sized(2049), chunked=chunked).status == 413


@pytest.mark.parametrize("path", ["/v1/files", "/v1/audio/transcriptions"])
@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "declared"])
def test_uploads_have_a_cap_of_their_own(start_gateway: Start, sim: SimulatorProcess, path: str, chunked: bool) -> None:
    gateway = start_gateway(basic_config(sim, server={"body_limit": "1KiB", "upload_limit": "64KiB"}))

    def upload(size: int) -> int:
        start = b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nsim\r\n--b\r\n'
        start += b'content-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\n'
        start += b'content-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        end = b"\r\n--b--\r\n"
        body = start + b"x" * (size - len(start) - len(end)) + end
        headers = {"content-type": "multipart/form-data; boundary=b"}
        if not chunked:
            return post(gateway.origin, body, path, headers=headers).status
        return _post_chunked(gateway, path, body)

    assert upload(64 * 1024) == 200
    assert upload(64 * 1024 + 1) == 413


def _post_chunked(gateway: GatewayProcess, path: str, body: bytes) -> int:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as client:
        client.sendall(
            b"POST %b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n"
            b"content-type: multipart/form-data; boundary=b\r\ntransfer-encoding: chunked\r\n\r\n"
            % (path.encode(), KEY.encode())
        )
        for part in chunks(body):
            client.sendall(b"%x\r\n%b\r\n" % (len(part), part))
        client.sendall(b"0\r\n\r\n")
        return int(client.recv(65536).split(b" ")[1])
