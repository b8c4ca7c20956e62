"""Everything malformed that a client can send: an OpenAI envelope with the right status, and a gateway that goes on."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import basic_config
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess, get_json

CHAT = b'{"model":"sim","messages":[{"role":"user","content":"hi"}]}'
JSON = "application/json"
CHAT_PATH = "/v1/chat/completions"
Answer = tuple[int, dict[str, str], bytes]


def head(method: str = "POST", path: str = CHAT_PATH, length: object = None, **headers: str) -> bytes:
    """A request head. Keyword names become header names; None leaves content-length out."""
    fields = {
        "host": "gateway",
        "authorization": f"Bearer {KEY}",
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    if length is not None:
        fields["content-length"] = str(length)
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items() if text), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(body: bytes, path: str = CHAT_PATH, content_type: str = JSON, **headers: str) -> bytes:
    return head("POST", path, len(body), content_type=content_type, **headers) + body


async def exchange(gateway: GatewayProcess, data: bytes, *, half_close: bool = False) -> list[Answer]:
    """Send bytes, and read all answers until the server closes: the last request must ask for that, or be an error."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    raw = b""
    try:
        writer.write(data)
        if half_close:
            with suppress(OSError):  # the server has closed already
                writer.write_eof()
        async with asyncio.timeout(20):
            while part := await reader.read(65536):
                raw += part
    except ConnectionResetError:
        pass
    finally:
        writer.close()
    return parse(raw)


def parse(raw: bytes) -> list[Answer]:
    answers = []
    while raw:
        top, _, rest = raw.partition(b"\r\n\r\n")
        line, *fields = top.decode("latin-1").split("\r\n")
        headers = {name.lower(): text.strip() for name, _, text in (field.partition(":") for field in fields)}
        length = int(headers.get("content-length", len(rest)))
        answers.append((int(line.split(" ")[1]), headers, rest[:length]))
        raw = rest[length:]
    return answers


def error(answer: Answer) -> dict[str, Any]:
    """The envelope's content; all of its four keys are there."""
    status, headers, body = answer
    assert headers["content-type"] == JSON
    assert headers["x-request-id"]
    detail: dict[str, Any] = json.loads(body)["error"]
    assert set(detail) == {"message", "type", "param", "code"}
    assert detail["message"]
    return {"status": status, **detail}


