"""Counting tokens and embedding, where the provider has it in its own way and where it has not."""

from __future__ import annotations

import base64
import struct

import httpx

from tests.dialects.special import ASK, BEARER, World, post
from tests.support.scripted import Asked, Told, told


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
