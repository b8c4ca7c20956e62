"""Recorded exchanges come back as they were recorded."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from switchgear.simulator import Simulator, SimulatorSettings
from switchgear.simulator.replay import Recordings

from .helpers import exchange, request, split, unchunk

ASKED: dict[str, Any] = {"model": "m-1", "messages": [{"role": "user", "content": "hé"}], "stream": True}
EVENTS = 'data: {"a":1}\r\n\r\n: a comment\n\ndata: {"b":"é"}\n\ndata: [DONE]\n\n'


def recording(id: str, path: str, body: Any, answer: str, **response: Any) -> dict[str, Any]:
    text = body if isinstance(body, str) or body is None else json.dumps(body, indent=2)
    return {
        "id": id,
        "provider": "somebody",
        "api": "x",
        "stream": answer == EVENTS,
        "tags": [],
        "source": {},
        "request": {"method": "POST", "host": "h", "path": path, "query": {}, "headers": {}, "body": text},
        "response": {"status": 200, "headers": {"content-type": "application/json"}, "body": answer, **response},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    stream = {"headers": {"content-type": "text/event-stream", "x-request-id": "req_recorded"}}
    recordings = [
        recording("openai/chat/one", "/v1/chat/completions", ASKED, EVENTS, **stream),
        recording("openrouter/chat/one", "/api/v1/chat/completions", ASKED, '{"from":"openrouter"}'),
        recording(
            "gemini/one",
            "/v1beta/models/gemini-x:generateContent",
            {"contents": []},
            '{"error":{}}',
            status=429,
            headers={"retry-after": "9", "transfer-encoding": "chunked"},
        ),
        recording("openai/files/one", "/v1/files", "--b\r\nnot json", '{"id":"file-1"}'),
    ]
    for each in recordings:
        path = tmp_path / f"{each['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(each))
    (tmp_path / "EXPECTED.json").write_text('{"not":"a recording"}')
    return tmp_path


@pytest.fixture
async def replaying(folder: Path) -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(recordings=folder)) as simulator:
        yield simulator


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/openai/v1/chat/completions", "/chat/completions"])
async def test_stream(replaying: Simulator, path: str) -> None:
    raw = await exchange(replaying, request(ASKED, path=path))
    line, headers, body = split(raw)
    assert line == b"HTTP/1.1 200 OK"
    assert headers == {
        "content-type": "text/event-stream",
        "x-request-id": "req_recorded",
        "connection": "close",
        "transfer-encoding": "chunked",
    }
    assert unchunk(body) == (EVENTS.encode(), True)


async def test_the_same_path_wins(replaying: Simulator) -> None:
    assert split(await exchange(replaying, request(ASKED, path="/api/v1/chat/completions")))[2] == (
        b'{"from":"openrouter"}'
    )


async def test_key_order_is_nothing_and_values_are_all(replaying: Simulator) -> None:
    turned = {name: ASKED[name] for name in reversed(ASKED)}
    assert EVENTS.encode() == unchunk(split(await exchange(replaying, request(turned)))[2])[0]
    other = split(await exchange(replaying, request({**ASKED, "model": "m-2", "stream": False})))[2]
    assert json.loads(other)["model"] == "m-2"


async def test_added_stream_options_do_not_matter(replaying: Simulator) -> None:
    asked = {**ASKED, "stream_options": {"include_usage": True}}
    assert unchunk(split(await exchange(replaying, request(asked)))[2])[0] == EVENTS.encode()


async def test_other_dialects_and_statuses(replaying: Simulator) -> None:
    path = "/v1beta/models/gemini-x:generateContent"
    line, headers, body = split(await exchange(replaying, request({"contents": []}, path=path)))
    assert line == b"HTTP/1.1 429 Too Many Requests"
    assert headers["retry-after"] == "9"
    assert unchunk(body) == (b'{"error":{}}', True)


async def test_bodies_that_are_not_json(replaying: Simulator) -> None:
    asked = request(b"--b\r\nnot json", path="/v1/files", headers={"content-type": "multipart/form-data; boundary=b"})
    assert split(await exchange(replaying, asked))[2] == b'{"id":"file-1"}'


async def test_chosen_by_id(replaying: Simulator) -> None:
    by_model = {**ASKED, "model": "any;recording=openrouter/chat/one"}
    assert split(await exchange(replaying, request(by_model)))[2] == b'{"from":"openrouter"}'
    by_header = request(b"", headers={"x-sim-recording": "openrouter/chat/one"})
    assert split(await exchange(replaying, by_header))[2] == b'{"from":"openrouter"}'
    missing = request({**ASKED, "model": "any;recording=none"})
    assert split(await exchange(replaying, missing))[0] == b"HTTP/1.1 404 Not Found"


@pytest.mark.parametrize("size", [1, 3, 1000])
async def test_split(folder: Path, size: int) -> None:
    async with Simulator(SimulatorSettings(recordings=folder, replay_split=size)) as sim:
        body = split(await exchange(sim, request(ASKED)))[2]
        assert unchunk(body) == (EVENTS.encode(), True)
        first = int(body.partition(b"\r\n")[0], 16)
        assert first == min(size, len(EVENTS.encode()))


async def test_faults_strike_replayed_streams(replaying: Simulator) -> None:
    asked = request(ASKED, headers={"x-sim-truncate-chunked": "1"})
    assert unchunk(split(await exchange(replaying, asked))[2]) == (b'data: {"a":1}\r\n\r\n', False)


def test_what_is_no_recording_is_left_out(folder: Path) -> None:
    assert len(Recordings(folder)) == 4
    with pytest.raises(FileNotFoundError):
        Recordings(folder / "missing")
