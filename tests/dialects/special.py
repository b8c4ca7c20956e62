"""A gateway in front of upstreams that a test scripts."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.processes import KEY, GatewayProcess
from tests.support.scripted import Asked, ScriptedUpstream, Told, told

BEARER = {"authorization": f"Bearer {KEY}"}


class Special:
    """Providers whose answers the test sets: `answers[path] = function`."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}

    def answer(self, asked: Asked) -> Told:
        path = asked.target.partition("?")[0]
        for name, function in self.answers.items():
            if path.endswith(name):
                found: Told = function(asked)
                return found
        return told({"error": {"message": path}}, 404)


class World:
    def __init__(self, special: Special, upstream: ScriptedUpstream, gateway: GatewayProcess):
        self.answers = special.answers
        self.upstream = upstream
        self.origin = gateway.origin


def post(world: World, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
    answer = httpx.post(world.origin + path, headers=headers or BEARER, json=body, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


ASK = {"messages": [{"role": "user", "content": "How many tokens is this?"}]}
THINKING = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "real-name",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmF0dXJl"},
        {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
CHAT_REPLY = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "real-name",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Noon."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
RESPONSES_REPLY = {"id": "resp_1", "object": "response", "model": "real-name", "status": "completed", "output": []}
GEMINI_REPLY = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Noon."}]}, "finishReason": "STOP", "index": 0}],
    "modelVersion": "real-name",
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
}
FIRST: dict[str, Any] = {
    "anthropic": {"messages": [{"role": "user", "content": "When?"}]},
    "chat": {"messages": [{"role": "user", "content": "When?"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "When?"}]}]},
    "responses": {"input": "When?"},
}
