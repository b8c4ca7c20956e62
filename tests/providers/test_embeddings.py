"""Embeddings between OpenAI, Gemini and Ollama (TRANSLATION §19)."""

from __future__ import annotations

import json
import struct
from base64 import b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.errors import InvalidRequest, UpstreamProtocolError
from switchgear.providers.embeddings import (
    EmbeddingReply,
    base64_of,
    decode_gemini_request,
    decode_openai_request,
    decode_reply,
    encode_gemini_response,
    encode_openai_response,
    encode_requests,
    floats_of,
    join,
)


def openai(**fields: object) -> bytes:
    return json.dumps({"model": "m", **fields}).encode()


def test_openai_in_front_of_gemini_splits_and_rejoins_in_order() -> None:
    request = decode_openai_request(openai(input=["a", "b", "c"], dimensions=2, user="u", encoding_format="base64"))
    batches, dropped = encode_requests(request, "gemini", "embedding-001", batch_limit=2)
    assert [(batch.first, batch.count) for batch in batches] == [(0, 2), (2, 1)]
    assert dropped == ["user"]
    assert batches[1].path == "/models/embedding-001:batchEmbedContents"
    assert json.loads(batches[1].body) == {
        "requests": [
            {"model": "models/embedding-001", "outputDimensionality": 2, "content": {"parts": [{"text": "c"}]}}
        ]
    }
    replies = [
        decode_reply(b'{"embeddings":[{"values":[1,2]},{"values":[3,4]}]}', "gemini", 2),
        decode_reply(b'{"embeddings":[{"values":[5,6]}]}', "gemini", 1),
    ]
    body = json.loads(encode_openai_response(join(replies), request, "smart"))
    assert [struct.unpack("<2f", b64decode(item["embedding"])) for item in body["data"]] == [(1, 2), (3, 4), (5, 6)]
    assert [item["index"] for item in body["data"]] == [0, 1, 2]
    assert (body["model"], body["usage"]) == ("smart", {"prompt_tokens": 0, "total_tokens": 0})


def test_openai_in_front_of_ollama() -> None:
    request = decode_openai_request(openai(input="a"))
    (batch,), _ = encode_requests(request, "ollama", "nomic")
    assert (batch.path, json.loads(batch.body)) == ("/api/embed", {"model": "nomic", "input": ["a"]})
    reply = decode_reply(b'{"model":"nomic","embeddings":[[0.5]],"prompt_eval_count":3}', "ollama", 1)
    body = json.loads(encode_openai_response(reply, request))
    assert (body["data"][0]["embedding"], body["usage"]["prompt_tokens"]) == ([0.5], 3)
    assert body["id"].startswith("embd-")  # Mistral's SDK takes no answer without


def test_gemini_in_front_of_openai() -> None:
    single = decode_gemini_request(b'{"content":{"parts":[{"text":"a"}]},"output_dimensionality":2}', "m", batch=False)
    (batch,), _ = encode_requests(single, "openai", "text-embedding-3-small")
    assert json.loads(batch.body) == {
        "model": "text-embedding-3-small",
        "input": ["a"],
        "encoding_format": "float",
        "dimensions": 2,
    }
    reply = decode_reply(
        b'{"data":[{"index":0,"embedding":[1.0]}],"model":"m","usage":{"prompt_tokens":1}}', "openai", 1
    )
    assert json.loads(encode_gemini_response(reply, single)) == {"embedding": {"values": [1.0]}}
    many = decode_gemini_request(b'{"requests":[{"content":{"parts":[{"text":"a"}]}}]}', "m", batch=True)
    assert json.loads(encode_gemini_response(reply, many)) == {"embeddings": [{"values": [1.0]}]}


def test_openai_answers_are_ordered_by_index() -> None:
    body = b'{"data":[{"index":1,"embedding":[2.0]},{"index":0,"embedding":"AACAPw=="}]}'
    assert decode_reply(body, "openai", 2).vectors == [[1.0], [2.0]]


def test_token_ids() -> None:
    request = decode_openai_request(openai(input=[[1, 2], [3]]))
    assert json.loads(encode_requests(request, "openai", "m")[0][0].body)["input"] == [[1, 2], [3]]
    assert decode_openai_request(openai(input=[1, 2])).inputs == [[1, 2]]
    with pytest.raises(InvalidRequest) as caught:
        encode_requests(request, "gemini", "m")
    assert caught.value.param == "input"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": ["a", 1]}, "input[1]"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({}, "input"),
    ],
)
def test_bad_requests_name_their_field(fields: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode_openai_request(openai(**fields))
    assert caught.value.param == param


def test_a_short_answer_is_an_error() -> None:
    with pytest.raises(UpstreamProtocolError):
        decode_reply(b'{"embeddings":[]}', "gemini", 1)
    with pytest.raises(UpstreamProtocolError):
        floats_of("AAA")


def test_joined_counts_are_known_only_when_all_are() -> None:
    assert join([EmbeddingReply([[1.0]], "m", 1), EmbeddingReply([[2.0]], "m", 2)]).tokens == 3
    assert join([EmbeddingReply([[1.0]], "m", 1), EmbeddingReply([[2.0]], "m")]).tokens is None


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=20))
def test_base64_is_reversible(vector: list[float]) -> None:
    assert floats_of(base64_of(vector)) == vector
