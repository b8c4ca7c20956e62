"""What Anthropic refuses, word for word, and faults as bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchgear.simulator import Simulator
from tests.simulator.helpers import events, exchange, request, split, unchunk

ASK: dict[str, Any] = {"model": "sim", "max_tokens": 100, "messages": [{"role": "user", "content": "x"}]}
VERSION = {"anthropic-version": "2023-06-01"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "noon"}
DOCS = "https://docs.claude.com/en/docs/build-with-claude/extended-thinking"


def turns(*contents: Any) -> dict[str, Any]:
    """Turns of user and assistant, in alternation."""
    return {
        "messages": [
            {"role": "assistant" if index % 2 else "user", "content": content} for index, content in enumerate(contents)
        ]
    }


def asking(fields: dict[str, Any], **headers: str) -> bytes:
    body = {name: value for name, value in {**ASK, **fields}.items() if value is not None}
    return request(body, path="/v1/messages", headers={**VERSION, **headers})


CASES: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens: Field required"),
    ({"model": None}, "model: Field required"),
    ({"messages": None}, "messages: Field required"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
    ({"n": 1}, "n: Extra inputs are not permitted"),
    ({"temperature": 1.5}, "temperature: range: 0..1"),
    ({"stop_sequences": [" "]}, "stop_sequences: each stop sequence must contain non-whitespace"),
    (turns(""), "messages.0: user messages must have non-empty content"),
    (turns([{"type": "text", "text": ""}]), "messages: text content blocks must be non-empty"),
    (turns([{"type": "text", "text": " \n"}]), "messages: text content blocks must contain non-whitespace text"),
    (turns("x", "so "), "messages: final assistant content cannot end with trailing whitespace"),
    (
        {"messages": [{"role": "system", "content": "x"}]},
        'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" as '
        "an input message role.",
    ),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role: Input should be 'user' or 'assistant'"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, 'messages: first message must use the "user" role'),
    (
        turns("x", [CALL], "y"),
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. Each "
        "`tool_use` block must have a corresponding `tool_result` block in the next message.",
    ),
    (
        turns("x", "y", [RESULT]),
        "messages.2.content.0: unexpected `tool_use_id` found in `tool_result` blocks: toolu_1. Each `tool_result` "
        "block must have a corresponding `tool_use` block in the previous message.",
    ),
    (
        turns("x", [{**CALL, "id": "functions.f:0"}], "y"),
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    ),
    (
        turns("x", [{**CALL, "input": "{}"}], [RESULT]),
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
    ),
    (
        turns("x", [{"type": "thinking", "thinking": "so"}], "y"),
        "messages.1.content.0.thinking.signature: Field required",
    ),
    (
        turns("x", [{"type": "redacted_thinking", "data": "abc"}], "y"),
        "messages.1.content.0: Invalid `data` in `redacted_thinking` block",
    ),
    (
        turns([{"type": "image", "source": {"type": "base64", "media_type": "image/jpg", "data": ""}}]),
        "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' "
        "or 'image/webp'",
    ),
    ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, ""),
    ({"tools": [{"name": "clock"}]}, "tools.0.custom.input_schema: Field required"),
    ({"tools": [{"name": "clock", "input_schema": {}}]}, "tools.0.custom.input_schema.type: Field required"),
    ({"tools": [{"name": "clock", "input_schema": {"type": "object"}}] * 2}, "tools: Tool names must be unique."),
    ({"tool_choice": {"type": "any"}}, "tool_choice: may only be specified while providing tools"),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 100}},
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    (
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at "
        f"{DOCS}#max-tokens-and-context-window-size",
    ),
    (
        {
            "thinking": {"type": "adaptive"},
            "tools": [{"name": "clock", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any"},
        },
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    (
        {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5},
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
]


@pytest.mark.parametrize(("fields", "message"), CASES)
async def test_refusals(sim: Simulator, fields: dict[str, Any], message: str) -> None:
    line, headers, body = split(await exchange(sim, asking(fields)))
    assert line == b"HTTP/1.1 400 Bad Request"
    told = json.loads(body)
    if not message:
        message = "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"
    assert told == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": message},
        "request_id": headers["request-id"],
    }


async def test_thinking_must_lead_a_tool_turn(sim: Simulator) -> None:
    fields = {
        **turns("x", [CALL], [RESULT]),
        "max_tokens": 2000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
    }
    message = json.loads(split(await exchange(sim, asking(fields)))[2])["error"]["message"]
    assert message.startswith(
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`."
    )
    line, _, _ = split(await exchange(sim, asking({**fields, "thinking": {"type": "adaptive"}})))
    assert line == b"HTTP/1.1 200 OK"


async def test_the_version_must_be_named(sim: Simulator) -> None:
    _, _, body = split(await exchange(sim, asking({}, **{"anthropic-version": ""})))
    assert json.loads(body)["error"]["message"] == "anthropic-version: header is required"


async def test_not_json_unknown_paths_and_methods(sim: Simulator) -> None:
    _, _, body = split(await exchange(sim, request(b"{", path="/v1/messages", headers=VERSION)))
    assert json.loads(body)["error"]["message"] == "The request body is not valid JSON"
    line, headers, body = split(await exchange(sim, request(method="GET", path="/v1/messages", headers=VERSION)))
    assert (line, headers["allow"]) == (b"HTTP/1.1 405 Method Not Allowed", "POST")
    line, _, body = split(await exchange(sim, request(ASK, path="/v1/v1/messages", headers=VERSION)))
    assert (line, json.loads(body)["error"]["type"]) == (b"HTTP/1.1 404 Not Found", "not_found_error")


async def test_parallel_results_may_be_two_turns(sim: Simulator) -> None:
    """Consecutive turns of one role are one turn."""
    second = {**CALL, "id": "toolu_2"}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [CALL, second]},
        {"role": "user", "content": [RESULT]},
        {"role": "user", "content": [{**RESULT, "tool_use_id": "toolu_2"}]},
    ]
    line, _, _ = split(await exchange(sim, asking({"messages": messages})))
    assert line == b"HTTP/1.1 200 OK"


async def test_events(sim: Simulator) -> None:
    raw = await exchange(sim, asking({"model": "sim;tokens=2", "stream": True}))
    data, complete = unchunk(split(raw)[2])
    assert complete
    named = [block.partition(b"\n")[0].removeprefix(b"event: ").decode() for block in data.split(b"\n\n")[:-1]]
    seen = events(data)
    assert named == [each["type"] for each in seen]
    assert named == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert seen[0]["message"]["usage"]["input_tokens"] == 1
    assert seen[-2]["usage"]["output_tokens"] == 2


async def test_stream_faults(sim: Simulator) -> None:
    async def stream(model: str) -> tuple[bytes, bool]:
        raw = await exchange(sim, asking({"model": model, "stream": True}))
        return unchunk(split(raw)[2].removesuffix(b"<RST>"))

    data, _ = await stream("sim;error-event=3;error-type=api_error;message=broken")
    assert data.split(b"\n\n")[-2].startswith(b"event: error\n")
    assert events(data)[-1]["error"] == {"type": "api_error", "message": "broken"}
    assert len(events(data)) == 4
    data, complete = await stream("sim;no-done")
    assert complete
    assert events(data)[-1]["type"] == "message_delta"
    data, complete = await stream("sim;close-mid-stream=4")
    assert (len(events(data)), complete) == (4, True)
    data, complete = await stream("sim;reset-mid-stream=4")
    assert (len(events(data)), complete) == (4, False)
    data, _ = await stream("sim;crlf;tokens=1")
    assert b"\r\n\r\nevent: message_stop\r\ndata: " in data
    data, _ = await stream("sim;truncated-json")
    assert not data.split(b"\n\n")[1].endswith(b"}")
