"""What belongs to one dialect or one translation: dropped fields, strictness, counting, embeddings, signatures."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.dialects.conftest import Pairs
from tests.dialects.wires import CLIENTS, call, question
from tests.providers.folding import fold
from tests.providers.stream_cases import sse
from tests.support.processes import KEY, GatewayProcess
from tests.support.scripted import Asked, ScriptedUpstream, Told, events, scripted, told

BEARER = {"authorization": f"Bearer {KEY}"}


def test_what_is_dropped_is_named(pairs: Pairs) -> None:
    answer = call(pairs.origin, "chat", "anthropic-text", seed=7, frequency_penalty=0.5, made_up={"a": 1})
    assert answer.status_code == 200
    assert set(answer.headers["x-switchgear-dropped"].split(", ")) == {"seed", "frequency_penalty", "made_up"}
    assert "x-switchgear-dropped" not in call(pairs.origin, "chat", "anthropic-text").headers
    assert "x-switchgear-dropped" not in call(pairs.origin, "chat", "chat-text", seed=7, made_up=1).headers


def test_a_dropped_fields_name_cannot_make_a_header(pairs: Pairs) -> None:
    answer = call(pairs.origin, "chat", "anthropic-text", **{"x\r\nset-cookie: a=b": 1, "ü" * 2000: 2})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert len(answer.headers["x-switchgear-dropped"]) <= 1100


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("how", ["header", "model"])
def test_strict_refuses_what_would_be_dropped(pairs: Pairs, client: str, how: str) -> None:
    fields: dict[str, Any] = {
        "chat": {"seed": 7},
        "responses": {"max_tool_calls": 3},
        "gemini": {"generationConfig": {"seed": 7}},
        "anthropic": {"top_k": 3, "container": "c"},
        "ollama": {"keep_alive": "5m"},
    }[client]
    model = "strict" if how == "model" else "anthropic-text"
    path, headers, body = question("chat" if client == "anthropic" else client, model)
    if client == "anthropic":  # at Anthropic nothing is lost: the same request passes
        path, headers, body = question(client, model)
        answer = httpx.post(pairs.origin + path, headers=headers, json=body | {"top_k": 3})
        assert answer.status_code == 200
        return
    if how == "header":
        headers["x-switchgear-strict"] = "true"
    answer = httpx.post(pairs.origin + path, headers=headers, json=body | fields)
    assert answer.status_code == 400, answer.text
    name = {"chat": "seed", "responses": "max_tool_calls", "gemini": "generationConfig.seed", "ollama": "keep_alive"}[
        client
    ]
    assert name in answer.text


def test_stored_responses_are_refused_where_nobody_keeps_them(pairs: Pairs) -> None:
    fields = {"previous_response_id": "resp_1"}
    refused = call(pairs.origin, "responses", "anthropic-text", **fields)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "previous_response_id"
    assert call(pairs.origin, "responses", "responses-text", **fields).status_code == 200
    assert pairs.upstreams["responses"].requests[0].json["previous_response_id"] == "resp_1"


def test_threads_are_refused_where_nobody_keeps_them(pairs: Pairs) -> None:
    """One that is created is left out; one that continues lacks its messages, and the SDK looks for this code."""
    created = call(pairs.origin, "anthropic", "chat-text", thread={"type": "create"})
    assert (created.status_code, created.headers["x-switchgear-dropped"]) == (200, "thread")
    continued = {"type": "continue", "previous_message_id": "msg_1"}
    refused = call(pairs.origin, "anthropic", "chat-text", thread=continued)
    assert (refused.status_code, refused.json()["error"]["type"]) == (404, "not_found_error")
    assert refused.json()["error"]["details"] == {"error_code": "thread_not_found"}
    assert len(pairs.upstreams["chat"].requests) == 1
    assert call(pairs.origin, "anthropic", "anthropic-text", thread=continued).status_code == 200
    assert pairs.upstreams["anthropic"].requests[0].json["thread"] == continued


def test_ollama_is_offered_only_the_tool_that_is_asked_for(pairs: Pairs) -> None:
    choice = {"type": "function", "function": {"name": "now"}}
    answer = call(pairs.origin, "chat", "ollama-tools", tool_choice=choice)
    assert answer.headers["x-switchgear-dropped"] == "tool_choice"
    (asked,) = pairs.upstreams["ollama"].requests
    assert [tool["function"]["name"] for tool in asked.json["tools"]] == ["now"]


def test_anthropics_own_bytes_pass(pairs: Pairs) -> None:
    path, headers, body = question("anthropic", "anthropic-text", made_up={"kept": 1})
    headers |= {"anthropic-beta": "one,two", "anthropic-version": "2026-10-21"}
    answer = httpx.post(f"{pairs.origin}{path}?beta=true", headers=headers, json=body)
    assert answer.status_code == 200
    (asked,) = pairs.upstreams["anthropic"].requests
    assert asked.target == "/v1/messages?beta=true"
    assert (
        asked.body
        == json.dumps(body, separators=(",", ":"), ensure_ascii=False).replace('"anthropic-text"', '"text"').encode()
    )
    assert (asked.headers["anthropic-beta"], asked.headers["anthropic-version"]) == ("one,two", "2026-10-21")


def test_a_base_url_with_v1_twice(pairs: Pairs) -> None:
    path, headers, body = question("anthropic", "chat-text")
    assert httpx.post(f"{pairs.origin}/v1{path}", headers=headers, json=body).status_code == 200


def test_anthropic_sdk_2_sends_a_bearer(pairs: Pairs) -> None:
    path, _, body = question("anthropic", "chat-text")
    assert httpx.post(pairs.origin + path, headers=BEARER, json=body).status_code == 200


@pytest.mark.parametrize("prefix", ["/v1beta", "/v1", ""])
@pytest.mark.parametrize("wire", ["gemini", "chat"])
def test_geminis_prefixes_and_key_in_the_query(pairs: Pairs, prefix: str, wire: str) -> None:
    path, _, body = question("gemini", f"{wire}-text")
    path = path.replace("/v1beta", prefix)
    answer = httpx.post(f"{pairs.origin}{path}?key={KEY}", json=body)
    assert answer.status_code == 200, answer.text
    (asked,) = pairs.upstreams[wire].requests
    assert KEY not in asked.target + json.dumps(asked.headers)
    assert KEY not in pairs.gateway.output


@pytest.mark.parametrize("wire", ["gemini", "chat", "anthropic", "ollama"])
@pytest.mark.parametrize("case", ["text", "truncated"])
def test_geminis_array(pairs: Pairs, wire: str, case: str) -> None:
    path, headers, body = question("gemini", f"{wire}-{case}", stream=True)
    answer = httpx.post(pairs.origin + path.partition("?")[0], headers=headers, json=body)
    assert answer.headers["content-type"].startswith("application/json")
    folded = fold("gemini-array", answer.content)
    assert (folded["error"] is None) is (case == "text")
    if wire == "gemini":
        assert pairs.upstreams["gemini"].requests[0].target.endswith(":streamGenerateContent?alt=sse")


def test_geminis_array_of_one_error(pairs: Pairs) -> None:
    path, headers, body = question("gemini", "nothing", stream=True)
    answer = httpx.post(pairs.origin + path.partition("?")[0], headers=headers, json=body)
    assert (answer.status_code, answer.json()[0]["error"]["status"]) == (404, "NOT_FOUND")


def test_lists_of_models(pairs: Pairs) -> None:
    openai = httpx.get(f"{pairs.origin}/v1/models", headers=BEARER).json()
    assert openai["data"][0].keys() == {"id", "object", "created", "owned_by"}
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    anthropic = httpx.get(f"{pairs.origin}/v1/models", headers=headers).json()
    assert {"type", "display_name", "created_at"} <= anthropic["data"][0].keys()
    assert (anthropic["has_more"], anthropic["first_id"]) == (False, anthropic["data"][0]["id"])
    gemini = httpx.get(f"{pairs.origin}/v1beta/models", params={"key": KEY}).json()
    assert gemini["models"][0]["name"] == f"models/{openai['data'][0]['id']}"
    one = httpx.get(f"{pairs.origin}/v1beta/models/chat-text", headers={"x-goog-api-key": KEY}).json()
    assert one["name"] == "models/chat-text"
    missing = httpx.get(f"{pairs.origin}/v1beta/models/none", headers={"x-goog-api-key": KEY})
    assert (missing.status_code, missing.json()["error"]["status"]) == (404, "NOT_FOUND")
    other = httpx.get(f"{pairs.origin}/v1/models/none", headers=headers)
    assert (other.status_code, other.json()["error"]["type"]) == (404, "not_found_error")


def test_what_a_provider_does_not_have_is_said(pairs: Pairs) -> None:
    answer = httpx.post(
        f"{pairs.origin}/v1/moderations", headers=BEARER, json={"model": "anthropic-text", "input": "hi"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "unsupported_endpoint")


# Scripted for one test each ------------------------------------------------------------------------------------------


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


@pytest.fixture(scope="module")
def special(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    script = Special()
    with ExitStack() as stack:
        upstream = stack.enter_context(scripted(script.answer))
        kinds = {
            "openai": "/v1",
            "vllm": "/v1",
            "mistral": "/v1",
            "openrouter": "/v1",
            "xai": "/v1",
            "anthropic": "",
            "gemini": "",
            "ollama": "",
        }
        providers = {
            kind: {
                "type": kind,
                "base_url": upstream.origin + base,
                "credentials": ["sk-upstream-00000000"],
                "repair": True,
                **({"responses": "translated"} if kind == "openrouter" else {}),
            }
            for kind, base in kinds.items()
        }
        models = {
            kind: {"targets": [{"provider": kind, "model": "real-name"}], "retries": {"attempts": 1}} for kind in kinds
        }
        config = {"providers": providers, "models": models, "keys": [{"name": "test", "value": KEY}]}
        process = GatewayProcess(config, tmp_path_factory.mktemp("special"))
        stack.callback(process.stop)
        yield World(script, upstream, process.ready())


@pytest.fixture
def world(special: World) -> World:
    special.answers.clear()
    special.upstream.requests.clear()
    return special


def post(world: World, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
    answer = httpx.post(world.origin + path, headers=headers or BEARER, json=body, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.json()


ASK = {"messages": [{"role": "user", "content": "How many tokens is this?"}]}


def test_counting_where_the_provider_counts(world: World) -> None:
    world.answers["/messages/count_tokens"] = lambda asked: told({"input_tokens": 11})
    world.answers[":countTokens"] = lambda asked: told({"totalTokens": 12})
    gemini = {"contents": [{"role": "user", "parts": [{"text": "How many tokens is this?"}]}]}
    for model, count in (("anthropic", 11), ("gemini", 12)):
        body = ASK | {"model": model}
        assert post(world, "/v1/messages/count_tokens", body) == {"input_tokens": count}
        assert post(world, f"/v1beta/models/{model}:countTokens", gemini) == {"totalTokens": count}
        nested = {"generateContentRequest": gemini | {"model": f"models/{model}"}}
        assert post(world, f"/v1beta/models/{model}:countTokens", nested) == {"totalTokens": count}
        found = post(world, "/v1/responses/input_tokens", {"model": model, "input": "How many tokens is this?"})
        assert found["input_tokens"] == count
    assert {asked.target for asked in world.upstream.requests} == {
        "/v1/messages/count_tokens",
        "/v1beta/models/real-name:countTokens",
    }
    assert all("max_tokens" not in asked.json for asked in world.upstream.requests)


def test_counting_where_nobody_counts_is_an_estimate(world: World) -> None:
    body = ASK | {"model": "vllm"}
    answer = httpx.post(f"{world.origin}/v1/messages/count_tokens", headers=BEARER, json=body)
    assert answer.headers["x-switchgear-estimated"] == "true"
    assert 5 <= answer.json()["input_tokens"] <= 20
    assert world.upstream.requests == []


def floats(asked: Asked) -> Told:
    return told(
        {
            "embeddings": [
                {"values": [float(len(r["content"]["parts"][0]["text"])), 0.5]} for r in asked.json["requests"]
            ]
        }
    )


def test_embeddings_from_gemini_are_split_joined_and_packed(world: World) -> None:
    world.answers[":batchEmbedContents"] = floats
    inputs = ["x" * (n + 1) for n in range(250)]
    found = post(world, "/v1/embeddings", {"model": "gemini", "input": inputs, "encoding_format": "base64"})
    vectors = [struct.unpack("<2f", base64.b64decode(item["embedding"])) for item in found["data"]]
    assert vectors == [(float(n + 1), 0.5) for n in range(250)]
    assert [item["index"] for item in found["data"]] == list(range(250))
    assert found["model"] == "gemini"
    assert sorted(len(asked.json["requests"]) for asked in world.upstream.requests) == [50, 100, 100]
    assert world.upstream.requests[0].target == "/v1beta/models/real-name:batchEmbedContents"
    plain = post(world, "/v1/embeddings", {"model": "gemini", "input": "xx", "dimensions": 2})
    assert plain["data"][0]["embedding"] == [2.0, 0.5]
    assert world.upstream.requests[-1].json["requests"][0]["outputDimensionality"] == 2


def test_one_failed_batch_fails_the_request(world: World) -> None:
    world.answers[":batchEmbedContents"] = lambda asked: (
        floats(asked) if len(asked.json["requests"]) == 100 else told({"error": {"message": "no"}}, 400)
    )
    answer = httpx.post(f"{world.origin}/v1/embeddings", headers=BEARER, json={"model": "gemini", "input": ["x"] * 150})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "no")


def test_embeddings_from_ollama_and_for_gemini_clients(world: World) -> None:
    world.answers["/api/embed"] = lambda asked: told(
        {"embeddings": [[1.0, 2.0] for _ in asked.json["input"]], "prompt_eval_count": 3}
    )
    world.answers["/v1/embeddings"] = lambda asked: told(
        {
            "object": "list",
            "data": [{"object": "embedding", "index": n, "embedding": [3.0]} for n in range(len(asked.json["input"]))],
            "model": "m",
            "usage": {"prompt_tokens": 5, "total_tokens": 5},
        }
    )
    found = post(world, "/v1/embeddings", {"model": "ollama", "input": ["a", "b"]})
    assert (found["data"][1]["embedding"], found["usage"]["prompt_tokens"]) == ([1.0, 2.0], 3)
    one = {"content": {"parts": [{"text": "a"}]}}
    assert post(world, "/v1beta/models/vllm:embedContent", one) == {"embedding": {"values": [3.0]}}
    many = {"requests": [one | {"model": "models/vllm"}] * 2}
    assert post(world, "/v1beta/models/ollama:batchEmbedContents", many) == {"embeddings": [{"values": [1.0, 2.0]}] * 2}


def test_gemini_embeds_for_its_own_clients_as_asked(world: World) -> None:
    world.answers[":embedContent"] = lambda asked: told({"embedding": {"values": [1.0]}})
    body = {"model": "models/gemini", "content": {"parts": [{"text": "a"}]}}
    assert post(world, "/v1beta/models/gemini:embedContent", body) == {"embedding": {"values": [1.0]}}
    assert world.upstream.requests[0].json["model"] == "models/real-name"


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


FIRST: dict[str, Any] = {
    "anthropic": {"messages": [{"role": "user", "content": "When?"}]},
    "chat": {"messages": [{"role": "user", "content": "When?"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "When?"}]}]},
    "responses": {"input": "When?"},
}


@pytest.mark.parametrize("client", [client for client in CLIENTS if client != "ollama"])  # it has no place for one
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
            assert assistant["content"][0] == THINKING["content"][0]  # type: ignore[index]


def test_mistral_gets_no_field_that_it_refuses(world: World) -> None:
    world.answers["/chat/completions"] = lambda asked: told(CHAT_REPLY)
    body = FIRST["chat"] | {
        "model": "mistral",
        "seed": 3,
        "user": "u",
        "stream_options": None,
        "max_completion_tokens": 9,
    }
    assert post(world, "/v1/chat/completions", body)["model"] == "mistral"
    asked = world.upstream.requests[0].json
    assert (asked["model"], asked["random_seed"], asked["max_tokens"]) == ("real-name", 3, 9)
    assert not {"seed", "user", "stream_options", "max_completion_tokens"} & asked.keys()


def test_mistrals_stream_is_repaired_and_its_usage_hidden_or_shown(world: World) -> None:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "real-name"}
    thought = [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]
    body = sse(
        {**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": thought}, "finish_reason": None}]},
        {**chunk, "choices": [{"index": 0, "delta": {"content": "Noon."}, "finish_reason": None}]},
        {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": CHAT_REPLY["usage"]},
        "[DONE]",
    )
    world.answers["/chat/completions"] = lambda asked: events(body)
    for asked_for in (True, False):
        request = FIRST["chat"] | {"model": "mistral", "stream": True}
        if asked_for:
            request["stream_options"] = {"include_usage": True}
        answer = httpx.post(f"{world.origin}/v1/chat/completions", headers=BEARER, json=request)
        assert (b'"usage":{' in answer.content) is asked_for
        assert b'"reasoning_content":"Hm."' in answer.content
        assert b"real-name" not in answer.content
        assert answer.content.endswith(b"data: [DONE]\n\n")


def test_an_error_in_a_200_is_an_error(world: World) -> None:
    world.answers["/chat/completions"] = lambda asked: told({"error": {"code": 429, "message": "slow down"}})
    for client in CLIENTS:
        path, headers, body = question(client, "openrouter")
        answer = httpx.post(world.origin + path, headers=headers, json=body)
        assert answer.status_code == 429, answer.text


def test_reasoning_counts_as_output_where_xai_leaves_it_out(world: World) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 25}
    world.answers["/chat/completions"] = lambda asked: told(CHAT_REPLY | {"usage": usage})
    found = post(world, "/v1/chat/completions", FIRST["chat"] | {"model": "xai"})
    assert found["usage"]["completion_tokens"] == 15


def test_a_stream_that_is_none_is_an_error_with_a_status(world: World) -> None:
    world.answers["/messages"] = lambda asked: told({"type": "error", "error": {"type": "api_error", "message": "x"}})
    answer = httpx.post(
        f"{world.origin}/v1/chat/completions",
        headers=BEARER,
        json=FIRST["chat"] | {"model": "anthropic", "stream": True},
    )
    assert answer.status_code >= 500


def test_failover_between_vendors_before_the_first_byte(tmp_path_factory: pytest.TempPathFactory) -> None:
    def answer(asked: Asked) -> Told:
        if asked.target == "/v1/messages":
            return told({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, 529)
        return told(GEMINI_REPLY)

    with ExitStack() as stack:
        upstream = stack.enter_context(scripted(answer))
        config = {
            "providers": {
                kind: {"type": kind, "base_url": upstream.origin, "credentials": ["sk-upstream-00000000"]}
                for kind in ("anthropic", "gemini")
            },
            "models": {
                "smart": {
                    "targets": [
                        {"provider": "anthropic", "model": "a", "tier": 0},
                        {"provider": "gemini", "model": "g", "tier": 1},
                    ]
                }
            },
            "keys": [{"name": "test", "value": KEY}],
        }
        process = GatewayProcess(config, tmp_path_factory.mktemp("failover"))
        stack.callback(process.stop)
        found = call(process.ready().origin, "chat", "smart")
        assert found.json()["choices"][0]["message"]["content"] == "Noon."
        assert (found.headers["x-switchgear-target"], found.headers["x-switchgear-attempts"]) == ("gemini/g", "2")


def test_lists_of_models_are_fetched_in_each_format(tmp_path_factory: pytest.TempPathFactory) -> None:
    def answer(asked: Asked) -> Told:
        return {
            "/v1/models?limit=1000": told({"data": [{"type": "model", "id": "claude-x", "created_at": "2026-01-01"}]}),
            "/v1beta/models?pageSize=1000": told({"models": [{"name": "models/gemini-x"}]}),
            "/api/tags": told({"models": [{"name": "llama-x", "model": "llama-x"}]}),
        }[asked.target]

    with ExitStack() as stack:
        upstream = stack.enter_context(scripted(answer))
        config = {
            "providers": {
                kind: {"type": kind, "base_url": upstream.origin, "credentials": ["sk-upstream-00000000"]}
                for kind in ("anthropic", "gemini", "ollama")
            },
            "keys": [{"name": "test", "value": KEY}],
        }
        process = GatewayProcess(config, tmp_path_factory.mktemp("lists"))
        stack.callback(process.stop)
        listed = httpx.get(f"{process.ready().url}/models", headers=BEARER, timeout=20).json()["data"]
        names = {entry["id"] for entry in listed}
        assert {"claude-x", "gemini-x", "llama-x", "anthropic/claude-x"} <= names
