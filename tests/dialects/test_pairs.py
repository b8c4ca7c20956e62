"""Every client dialect in front of every provider's wire format: text, tools, usage, errors, truncation, departure."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from tests.dialects.conftest import Pairs
from tests.dialects.wires import ARGUMENTS, CLIENTS, PROVIDERS, call, question, said
from tests.providers.folding import fold
from tests.providers.stream_cases import CASES, VIEWS
from tests.support.scripted import WAIT_S

ALL = [(wire, client) for wire in PROVIDERS for client in CLIENTS]


def upstream_format(wire: str, client: str) -> str:
    """What the provider is asked in: OpenAI's own type has Responses natively, and chat for everybody else."""
    if wire == "responses":
        return "responses" if client == "responses" else "chat"
    return "chat" if wire == "repaired" else wire


@pytest.mark.parametrize(("wire", "client"), ALL)
@pytest.mark.parametrize("case", ["text", "tools"])
def test_whole_answers(pairs: Pairs, wire: str, client: str, case: str) -> None:
    answer = call(pairs.origin, client, f"{wire}-{case}")
    assert answer.status_code == 200, answer.text
    text, calls, usage = said(client, answer.json())
    assert text == ("Grüße" if case == "text" else "Let me look.")
    assert calls == ([] if case == "text" else [("weather", ARGUMENTS), ("now", {})])
    assert usage == (100, 20)
    model = answer.json().get("modelVersion") or answer.json().get("model")
    assert model == f"{wire}-{case}"
    assert answer.headers["x-switchgear-target"] == f"{wire}/{case}"
    assert ("request-id" in answer.headers) is (client == "anthropic")
    assert answer.headers["x-request-id"] != "req_upstream"
    assert answer.headers["x-switchgear-upstream-request-id"] == "req_upstream"


@pytest.mark.parametrize(("wire", "client"), ALL)
@pytest.mark.parametrize("case", list(VIEWS))
def test_streams(pairs: Pairs, wire: str, client: str, case: str) -> None:
    fmt = upstream_format(wire, client)
    if case not in CASES[fmt]:
        return  # Ollama has no word for a refusal
    answer = call(pairs.origin, client, f"{wire}-{case}", stream=True)
    assert answer.status_code == 200, answer.text
    kind = "application/x-ndjson" if client == "ollama" else "text/event-stream"
    assert answer.headers["content-type"].startswith(kind)
    view = VIEWS[case]
    if fmt == client and case in ("error", "truncated", "refusal", "usage"):
        check_relayed(client, case, answer.content)
        return
    body = answer.content.replace(b"\r\n", b"\n")
    folded = fold(client, body) if fmt != client else None
    if folded is None:
        assert_text(client, body, view["text"])
        return
    choice = folded["choices"][0]
    assert choice["text"] == view["text"]
    assert choice["reasoning"] == view.get("reasoning", "")
    assert [(name, json.loads(arguments)) for _, name, arguments in choice["calls"]] == view.get("calls", [])
    assert (folded["error"] is not None) is ("error" in view)
    if folded.get("model"):
        assert folded["model"] == f"{wire}-{case}"


def check_relayed(client: str, case: str, body: bytes) -> None:
    """The provider's own events reach a client that speaks its format; a stream that breaks off ends in an error."""
    assert (b'"error"' in body) is (case in ("error", "truncated"))
    ends = {"chat": b"data: [DONE]\n\n", "anthropic": b"message_stop", "responses": b"response.completed"}
    if case in ("error", "truncated") and client in ends:
        assert ends[client] not in body


def assert_text(client: str, body: bytes, text: str) -> None:
    found = ""
    if client == "ollama":
        lines = [json.loads(line) for line in body.decode().splitlines()]
        assert "".join(line["message"]["content"] for line in lines) == text
        return
    for line in body.decode().splitlines():
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        event: Any = json.loads(line[6:])
        if client == "chat":
            found += "".join(c["delta"].get("content") or "" for c in event["choices"])
        elif client == "anthropic" and event["type"] == "content_block_delta":
            found += event["delta"].get("text", "")
        elif client == "responses" and event["type"] == "response.output_text.delta":
            found += event["delta"]
        elif client == "gemini":
            parts = event["candidates"][0]["content"]["parts"]
            found += "".join(part.get("text", "") for part in parts if not part.get("thought"))
    assert found == text


