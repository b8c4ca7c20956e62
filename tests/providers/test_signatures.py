"""Reasoning signatures through a client of any dialect and back (TRANSLATION §2.4), and vendors that alternate."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_codecs import DIALECTS, FORMATS

from switchgear.providers.model_traits import target_model
from switchgear.providers.signatures import pack, unpack
from switchgear.wire.conversation import Reasoning, Signature

SIGNED = [dialect for dialect in DIALECTS if dialect != "ollama"]  # it has no place for a signature
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-3-pro",
    "openai_responses": "gpt-5",
    "openai_chat": "gpt-4.1",
    "ollama": "qwen3",
}
SIGNATURE = base64.b64encode(b"\x00\xffvendor proof").decode()
# A first answer of each upstream: it thinks and calls a tool.
ANSWERS: dict[str, dict[str, Any]] = {
    "anthropic": {
        "id": "msg_1",
        "model": "claude",
        "content": [
            {"type": "thinking", "thinking": "Look it up.", "signature": SIGNATURE},
            {"type": "redacted_thinking", "data": "cmVk"},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
    "gemini": {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "Look it up.", "thought": True},
                        {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": SIGNATURE},
                        {"functionCall": {"name": "weather", "args": {"city": "Rome"}}},
                    ]
                },
                "finishReason": "STOP",
            }
        ]
    },
    "openai_responses": {
        "id": "resp_1",
        "status": "completed",
        "output": [
            {
                "id": "rs_7",
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "Look it up."}],
                "encrypted_content": SIGNATURE,
            },
            {
                "id": "fc_1",
                "type": "function_call",
                "call_id": "call_1",
                "name": "weather",
                "arguments": '{"city":"Oslo"}',
            },
        ],
    },
    "openai_chat": {
        "id": "c",
        "choices": [
            {
                "message": {
                    "role": "assistant",
                    "content": None,
                    "reasoning_content": "Look it up.",
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
                        }
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ],
    },
    "ollama": {
        "model": "m",
        "message": {
            "role": "assistant",
            "content": "",
            "thinking": "Look it up.",
            "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Oslo"}}}],
        },
        "done": True,
        "done_reason": "stop",
    },
}
FIRST: dict[str, dict[str, Any]] = {
    "chat": {
        "model": "m",
        "messages": [{"role": "user", "content": "Weather?"}],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": TOOL}}],
        "reasoning_effort": "high",
    },
    "responses": {
        "model": "m",
        "input": [{"role": "user", "content": "Weather?"}],
        "tools": [{"type": "function", "name": "weather", "parameters": TOOL}],
        "reasoning": {"effort": "high"},
    },
    "anthropic": {
        "model": "m",
        "max_tokens": 9000,
        "messages": [{"role": "user", "content": "Weather?"}],
        "tools": [{"name": "weather", "input_schema": TOOL}],
        "thinking": {"type": "enabled", "budget_tokens": 4000},
    },
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": "Weather?"}]}],
        "tools": [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": TOOL}]}],
        "generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 4000}},
    },
}


def second_turn(dialect: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The request of the next turn: what was answered is echoed as it came, and each call has its result."""
    request = json.loads(json.dumps(FIRST[dialect]))
    if dialect == "chat":
        message = answer["choices"][0]["message"]
        results = [{"role": "tool", "tool_call_id": call["id"], "content": "4"} for call in message["tool_calls"]]
        request["messages"] += [message, *results]
    elif dialect == "responses":
        calls = [item for item in answer["output"] if item["type"] == "function_call"]
        results = [{"type": "function_call_output", "call_id": call["call_id"], "output": "4"} for call in calls]
        request["input"] += answer["output"] + results
    elif dialect == "anthropic":
        calls = [block for block in answer["content"] if block["type"] == "tool_use"]
        results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "4"} for call in calls]
        request["messages"] += [
            {"role": "assistant", "content": answer["content"]},
            {"role": "user", "content": results},
        ]
    else:
        content = answer["candidates"][0]["content"]
        calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
        results = [{"functionResponse": {"id": c["id"], "name": c["name"], "response": {"output": "4"}}} for c in calls]
        request["contents"] += [content, {"role": "user", "parts": results}]
    return request


