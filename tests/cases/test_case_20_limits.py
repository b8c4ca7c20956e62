"""CASES 20: a key at its limit is refused at every route that reaches an upstream, in the dialect of the endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from switchgear.types import Endpoint
from tests.cases.client import Answer, Open, calls, chat, post
from tests.cases.test_case_20_every_route import EACH, ROUTES, ask
from tests.support.metered import metered
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

SPENT = "sk-spent-0123456789abcdef"
POOR = "sk-poor-0123456789abcdef"
GEMINI = [":generateContent", ":streamGenerateContent", ":countTokens", ":embedContent", ":batchEmbedContents"]


@pytest.fixture(scope="module")
def limited(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Keys that have used up what they may: one its requests, one its money."""
    folder = tmp_path_factory.mktemp("limited")
    config = metered(folder, simulator)
    config["keys"] += [
        {"name": "spent", "value": SPENT, "limits": [{"resource": "requests", "capacity": 1, "window": "total"}]},
        {"name": "poor", "value": POOR, "budget": {"usd": 0, "window": "total"}},
    ]
    process = GatewayProcess(config, folder)
    yield process.ready()
    process.stop()


@pytest.fixture
def used_up(limited: GatewayProcess, sim: SimulatorProcess) -> GatewayProcess:
    answer = post(limited.origin, chat("sim;tokens=1"), key=SPENT)
    assert answer.status in (200, 429)
    sim.forget()
    return limited


def refused(answer: Answer, endpoint: Endpoint | None, dialect: str = "") -> None:
    assert answer.status == 429, answer
    dialect = endpoint.dialect if endpoint is not None else dialect
    if dialect == "anthropic":
        assert answer.json["type"] == "error"
        assert answer.error["type"] == "rate_limit_error"
    elif dialect == "gemini":
        value = answer.json[0] if isinstance(answer.json, list) else answer.json  # a stream that is one array
        assert value["error"]["code"] == 429
        assert value["error"]["status"] == "RESOURCE_EXHAUSTED"
    elif dialect == "ollama":
        assert answer.json["error"].startswith("Rate limit reached for key spent: requests")
    else:
        assert answer.error["code"] == "rate_limit_exceeded"
        assert answer.error["type"] == "requests"


@EACH
def test_every_route(
    used_up: GatewayProcess, sim: SimulatorProcess, method: str, path: str, endpoint: Endpoint
) -> None:
    if endpoint.dialect == "anthropic":
        body = {"model": "sim", "max_tokens": 8, "messages": [{"role": "user", "content": "x"}]}
        answer = Open(used_up.origin, path, body, method=method, key=SPENT).answer()
    else:
        answer = ask(used_up, method, path, endpoint, SPENT, "sim")
    refused(answer, endpoint)
    assert calls(sim) == []


@pytest.mark.parametrize("call", GEMINI)
def test_every_call_of_gemini(used_up: GatewayProcess, sim: SimulatorProcess, call: str) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    if "mbed" in call:
        one = {"model": "models/sim", "content": {"parts": [{"text": "x"}]}}
        body = {"requests": [one]} if "batch" in call else one
    answer = Open(used_up.origin, f"/v1beta/models/sim{call}", body, key=SPENT).answer()
    refused(answer, None, "gemini")
    assert calls(sim) == []


PRICED = [
    route for route in ROUTES if route[2].model != "none" and route[2].body != "none" and route[2].task != "count"
]


@pytest.mark.parametrize(("method", "path", "endpoint"), PRICED, ids=[f"{m} {p}" for m, p, _ in PRICED])
def test_no_money_no_model(
    used_up: GatewayProcess, sim: SimulatorProcess, method: str, path: str, endpoint: Endpoint
) -> None:
    """Whatever names a model may cost something: a budget that is used up lets none of it pass."""
    if endpoint.dialect == "anthropic":
        body = {"model": "sim", "max_tokens": 8, "messages": [{"role": "user", "content": "x"}]}
        answer = Open(used_up.origin, path, body, method=method, key=POOR).answer()
    else:
        answer = ask(used_up, method, path, endpoint, POOR, "sim")
    assert answer.status == 402, answer
    assert calls(sim) == []


def test_a_key_without_limits_passes(limited: GatewayProcess, sim: SimulatorProcess) -> None:
    assert post(limited.origin, chat("sim;tokens=1"), key=KEY).status == 200


Start = Callable[[dict[str, Any]], GatewayProcess]


def test_all_scopes(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    """Organization, project, user, key and model, model and everybody: each refuses alone, and holds for its own."""
    small = [{"resource": "requests", "capacity": 2, "window": "total"}]
    keys = {name: f"sk-{name}-0123456789abcdef" for name in ("org", "project", "user", "product", "free")}
    config = metered(tmp_path, sim)
    config |= {
        "organizations": [{"id": "o", "limits": small}, {"id": "p-o"}],
        "projects": [{"id": "p", "organization": "p-o", "limits": small}],
        "users": [{"id": "u", "limits": small}],
        "projects_of": None,
        "models": {
            name: {"targets": [{"provider": "sim", "model": "sim;tokens=1"}]} for name in ("smart", "quick", "scarce")
        },
        "limits": [
            {"scope": {"key": "product", "model": "smart"}, **small[0]},
            {"scope": {"model": "scarce"}, **small[0]},
            {"scope": {}, "resource": "requests", "capacity": 100, "window": "total"},
        ],
    }
    del config["projects_of"]
    config["projects"].append({"id": "o-p", "organization": "o"})
    config["keys"] = [
        {"name": "org", "value": keys["org"], "project": "o-p"},
        {"name": "project", "value": keys["project"], "project": "p"},
        {"name": "user", "value": keys["user"], "user": "u"},
        {"name": "product", "value": keys["product"]},
        {"name": "free", "value": keys["free"]},
    ]
    gateway = start_gateway(config)

    def asked(key: str, model: str, **fields: Any) -> int:
        return post(gateway.origin, chat(model, **fields), key=keys[key]).status

    for key in ("org", "project", "user", "product"):
        assert [asked(key, "smart", stream=n == 1) for n in range(4)] == [200, 200, 429, 429], key
    assert asked("product", "quick") == 200
    assert [asked("free", "scarce") for _ in range(3)] == [200, 200, 429]
    assert asked("free", "smart") == 200
    passed = 12
    while asked("free", "quick") == 200:
        passed += 1
    assert passed == 100
