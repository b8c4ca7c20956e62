"""Servers that do not speak ASGI's lifespan protocol: the first requests start the worker."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from switchgear.config.load import load
from switchgear.providers.registry import provider_types
from switchgear.server.app import App
from switchgear.server.worker import Worker
from tests.hotpath.upstream import Peer, Script, serving
from tests.support.processes import KEY, Process, free_port

KEYS = b'{"keys":[]}'
CONFIG = """\
providers: {{up: {{type: openai, base_url: "http://127.0.0.1:{port}/v1", credentials: [sk-000000], models: [m]}}}}
keys: [{{name: test, value: {key}}}]
auth: {{mode: keys, jwt: {{jwks_url: "http://127.0.0.1:{port}/keys", issuer: i, audience: a, algorithms: [ES256]}}}}
"""


def issuing(may_answer: asyncio.Event, asked: asyncio.Event) -> Script:
    """A key set that is told when the test says so: until then the worker is half built."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            asked.set()
            await may_answer.wait()
            peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(KEYS), KEYS))

    return script


@contextlib.asynccontextmanager
async def waiting(folder: Path) -> AsyncIterator[tuple[Worker, asyncio.Event, asyncio.Event]]:
    """A worker whose start waits for the first event; the second is set when it does."""
    may_answer, asked = asyncio.Event(), asyncio.Event()
    async with serving(issuing(may_answer, asked)) as upstream:
        path = folder / "gateway.yaml"
        path.write_text(CONFIG.format(port=upstream.port, key=KEY))
        worker = Worker(load(path, known_types=provider_types()), None, folder, "1")
        yield worker, may_answer, asked
        if worker.started:
            await worker.stop()


async def ready(app: App) -> int:
    """The status of `GET /ready`, asked as a server does."""
    status = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    scope = {"type": "http", "method": "GET", "path": "/ready", "query_string": b"", "headers": []}
    await app(scope, receive, send)
    return status


async def test_requests_that_come_while_it_starts_wait(tmp_path: Path) -> None:
    async with waiting(tmp_path) as (worker, may_answer, asked):
        app = App(worker)
        first = asyncio.create_task(ready(app))
        await asked.wait()
        others = [asyncio.create_task(ready(app)) for _ in range(3)]
        await asyncio.sleep(0)
        assert not worker.started
        may_answer.set()
        assert await asyncio.gather(first, *others) == [200] * 4


async def test_the_first_client_may_leave(tmp_path: Path) -> None:
    """What it began goes on for the others."""
    async with waiting(tmp_path) as (worker, may_answer, asked):
        app = App(worker)
        first = asyncio.create_task(ready(app))
        await asked.wait()
        second = asyncio.create_task(ready(app))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        may_answer.set()
        assert await second == 200


async def test_a_start_that_failed_is_tried_again(tmp_path: Path) -> None:
    async with waiting(tmp_path) as (worker, may_answer, _):
        may_answer.set()
        config = worker.config
        worker.config = None  # type: ignore[assignment]  # whatever makes a start fail
        for _ in range(2):
            with pytest.raises(AttributeError):
                await worker.start()
            assert not worker.started
        worker.config = config
        assert await ready(App(worker)) == 200


SERVED = """\
from pathlib import Path
from switchgear.config.load import load
from switchgear.providers.registry import provider_types
from switchgear.server.app import App
from switchgear.server.worker import Worker
folder = Path({folder!r})
app = App(Worker(load(folder / "gateway.yaml", known_types=provider_types()), None, folder, "1"))
"""


async def test_under_a_server_without_lifespan(tmp_path: Path) -> None:
    """granian's `asginl` interface, asked by ten clients at once."""
    may_answer, asked = asyncio.Event(), asyncio.Event()
    async with serving(issuing(may_answer, asked)) as upstream:
        (tmp_path / "gateway.yaml").write_text(CONFIG.format(port=upstream.port, key=KEY))
        (tmp_path / "served.py").write_text(SERVED.format(folder=str(tmp_path)))
        port = free_port()
        command = [sys.executable, "-m", "granian", "--interface", "asginl", "--port", str(port)]
        command += ["--working-dir", str(tmp_path), "served:app"]
        process = await asyncio.to_thread(Process, command, tmp_path / "granian.log")
        try:
            await listening(port)
            async with httpx.AsyncClient(timeout=20, trust_env=False) as client:
                asking = [asyncio.create_task(client.get(f"http://127.0.0.1:{port}/ready")) for _ in range(10)]
                await asked.wait()
                may_answer.set()
                assert [answer.status_code for answer in await asyncio.gather(*asking)] == [200] * 10
        finally:
            await asyncio.to_thread(process.stop)


async def listening(port: int) -> None:
    """Until somebody takes connections at the port."""
    async with asyncio.timeout(20):
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            await asyncio.sleep(0.05)
