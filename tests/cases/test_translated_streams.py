"""CASES 9, 10, 11, 23 and 24 for streams that are translated: every pair of client and provider format, in a gateway.

The pairs of one format are in the tests of each case.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.dialects.wires import CLIENTS, case_of, format_of, question
from tests.providers.folding import fold
from tests.providers.stream_cases import CASES, VIEWS
from tests.support.processes import KEY, GatewayProcess
from tests.support.scripted import WAIT_S, Asked, ScriptedUpstream, Told, scripted

WIRES = ("chat", "responses", "anthropic", "gemini", "ollama")
PAIRS = [(wire, client) for wire in WIRES for client in CLIENTS if wire != client]
ENDS = {
    "chat": b"[DONE]",
    "responses": b"response.completed",
    "anthropic": b"message_stop",
    "gemini": b'"finishReason"',
    "ollama": b'"done":true',
}
# How an upstream may send the same events (CASES 10); `bytes`: one byte a write.
FORMS = ("crlf", "cr", "comments", "bom", "no space", "bytes", "one write")


def formed(body: bytes, form: str) -> list[bytes]:
    """The same events, sent in another way."""
    plain = body.replace(b"\r\n", b"\n")
    lines = not plain.startswith((b"data", b"event"))  # Ollama's: one JSON value a line
    if form == "crlf":
        plain = plain.replace(b"\n", b"\r\n")
    elif form == "cr" and not lines:
        plain = plain.replace(b"\n", b"\r")
    elif form == "comments" and not lines:
        plain = b": hello\n\n" + plain.replace(b"\n\n", b"\n\n: ping\n\n")
    elif form == "bom" and not lines:
        plain = b"\xef\xbb\xbf" + plain
    elif form == "no space":
        plain = plain.replace(b"data: ", b"data:")
    if form == "bytes":
        return [plain[at : at + 1] for at in range(len(plain))]
    return [plain] if form == "one write" else [plain[:37], plain[37:41], plain[41:]]


def answer(asked: Asked) -> Told:
    fmt = format_of(asked)
    case, _, form = case_of(asked, fmt).partition("~")
    kind = "application/x-ndjson" if fmt == "ollama" else "text/event-stream"
    return Told(formed(CASES[fmt][case], form.replace("_", " ")), content_type=kind, cut=case == "truncated")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ScriptedUpstream]]:
    with scripted(answer) as upstream:
        bases = {"chat": ("groq", "/v1"), "responses": ("openai", "/v1"), "anthropic": ("anthropic", ""),
                 "gemini": ("gemini", ""), "ollama": ("ollama", "")}  # fmt: skip
        config = {
            "providers": {
                wire: {"type": kind, "base_url": upstream.origin + base, "credentials": ["sk-upstream-0000000"]}
                | ({"responses": "always"} if wire == "responses" else {})
                for wire, (kind, base) in bases.items()
            },
            "models": {
                f"{wire}-{name}": {"targets": [{"provider": wire, "model": name}], "retries": {"attempts": 1}}
                for wire in WIRES
                for name in [*VIEWS, "gpt-5", "o3", *(f"text~{form.replace(' ', '_')}" for form in FORMS)]
            },
            "keys": [{"name": "test", "value": KEY}],
            "defaults": {"breaker": {"failures": 100000}},
        }
        process = GatewayProcess(config, tmp_path_factory.mktemp("translated"))
        try:
            yield process.ready().origin, upstream
        finally:
            process.stop()


def ask(origin: str, client: str, model: str, **extra: Any) -> httpx.Response:
    path, headers, body = question(client, model, stream=True)
    found = httpx.post(origin + path, headers=headers, json=body | extra, timeout=WAIT_S)
    assert found.status_code == 200, found.text
    return found


@pytest.mark.parametrize(("wire", "client"), PAIRS)
def test_case_09_tool_calls_arrive_as_sent(pairs: tuple[str, Any], wire: str, client: str) -> None:
    choice = fold(client, ask(pairs[0], client, f"{wire}-tools").content)["choices"][0]
    calls = choice["calls"]
    assert [(name, json.loads(arguments)) for _, name, arguments in calls] == VIEWS["tools"]["calls"]
    ids = [id for id, _, _ in calls]
    assert len(set(ids)) == len(ids)
    assert all(ids)
    sent = [id for id in ids if id.encode() in CASES[wire]["tools"]]
    assert sent == ([] if wire in ("gemini", "ollama") else ids)  # those two have no ids: they are made up


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("wire", "client"), PAIRS)
def test_case_10_the_same_events_however_they_are_sent(
    pairs: tuple[str, Any], wire: str, client: str, form: str
) -> None:
    found = fold(client, ask(pairs[0], client, f"{wire}-text~{form.replace(' ', '_')}").content)
    assert found["error"] is None
    assert found["choices"][0]["text"] == VIEWS["text"]["text"]
    assert found["choices"][0]["finish"]


@pytest.mark.parametrize("case", ["truncated", "error"])
@pytest.mark.parametrize(("wire", "client"), PAIRS)
def test_case_11_a_broken_stream_is_no_success(pairs: tuple[str, Any], wire: str, client: str, case: str) -> None:
    body = ask(pairs[0], client, f"{wire}-{case}").content
    found = fold(client, body)
    assert found["choices"][0]["text"] == VIEWS[case]["text"]
    assert found["error"]["message"]
    assert ENDS[client] not in body
    assert body.endswith(b"\n" if client == "ollama" else b"\n\n")


@pytest.mark.parametrize(("wire", "client"), PAIRS)
def test_case_23_reasoning_is_carried_and_what_is_not_is_named(pairs: tuple[str, Any], wire: str, client: str) -> None:
    found = ask(pairs[0], client, f"{wire}-reasoning", made_up={"a": 1})
    choice = fold(client, found.content)["choices"][0]
    assert (choice["reasoning"], choice["text"]) == (VIEWS["reasoning"]["reasoning"], VIEWS["reasoning"]["text"])
    assert "made_up" in found.headers["x-switchgear-dropped"].split(", ")


TEMPERATURE: dict[str, dict[str, Any]] = {
    "chat": {"temperature": 0.3},
    "responses": {"temperature": 0.3},
    "anthropic": {"temperature": 0.3},
    "gemini": {"generationConfig": {"temperature": 0.3}},
    "ollama": {"options": {"temperature": 0.3}},
}


@pytest.mark.parametrize("model", ["gpt-5", "o3"])
@pytest.mark.parametrize(("wire", "client"), PAIRS)
def test_case_24_the_provider_decides_what_its_model_takes(
    pairs: tuple[str, Any], wire: str, client: str, model: str
) -> None:
    """Reasoning models of OpenAI refuse a temperature: that is theirs to say."""
    origin, upstream = pairs
    before, upstream.answer = upstream.answer, lambda asked: recorded(asked)
    upstream.requests.clear()

    def recorded(asked: Asked) -> Told:
        fmt = format_of(asked)
        kind = "application/x-ndjson" if fmt == "ollama" else "text/event-stream"
        return Told([CASES[fmt]["text"]], content_type=kind)

    try:
        found = ask(origin, client, f"{wire}-{model}", **TEMPERATURE[client])
    finally:
        upstream.answer = before
    [asked] = upstream.requests
    sent = asked.json
    told = {"gemini": sent.get("generationConfig"), "ollama": sent.get("options")}.get(wire, sent)
    assert told["temperature"] == 0.3
    assert "temperature" not in found.headers.get("x-switchgear-dropped", "")
