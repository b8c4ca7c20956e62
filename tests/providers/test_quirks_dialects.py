"""Rules of TRANSLATION §14 to §21: other dialects, errors, vendors. Each test is named by its section."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wire_codecs import DIALECTS

from switchgear.errors import InvalidRequest
from switchgear.providers.model_traits import override, target_model, traits_of
from switchgear.providers.upstream_errors import read_fault
from tests.providers.quirk_cases import CALL, TOOLS, USER, both, refused, up


def test_s14_max_tokens_is_required() -> None:
    with pytest.raises(InvalidRequest, match="max_tokens: Field required"):
        DIALECTS["anthropic"].decode_request(b'{"model":"m","messages":[{"role":"user","content":"x"}]}')


@pytest.mark.parametrize(
    ("budget", "effort"), [(1024, "low"), (2047, "low"), (2048, "medium"), (8191, "medium"), (8192, "high")]
)
def test_s14_budgets_are_efforts(budget: int, effort: str) -> None:
    body = up(
        "openai_chat",
        dialect="anthropic",
        max_tokens=9000,
        messages=USER,
        thinking={"type": "enabled", "budget_tokens": budget},
    )
    assert body["reasoning_effort"] == effort


def test_s14_trained_tools_are_refused() -> None:
    tools = [{"type": "bash_20250124", "name": "bash"}]
    refused("tools", "openai_chat", dialect="anthropic", max_tokens=9, messages=USER, tools=tools)


def test_s15_state_is_refused_by_name() -> None:
    refused("previous_response_id", "openai_chat", dialect="responses", input="x", previous_response_id="resp_1")
    assert (
        up("openai_responses", dialect="responses", input="x", previous_response_id="resp_1")["previous_response_id"]
        == "resp_1"
    )


def test_s15_calls_fold_into_one_message() -> None:
    items = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "let me see"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
    ]
    messages = up("openai_chat", dialect="responses", input=items)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool"]
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["a", "b"]
    assert messages[3]["content"] == "2"


@pytest.mark.parametrize(
    ("status", "body", "want"),
    [
        (
            400,
            {"error": {"message": "m", "type": "invalid_request_error", "param": "x", "code": "invalid_value"}},
            (400, "invalid_value", "m"),
        ),
        (
            400,
            {"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}},
            (400, "context_length_exceeded", "prompt is too long: 9 tokens > 8 maximum"),
        ),
        (401, {"error": {"message": "bad key sk-1"}}, (502, "upstream_authentication_error", "The provider refused")),
        (
            400,
            {"code": "invalid-argument", "error": "Incorrect API key provided"},
            (502, "upstream_authentication_error", "The provider refused"),
        ),
        (404, {"error": 'model "x" not found'}, (404, "model_not_found", 'model "x" not found')),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "extra"}]}, (400, None, "body.n: extra")),
        (400, {"object": "error", "message": "flat", "type": "BadRequestError", "code": 400}, (400, None, "flat")),
        (
            429,
            [{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}],
            (429, "rate_limit_exceeded", "quota"),
        ),
        (
            529,
            {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
            (503, "overloaded_error", "busy"),
        ),
        (502, "<html><h1>Bad gateway</h1></html>", (502, None, "Bad gateway")),
        (503, "", (503, "overloaded", "Service Unavailable")),
    ],
)
def test_s16_errors(status: int, body: Any, want: tuple[int, str | None, str]) -> None:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    fault = read_fault(status, [], raw)
    assert (fault.status, fault.code) == want[:2]
    assert fault.message.startswith(want[2])


def test_s16_waiting() -> None:
    assert read_fault(429, [(b"retry-after", b"7")], b"").retry_after_s == 7
    assert read_fault(429, [(b"retry-after-ms", b"250"), (b"retry-after", b"7")], b"").retry_after_s == 0.25
    details = {"error": {"message": "m", "details": [{"@type": "x/google.rpc.RetryInfo", "retryDelay": "17s"}]}}
    assert read_fault(429, [], json.dumps(details).encode()).retry_after_s == 17


def test_s16_envelopes() -> None:
    def said(dialect: str) -> Any:
        return json.loads(
            DIALECTS[dialect].encode_error(429, "rate_limit_error", "rate_limit_exceeded", "slow", None, "req_1", 2.0)
        )

    assert said("chat") == {
        "error": {"message": "slow", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}
    }
    assert said("responses") == said("chat")
    assert said("anthropic")["error"]["type"] == "rate_limit_error"
    assert said("anthropic")["request_id"] == "req_1"
    assert said("gemini")["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert said("gemini")["error"]["details"][-1]["retryDelay"] == "2s"


def test_s21_mistral() -> None:
    target = target_model("mistral-large", frozenset({"forbids_unknown"}))
    call = [*USER, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c1", "content": "x"}]
    body, dropped = both(
        "openai_chat",
        target=target,
        messages=call,
        seed=1,
        user="u",
        tools=TOOLS,
        tool_choice="required",
        max_completion_tokens=9,
        stream=True,
    )
    assert (body["random_seed"], body["tool_choice"], body["max_tokens"]) == (1, "any", 9)
    assert "stream_options" not in body
    assert dropped == ["user"]
    assert len(body["messages"][1]["tool_calls"][0]["id"]) == 9
    assert body["messages"][1]["tool_calls"][0]["id"] == body["messages"][2]["tool_call_id"]


def test_s21_groq() -> None:
    target = target_model("llama", frozenset({"no_names"}))
    body, dropped = both(
        "openai_chat", target=target, messages=[{"role": "user", "content": "x", "name": "bo"}], logprobs=True
    )
    assert ("name" in body["messages"][0], dropped) == (False, ["messages[0].name", "logprobs"])


def test_traits_are_overridable_and_default_to_the_most_capable() -> None:
    assert traits_of("some-new-model") == traits_of("another")
    assert traits_of("anthropic/claude-3-5-haiku").structured == "tool"
    assert override(traits_of("x"), {"structured": "tool"}).structured == "tool"