def through(dialect: str, upstream: str) -> dict[str, Any]:
    """The second request of a client of `dialect` after `upstream` answered the first."""
    conversation = DIALECTS[dialect].decode_request(json.dumps(FIRST[dialect]).encode(), "m")
    answer = FORMATS[upstream].decode_response(json.dumps(ANSWERS[upstream]).encode())
    return second_turn(dialect, json.loads(DIALECTS[dialect].encode_response(answer, conversation)))


def sent(dialect: str, upstream: str, request: dict[str, Any]) -> dict[str, Any]:
    conversation = DIALECTS[dialect].decode_request(json.dumps(request).encode(), "m")
    body: dict[str, Any] = json.loads(
        FORMATS[upstream].encode_request(conversation, target_model(MODELS[upstream])).body
    )
    return body


@pytest.mark.parametrize("dialect", SIGNED)
def test_anthropic_gets_its_signature_back(dialect: str) -> None:
    turn = sent(dialect, "anthropic", through(dialect, "anthropic"))["messages"][1]["content"]
    assert turn[0] == {"type": "thinking", "thinking": "Look it up.", "signature": SIGNATURE}
    assert turn[1] == {"type": "redacted_thinking", "data": "cmVk"}
    assert turn[2]["type"] == "tool_use"


@pytest.mark.parametrize("dialect", SIGNED)
def test_gemini_gets_its_signature_back_on_the_first_call(dialect: str) -> None:
    turn = sent(dialect, "gemini", through(dialect, "gemini"))["contents"][1]["parts"]
    calls = [part for part in turn if "functionCall" in part]
    assert calls[0]["thoughtSignature"] == SIGNATURE
    assert "thoughtSignature" not in calls[1]


@pytest.mark.parametrize("dialect", SIGNED)
def test_openai_gets_its_encrypted_reasoning_back(dialect: str) -> None:
    items = sent(dialect, "openai_responses", through(dialect, "openai_responses"))["input"]
    thoughts = [item for item in items if item.get("type") == "reasoning"]
    assert [(item["id"], item["encrypted_content"]) for item in thoughts] == [("rs_7", SIGNATURE)]


@pytest.mark.parametrize("dialect", SIGNED)
@pytest.mark.parametrize("first", list(FORMATS))
@pytest.mark.parametrize("second", list(FORMATS))
def test_alternating_vendors_degrade(dialect: str, first: str, second: str) -> None:
    body = sent(dialect, second, through(dialect, first))
    text = json.dumps(body)
    assert "swg." not in text
    assert base64.b64encode(b"swg.").decode()[:5] not in text
    family = {"openai_chat": "", "ollama": ""}
    if family.get(first, first) != family.get(second, second):
        assert SIGNATURE not in text or (dialect, second) == ("chat", "openai_chat")
    if second == "gemini" and first != "gemini" and dialect != "gemini":
        call = next(part for part in body["contents"][1]["parts"] if "functionCall" in part)
        assert call["thoughtSignature"] == "skip_thought_signature_validator"
    if second == "anthropic" and first != "anthropic" and dialect != "anthropic":
        assert "thinking" not in body  # a loop that another vendor began goes on without


@given(
    st.sampled_from(["chat", "anthropic", "responses", "gemini"]),
    st.sampled_from(["anthropic", "gemini", "openai"]),
    st.binary(min_size=1, max_size=60),
    st.booleans(),
    st.sampled_from(["", "rs_abc"]),
)
def test_packing_is_reversible(dialect: str, vendor: str, value: bytes, redacted: bool, name: str) -> None:
    token = base64.b64encode(value).decode()
    thought = Reasoning(signature=Signature(vendor, token), redacted=redacted, id=name if vendor == "openai" else "")
    back = unpack(pack(thought, dialect), dialect)
    assert back.signature == thought.signature
    if vendor != {"chat": "anthropic", "anthropic": "anthropic", "responses": "openai", "gemini": "gemini"}[dialect]:
        assert (back.redacted, back.id) == (thought.redacted, thought.id)
