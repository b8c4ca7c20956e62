"""Finish reasons, usage and ids: TRANSLATION §11 to §13; one test a rule."""

from typing import Any

import pytest

from tests.providers.folding import fold
from tests.providers.stream_cases import (
    CHAT,
    FIRST,
    anthropic,
    chat_call,
    chat_chunk,
    gemini,
    gemini_chunk,
    lines,
    ollama_line,
    sse,
    text_block,
)
from tests.providers.translating import SEED, folded, only, run

# §11: finish reasons -------------------------------------------------------------------------------------------------

STOPS = [
    ("end_turn", "stop"),
    ("stop_sequence", "stop"),
    ("max_tokens", "length"),
    ("model_context_window_exceeded", "length"),
    ("pause_turn", "stop"),
    ("refusal", "content_filter"),
    ("something_new", "stop"),
    ("tool_use", "stop"),
]
GEMINI_STOPS = [
    ("STOP", "stop"),
    ("MAX_TOKENS", "length"),
    ("SAFETY", "content_filter"),
    ("RECITATION", "content_filter"),
    ("OTHER", "stop"),
    ("MODEL_ARMOR", "content_filter"),
    ("MALFORMED_FUNCTION_CALL", "stop"),
    ("CONTINUATION", "length"),
    (1, "stop"),
    (2, "length"),
    (3, "content_filter"),
]


@pytest.mark.parametrize(("reason", "want"), STOPS)
def test_11_anthropic_stop_reasons(reason: str, want: str) -> None:
    assert only("anthropic", "chat", anthropic(*text_block(0, "a"), reason=reason))["finish"] == want


@pytest.mark.parametrize(("reason", "want"), GEMINI_STOPS)
def test_11_gemini_finish_reasons(reason: Any, want: str) -> None:
    assert only("gemini", "chat", gemini(gemini_chunk({"text": "a"}, finish=reason)))["finish"] == want


def test_11_geminis_explanation_is_the_text_when_there_is_none() -> None:
    chunk = gemini_chunk(finish="MALFORMED_FUNCTION_CALL")
    chunk["candidates"][0]["finishMessage"] = "Malformed function call: f("
    assert only("gemini", "chat", gemini(chunk))["text"] == "Malformed function call: f("


@pytest.mark.parametrize(
    ("reason", "stop_reason", "status"),
    [
        ("stop", "end_turn", "completed"),
        ("length", "max_tokens", "max_output_tokens"),
        ("content_filter", "refusal", "content_filter"),
        ("eos", "end_turn", "completed"),
    ],
)
def test_11_chat_finish_reasons(reason: str, stop_reason: str, status: str) -> None:
    body = sse(FIRST, chat_chunk({"content": "a"}), chat_chunk({}, reason), "[DONE]")
    assert only("chat", "anthropic", body)["finish"] == stop_reason
    assert only("chat", "responses", body)["finish"] == status


# §12: usage ----------------------------------------------------------------------------------------------------------


def test_12_anthropic_input_without_what_was_cached_or_written() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 5,
        "total_tokens": 105,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
    }
    told = folded("chat", "anthropic", sse(FIRST, chat_chunk({}, "stop"), chat_chunk(None, usage=usage), "[DONE]"))[
        "usage"
    ]
    assert told == {
        "input_tokens": 10,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 30,
        "output_tokens": 5,
    }


def test_12_reasoning_beside_the_completion_is_counted_in() -> None:
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 2,
        "total_tokens": 20,
        "completion_tokens_details": {"reasoning_tokens": 8},
    }
    body = sse(FIRST, chat_chunk({}, "stop", usage=usage), "[DONE]")
    this, out = run("chat", "anthropic", body)
    assert this.usage is not None
    assert this.usage.output_tokens == 10
    assert fold("anthropic", out)["usage"]["output_tokens"] == 10
    assert folded("chat", "chat", body)["usage"] == usage


def test_12_usage_that_nobody_told_is_not_made_up() -> None:
    this, out = run("chat", "chat", CHAT["text"])
    assert this.usage is None
    assert fold("chat", out)["usage"] is None
    assert folded("chat", "responses", CHAT["text"])["usage"] is None


def test_12_geminis_tool_prompt_and_audio_tokens() -> None:
    usage = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "candidatesTokenCount": 4,
        "totalTokenCount": 19,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 6}],
    }
    told = folded("gemini", "chat", gemini(gemini_chunk({"text": "a"}, finish="STOP", usage=usage)))["usage"]
    assert told == {
        "prompt_tokens": 15,
        "completion_tokens": 4,
        "total_tokens": 19,
        "prompt_tokens_details": {"audio_tokens": 6},
    }


# §13: ids ------------------------------------------------------------------------------------------------------------


def test_13_tool_ids_towards_anthropic_are_clean_and_distinct() -> None:
    ids = ["functions.f:0", "call|x", "a b", "a_b", "ok-1", "sgid-x", "ü"]
    body = sse(
        *[
            chat_chunk(chat_call(i, id=id, type="function", function={"name": "f", "arguments": "{}"}))
            for i, id in enumerate(ids)
        ],
        chat_chunk({}, "tool_calls"),
        "[DONE]",
    )
    seen = [call[0] for call in only("chat", "anthropic", body)["calls"]]
    assert len(set(seen)) == len(ids)
    assert seen[3:5] == ["a_b", "ok-1"]


def test_13_ids_that_the_upstream_does_not_give_come_from_the_seed() -> None:
    assert (
        run("ollama", "chat", lines(ollama_line(content="a"), ollama_line(True)))[1].count(
            b'"id":"chatcmpl-' + SEED.encode()
        )
        == 4
    )
    assert folded("ollama", "anthropic", lines(ollama_line(content="a"), ollama_line(True)))["id"] == "msg_" + SEED
