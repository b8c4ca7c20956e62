"""Refusals in OpenAI's words; paths, methods; the control API."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from switchgear.simulator import Simulator

from .helpers import QUESTION, exchange, request, split

Case = tuple[dict[str, Any], str, str | None, str | None]

CHAT: list[Case] = [
    ({"messages": QUESTION["messages"]}, "you must provide a model parameter", None, None),
    (
        {"model": 5, "messages": QUESTION["messages"]},
        "Invalid type for 'model': expected a string, but got an integer instead.",
        "model",
        "invalid_type",
    ),
    ({"model": "m"}, "Missing required parameter: 'messages'.", "messages", "missing_required_parameter"),
    (
        {"model": "m", "messages": []},
        "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        "messages",
        "empty_array",
    ),
    (
        {"model": "m", "messages": "hi"},
        "Invalid type for 'messages': expected an array of objects, but got a string instead.",
        "messages",
        "invalid_type",
    ),
    (
        {"model": "m", "messages": [{"role": "robot", "content": "x"}]},
        "Invalid value: 'robot'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and "
        "'developer'.",
        "messages[0].role",
        "invalid_value",
    ),
    (
        {"model": "m", "messages": [{"role": "user"}]},
        "Missing required parameter: 'messages[0].content'.",
        "messages[0].content",
        "missing_required_parameter",
    ),
    (
        {**QUESTION, "max_tokens": 0},
        "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        "max_tokens",
        "integer_below_min_value",
    ),
    (
        {**QUESTION, "temperature": 2.5},
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
        "temperature",
        "decimal_above_max_value",
    ),
    (
        {**QUESTION, "stream": "yes"},
        "Invalid type for 'stream': expected a boolean, but got a string instead.",
        "stream",
        "invalid_type",
    ),
    (
        {**QUESTION, "stream_options": {"include_usage": True}},
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        "stream_options",
        None,
    ),
]


@pytest.mark.parametrize(("body", "message", "param", "code"), CHAT)
async def test_chat(sim: Simulator, body: dict[str, Any], message: str, param: str | None, code: str | None) -> None:
    line, headers, answer = split(await exchange(sim, request(body)))
    assert line == b"HTTP/1.1 400 Bad Request"
    assert headers["content-type"] == "application/json"
    assert json.loads(answer) == {
        "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"model": "\xff"}',
        b'{"a": NaN}',
        b"[" * 100_000,
        b'{"model":"m","messages":[{"role":1e999}]}',
    ],
)
async def test_what_is_not_json(sim: Simulator, body: bytes) -> None:
    line, _, answer = split(await exchange(sim, request(body)))
    assert line == b"HTTP/1.1 400 Bad Request"
    assert json.loads(answer)["error"]["type"] == "invalid_request_error"


HOSTILE: list[dict[str, Any]] = [
    {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"$ref": "#"}}}]},
    {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"allOf": [{"$ref": "#"}]}}}]},
    {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"format": [], "enum": 1}}}]},
    {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"minLength": 10**12}}}]},
    {"tools": [{"type": []}]},
    {"tools": ["x"]},
    {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": {"type": ["x"]}},
    {"functions": ["x"]},
    {"response_format": {"type": ["x"]}},
    {"response_format": {"type": "json_schema", "json_schema": {"schema": {"minItems": 10**9, "items": {}}}}},
    {"response_format": {"type": "json_schema", "json_schema": {"schema": {"multipleOf": 0, "type": "number"}}}},
    {"stream": True, "stream_options": {"include_usage": []}},
    {"model": "x" * 100_000},
]


@pytest.mark.parametrize("fields", HOSTILE)
async def test_hostile_fields_never_break_it(sim: Simulator, fields: dict[str, Any]) -> None:
    line, _, _ = split(await exchange(sim, request({**QUESTION, **fields})))
    assert line in (b"HTTP/1.1 200 OK", b"HTTP/1.1 400 Bad Request")


OTHERS: list[tuple[str, dict[str, Any], str]] = [
    ("/v1/completions", {"model": "m"}, "missing_required_parameter"),
    ("/v1/completions", {"model": "m", "prompt": []}, "empty_array"),
    ("/v1/completions", {"model": "m", "prompt": {}}, "invalid_type"),
    ("/v1/embeddings", {"model": "m"}, "missing_required_parameter"),
    ("/v1/embeddings", {"model": "m", "input": []}, "empty_array"),
    ("/v1/embeddings", {"model": "m", "input": ["a"] * 2049}, "invalid_type"),
    ("/v1/embeddings", {"model": "m", "input": "a", "encoding_format": "hex"}, "invalid_value"),
    ("/v1/embeddings", {"model": "m", "input": "a", "dimensions": 0}, "integer_below_min_value"),
    ("/v1/responses", {"model": "m"}, "missing_required_parameter"),
    ("/v1/responses", {"model": "m", "input": "x", "max_output_tokens": 1}, "integer_below_min_value"),
    ("/v1/responses", {"model": "m", "input": "x", "previous_response_id": "r"}, "previous_response_not_found"),
    ("/v1/moderations", {}, "missing_required_parameter"),
    ("/v1/rerank", {"model": "m", "query": "q", "documents": []}, "empty_array"),
    ("/v1/rerank", {"model": "m", "query": 1, "documents": ["x"]}, "invalid_type"),
    ("/v1/audio/speech", {"model": "m", "input": "x"}, "missing_required_parameter"),
    ("/v1/images/generations", {}, "missing_required_parameter"),
    ("/v1/batches", {"input_file_id": "f", "endpoint": "/v1/x", "completion_window": "24h"}, "invalid_value"),
    (
        "/v1/batches",
        {"input_file_id": "f", "endpoint": "/v1/responses", "completion_window": "24h"},
        "file_not_found",
    ),
]


@pytest.mark.parametrize(("path", "body", "code"), OTHERS)
async def test_other_endpoints(sim: Simulator, path: str, body: dict[str, Any], code: str) -> None:
    line, _, answer = split(await exchange(sim, request(body, path=path)))
    assert line == b"HTTP/1.1 400 Bad Request"
    assert json.loads(answer)["error"]["code"] == code


async def test_rerank(sim: Simulator) -> None:
    body = {"model": "m", "query": "red fox", "documents": ["a dog", {"text": "the red fox"}, "red"], "top_n": 2}
    answer = json.loads(split(await exchange(sim, request(body, path="/v1/rerank")))[2])
    assert [result["index"] for result in answer["results"]] == [1, 2]
    assert answer["results"][0]["document"] == {"text": "the red fox"}
    assert answer["results"][0]["relevance_score"] > answer["results"][1]["relevance_score"]


async def test_multipart_is_asked_for_and_checked(sim: Simulator) -> None:
    for content_type, body in (
        ("application/json", b"{}"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\nno name\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\ncontent-disposition: form-data; name=file\r\n\r\nx"),
    ):
        asked = request(body, path="/v1/files", headers={"content-type": content_type})
        line, _, answer = split(await exchange(sim, asked))
        assert line == b"HTTP/1.1 400 Bad Request"
        assert json.loads(answer)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/v1/nothing", "/", "/v1", "/v1/", "/v1/files/a/b/c", "/other/v1/models"])
async def test_unknown_paths(sim: Simulator, path: str) -> None:
    line, _, body = split(await exchange(sim, request(method="GET", path=path)))
    assert line == b"HTTP/1.1 404 Not Found"
    assert json.loads(body)["error"] == {
        "message": f"Invalid URL (GET {path})",
        "type": "invalid_request_error",
        "param": None,
        "code": "unknown_url",
    }


async def test_methods(sim: Simulator) -> None:
    line, headers, body = split(await exchange(sim, request(method="GET")))
    assert line == b"HTTP/1.1 405 Method Not Allowed"
    assert headers["allow"] == "POST"
    assert json.loads(body)["error"]["code"] == "method_not_supported"


async def test_model_ids_with_slashes(sim: Simulator) -> None:
    for path in ("/v1/models/org%2Fm:free", "/v1/models/org/m:free"):
        answer = json.loads(split(await exchange(sim, request(method="GET", path=path)))[2])
        assert answer["id"] == "org/m:free"


async def test_headers_as_openai_sends_them(sim: Simulator) -> None:
    for body in (QUESTION, {**QUESTION, "n": 2}):
        _, headers, _ = split(await exchange(sim, request(body)))
        assert {
            "x-request-id",
            "openai-processing-ms",
            "openai-version",
            "x-ratelimit-limit-requests",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-reset-requests",
        } <= set(headers)


async def test_fast_and_whole_path_agree(sim: Simulator) -> None:
    kept_alive = request(QUESTION, headers={"connection": "keep-alive"})
    fast = json.loads(split(await exchange(sim, kept_alive + CLOSE))[2].split(b"HTTP/1.1")[0])
    whole = json.loads(split(await exchange(sim, request(QUESTION, headers={"x-sim-tokens": "16"})))[2])
    for answer in (fast, whole):
        assert answer.pop("id").startswith("chatcmpl-")
        assert answer.pop("created") > 0
    assert list(fast) == list(whole)
    assert fast == whole


CLOSE = request(method="GET", path="/v1/models")


async def test_control_api(sim: Simulator) -> None:
    rules = [
        {
            "match": {"model": "gpt-*", "path": "/v1/chat/*"},
            "fault": {"status": 429, "headers": {"X-Y": "z"}},
            "times": 2,
        },
        {"match": {"credential": "sk-bad"}, "fault": {"status": 401}},
        {"match": {"model": "never"}, "fault": {"status": 500}, "probability": 0},
    ]
    async with httpx.AsyncClient(base_url=sim.origin) as http:
        assert (await http.put("/_sim/faults", json=rules)).status_code == 200
        statuses = []
        for model, key in (("gpt-1", "a"), ("sim", "a"), ("gpt-2;tokens=1", "a"), ("gpt-1", "a"), ("sim", "sk-bad")):
            answer = await http.post(
                "/v1/chat/completions", json={**QUESTION, "model": model}, headers={"authorization": f"Bearer {key}"}
            )
            statuses.append(answer.status_code)
            if answer.status_code == 429:
                assert answer.headers["x-y"] == "z"
        assert statuses == [429, 200, 429, 200, 401]
        never = await http.post("/v1/chat/completions", json={**QUESTION, "model": "never"})
        assert never.status_code == 200
        assert len((await http.get("/_sim/faults")).json()) == 2
        assert (await http.put("/_sim/faults", json=[{"fault": {"nonsense": 1}}])).status_code == 400
        assert (await http.put("/_sim/faults", json={"fault": {}})).status_code == 400
        assert len((await http.get("/_sim/faults")).json()) == 2
        await http.delete("/_sim/faults")
        assert (await http.get("/_sim/faults")).json() == []

        seen = (await http.get("/_sim/requests")).json()
        assert [each["status"] for each in seen] == [*statuses, 200]
        assert seen[4]["credential"] == "sk-bad"
        assert seen[4]["path"] == "/v1/chat/completions"
        assert json.loads(seen[4]["body"])["model"] == "sim"
        assert seen[4]["client_closed_at"] is None
        assert seen[4]["finished_at"] >= seen[4]["started_at"]
        assert ["authorization", "Bearer sk-bad"] in seen[4]["headers"]
        await http.delete("/_sim/requests")
        assert (await http.get("/_sim/requests")).json() == []
        stats = (await http.get("/_sim/stats")).json()
        assert (stats["open_connections"], stats["connections_total"], stats["aborted"]) == (1, 1, 0)
        assert (await http.get("/_sim/other")).status_code == 404
        assert (await http.post("/_sim/stats")).status_code == 405


async def test_journal_is_bounded(sim: Simulator) -> None:
    data = request(QUESTION, headers={"connection": ""})
    await exchange(sim, data * 1500 + CLOSE)
    assert len(sim.requests) == 1000
    assert sim.stats.requests == 1501
