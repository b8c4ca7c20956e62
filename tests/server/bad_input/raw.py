"""A client that sends bytes and reads bytes: no library stands between a test and what it wants to get wrong."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from tests.support.processes import KEY, GatewayProcess, get_json

CHAT = b'{"model":"sim","messages":[{"role":"user","content":"hi"}]}'
JSON = "application/json"
CHAT_PATH = "/v1/chat/completions"
FORM = "multipart/form-data; boundary=xx"
PART = b'--xx\r\ncontent-disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
FILE = PART % (b"file", b'; filename="a.wav"', b"RIFF")
MODEL = PART % (b"model", b"", b"sim")
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


def in_flight(gateway: GatewayProcess) -> int:
    """Requests that the worker is handling, this one included."""
    count: int = get_json(f"{gateway.origin}/ready")["in_flight"]
    return count
