"""Limits, headers, cost and the ledger work for Ollama's clients as for any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.metered import INPUT_NANOUSD, OUTPUT_NANOUSD, PRICE, metered, usage
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

Start = Callable[[dict[str, Any]], GatewayProcess]
BEARER = {"authorization": f"Bearer {KEY}"}
MODEL = "sim;tokens=4"


def config(folder: Path, sim: SimulatorProcess, **overrides: Any) -> dict[str, Any]:
    kinds = {"openai": "/v1", "anthropic": "", "gemini": "", "ollama": ""}
    providers = {
        kind: {"type": kind, "base_url": sim.origin + base, "credentials": [f"sk-{kind}-000000"]}
        for kind, base in kinds.items()
    }
    models = {kind: {"targets": [{"provider": kind, "model": MODEL}]} for kind in kinds}
    prices = {f"{kind}/*": PRICE for kind in kinds}
    return metered(folder, sim, providers=providers, models=models, prices=prices, **overrides)


def ask(gateway: GatewayProcess, model: str, *, stream: bool = False, **fields: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": stream, **fields}
    return httpx.post(f"{gateway.origin}/api/chat", headers=BEARER, json=body, timeout=20)


@pytest.mark.parametrize("stream", [False, True])
def test_each_answer_leaves_its_row(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path, stream: bool) -> None:
    gateway = start_gateway(config(tmp_path, sim))
    told = {}
    for model in ("openai", "anthropic", "gemini", "ollama"):
        answer = ask(gateway, model, stream=stream)
        assert answer.status_code == 200, answer.text
        told[model] = json.loads(answer.text.splitlines()[-1])
        if not stream:
            assert int(answer.headers["x-switchgear-cost-nanousd"]) > 0
    rows = usage(gateway)
    assert sorted(row["provider"] for row in rows) == ["anthropic", "gemini", "ollama", "openai"]
    for row in rows:
        last = told[row["provider"]]
        assert (row["input_tokens"], row["output_tokens"]) == (last["prompt_eval_count"], last["eval_count"])
        assert row["cost_nanousd"] == INPUT_NANOUSD * row["input_tokens"] + OUTPUT_NANOUSD * row["output_tokens"]
        assert (row["stream"], row["endpoint"], row["status"]) == (stream, "ollama.chat", 200)


@pytest.mark.parametrize("model", ["openai", "ollama"])
def test_to_load_a_model_costs_nothing(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path, model: str) -> None:
    gateway = start_gateway(config(tmp_path, sim))
    for stream in (False, True):
        answer = ask(gateway, model, stream=stream, messages=[])
        assert (answer.status_code, answer.json()["done_reason"]) == (200, "load")
    assert [row["cost_nanousd"] for row in usage(gateway)] in ([], [0, 0])


def test_limits_are_told_and_refuse_in_its_envelope(
    start_gateway: Start, sim: SimulatorProcess, tmp_path: Path
) -> None:
    limits = [{"resource": "requests", "capacity": 2, "window": "day"}]
    gateway = start_gateway(config(tmp_path, sim, key={"limits": limits}))
    for left, stream in ((1, False), (0, True)):
        answer = ask(gateway, "anthropic", stream=stream)
        assert answer.status_code == 200
        assert answer.headers["x-ratelimit-limit-requests"] == "2"
        assert answer.headers["x-ratelimit-remaining-requests"] == str(left)
    refused = ask(gateway, "anthropic")
    assert refused.status_code == 429
    assert set(refused.json()) == {"error"}
    assert "Rate limit reached" in refused.json()["error"]
    assert int(refused.headers["retry-after"]) > 0
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
