"""Signatures of reasoning come back to the vendor that made them, and to no other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.dialects.special import CHAT_REPLY, FIRST, GEMINI_REPLY, RESPONSES_REPLY, THINKING, World, post
from tests.dialects.wires import CLIENTS, question
from tests.support.scripted import told


def second_turn(client: str, first: Any) -> Any:
    """The client's second request: its first answer sent back, and the tool's result."""
    if client == "anthropic":
        result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "12:00"}]}
        turns = [{"role": "user", "content": "When?"}, {"role": "assistant", "content": first["content"]}, result]
        return {"max_tokens": 2000, "messages": turns}
    if client == "gemini":
        content = first["candidates"][0]["content"]
        call = next(part["functionCall"] for part in content["parts"] if "functionCall" in part)
        result = {"functionResponse": {"id": call.get("id"), "name": "now", "response": {"time": "12:00"}}}
        return {
            "contents": [
                {"role": "user", "parts": [{"text": "When?"}]},
                content,
                {"role": "user", "parts": [result]},
            ]
        }
    if client == "responses":
        call_id = next(item["call_id"] for item in first["output"] if item["type"] == "function_call")
        result = {"type": "function_call_output", "call_id": call_id, "output": "12:00"}
        return {"input": [{"role": "user", "content": "When?"}, *first["output"], result]}
    message = first["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "12:00"}
    return {"messages": [{"role": "user", "content": "When?"}, message, result]}


def turn(world: World, client: str, model: str, body: Any) -> Any:
    path, headers, asked = question(client, model)
    for name in ("messages", "contents", "input"):
        asked.pop(name, None)
    return post(world, path, asked | body, headers)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_signature_comes_back_to_its_vendor_and_to_no_other(world: World, client: str) -> None:
    world.answers["/messages"] = lambda asked: told(THINKING)
    world.answers["/responses"] = lambda asked: told(RESPONSES_REPLY)
    world.answers["/chat/completions"] = lambda asked: told(CHAT_REPLY)
    world.answers[":generateContent"] = lambda asked: told(GEMINI_REPLY)
    first = turn(world, client, "anthropic", FIRST[client])
    again = second_turn(client, first)
    for model in ("anthropic", "gemini", "xai", "mistral", "openrouter"):
        world.upstream.requests.clear()
        if client == "responses":  # what Anthropic thought is marked as its own
            assert "swg.anthropic" in json.dumps(again)
        turn(world, client, model, again)
        (asked,) = world.upstream.requests
        assert (b"c2lnbmF0dXJl" in asked.body) is (model in ("anthropic", "openrouter")), (model, asked.body)
        assert b"swg." not in asked.body
        if model == "anthropic":
            assistant = next(m for m in asked.json["messages"] if m["role"] == "assistant")
            assert assistant["content"][0] == THINKING["content"][0]  # type: ignore[index]  # JSON