@pytest.fixture(scope="module")
def gateway(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    config = basic_config(simulator)
    config["server"] = {"body_timeout": "1s", "cors": {"origins": ["https://app.example"]}}
    process = GatewayProcess(config, tmp_path_factory.mktemp("bad-input"))
    yield process.ready()
    process.stop()


def in_flight(gateway: GatewayProcess) -> int:
    """Requests that the worker is handling, this one included."""
    count: int = get_json(f"{gateway.origin}/ready")["in_flight"]
    return count


@pytest.fixture(autouse=True)
async def goes_on(gateway: GatewayProcess, sim: SimulatorProcess) -> Any:
    """After each test: nothing in flight, and a good request succeeds."""
    yield
    async with asyncio.timeout(10):
        while (await asyncio.to_thread(in_flight, gateway)) > 1:  # the question itself
            await asyncio.sleep(0.05)
    [good] = await exchange(gateway, post(CHAT, connection="close"))
    assert good[0] == 200
    assert "unexpected error" not in gateway.output


BODIES: dict[str, tuple[bytes, int, str | None, str | None]] = {
    # what, body, status, code, param
    "empty": (b"", 400, None, None),
    "blank": (b"  \n", 400, None, None),
    "not JSON": (b"hello", 400, None, None),
    "half": (CHAT[:-5], 400, None, None),
    "trailing garbage": (CHAT + b"x", 400, None, None),
    "trailing comma": (CHAT[:-1] + b",}", 400, None, None),
    "single quotes": (b"{'model':'sim'}", 400, None, None),
    "NaN": (CHAT[:-1] + b',"temperature":NaN}', 400, None, None),
    "an array": (b"[" + CHAT + b"]", 400, None, None),
    "a string": (b'"sim"', 400, None, None),
    "null": (b"null", 400, None, None),
    "UTF-8 broken": (CHAT.replace(b"hi", b"\xff\xfe"), 400, None, None),
    "UTF-8 overlong": (CHAT.replace(b"hi", b"\xc0\xaf"), 400, None, None),
    "UTF-16": (CHAT.decode().encode("utf-16"), 400, None, None),
    "NUL inside": (CHAT.replace(b"hi", b"h\0i"), 400, None, None),
    "NULs only": (b"\0" * 100, 400, None, None),
    "no model": (b'{"messages":[{"role":"user","content":"hi"}]}', 400, "missing_required_parameter", "model"),
    "model null": (CHAT.replace(b'"sim"', b"null"), 400, None, "model"),
    "model empty": (CHAT.replace(b'"sim"', b'""'), 400, None, "model"),
    "model a number": (CHAT.replace(b'"sim"', b"4"), 400, None, "model"),
    "model an object": (CHAT.replace(b'"sim"', b"{}"), 400, None, "model"),
    "model twice": (b'{"model":"a",' + CHAT[1:], 400, None, "model"),
    "stream twice": (CHAT[:-1] + b',"stream":true,"stream":false}', 400, None, "stream"),
    "stream a string": (CHAT[:-1] + b',"stream":"yes"}', 400, None, "stream"),
    "no messages": (b'{"model":"sim"}', 400, "missing_required_parameter", "messages"),
    "messages empty": (b'{"model":"sim","messages":[]}', 400, "empty_array", "messages"),
    "messages a string": (b'{"model":"sim","messages":"hi"}', 400, "invalid_type", "messages"),
    "nested 100,000 deep": (CHAT[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, None, None),
    "nested and never closed": (b'{"model":' + b'{"a":' * 100_000, 400, None, None),
}


@pytest.mark.parametrize("name", BODIES)
async def test_bodies(name: str, gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    body, status, code, param = BODIES[name]
    [answer] = await exchange(gateway, post(body, connection="close"))
    detail = error(answer)
    assert (detail["status"], detail["type"], detail["param"]) == (status, "invalid_request_error", param)
    if code:
        assert detail["code"] == code
    assert sim.requests() == []


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/embeddings", b'{"model":"sim"}', "input"),
        ("/v1/completions", b'{"model":"sim"}', "prompt"),
        ("/v1/moderations", b"{}", "input"),
        ("/v1/images/generations", b"{}", "prompt"),
        ("/v1/audio/speech", b'{"model":"sim"}', "input"),
        ("/v1/responses", b'{"input":"x"}', "model"),
        ("/v1/rerank", b'{"query":"x"}', "model"),
    ],
)
async def test_required_fields(path: str, body: bytes, param: str, gateway: GatewayProcess) -> None:
    [answer] = await exchange(gateway, post(body, path, connection="close"))
    detail = error(answer)
    assert (detail["status"], detail["code"], detail["param"]) == (400, "missing_required_parameter", param)


@pytest.mark.parametrize("framing", ["declared", "chunked"])
async def test_a_body_above_the_cap(framing: str, gateway: GatewayProcess) -> None:
    size = 20 << 20
    if framing == "declared":
        data = post(b"x" * size, connection="close")
    else:
        data = head(content_type=JSON, transfer_encoding="chunked", connection="close")
        data += (b"%x\r\n%b\r\n" % (1 << 20, b"x" * (1 << 20))) * 20 + b"0\r\n\r\n"
    [answer] = await exchange(gateway, data)
    detail = error(answer)
    assert (detail["status"], detail["code"]) == (413, "request_too_large")
    assert str(16 << 20) in detail["message"]


async def test_a_declared_length_above_the_cap_is_refused_before_the_body(gateway: GatewayProcess) -> None:
    data = head(length=20 << 20, content_type=JSON, expect="100-continue", connection="close")
    [answer] = await exchange(gateway, data)
    assert error(answer)["status"] == 413


async def test_a_body_at_the_cap(gateway: GatewayProcess) -> None:
    body = CHAT[:-1] + b" " * ((16 << 20) - len(CHAT)) + b"}"
    [answer] = await exchange(gateway, post(body, connection="close"))
    assert answer[0] == 200


@pytest.mark.parametrize("length", ["-1", "+5", "5, 5", "5, 6", "abc", "0x10", "99999999999999999999999999", "1e3", ""])
async def test_odd_lengths(length: str, gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    """The server refuses what RFC 9112 §6.3 says it must; the rest is judged here. Nothing reaches the provider."""
    top = head(connection="close")[:-2] + f"content-length: {length}\r\n\r\n".encode()
    answers = await exchange(gateway, top + CHAT, half_close=True)
    assert [answer[0] for answer in answers] in ([400], [413], [])
    assert sim.requests() == []


async def test_two_lengths(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    request = head(length=len(CHAT), connection="close")[:-2] + b"content-length: 3\r\n\r\n" + CHAT
    assert [answer[0] for answer in await exchange(gateway, request, half_close=True)] == [400]
    assert sim.requests() == []


async def test_length_and_chunks_together(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    """Request smuggling: one framing counts, and what is left over is no request."""
    smuggled = b"0\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
    request = head(length=len(smuggled), transfer_encoding="chunked") + smuggled
    answers = await exchange(gateway, request, half_close=True)
    assert all(answer[0] in (400, 401) for answer in answers)
    assert sim.requests() == []


async def test_a_slow_body(gateway: GatewayProcess) -> None:
    """408 after `body_timeout`, whole or in chunks."""
    for request in (
        head(length=len(CHAT), content_type=JSON) + CHAT[:10],
        head(transfer_encoding="chunked", content_type=JSON) + b"5\r\n" + CHAT[:5] + b"\r\n",
        head(length=100, path="/v1/audio/transcriptions", content_type="multipart/form-data; boundary=x") + b"--x",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(request)
        async with asyncio.timeout(10):
            raw = await reader.readuntil(b"}}")
        writer.close()
        detail = error(parse(raw)[0])
        assert (detail["status"], detail["code"]) == (408, "request_timeout")


async def test_a_slow_upload(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    """A body that is relayed as it comes is under the same limit, and the provider's connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(head(length=1000, path="/v1/files", content_type="multipart/form-data; boundary=x") + b"--x\r\n")
    async with asyncio.timeout(10):
        raw = await reader.readuntil(b"}}")
    writer.close()
    assert error(parse(raw)[0])["status"] == 408
    async with asyncio.timeout(5):
        while sim.stats()["in_flight"]:
            await asyncio.sleep(0.02)


async def test_bodies_that_end_early(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    for request in (
        head(length=len(CHAT) + 10, content_type=JSON) + CHAT,
        head(transfer_encoding="chunked", content_type=JSON) + b"5\r\nabc",
        head(transfer_encoding="chunked", content_type=JSON) + b"zz\r\nabc",
        head(length=10, path="/v1/audio/translations", content_type="multipart/form-data; boundary=x"),
    ):
        answers = await exchange(gateway, request, half_close=True)
        assert all(answer[0] >= 400 for answer in answers)
    assert sim.requests() == []


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", "/v1/audio/translations", "/v1/files"])
@pytest.mark.parametrize("body", [b"zz\r\nabc", b"f" * 17 + b"\r\n", b"1;" + b"a" * 100_000 + b"\r\na\r\n0\r\n\r\n"])
async def test_chunks_that_are_none(gateway: GatewayProcess, sim: SimulatorProcess, path: str, body: bytes) -> None:
    """The client is still there, and is told what is wrong."""
    content_type = JSON if "completions" in path or "embed" in path else "multipart/form-data; boundary=x"
    request = head(path=path, transfer_encoding="chunked", content_type=content_type) + body
    (answer,) = await exchange(gateway, request)
    detail = error(answer)
    assert (detail["status"], detail["code"]) == (400, "invalid_body")
    assert [asked for asked in sim.requests() if asked["path"] != "/v1/models" and asked["body"]] == []


async def test_garbage_on_the_wire(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    for data in (
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,  # a TLS client
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"\0" * 1000,
        post(CHAT) + b"garbage garbage\r\n\r\n",
    ):
        answers = await exchange(gateway, data, half_close=True)
        assert all(answer[0] >= 400 for answer in answers if answer[2][:12] != b'{"id":"chatc')
    assert len(sim.requests()) <= 1


async def test_header_bombs(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    many = head(connection="close")[:-2] + b"".join(b"x-%d: %d\r\n" % (n, n) for n in range(20_000)) + b"\r\n"
    long = head(connection="close", x_long="a" * 2_000_000)
    for data in (many, long):
        answers = await exchange(gateway, data, half_close=True)
        assert all(answer[0] in (400, 431) for answer in answers)
    assert sim.requests() == []


async def test_pipelined_requests(gateway: GatewayProcess) -> None:
    """Each is answered, in order, on the one connection."""
    bad, unknown = post(b"nonsense"), head("GET", "/v1/nothing")
    answers = await exchange(gateway, bad + post(CHAT) + unknown + post(CHAT, connection="close"))
    assert [answer[0] for answer in answers] == [400, 200, 404, 200]


PATHS: list[tuple[str, str, int, str]] = [
    ("GET", "/v1/nothing", 404, "unknown_url"),
    ("POST", "/v2/chat/completions", 404, "unknown_url"),
    ("POST", "/", 405, "method_not_supported"),
    ("GET", "/v1", 404, "unknown_url"),
    ("GET", "/favicon.ico", 404, "unknown_url"),
    ("GET", "/v1/%2e%2e/%2e%2e/etc/passwd", 404, "unknown_url"),
    ("GET", "/v1/../admin", 404, "unknown_url"),
    ("POST", "/v1/files/../chat/completions", 404, "unknown_url"),
    ("GET", "/v1/files/a%2Fb%00c", 404, "unknown_url"),
    ("GET", CHAT_PATH, 405, "method_not_supported"),
    ("DELETE", CHAT_PATH, 405, "method_not_supported"),
    ("PUT", "/v1/files", 405, "method_not_supported"),
    ("POST", "/v1/models", 405, "method_not_supported"),
    ("DELETE", "/v1/models/x", 405, "method_not_supported"),
    ("BREW", CHAT_PATH, 405, "method_not_supported"),
    ("POST", "/v1/threads", 501, "unsupported_endpoint"),
    ("POST", "/v1/vector_stores", 501, "unsupported_endpoint"),
    ("GET", "/v1/" + "a" * 5000, 404, "unknown_url"),
]


@pytest.mark.parametrize(("method", "path", "status", "code"), PATHS, ids=[f"{row[0]} {row[1][:40]}" for row in PATHS])
async def test_paths(
    method: str, path: str, status: int, code: str, gateway: GatewayProcess, sim: SimulatorProcess
) -> None:
    [answer] = await exchange(gateway, head(method, path, 0, connection="close"))
    detail = error(answer)
    assert (detail["status"], detail["code"]) == (status, code)
    if status == 405:
        assert "OPTIONS" in answer[1]["allow"]
    assert sim.requests() == []


@pytest.mark.parametrize("path", ["//v1//chat///completions", "/v1/chat/completions/", "//v1/chat/completions//"])
async def test_slashes_too_many(path: str, gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    [answer] = await exchange(gateway, post(CHAT, path, connection="close"))
    assert answer[0] == 200
    assert sim.requests()[-1]["path"] == CHAT_PATH


async def test_head(gateway: GatewayProcess) -> None:
    for path, status in (("/health", 200), ("/v1/models", 200), ("/v1/nothing", 404), (CHAT_PATH, 405)):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(head("HEAD", path, connection="close"))
        raw = await reader.read(-1)
        writer.close()
        top, _, body = raw.partition(b"\r\n\r\n")
        assert int(top.split(b" ")[1]) == status
        assert body == b""
        assert int(top.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) > 0


async def test_preflight(gateway: GatewayProcess) -> None:
    asked = {"origin": "https://app.example", "access_control_request_method": "POST", "connection": "close"}
    [(status, headers, body)] = await exchange(gateway, head("OPTIONS", CHAT_PATH, authorization="", **asked))
    assert (status, body) == (204, b"")
    assert headers["access-control-allow-origin"] == "https://app.example"
    assert headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert "authorization" in headers["access-control-allow-headers"]
    [(status, headers, _)] = await exchange(gateway, post(CHAT, origin="https://app.example", connection="close"))
    assert (status, headers["access-control-allow-origin"]) == (200, "https://app.example")
    [(status, headers, _)] = await exchange(
        gateway, head("GET", "/v1/x", origin="https://app.example", connection="close")
    )
    assert (status, headers["access-control-allow-origin"]) == (404, "https://app.example")
    [(_, headers, _)] = await exchange(gateway, post(CHAT, origin="https://evil.example", connection="close"))
    assert not [name for name in headers if name.startswith("access-control")]


FORM = "multipart/form-data; boundary=xx"
PART = b'--xx\r\ncontent-disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
FILE = PART % (b"file", b'; filename="a.wav"', b"RIFF")
MODEL = PART % (b"model", b"", b"sim")
FORMS: dict[str, tuple[str, bytes, str | None]] = {
    "not a form": (FORM, b"hello", None),
    "empty": (FORM, b"", None),
    "no boundary": ("multipart/form-data", MODEL + FILE + b"--xx--\r\n", None),
    "another boundary": ("multipart/form-data; boundary=yy", MODEL + FILE + b"--xx--\r\n", None),
    "no model": (FORM, FILE + b"--xx--\r\n", "model"),
    "model empty": (FORM, PART % (b"model", b"", b"") + FILE + b"--xx--\r\n", "model"),
    "model twice": (FORM, MODEL + MODEL + FILE + b"--xx--\r\n", "model"),
    "model not text": (FORM, PART % (b"model", b"", b"\xff\xfe") + b"--xx--\r\n", "model"),
    "model too long": (FORM, PART % (b"model", b"", b"a" * 5000) + b"--xx--\r\n", "model"),
    "cut short": (FORM, MODEL + FILE, None),
    "cut in a head": (FORM, MODEL + b"--xx\r\ncontent-disp", None),
    "many parts": (FORM, (PART % (b"a", b"", b"b")) * 1000 + MODEL + b"--xx--\r\n", None),
    "no type at all": ("", MODEL + FILE + b"--xx--\r\n", None),
}


@pytest.mark.parametrize("name", FORMS)
async def test_forms(name: str, gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    content_type, body, param = FORMS[name]
    [answer] = await exchange(gateway, post(body, "/v1/audio/transcriptions", content_type, connection="close"))
    detail = error(answer)
    assert (detail["status"], detail["type"], detail["param"]) == (400, "invalid_request_error", param)
    assert sim.requests() == []


async def test_a_good_form(gateway: GatewayProcess) -> None:
    [answer] = await exchange(
        gateway, post(MODEL + FILE + b"--xx--\r\n", "/v1/audio/transcriptions", FORM, connection="close")
    )
    assert answer[0] == 200


async def test_credentials_of_every_kind(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    for value in (
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer sk-wrong",
        "Bearer \xff\xfe",
        f"Bearer {KEY}x",
        "a" * 50_000,
    ):
        [answer] = await exchange(gateway, post(CHAT, authorization=value, connection="close"))
        assert error(answer)["status"] == 401
    assert sim.requests() == []


async def test_two_credentials(gateway: GatewayProcess) -> None:
    """The same one twice is one; two that differ are none, in whatever order, also on the compiled path."""
    good, bad = f"authorization: Bearer {KEY}\r\n".encode(), b"authorization: Bearer sk-other\r\n"
    bare = head(length=len(CHAT), content_type=JSON, connection="close").replace(good, b"")
    assert b"authorization" not in bare.lower()
    for lines, status in (((good,), 200), ((good, good), 200), ((good, bad), 401), ((bad, good), 401)):
        line, _, rest = bare.partition(b"\r\n")
        (answer,) = await exchange(gateway, line + b"\r\n" + b"".join(lines) + rest + CHAT)
        assert answer[0] == status


async def test_request_ids_that_are_not_well_formed(gateway: GatewayProcess) -> None:
    for offered in ("a b", "x" * 129, "é", "<script>", "-"):
        [(status, headers, _)] = await exchange(gateway, post(CHAT, x_request_id=offered, connection="close"))
        assert status == 200
        assert headers["x-request-id"].startswith("req_")


def footprint(gateway: GatewayProcess) -> tuple[int, int]:
    """(open files, resident KiB) of the worker."""
    worker = max(gateway.worker_pids(), key=lambda pid: _resident(pid))
    return len(list(Path(f"/proc/{worker}/fd").iterdir())), _resident(worker)


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


async def test_ten_thousand_aborted_requests_leave_nothing_behind(
    gateway: GatewayProcess, sim: SimulatorProcess
) -> None:
    """Clients that leave in every phase: in the head, in the body, while waiting, in a stream."""
    stream = post(CHAT.replace(b'"sim"', b'"sim;tokens=1000;gap=10ms"')[:-1] + b',"stream":true}')
    waiting = post(CHAT.replace(b'"sim"', b'"sim;first=30s"'))
    kinds = [stream[:20], stream[:-20], stream, waiting, post(b"nonsense"), head(length=5 << 20) + b"x" * 1000]

    def abort(data: bytes, reset: bool) -> None:
        with socket.create_connection(("127.0.0.1", gateway.port)) as client:
            client.sendall(data)
            if reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def aborts(start: int) -> None:
        for number in range(start, start + 500):
            abort(kinds[number % 6], number % 4 == 0)

    async def storm(count: int) -> None:
        for start in range(
            0, count, 500
        ):  # so many at once at most: what they need is given back to the allocator only
            await asyncio.to_thread(aborts, start)
            await settled()

    async def settled() -> None:
        async with asyncio.timeout(20):
            while (await asyncio.to_thread(in_flight, gateway)) > 1 or sim.stats()["in_flight"]:
                await asyncio.sleep(0.05)

    await storm(5000)
    files, resident = footprint(gateway)
    await storm(10_000)
    files_after, resident_after = footprint(gateway)
    assert files_after <= files + 20
    assert resident_after <= resident + 16 * 1024, f"{resident} KiB, then {resident_after} KiB"
