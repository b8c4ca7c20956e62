"""Rules of TRANSLATION §6 to §13: answers, their finish, usage and ids. Each test is named by its section."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wire_codecs import FORMATS

from switchgear.errors import UpstreamRejected
from switchgear.providers.identifiers import nine_character_tool_id, plain_tool_id, short_tool_id
from switchgear.providers.repairs import repair_reply
from tests.providers.quirk_cases import reply


def test_s6_azure_filter_has_no_message() -> None:
    body = {"id": "x", "choices": [{"index": 0, "finish_reason": "content_filter"}]}
    choice = reply("openai_chat", body)["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": "", "refusal": None}
    repaired = json.loads(repair_reply(json.dumps(body).encode(), frozenset({"missing_message"})))
    assert repaired["choices"][0]["message"] == {"role": "assistant", "content": None, "refusal": None}


def test_s6_mistral_parts_are_split() -> None:
    content = [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}, {"type": "text", "text": "a"}]
    body = {"id": "x", "choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}]}
    for message in (
        reply("openai_chat", body)["choices"][0]["message"],
        json.loads(repair_reply(json.dumps(body).encode(), frozenset({"content_list"})))["choices"][0]["message"],
    ):
        assert (message["content"], message["reasoning_content"]) == ("a", "t")


def test_s6_gemini_without_content() -> None:
    empty = {"candidates": [{"finishReason": "MAX_TOKENS"}]}
    assert reply("gemini", empty)["choices"][0]["message"]["content"] == ""
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}}
    assert reply("gemini", blocked)["choices"][0]["finish_reason"] == "content_filter"


def test_s10_errors_in_a_200() -> None:
    body = b'{"error":{"message":"slow down","code":429}}'
    with pytest.raises(UpstreamRejected) as caught:
        FORMATS["openai_chat"].decode_response(body)
    assert caught.value.status == 429
    with pytest.raises(UpstreamRejected):
        repair_reply(body, frozenset({"error_in_200"}))


def test_s10_arguments_ids_and_words_are_repaired() -> None:
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    body = {
        "choices": [{"message": {"role": "assistant", "content": None, "tool_calls": [call]}, "finish_reason": "eos"}]
    }
    quirks = frozenset({"object_arguments", "missing_tool_id", "finish_words", "missing_id"})
    for answer in (reply("openai_chat", body), json.loads(repair_reply(json.dumps(body).encode(), quirks))):
        choice = answer["choices"][0]
        assert choice["finish_reason"] == "tool_calls"
        assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"a": 1}
        assert choice["message"]["tool_calls"][0]["id"]
        assert answer["id"]


def test_s10_a_sound_body_is_the_same_object() -> None:
    body = b'{"id":"x","choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}'
    from switchgear.providers.quirks import REPLY_QUIRKS

    assert repair_reply(body, frozenset(REPLY_QUIRKS)) is body


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("STOP", "stop"),
        (2, "length"),
        (3, "content_filter"),
        ("OTHER", "stop"),
        ("SPII", "content_filter"),
        ("NEW", "stop"),
    ],
)
def test_s11_gemini(word: Any, finish: str) -> None:
    assert reply("gemini", {"candidates": [{"finishReason": word}]})["choices"][0]["finish_reason"] == finish


def test_s11_gemini_malformed_call_says_why() -> None:
    body = {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "bad call"}]}
    choice = reply("gemini", body)["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("stop", "bad call")


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("refusal", "content_filter"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "stop"),
        ("news", "stop"),
    ],
)
def test_s11_anthropic(word: str, finish: str) -> None:
    assert reply("anthropic", {"content": [], "stop_reason": word})["choices"][0]["finish_reason"] == finish


def test_s12_usage() -> None:
    usage = {"input_tokens": 1, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 3, "output_tokens": 4}
    assert reply("anthropic", {"content": [], "stop_reason": "end_turn", "usage": usage})["usage"] == {
        "prompt_tokens": 6,
        "completion_tokens": 4,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 3},
    }
    xai = {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "total_tokens": 10,
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert reply("openai_chat", {"choices": [], "usage": xai})["usage"]["completion_tokens"] == 5
    assert "usage" not in reply("openai_chat", {"choices": []})


def test_s13_ids() -> None:
    assert plain_tool_id("call_1") == "call_1"
    assert plain_tool_id("functions.f:0") == "sgid-ZnVuY3Rpb25zLmY6MA"
    assert plain_tool_id(plain_tool_id("a.b")) != plain_tool_id("a.b")
    assert len(short_tool_id("x" * 41)) <= 40
    assert nine_character_tool_id("abcDEF123") == "abcDEF123"
    assert len(nine_character_tool_id("call_1")) == 9
