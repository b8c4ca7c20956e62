"""What Gemini refuses, word for word; its paths; and faults as bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchgear.config.values import Secret
from switchgear.simulator import Simulator, SimulatorSettings
from tests.simulator.helpers import exchange, request, split, unchunk

USER = {"role": "user", "parts": [{"text": "x"}]}
CALL = {"role": "model", "parts": [{"functionCall": {"name": "clock", "args": {}}}]}
RESULT = {"role": "user", "parts": [{"functionResponse": {"name": "clock", "response": {"output": "noon"}}}]}
ASK: dict[str, Any] = {"contents": [USER]}
COUNT = (
    "Please ensure that the number of function response parts is equal to the number of function call parts of the "
    "function call turn."
)


def path(model: str = "sim", method: str = "generateContent", base: str = "/v1beta") -> str:
    return f"{base}/models/{model}:{method}"


def declaring(**fields: Any) -> dict[str, Any]:
    return {**ASK, "tools": [{"functionDeclarations": [{"name": "clock", **fields}]}]}


CASES: list[tuple[Any, str]] = [
    ({}, "* GenerateContentRequest.contents: contents is not specified\n"),
    ({**ASK, "messages": []}, 'Invalid JSON payload received. Unknown name "messages": Cannot find field.'),
    (
        {**ASK, "generationConfig": {"max_tokens": 1}},
        "Invalid JSON payload received. Unknown name \"max_tokens\" at 'generation_config': Cannot find field.",
    ),
    ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "Please use a valid role: user, model."),
    (
        {"contents": [{"role": "user", "parts": []}]},
        "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.\n",
    ),
    (
        {"contents": [{"role": "user", "parts": [{}]}]},
        "* GenerateContentRequest.contents[0].parts[0].data: required oneof field 'data' must have one initialized "
        "field\n",
    ),
    ({"contents": [USER, CALL, USER]}, COUNT),
    ({"contents": [USER, CALL, {**RESULT, "parts": RESULT["parts"] * 2}]}, COUNT),
    (
        {"contents": [USER, RESULT]},
        "Please ensure that function response turn comes immediately after a function call turn.",
    ),
    (
        {"contents": [CALL, RESULT]},
        "Please ensure that function call turn comes immediately after a user turn or after a function response turn.",
    ),
    (
        {"contents": [USER, CALL, {"parts": [{"functionResponse": {"name": "clock", "response": ["noon"]}}]}]},
        "Invalid value at 'contents[2].parts[0].function_response.response' "
        '(type.googleapis.com/google.protobuf.Struct), ["noon"]',
    ),
    (
        {**ASK, "generationConfig": {"temperature": 3}},
        "* GenerateContentRequest.generation_config.temperature: temperature must be in the range [0.0, 2.0].\n",
    ),
    (
        {**ASK, "generationConfig": {"thinkingConfig": {"thinkingLevel": "XHIGH"}}},
        "Invalid value at 'generation_config.thinking_config.thinking_level' "
        '(type.googleapis.com/google.ai.generativelanguage.v1beta.ThinkingConfig.ThinkingLevel), "XHIGH"',
    ),
    (
        {**ASK, "generationConfig": {"responseSchema": {"type": "OBJECT"}}},
        "* GenerateContentRequest.generation_config.response_mime_type: response_schema is only allowed with "
        "response_mime_type 'application/json' or 'text/x.enum'.\n",
    ),
    (
        declaring(parameters={"type": "object", "properties": {"a": {"type": ["string", "null"]}}}),
        'Invalid JSON payload received. Unknown name "type" at \'tools[0].function_declarations[0].parameters'
        ".properties[0].value': Proto field is not repeating, cannot start list.",
    ),
    (
        declaring(parameters={"type": "object", "additionalProperties": False}),
        'Invalid JSON payload received. Unknown name "additionalProperties" at \'tools[0].function_declarations[0]'
        ".parameters': Cannot find field.",
    ),
    (
        declaring(parameters={"type": "object", "properties": {}}),
        "* GenerateContentRequest.tools[0].function_declarations[0].parameters.properties: should be non-empty for "
        "OBJECT type\n",
    ),
    (
        declaring(name="what time"),
        "* GenerateContentRequest.tools[0].function_declarations[0].name: [FIELD_INVALID] Invalid function name. Must "
        "start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons "
        "(:), or dashes (-), with a maximum length of 128.\n",
    ),
]


@pytest.mark.parametrize(("body", "message"), CASES)
async def test_refusals(sim: Simulator, body: Any, message: str) -> None:
    line, headers, told = split(await exchange(sim, request(body, path=path())))
    assert line == b"HTTP/1.1 400 Bad Request"
    assert headers["content-type"] == "application/json; charset=UTF-8"
    error = json.loads(told)["error"]
    assert (error["code"], error["status"], error["message"]) == (400, "INVALID_ARGUMENT", message)


async def test_both_spellings_of_fields(sim: Simulator) -> None:
    body = {
        "contents": {"parts": {"text": "x"}},
        "system_instruction": {"parts": {"text": "y"}},
        "generation_config": {"max_output_tokens": 2, "thinking_config": {"thinking_budget": 0}},
        "tools": [{"function_declarations": [{"name": "clock"}]}],
        "tool_config": {"function_calling_config": {"mode": "none"}},
    }
    answer = json.loads(split(await exchange(sim, request(body, path=path())))[2])
    assert answer["candidates"][0]["finishReason"] == "MAX_TOKENS"


@pytest.mark.parametrize(
    "base",
    [
        "/v1beta",
        "/v1",
        "/v1alpha",
        "",
        "/v1/projects/p/locations/l/publishers/google",
        "/v1beta1/projects/p/locations/l/publishers/google",
    ],
)
async def test_paths(sim: Simulator, base: str) -> None:
    for model in ("sim", "sim%3Btokens%3D2", "sim;tokens=2", "qwen:8b"):
        line, _, body = split(await exchange(sim, request(ASK, path=path(model, base=base))))
        assert line == b"HTTP/1.1 200 OK"
        words = json.loads(body)["candidates"][0]["content"]["parts"][0]["text"].split()
        assert len(words) == (2 if "tokens" in model else 16)
        assert json.loads(body)["modelVersion"] == ("qwen:8b" if model == "qwen:8b" else "sim")


async def test_other_dialects_keep_their_paths(sim: Simulator) -> None:
    chat = {"model": "sim", "messages": [{"role": "user", "content": "x"}]}
    _, headers, body = split(await exchange(sim, request(chat, path="/v1beta/openai/chat/completions")))
    assert json.loads(body)["object"] == "chat.completion"
    assert "x-request-id" in headers
    _, _, body = split(await exchange(sim, request(method="GET", path="/v1/models")))
    assert json.loads(body)["object"] == "list"
    _, _, body = split(await exchange(sim, request(method="GET", path="/v1/models/qwen:8b")))
    assert json.loads(body)["id"] == "qwen:8b"
    _, _, body = split(await exchange(sim, request(method="GET", path="/v1beta/models?pageSize=1")))
    assert json.loads(body)["nextPageToken"] == "1"
    line, _, body = split(await exchange(sim, request(ASK, path="/v1beta/models/sim:nonsense")))
    assert (line, json.loads(body)["error"]["status"]) == (b"HTTP/1.1 404 Not Found", "NOT_FOUND")


async def test_the_key_may_be_in_the_query() -> None:
    async with Simulator(SimulatorSettings(api_key=Secret("AIza-good"))) as sim:
        for query, status in (("?key=AIza-good", b"200 OK"), ("?key=no", b"400 Bad Request"), ("", b"403 Forbidden")):
            line, _, _ = split(await exchange(sim, request(ASK, path=path() + query)))
            assert line == b"HTTP/1.1 " + status
        assert sim.requests[0].credential == "AIza-good"


async def test_a_stream_as_events_and_as_array(sim: Simulator) -> None:
    raw = await exchange(sim, request(ASK, path=path("sim;tokens=3", "streamGenerateContent") + "?alt=sse"))
    _, headers, body = split(raw)
    data, complete = unchunk(body)
    assert (headers["content-type"], complete) == ("text/event-stream", True)
    lines = data.split(b"\r\n\r\n")
    assert lines[-1] == b""
    chunks = [json.loads(line.removeprefix(b"data: ")) for line in lines[:-1]]
    raw = await exchange(sim, request(ASK, path=path("sim;tokens=3", "streamGenerateContent")))
    _, headers, body = split(raw)
    array = json.loads(unchunk(body)[0])
    assert headers["content-type"] == "application/json; charset=UTF-8"
    assert [each["candidates"] for each in array] == [each["candidates"] for each in chunks]
    assert ["finishReason" in each["candidates"][0] for each in array] == [False, False, True]


async def test_stream_faults(sim: Simulator) -> None:
    async def stream(model: str, query: str = "?alt=sse") -> bytes:
        raw = await exchange(sim, request(ASK, path=path(model, "streamGenerateContent") + query))
        return unchunk(split(raw)[2])[0]

    data = await stream("sim;error-event=2;message=broken")
    last = json.loads(data.split(b"\r\n\r\n")[-2].removeprefix(b"data: "))
    assert last == {"error": {"code": 503, "message": "broken", "status": "UNAVAILABLE"}}
    assert data.count(b"data: ") == 3
    assert b"finishReason" not in data
    assert b"finishReason" not in await stream("sim;no-done")
    assert json.loads(await stream("sim;error-event=2", ""))[-1]["error"]["code"] == 503
    assert (await stream("sim;crlf")).count(b"\r\r\n") == 0
    raw = await exchange(sim, request(ASK, path=path("sim;status=500", "streamGenerateContent")))
    assert json.loads(split(raw)[2])[0]["error"]["status"] == "INTERNAL"
