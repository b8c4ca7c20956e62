"""Whole answers for Ollama's clients, of upstreams that misbehave."""

from __future__ import annotations

import json

import pytest
from msgspec import Raw

from switchgear.errors import UpstreamProtocolError
from switchgear.providers.dialects.ollama_reply import encode_message, ending, stamp
from switchgear.providers.model_lists import ListedModel, encode_ollama_tags, openai_model
from switchgear.wire.conversation import Choice, ToolCall

CUT = ToolCall("call_1", "write", '{"path": "/tm')
WHOLE = ToolCall("call_2", "read", '{"path": "/tmp"}')
MILLISECONDS = 1_730_000_000_000_000


def test_a_call_that_the_maximum_cut_off_is_none() -> None:
    message = encode_message([WHOLE, CUT], cut=True)
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["read"]
    assert "tool_calls" not in encode_message([CUT], cut=True)


def test_arguments_that_are_no_object() -> None:
    with pytest.raises(UpstreamProtocolError):
        encode_message([CUT])


@pytest.mark.parametrize("logprobs", [b"[]", b'{"content": 5}'])
def test_log_probabilities_of_another_shape(logprobs: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        ending(Choice(parts=[], finish="stop", logprobs=Raw(logprobs)))


def test_times_that_are_none() -> None:
    assert stamp(0) == "1970-01-01T00:00:00Z"
    assert stamp(MILLISECONDS)[:2] == "20"
    odd = ListedModel("m", created=MILLISECONDS)
    assert json.loads(encode_ollama_tags([odd]))["models"][0]["modified_at"] == "1970-01-01T00:00:00Z"
    assert openai_model(odd)["created_at"] == "1970-01-01T00:00:00Z"
