"""CASES 14: what the gateway bills is what upstreams report, to the nano-dollar, and receipts compute it again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cases.client import CHAT, chat, post
from tests.support.metered import metered, switchgear, usage
from tests.support.processes import GatewayProcess, SimulatorProcess
from tests.support.scripted import Asked, Told, events, scripted, told

Start = Callable[[dict[str, Any]], GatewayProcess]

PRICE = {
    "input": 2.0,
    "cached_input": 0.5,
    "output": 8.0,
    "reasoning": 12.0,
    "input_audio": 40.0,
    "tiers": [{"above": 200_000, "input": 4.0, "output": 12.0}],
    "batch": {"input": 1.0, "output": 4.0},
}
CASES: list[tuple[dict[str, Any], int]] = [
    ({"prompt_tokens": 1000, "completion_tokens": 100}, 1000 * 2000 + 100 * 8000),
    (
        {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 600}},
        400 * 2000 + 600 * 500 + 100 * 8000,
    ),
    (
        {"prompt_tokens": 10, "completion_tokens": 100, "completion_tokens_details": {"reasoning_tokens": 70}},
        10 * 2000 + 30 * 8000 + 70 * 12000,
    ),
    (
        {"prompt_tokens": 50, "completion_tokens": 1, "prompt_tokens_details": {"audio_tokens": 40}},
        10 * 2000 + 40 * 40000 + 8000,
    ),
    ({"prompt_tokens": 200_000, "completion_tokens": 1}, 200_000 * 2000 + 8000),
    ({"prompt_tokens": 200_001, "completion_tokens": 1}, 200_001 * 4000 + 12000),
]


def upstream(asked: Asked) -> Told:
    """Answers with the usage that the prompt's text is."""
    if asked.method == "GET":
        return told({"object": "list", "data": [{"id": "m", "object": "model"}]})
    body = asked.json
    counted = json.loads(body["messages"][0]["content"])
    base = {"id": "c", "created": 1, "model": "m"}
    if body.get("stream"):
        delta = {**base, "object": "chat.completion.chunk"}
        chunks = [
            {**delta, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "x"}, "finish_reason": None}]},
            {**delta, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {**delta, "choices": [], "usage": counted},
        ]
        lines = b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks)
        return events(lines + b"data: [DONE]\n\n")
    message = {"role": "assistant", "content": "x"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return told({**base, "object": "chat.completion", "choices": [choice], "usage": counted})


def test_usage_as_reported_is_billed_exactly(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    with scripted(upstream) as vendor:
        config = metered(tmp_path, sim)
        config["providers"] = {
            "v": {"type": "openai", "base_url": f"{vendor.origin}/v1", "credentials": ["sk-v-000000"]}
        }
        config["prices"] = {"v/m": PRICE}
        gateway = start_gateway(config)
        expected: dict[str, int] = {}
        for stream in (False, False, True):  # the second time by the compiled path
            for counted, nanousd in CASES:
                body = chat("m", messages=[{"role": "user", "content": json.dumps(counted)}], stream=stream)
                answer = post(gateway.origin, body, CHAT)
                assert answer.status == 200
                expected[answer.headers["x-request-id"]] = nanousd
                if not stream:
                    assert int(answer.headers["x-switchgear-cost-nanousd"]) == nanousd
        rows = usage(gateway)
        assert {row["request_id"]: row["cost_nanousd"] for row in rows} == expected
        assert not any(row["estimated"] for row in rows)
        for request_id in (rows[1]["request_id"], rows[-1]["request_id"]):
            out = switchgear("usage", "receipt", request_id, "--config", str(gateway.path), "--format", "json")
            [receipt] = json.loads(out)
            assert receipt["replayed_nanousd"] == expected[request_id]
            assert receipt["same"] is True
