"""A stream that names its answer and then fails before any of it came is a failed attempt (CASES 11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.dialects.wires import CLIENTS, call
from tests.providers.stream_cases import CASES, sse
from tests.support.processes import KEY, GatewayProcess
from tests.support.scripted import Asked, ScriptedUpstream, Told, events, scripted

RESPONSE = {"id": "resp_1", "object": "response", "model": "m", "status": "in_progress", "output": [], "error": None}
CREATED = [
    {"type": "response.created", "sequence_number": 0, "response": RESPONSE},
    {"type": "response.in_progress", "sequence_number": 1, "response": RESPONSE},
]
START: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
                    "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}},
    },
    {"type": "ping"},
]  # fmt: skip
FLAT = {"type": "error", "sequence_number": 2, "code": "server_error", "message": "no", "param": None}
FAILED = {
    "type": "response.failed",
    "sequence_number": 2,
    "response": RESPONSE | {"status": "failed", "error": {"code": "server_error", "message": "no"}},
}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
FAILURES: dict[str, list[dict[str, Any]]] = {
    "responses-error": [*CREATED, FLAT],
    "responses-failed": [*CREATED, FAILED],
    "responses-cut": CREATED,
    "anthropic-error": [*START, OVERLOADED],
    "anthropic-cut": START,
}
PATHS = {"/v1/responses": "responses", "/v1/messages": "anthropic"}


def answer(asked: Asked) -> Told:
    fmt = PATHS[asked.target.partition("?")[0]]
    case = asked.json["model"]
    if case in CASES[fmt]:
        return events(CASES[fmt][case])
    body = sse(*FAILURES[case], names=True)
    return Told([body], content_type="text/event-stream", cut=case.endswith("cut"))


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GatewayProcess, ScriptedUpstream]]:
    with scripted(answer) as upstream:
        providers = {
            "responses": {"type": "openai", "base_url": f"{upstream.origin}/v1", "responses": "always"},
            "anthropic": {"type": "anthropic", "base_url": upstream.origin},
        }
        for provider in providers.values():
            provider["credentials"] = ["sk-upstream-0000000", "sk-upstream-1111111"]  # type: ignore[assignment]  # a value of the dictionary is a list, too
        models = {}
        for case in FAILURES:
            fmt = case.partition("-")[0]
            models[f"{case}-alone"] = {
                "targets": [{"provider": fmt, "model": case}],
                "retries": {"attempts": 1},
            }
            models[case] = {
                "targets": [
                    {"provider": fmt, "model": case, "tier": 0},
                    {"provider": "anthropic", "model": "text", "tier": 1},
                ],
            }
        config = {
            "providers": providers,
            "models": models,
            "keys": [{"name": "test", "value": KEY}],
            "defaults": {"breaker": {"failures": 100000}},
        }
        process = GatewayProcess(config, tmp_path_factory.mktemp("failing"))
        try:
            yield process.ready(), upstream
        finally:
            process.stop()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", list(FAILURES))
def test_another_target_answers(failing: tuple[GatewayProcess, ScriptedUpstream], case: str, client: str) -> None:
    gateway, upstream = failing
    upstream.requests.clear()
    found = call(gateway.origin, client, case, stream=True)
    assert found.status_code == 200, found.text
    assert found.headers["x-switchgear-target"] == "anthropic/text"
    assert upstream.requests[-1].json["model"] == "text"
    assert len(upstream.requests) >= 2
    assert "Grüße" in found.text
    assert '"error":{' not in found.text.replace(" ", "")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", list(FAILURES))
def test_alone_it_is_an_error_with_a_status(
    failing: tuple[GatewayProcess, ScriptedUpstream], case: str, client: str
) -> None:
    gateway, _ = failing
    found = call(gateway.origin, client, f"{case}-alone", stream=True)
    assert found.status_code in (500, 502, 503, 529), found.text
    assert found.headers["content-type"].startswith("application/json")
    assert found.json()["error"]["message"]


@pytest.mark.parametrize(("fmt", "client"), [(fmt, client) for fmt in PATHS.values() for client in CLIENTS])
def test_an_opening_alone_holds_nothing_back_that_follows(
    tmp_path_factory: pytest.TempPathFactory, fmt: str, client: str
) -> None:
    """The first output brings the openings along, while the stream is still open."""
    opening = sse(*(CREATED if fmt == "responses" else START), names=True)
    rest = CASES[fmt]["text"]

    def hold(asked: Asked) -> Told:
        return Told([opening, rest], content_type="text/event-stream", hold=True)

    with scripted(hold) as upstream:
        provider = {"type": "openai", "responses": "always"} if fmt == "responses" else {"type": "anthropic"}
        base = f"{upstream.origin}/v1" if fmt == "responses" else upstream.origin
        config = {
            "providers": {"p": provider | {"base_url": base, "credentials": ["sk-upstream-0000000"]}},
            "models": {"m": {"targets": [{"provider": "p", "model": "m"}]}},
            "keys": [{"name": "test", "value": KEY}],
        }
        process = GatewayProcess(config, tmp_path_factory.mktemp("hold"))
        try:
            found = call(process.ready().origin, client, "m", stream=True)
        finally:
            process.stop()
    assert found.status_code == 200
    assert "Grüße" in found.text
    if fmt == client:
        assert found.content.startswith(opening.split(b"\n\n", 1)[0].split(b"\n")[0])


def test_a_whole_error_in_the_stream_is_told_to_who_has_seen_some(
    failing: tuple[GatewayProcess, ScriptedUpstream],
) -> None:
    """Behind the first output there is no other attempt."""
    gateway, upstream = failing
    upstream.requests.clear()
    upstream_answer = upstream.answer
    upstream.answer = lambda asked: events(CASES[PATHS[asked.target.partition("?")[0]]]["error"])
    try:
        found = call(gateway.origin, "chat", "anthropic-error", stream=True)
    finally:
        upstream.answer = upstream_answer
    assert found.status_code == 200
    assert len(upstream.requests) == 1
    assert '"error":{' in found.text
    assert "[DONE]" not in found.text
