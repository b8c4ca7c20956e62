"""Every fault in every format, whole and streamed: what leaves is what was asked for, and nothing breaks inside."""

from __future__ import annotations

import gzip
import json
import logging
from typing import Any

import pytest

from switchgear.simulator import Simulator
from tests.simulator.helpers import exchange, request, split

_TURN = [{"role": "user", "content": "x"}]
_CONTENTS = [{"role": "user", "parts": [{"text": "x"}]}]
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": _TURN, "stream": True}),
    "responses": ("/v1/responses", {"input": "x", "stream": True}),
    "anthropic": ("/v1/messages", {"messages": _TURN, "max_tokens": 99, "stream": True}),
    "anthropic whole": ("/v1/messages", {"messages": _TURN, "max_tokens": 99}),
    "anthropic count": ("/v1/messages/count_tokens", {"messages": _TURN}),
    "gemini": ("/v1beta/models/{}:streamGenerateContent?alt=sse", {"contents": _CONTENTS}),
    "gemini array": ("/v1beta/models/{}:streamGenerateContent", {"contents": _CONTENTS}),
    "gemini whole": ("/v1beta/models/{}:generateContent", {"contents": _CONTENTS}),
    "gemini embed": ("/v1beta/models/{}:embedContent", {"content": _CONTENTS[0]}),
    "ollama": ("/api/chat", {"messages": _TURN}),
    "ollama whole": ("/api/chat", {"messages": _TURN, "stream": False}),
    "ollama generate": ("/api/generate", {"prompt": "x"}),
    "ollama embed": ("/api/embed", {"input": "x"}),
}
FAULTS = [
    "",
    "gzip",
    "split=5",
    "giant-event=70000",
    "header-bomb=50",
    "1xx=103",
    "crlf",
    "bom",
    "comments",
    "garbage-sse",
    "truncated-json",
    "no-done",
    "usage-in-finish",
    "error-event=0",
    "error-event=2",
    "error-event=500",
    "error-in-200",
    "reasoning=3",
    "reasoning=0",
    "cached=1",
    "refusal",
    "status=418;message=tea",
    "status=204",
    "reset-before-headers",
    "reset-after-headers",
    "reset-mid-stream=2",
    "close-mid-stream=2",
    "truncate-chunked=2",
    "malformed-http=status-line",
    "malformed-http=chunk-size",
    "wrong-content-length=short",
]


def asking(name: str, fault: str) -> bytes:
    path, body = FORMATS[name]
    model = f"sim;{fault}" if fault else "sim"
    return request(
        {**body, **({} if "{}" in path else {"model": model})},
        path=path.format(model.replace(";", "%3B")),
        headers={"anthropic-version": "2023-06-01"},
    )


@pytest.mark.parametrize("name", FORMATS)
async def test_all_faults(sim: Simulator, caplog: pytest.LogCaptureFixture, name: str) -> None:
    with caplog.at_level(logging.ERROR):
        for fault in FAULTS:
            raw = await exchange(sim, asking(name, fault))
            assert b"500 Internal Server Error" not in raw, fault
            assert (raw == b"<RST>") is (fault == "reset-before-headers"), fault
            if "malformed" not in fault and raw != b"<RST>":
                expected = {"status=418;message=tea": b"418", "status=204": b"204", "1xx=103": b"103"}.get(
                    fault, b"200"
                )
                assert raw.startswith(b"HTTP/1.1 " + expected), (fault, raw[:200])
    assert not caplog.records
    assert sim.stats.in_flight == 0


@pytest.mark.parametrize("name", ["anthropic whole", "gemini whole", "ollama whole"])
async def test_whole_answers_compressed_or_cut(sim: Simulator, name: str) -> None:
    _, headers, body = split(await exchange(sim, asking(name, "gzip")))
    assert headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(body))
    _, _, body = split(await exchange(sim, asking(name, "truncated-json")))
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


@pytest.mark.parametrize("name", ["anthropic whole", "gemini array", "ollama"])
async def test_trickle(sim: Simulator, name: str) -> None:
    raw = await exchange(sim, asking(name, "trickle;tokens=1"))
    assert sim.requests[0].events == len(raw)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("anthropic", {"type": "overloaded_error", "message": "Overloaded"}),
        ("gemini whole", {"code": 529, "message": "busy", "status": "INTERNAL"}),
        ("ollama", "busy"),
    ],
)
async def test_status_in_each_envelope(sim: Simulator, name: str, expected: Any) -> None:
    fault = "status=529" if name == "anthropic" else "status=529;message=busy"
    line, _, body = split(await exchange(sim, asking(name, fault)))
    assert line.startswith(b"HTTP/1.1 529 ")
    assert json.loads(body)["error"] == expected


async def test_rules_match_a_model_in_the_path(sim: Simulator) -> None:
    sim.add_fault({"status": 503}, model="gemini-*", path="/v1beta/models/*", times=1)
    path = "/v1beta/models/gemini-3-pro:generateContent"
    for status in (b"503", b"200"):
        raw = await exchange(sim, request({"contents": _CONTENTS}, path=path))
        assert raw.startswith(b"HTTP/1.1 " + status)
