"""One gateway in front of a scripted upstream of each wire format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.dialects.special import Special, World
from tests.dialects.wires import PROVIDERS, answer
from tests.support.processes import KEY, GatewayProcess
from tests.support.scripted import ScriptedUpstream, scripted

CASES = ("text", "tools", "reasoning", "usage", "error", "truncated", "refusal", "empty", "hold")
STATUSES = (400, 401, 429, 529)


class Pairs:
    """origin: the gateway. upstreams: by wire. A model is called `{wire}-{case}`, and `{case}` at its provider."""

    def __init__(self, gateway: GatewayProcess, upstreams: dict[str, ScriptedUpstream]):
        self.gateway = gateway
        self.origin = gateway.origin
        self.upstreams = upstreams


@pytest.fixture(scope="package")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pairs]:
    with ExitStack() as stack:
        upstreams = {wire: stack.enter_context(scripted(answer)) for wire in PROVIDERS}
        providers = {
            wire: {
                "type": kind,
                "base_url": upstreams[wire].origin + base,
                "credentials": [f"sk-upstream-{wire}-0000"],
                "models": ["text"],
            }
            for wire, (kind, base) in PROVIDERS.items()
        }
        # One of their own for the answer that makes a credential unusable.
        providers |= {f"{wire}-refused": settings for wire, settings in providers.items()}
        names = [*CASES, *(f"status-{status}" for status in STATUSES)]
        models = {
            f"{wire}-{name}": {"targets": [{"provider": wire, "model": name}], "retries": {"attempts": 1}}
            for wire in PROVIDERS
            for name in names
        }
        for wire in PROVIDERS:
            models[f"{wire}-status-401"]["targets"] = [{"provider": f"{wire}-refused", "model": "status-401"}]
        models["strict"] = {"targets": [{"provider": "anthropic", "model": "text"}], "strict": True}
        config = {"providers": providers, "models": models, "keys": [{"name": "test", "value": KEY}]}
        process = GatewayProcess(config, tmp_path_factory.mktemp("pairs"))
        stack.callback(process.stop)
        yield Pairs(process.ready(), upstreams)


@pytest.fixture(autouse=True)
def forget(pairs: Pairs) -> None:
    for upstream in pairs.upstreams.values():
        upstream.requests.clear()
        upstream.left.clear()


@pytest.fixture(scope="package")
def special(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    script = Special()
    with ExitStack() as stack:
        upstream = stack.enter_context(scripted(script.answer))
        kinds = {
            "openai": "/v1",
            "vllm": "/v1",
            "mistral": "/v1",
            "openrouter": "/v1",
            "xai": "/v1",
            "anthropic": "",
            "gemini": "",
            "ollama": "",
        }
        providers = {
            kind: {
                "type": kind,
                "base_url": upstream.origin + base,
                "credentials": ["sk-upstream-00000000"],
                "repair": True,
                **({"responses": "translated"} if kind == "openrouter" else {}),
            }
            for kind, base in kinds.items()
        }
        models = {
            kind: {"targets": [{"provider": kind, "model": "real-name"}], "retries": {"attempts": 1}} for kind in kinds
        }
        config = {"providers": providers, "models": models, "keys": [{"name": "test", "value": KEY}]}
        process = GatewayProcess(config, tmp_path_factory.mktemp("special"))
        stack.callback(process.stop)
        yield World(script, upstream, process.ready())


@pytest.fixture
def world(special: World) -> World:
    special.answers.clear()
    special.upstream.requests.clear()
    return special
