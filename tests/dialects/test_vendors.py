"""Vendors' own ways, seen by a client: refused fields, repaired streams, errors in a 200, failover between them."""

from __future__ import annotations

from contextlib import ExitStack

import httpx
import pytest

from tests.dialects.special import BEARER, CHAT_REPLY, FIRST, GEMINI_REPLY, World, post
from tests.dialects.wires import CLIENTS, call, question
from tests.providers.stream_cases import sse
from tests.support.processes import KEY, GatewayProcess
from tests.support.scripted import Asked, Told, events, scripted, told


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
