"""Rules of TRANSLATION §3 to §5: tools, structured output, reasoning. Each test is named by its section."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wire_codecs import DIALECTS, FORMATS

from switchgear.providers.model_traits import target_model
from switchgear.providers.schemas import openapi_schema
from switchgear.wire.conversation import Raw
from tests.providers.quirk_cases import TOOLS, USER, both, refused, up


def test_s3_tools() -> None:
    bare = [{"type": "function", "function": {"name": "f"}}]
    assert up("anthropic", tools=bare)["tools"][0]["input_schema"] == {"type": "object", "properties": {}}
    assert up("gemini", tools=bare)["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert "tools" not in up("anthropic", tools=[], tool_choice="auto")
    refused("tools", "anthropic", tools=[*TOOLS, *TOOLS])
    refused("tools[0].type", "gemini", tools=[{"type": "custom", "custom": {"name": "x"}}])


@pytest.mark.parametrize(
    ("choice", "anthropic", "gemini"),
    [
        ("none", {"type": "none"}, {"mode": "NONE"}),
        ("required", {"type": "any"}, {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "f"}},
            {"type": "tool", "name": "f"},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            {"type": "any"},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_s3_tool_choice(choice: Any, anthropic: Any, gemini: Any) -> None:
    assert up("anthropic", tools=TOOLS, tool_choice=choice)["tool_choice"] == anthropic
    assert up("gemini", tools=TOOLS, tool_choice=choice)["toolConfig"]["functionCallingConfig"] == gemini


def test_s3_tool_choice_without_its_tool() -> None:
    refused("tool_choice", "anthropic", tools=TOOLS, tool_choice={"type": "function", "function": {"name": "g"}})
    refused("tool_choice", "gemini", tool_choice="required")
    assert both("anthropic", tool_choice="auto")[1] == ["tool_choice"]


def test_s3_parallel_false() -> None:
    assert up("anthropic", tools=TOOLS, parallel_tool_calls=False)["tool_choice"] == {
        "type": "auto",
        "disable_parallel_tool_use": True,
    }
    assert up("anthropic", tools=TOOLS, tool_choice="none", parallel_tool_calls=False)["tool_choice"] == {
        "type": "none"
    }
    assert both("gemini", tools=TOOLS, parallel_tool_calls=False)[1] == ["parallel_tool_calls"]


def test_s3_a_forced_tool_ends_thinking() -> None:
    body, dropped = both("anthropic", tools=TOOLS, tool_choice="required", reasoning_effort="high")
    assert ("thinking" in body, dropped) == (False, ["reasoning_effort"])


def test_s3_functions_are_answered_as_functions() -> None:
    request = {
        "model": "m",
        "messages": USER,
        "functions": [{"name": "f", "parameters": {}}],
        "function_call": {"name": "f"},
    }
    conversation = DIALECTS["chat"].decode_request(json.dumps(request).encode())
    answer = FORMATS["ollama"].decode_response(
        b'{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},"done":true}'
    )
    choice = json.loads(DIALECTS["chat"].encode_response(answer, conversation))["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert "tool_calls" not in choice["message"]


def test_s3_openapi_subset() -> None:
    schema = {
        "$schema": "x",
        "$defs": {
            "P": {"type": "object", "properties": {"n": {"type": ["string", "null"]}}, "additionalProperties": False}
        },
        "type": "object",
        "properties": {
            "p": {"$ref": "#/$defs/P"},
            "k": {"const": "a"},
            "u": {"oneOf": [{"type": "integer"}, {"type": "null"}]},
        },
    }
    assert openapi_schema(Raw(json.dumps(schema).encode())) == {
        "type": "object",
        "properties": {
            "p": {"type": "object", "properties": {"n": {"type": "string", "nullable": True}}},
            "k": {"enum": ["a"], "type": "string"},
            "u": {"nullable": True, "type": "integer"},
        },
    }


FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "o", "schema": {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}},
}


def test_s4_native_structured_output_is_closed() -> None:
    schema = up("anthropic", response_format=FORMAT)["output_config"]["format"]["schema"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["a"] == {"type": "integer", "description": "(minimum: 1)"}


def test_s4_a_forced_tool_answers_as_text() -> None:
    request = {"model": "m", "messages": USER, "response_format": FORMAT}
    conversation = DIALECTS["chat"].decode_request(json.dumps(request).encode())
    encoded = FORMATS["anthropic"].encode_request(conversation, target_model("claude-3-5-sonnet"))
    assert json.loads(encoded.body)["tool_choice"] == {"type": "tool", "name": "json_tool_call"}
    body = {
        "content": [{"type": "tool_use", "id": "t", "name": "json_tool_call", "input": {"a": 1}}],
        "stop_reason": "tool_use",
    }
    answer = FORMATS["anthropic"].decode_response(json.dumps(body).encode(), encoded.context)
    choice = json.loads(DIALECTS["chat"].encode_response(answer, conversation))["choices"][0]
    assert (json.loads(choice["message"]["content"]), choice["finish_reason"]) == ({"a": 1}, "stop")
    assert "tool_calls" not in choice["message"]


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("claude-sonnet-4-5", "medium", {"type": "enabled", "budget_tokens": 2048}),
        ("claude-opus-4-8", "high", {"type": "adaptive", "display": "summarized"}),
        ("claude-opus-4-8", "none", {"type": "disabled"}),
        ("claude-sonnet-4-5", "none", None),
    ],
)
def test_s5_anthropic(model: str, effort: str, thinking: Any) -> None:
    assert up("anthropic", model, reasoning_effort=effort).get("thinking") == thinking


def test_s5_a_budget_stays_below_max_tokens() -> None:
    assert up("anthropic", reasoning_effort="max", max_tokens=4000)["thinking"]["budget_tokens"] == 3999
    assert both("anthropic", reasoning_effort="low", max_tokens=500)[1] == ["reasoning_effort"]


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-3-pro", "xhigh", {"thinkingLevel": "HIGH", "includeThoughts": True}),
    ],
)
def test_s5_gemini(model: str, effort: str, config: Any) -> None:
    assert up("gemini", model, reasoning_effort=effort)["generationConfig"]["thinkingConfig"] == config
