"""Raw sockets and small readers for the simulator's tests."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from switchgear.simulator import Simulator

QUESTION: dict[str, Any] = {"model": "sim", "messages": [{"role": "user", "content": "How are you?"}]}


def request(
    body: Any = None, *, method: str = "POST", path: str = "/v1/chat/completions", headers: dict[str, str] | None = None
) -> bytes:
    """A request as bytes; JSON unless `body` is bytes; it closes the connection unless `headers` says otherwise."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"host": "sim", "connection": "close", "content-length": str(len(data)), **(headers or {})}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return head.encode() + b"\r\n" + data


async def exchange(sim: Simulator, data: bytes) -> bytes:
    """What comes back until the end of the connection; a reset shows as `<RST>` at the end."""
    return await exchange_at(sim.settings.host, sim.port, data)


async def exchange_at(host: str, port: int, data: bytes) -> bytes:
    """As `exchange`, with a simulator in another process."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(data)
        out = b""
        async with asyncio.timeout(10):
            while True:
                try:
                    some = await reader.read(65536)
                except ConnectionResetError:
                    return out + b"<RST>"
                if not some:
                    return out
                out += some
    finally:
        writer.close()


def split(answer: bytes) -> tuple[bytes, dict[str, str], bytes]:
    """(status line, headers, body as sent)."""
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    pairs = (field.decode().partition(": ") for field in fields)
    return line, {name: value for name, _, value in pairs}, body


def unchunk(body: bytes) -> tuple[bytes, bool]:
    """(the data of a chunked body, whether its last chunk was there)."""
    out = b""
    while body:
        line, _, rest = body.partition(b"\r\n")
        size = int(line, 16)
        if size == 0:
            assert rest == b"\r\n"
            return out, True
        out += rest[:size]
        assert rest[size : size + 2] == b"\r\n"
        body = rest[size + 2 :]
    return out, False


def events(text: bytes) -> list[Any]:
    """The data of each event: JSON, or the string `[DONE]`."""
    blocks = text.decode().split("\n\n")
    assert blocks[-1] == ""
    data = [line[6:] for block in blocks for line in block.split("\n") if line.startswith("data: ")]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


async def stream(sim: Simulator, **fields: Any) -> tuple[list[Any], bytes]:
    """(events, raw answer) of a streamed chat request."""
    raw = await exchange(sim, request({**QUESTION, "stream": True, **fields}))
    data, complete = unchunk(split(raw)[2])
    assert complete
    return events(data), raw
