"""Token counts and model lists in the dialects' shapes (TRANSLATION §14, §18, §19)."""

from __future__ import annotations

import json

from wire_codecs import DIALECTS

from switchgear.providers.model_lists import (
    ListedModel,
    encode_gemini_list,
    encode_ollama_tags,
    encode_union_list,
    encode_union_model,
)
from switchgear.providers.tokens import decode_count, encode_count, estimate_tokens, gemini_count_body


def test_estimate() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"' + b"a" * 400 + b'"}]}'
    assert estimate_tokens(DIALECTS["chat"].decode_request(body)) == 104
    image = b'{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://e.org/a"}}]}]}'
    assert estimate_tokens(DIALECTS["chat"].decode_request(image)) == 1104


def test_counts_in_each_dialect() -> None:
    assert json.loads(encode_count("anthropic", 7)) == {"input_tokens": 7}
    assert json.loads(encode_count("gemini", 7)) == {"totalTokens": 7}
    assert json.loads(encode_count("responses", 7)) == {"object": "response.input_tokens", "input_tokens": 7}
    assert decode_count(b'{"input_tokens":7}') == decode_count(b'{"totalTokens":7}') == 7
    assert decode_count(b"<html>") is None


def test_count_tokens_needs_no_max_tokens() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    assert DIALECTS["anthropic"].decode_request(body, need_max_tokens=False).max_tokens is None


def test_gemini_count_body() -> None:
    assert gemini_count_body(b'{"generateContentRequest":{"contents":[]}}') == b'{"contents":[]}'
    assert gemini_count_body(b'{"contents":[]}') == b'{"contents":[]}'


def test_lists() -> None:
    models = [ListedModel("a/b", "acme", 1_760_000_000, input_limit=10), ListedModel("e", embeds=True)]
    union = json.loads(encode_union_list(models))
    assert union["data"][0] == {
        "id": "a/b",
        "object": "model",
        "created": 1_760_000_000,
        "owned_by": "acme",
        "type": "model",
        "display_name": "a/b",
        "created_at": "2025-10-09T08:53:20Z",
    }
    assert (union["object"], union["has_more"], union["first_id"], union["last_id"]) == ("list", False, "a/b", "e")
    assert json.loads(encode_union_model(models[0])) == union["data"][0]
    gemini = json.loads(encode_gemini_list(models))["models"]
    assert (gemini[0]["name"], gemini[0]["inputTokenLimit"]) == ("models/a/b", 10)
    assert gemini[1]["supportedGenerationMethods"] == ["embedContent", "batchEmbedContents"]
    assert [model["name"] for model in json.loads(encode_ollama_tags(models))["models"]] == ["a/b", "e"]
    assert json.loads(encode_union_list([]))["first_id"] is None
