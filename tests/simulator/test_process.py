"""The simulator as a process, on uvloop: its first line, signals, and what depends on the event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from switchgear.simulator.options import command

from .helpers import QUESTION, exchange_at, request, split, unchunk

STREAM = {**QUESTION, "stream": True}


class Process:
    def __init__(self, process: asyncio.subprocess.Process, port: int):
        self.process = process
        self.port = port

    async def ask(self, model: str, body: dict[str, Any] = STREAM) -> bytes:
        return await exchange_at("127.0.0.1", self.port, request({**body, "model": model}))


@pytest.fixture
async def started() -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "switchgear.simulator", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
        assert line.startswith("Simulator on http://127.0.0.1:")
        yield Process(process, int(line.removesuffix("/v1").rpartition(":")[2]))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_ends_on_a_signal_with_a_stream_open(started: Process, number: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", started.port)
    writer.write(request({**STREAM, "model": "sim;gap=10s"}))
    await reader.readuntil(b"\r\n\r\n")
    started.process.send_signal(number)
    assert await asyncio.wait_for(started.process.wait(), 5) == 0
    assert started.process.stderr is not None
    assert await started.process.stderr.read() == b""
    writer.close()


async def test_endings_on_uvloop(started: Process) -> None:
    assert await started.ask("sim;reset-before-headers") == b"<RST>"
    reset = await started.ask("sim;reset-mid-stream=2")
    assert reset.endswith(b"<RST>")
    assert unchunk(split(reset.removesuffix(b"<RST>"))[2])[0].count(b"data: ") == 2
    whole, complete = unchunk(split(await started.ask("sim;gap=1ms;first=1ms;tokens=5"))[2])
    assert (whole.count(b"data: "), complete) == (8, True)
    split_up = unchunk(split(await started.ask("sim;split=3;tokens=5"))[2])
    assert (split_up[0].count(b"data: "), split_up[1]) == (8, True)
    assert not unchunk(split(await started.ask("sim;truncate-chunked=1"))[2])[1]


async def test_back_pressure_and_a_client_that_leaves_on_uvloop(started: Process) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", started.port, limit=1024)
    writer.write(request({**STREAM, "model": "sim;tokens=500000"}))
    await reader.readexactly(15)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{started.port}") as http:
        seen, before = -2, -1
        while seen != before:  # until the socket buffers are full
            before = seen
            await asyncio.sleep(0.1)
            seen = (await http.get("/_sim/requests")).json()[0]["events"]
        assert 0 < seen < 100_000
        writer.close()
        async with asyncio.timeout(5):
            while (stats := (await http.get("/_sim/stats")).json())["in_flight"]:
                await asyncio.sleep(0.01)
        assert (stats["aborted_streams"], stats["open_connections"]) == (1, 1)


def test_command_refuses_wrong_options() -> None:
    for arguments in (["--gap", "fast"], ["--port", "70000"], ["--recordings", "/nonexistent"], ["--jitter", "3"]):
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 2
        assert "Invalid value" in result.output