@pytest.mark.parametrize(("wire", "client"), ALL)
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_before_the_answer(pairs: Pairs, wire: str, client: str, stream: bool) -> None:
    answer = call(pairs.origin, client, f"{wire}-status-429", stream=stream)
    fmt = upstream_format(wire, client)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"
    check_envelope(client, answer.json(), 429, f"{fmt} says 429")


@pytest.mark.parametrize(("wire", "client"), ALL)
def test_the_gateways_own_bad_credential_is_not_the_clients(pairs: Pairs, wire: str, client: str) -> None:
    answer = call(pairs.origin, client, f"{wire}-status-401")
    assert answer.status_code == 502
    assert "says 401" not in answer.text


@pytest.mark.parametrize("client", CLIENTS)
def test_overload_is_529_for_anthropics_clients_alone(pairs: Pairs, client: str) -> None:
    assert call(pairs.origin, client, "anthropic-status-529").status_code == (529 if client == "anthropic" else 503)


def check_envelope(client: str, body: Any, status: int, words: str) -> None:
    if client == "anthropic":
        assert body["type"] == "error"
        assert body["error"]["type"] == "rate_limit_error"
    elif client == "gemini":
        assert (body["error"]["code"], body["error"]["status"]) == (status, "RESOURCE_EXHAUSTED")
    elif client == "ollama":
        assert body == {"error": words}
        return
    else:
        assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"] == words


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("model", "key", "status"), [("nothing", None, 404), ("chat-text", "sk-wrong", 401), ("chat-text", "", 401)]
)
def test_the_gateways_own_errors_in_each_dialect(
    pairs: Pairs, client: str, model: str, key: str | None, status: int
) -> None:
    path, headers, body = question(client, model)
    if key is not None:
        for name in ("authorization", "x-api-key", "x-goog-api-key"):
            if name in headers and not key:
                del headers[name]
            elif name in headers:
                headers[name] = f"Bearer {key}" if name == "authorization" else key
    answer = httpx.post(pairs.origin + path, headers=headers, json=body)
    assert answer.status_code == status
    error = answer.json()["error"]
    if client == "anthropic":
        assert answer.json()["type"] == "error"
        assert error["type"] == {404: "not_found_error", 401: "authentication_error"}[status]
        assert answer.json()["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]
    elif client == "gemini":
        assert (error["code"], error["status"]) == (status, {404: "NOT_FOUND", 401: "UNAUTHENTICATED"}[status])
    elif client == "ollama":
        assert isinstance(error, str)
        assert set(answer.json()) == {"error"}
    else:
        assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(("wire", "client"), ALL)
def test_the_upstream_is_left_when_the_client_leaves(pairs: Pairs, wire: str, client: str) -> None:
    path, headers, body = question(client, f"{wire}-hold", stream=True)
    with httpx.stream("POST", pairs.origin + path, headers=headers, json=body, timeout=20) as answer:
        assert answer.status_code == 200
        seen = b""
        for chunk in answer.iter_raw():
            seen += chunk
            if b"Half of" in seen:
                break
    assert pairs.upstreams[wire].left.wait(WAIT_S)


@pytest.mark.parametrize("wire", list(PROVIDERS))
def test_credentials_and_paths(pairs: Pairs, wire: str) -> None:
    """Each provider is asked at its own address with its own header, and never sees the client's key."""
    for client in CLIENTS:
        call(pairs.origin, client, f"{wire}-text")
    asked = pairs.upstreams[wire].requests
    assert len(asked) == len(CLIENTS)
    key = f"sk-upstream-{wire}-0000"
    expected = {"anthropic": ("x-api-key", key), "gemini": ("x-goog-api-key", key)}
    name, value = expected.get(wire, ("authorization", f"Bearer {key}"))
    path = {"anthropic": r"/v1/messages", "gemini": r"/v1beta/models/text:generateContent", "ollama": r"/api/chat"}
    for one in asked:
        assert one.headers[name] == value
        assert "sk-test" not in json.dumps(one.headers) + one.target
        assert ("anthropic-version" in one.headers) is (wire == "anthropic")
        assert re.fullmatch(path.get(wire, r"/v1/(chat/completions|responses)"), one.target)
