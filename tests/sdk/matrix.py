"""The matrix: which script runs in which environments, and one gateway in front of an upstream of each wire format."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from typing import Any

from tests.sdk.environments import HERE, environment
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

RUN_S = 240.0
CLIENTS = HERE / "clients"

# Upstream → the provider's type, its base URL below the simulator's origin, further settings.
UPSTREAMS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "openai": ("openai", "/v1", {}),
    "responses": ("openai", "/v1", {"responses": "always"}),
    "anthropic": ("anthropic", "", {}),
    "gemini": ("gemini", "", {}),
    "ollama": ("ollama", "", {}),
}
ANSWERS = "sim;tokens=40"
THINKS = "sim;tokens=40;reasoning=6"


def config(simulator: SimulatorProcess) -> dict[str, Any]:
    """Three models for each upstream: one that answers, one that reasons before it answers, one for embeddings."""
    providers = {
        name: {"type": kind, "base_url": simulator.origin + base, "credentials": [f"sk-upstream-{name}-00"], **settings}
        for name, (kind, base, settings) in UPSTREAMS.items()
    }
    models = {
        f"{use}-{number}": {"targets": [{"provider": name, "model": model}]}
        for number, name in enumerate(UPSTREAMS)
        for use, model in (("answers", ANSWERS), ("thinks", THINKS), ("embeds", "sim-embedding"))
    }
    return {
        "server": {"drain": {"grace": 0}},
        "providers": providers,
        "models": models,
        "keys": [{"name": "test", "value": KEY}],
    }


def targets(gateway: GatewayProcess, simulator: SimulatorProcess) -> dict[str, dict[str, str]]:
    """For each upstream what a script is told; and `direct`: the simulator itself, in the client's own format."""
    through = {
        name: {
            "origin": gateway.origin,
            "key": KEY,
            "model": f"answers-{number}",
            "thinking": f"thinks-{number}",
            "embeds": f"embeds-{number}",
        }
        for number, name in enumerate(UPSTREAMS)
    }
    direct = {
        "origin": simulator.origin,
        "key": "sk-direct",
        "model": ANSWERS,
        "thinking": THINKS,
        "embeds": "sim-embedding",
    }
    return {"direct": direct, **through}


def run(script: str, environment_name: str, given: dict[str, Any]) -> Any:
    folder = environment(environment_name)
    done = subprocess.run(
        [str(folder / "bin" / "python"), str(CLIENTS / f"{script}.py")],
        input=json.dumps(given), capture_output=True, text=True, timeout=RUN_S,
    )
    assert done.returncode == 0, done.stderr
    if done.stderr.strip():
        import sys
        open("/tmp/err", "a").write(done.stderr)
    return json.loads(done.stdout)
