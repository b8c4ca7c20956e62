"""Content codings that nobody asked for."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from pathlib import Path

import pytest

from switchgear.errors import UpstreamProtocolError
from switchgear.types import Headers
from switchgear.upstream.answer import Local
from switchgear.upstream.coding import INFLATED_MAX_BYTES, STEP_BYTES, plain
from tests.hotpath.upstream import Peer
from tests.server.test_attack_relay import request, working

TEXT = json.dumps({"choices": [], "text": list(range(200_000))}).encode()


class Coded(Local):
    """The head of an answer in a coding."""

    def __init__(self, coding: bytes):
        super().__init__()
        self.headers: Headers = [(b"content-type", b"application/json"), (b"content-encoding", coding)]

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"gzip", gzip.compress(TEXT)),
        (b"GZIP", gzip.compress(TEXT)),
        (b"x-gzip", gzip.compress(TEXT)),
        (b"deflate", zlib.compress(TEXT)),
        (b"gzip", gzip.compress(TEXT) + b"\0" * 9),
    ],
)
async def test_undone(coding: bytes, body: bytes) -> None:
    response = Coded(coding)
    assert await plain(response, body) == TEXT
    assert response.headers == [(b"content-type", b"application/json")]


@pytest.mark.parametrize("size", [0, 1, STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1, 5 * STEP_BYTES])
async def test_any_size_up_to_the_limit(size: int) -> None:
    content = b"x" * size
    assert await plain(Coded(b"gzip"), gzip.compress(content), max(size, 1)) == content


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        (b"br", b"x"),
        (b"gzip", b"x" * 100),
        (b"gzip", gzip.compress(TEXT)[:-9]),
        (b"gzip", gzip.compress(TEXT)[:1]),
        (b"gzip", gzip.compress(bytes(INFLATED_MAX_BYTES + 1))),
    ],
)
async def test_refused(coding: bytes, body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        await plain(Coded(coding), body)


async def test_while_a_bomb_unfolds_others_are_served(tmp_path: Path) -> None:
    """A bomb that came first, and an answer that came when all of it was there: the answer is served first."""
    bomb = gzip.compress(bytes(INFLATED_MAX_BYTES + 1))  # 32 KiB: it goes out in one write
    answer = b'{"choices":[]}'
    told = asyncio.Event()
    order = []
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"

    async def script(peer: Peer) -> None:
        while True:
            if b"bomb" in await peer.request():
                peer.write(head % len(bomb) + b"content-encoding: gzip\r\n\r\n" + bomb)
                await peer.writer.drain()
                told.set()
            else:
                await told.wait()
                peer.write(head % len(answer) + b"\r\n" + answer)

    class Read:
        """A client that takes its answer."""

        started = False

        async def whole(self, status: int, headers: Headers, body: bytes) -> None:
            assert body == answer

        async def start(self, status: int, headers: Headers) -> None: ...
        async def send(self, chunk: bytes) -> None: ...
        async def end(self) -> None: ...

    async with working(script, tmp_path, attempts=1) as (worker, _):

        async def ask(name: bytes) -> None:
            body = b'{"model":"m","messages":[{"role":"user","content":"%b"}]}' % name
            await worker.gateway.handle(request("/v1/chat/completions", body), Read())

        async def bombed() -> None:
            with pytest.raises(UpstreamProtocolError):
                await ask(b"bomb")
            order.append("bomb")

        async def served() -> None:
            await ask(b"x")
            order.append("answer")

        await asyncio.gather(bombed(), served())
    assert order == ["answer", "bomb"]
