"""CASES 20: every route that reaches an upstream passes the same gate. The routes come from the route table itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from switchgear.server.routes import EXACT, IDENTIFIER, PATTERNS
from switchgear.types import Endpoint
from tests.cases.client import Answer, Open, calls
from tests.conftest import basic_config
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

OTHER_KEY = "sk-limited-0123456789abcdef"


def routes() -> Iterator[tuple[str, str, Endpoint]]:
    for path, methods in EXACT.items():
        for method, endpoint in methods.items():
            yield method, path, endpoint
    for pattern, methods in PATTERNS:
        for method, endpoint in methods.items():
            yield method, _example(pattern.pattern), endpoint


def _example(pattern: str) -> str:
    """A path that the pattern matches: identifiers filled in."""
    return pattern.replace(IDENTIFIER, "abc-123")


ROUTES = list(routes())
UPSTREAM_PATHS = {
    "/api/chat": "/v1/chat/completions",
    "/api/generate": "/v1/chat/completions",
    "/api/embed": "/v1/embeddings",
    "/api/embeddings": "/v1/embeddings",
}
"""Where what an Ollama client asks for is asked for at an OpenAI provider; all other paths are the same."""
EACH = pytest.mark.parametrize(("method", "path", "endpoint"), ROUTES, ids=[f"{m} {p}" for m, p, _ in ROUTES])


@pytest.fixture(scope="module")
def gated(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with a key for everything and one for a single model."""
    config = basic_config(simulator)
    config["keys"].append({"name": "limited", "value": OTHER_KEY, "models": ["allowed"]})
    process = GatewayProcess(config, tmp_path_factory.mktemp("gated"))
    yield process.ready()
    process.stop()


def ask(gateway: GatewayProcess, method: str, path: str, endpoint: Endpoint, key: str | None, model: str) -> Answer:
    headers: dict[str, str] = {}
    body: Any = None
    if endpoint.body == "json":
        body = {"model": model, "messages": [{"role": "user", "content": "x"}], "input": "x", "prompt": "x"}
        body |= {"query": "x", "documents": ["x"], "voice": "alloy"}
    elif endpoint.body != "none":
        body = (
            b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\n%b\r\n'
            b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.png"\r\n\r\nx\r\n--b--\r\n'
            % model.encode()
        )
        headers["content-type"] = "multipart/form-data; boundary=b"
    return Open(gateway.origin, path, body, method=method, headers=headers, key=key).answer()


def test_the_examples_match_their_patterns() -> None:
    for pattern, _ in PATTERNS:
        assert pattern.fullmatch(_example(pattern.pattern))


@EACH
@pytest.mark.parametrize("key", [None, "", "sk-wrong-0123456789abcdef", KEY[:-1], KEY + "x", KEY.upper()])
def test_no_key_no_upstream(
    gated: GatewayProcess, sim: SimulatorProcess, method: str, path: str, endpoint: Endpoint, key: str | None
) -> None:
    answer = ask(gated, method, path, endpoint, key, "allowed")
    assert answer.status == 401
    if endpoint.dialect == "anthropic":
        assert answer.error["type"] == "authentication_error"
    elif endpoint.dialect == "ollama":  # words are all that its errors have
        assert "API key" in answer.json["error"]
    else:
        assert answer.error["type"] == "invalid_request_error"
        assert answer.error["code"] == ("invalid_api_key" if key else None)
    assert calls(sim) == []


@EACH
def test_not_that_model(
    gated: GatewayProcess, sim: SimulatorProcess, method: str, path: str, endpoint: Endpoint
) -> None:
    """A key for one model gets no other, and nothing that belongs to no model."""
    answer = ask(gated, method, path, endpoint, OTHER_KEY, "forbidden")
    assert answer.status == 403
    if endpoint.dialect == "anthropic":
        assert answer.error["type"] == "permission_error"
    elif endpoint.dialect == "ollama":
        assert "forbidden" in answer.json["error"]
    else:
        assert answer.error["code"] == "model_not_allowed"
    assert calls(sim) == []


@EACH
def test_the_right_key_passes(
    gated: GatewayProcess, sim: SimulatorProcess, method: str, path: str, endpoint: Endpoint
) -> None:
    """Whatever the upstream says to it: the request got there, with the gateway's credential and not the client's."""
    if endpoint.dialect == "anthropic":
        body = {"model": "allowed", "max_tokens": 8, "messages": [{"role": "user", "content": "x"}]}
        answer = Open(gated.origin, path, body, method=method, headers={}, key=KEY).answer()
        assert answer.status == 200, answer.body
        assert len(calls(sim)) == ("count_tokens" not in path)  # counted here: this upstream has no such endpoint
        return
    answer = ask(gated, method, path, endpoint, KEY, "allowed")
    (call,) = calls(sim)
    assert (call["method"], call["path"]) == (method, UPSTREAM_PATHS.get(path, path))
    assert call["credential"] == "sk-upstream-sim-000000"
    assert KEY not in str(call)
    assert answer.status not in (401, 403, 502)
    assert answer.status == call["status"]


@pytest.mark.parametrize(
    "path",
    [
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/chat/completions/",
        "/v1/chat%2Fcompletions",
        "/v1/./chat/completions",
    ],
)
@pytest.mark.parametrize("key", [None, OTHER_KEY])
def test_odd_spellings_pass_no_other_gate(
    gated: GatewayProcess, sim: SimulatorProcess, path: str, key: str | None
) -> None:
    chat = EXACT["/v1/chat/completions"]["POST"]
    answer = ask(gated, "POST", path, chat, key, "forbidden")
    assert answer.status in ((404, 401) if key is None else (404, 403))
    assert calls(sim) == []
