"""Signatures, options and bounds of a translator; one test a rule."""

import json
from base64 import b64encode

import pytest

from switchgear.hotpath._translate import Translator
from tests.providers.folding import events, fold
from tests.providers.stream_cases import (
    ANTHROPIC,
    CASES,
    FIRST,
    GEMINI,
    PAIRS,
    anthropic,
    block,
    chat_call,
    chat_chunk,
    gemini,
    gemini_chunk,
    sse,
    text_block,
)
from tests.providers.translating import folded, only, run

# signatures, options, bounds -----------------------------------------------------------------------------------------

OWNERS = {"anthropic": "anthropic", "responses": "openai", "gemini": "gemini", "chat": "anthropic"}
OWN = {"anthropic": "anthropic", "responses": "openai", "gemini": "gemini"}


@pytest.mark.parametrize(
    ("upstream", "client"),
    [
        (u, c.removesuffix("-array"))
        for u, c in PAIRS
        if u != c and "ollama" not in (u, c) and (u, c) != ("gemini", "gemini-array")
    ],
)
def test_signatures_reach_the_client_marked_if_foreign(upstream: str, client: str) -> None:
    vendor = OWNERS[upstream]
    [(kind, value, text)] = only(upstream, client, CASES[upstream]["reasoning"])["signatures"]
    if client == "chat":
        assert (kind, value) == (
            {"anthropic": "anthropic-claude-v1", "openai": "openai-responses-v1", "gemini": "google-gemini-v1"}[vendor],
            "c2ln",
        )
        assert text == ("First, think. Then say." if upstream == "anthropic" else None)
    elif OWN[client] == vendor:
        assert value == "c2ln"
    else:
        token = f"swg.{vendor}.rs_0~c2ln" if vendor == "openai" else f"swg.{vendor}.c2ln"
        assert value == (b64encode(token.encode()).decode() if client == "gemini" else token)


def test_a_function_calls_signature_comes_with_it_or_right_before_it() -> None:
    assert only("gemini", "chat", GEMINI["tools"])["signatures"] == [("call", "c2ln", None)]
    answer = folded("gemini", "anthropic", GEMINI["tools"])
    assert answer["blocks"] == ["text", "thinking", "tool_use", "tool_use"]
    assert answer["choices"][0]["signatures"] == [("thinking", "swg.gemini.c2ln", None)]
    output = folded("gemini", "responses", GEMINI["tools"])["response"]["output"]
    assert [one["type"] for one in output] == ["message", "reasoning", "function_call", "function_call"]
    extra = chat_chunk(
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "c",
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "c2ln"}},
                }
            ]
        }
    )
    assert only("chat", "gemini", sse(FIRST, extra, chat_chunk({}, "tool_calls"), "[DONE]"))["signatures"] == [
        ("call", "c2ln", None)
    ]
    assert only("chat", "chat", sse(FIRST, extra, chat_chunk({}, "tool_calls"), "[DONE]"))["signatures"] == [
        ("call", "c2ln", None)
    ]


def test_redacted_thinking_travels_as_such() -> None:
    body = anthropic(*block(0, {"type": "redacted_thinking", "data": "ZGF0YQ"}), *text_block(1, "a"))
    assert only("anthropic", "chat", body)["signatures"] == [("anthropic-claude-v1", "ZGF0YQ", None)]
    [(_, value, _)] = only("anthropic", "responses", body)["signatures"]
    assert value == "swg.anthropic-redacted.ZGF0YQ"


def test_structured_output_by_a_tool_is_text() -> None:
    body = anthropic(
        *block(
            0,
            {"type": "tool_use", "id": "t", "name": "json_tool_call", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"a":1}'},
        ),
        reason="tool_use",
    )
    choice = only("anthropic", "chat", body, json_tool="json_tool_call")
    assert (choice["text"], choice["calls"], choice["finish"]) == ('{"a":1}', [], "stop")


def test_tool_names_are_mapped_back_and_one_call_is_one_call() -> None:
    choice = only("anthropic", "chat", ANTHROPIC["tools"], tool_names={"weather": "my.weather"}, single_call=True)
    assert [call[1] for call in choice["calls"]] == ["my.weather"]


def test_legacy_functions_get_function_call() -> None:
    _, out = run("anthropic", "chat", ANTHROPIC["tools"], legacy_functions=True)
    deltas = [json.loads(data)["choices"][0] for _, data in events(out)[:-2]]
    assert (
        "".join(one["delta"].get("function_call", {}).get("arguments", "") for one in deltas)
        == '{"city": "Köln", "note": "a \\"b\\" \\\\ {"}'
    )
    assert deltas[-1]["finish_reason"] == "function_call"
    assert b"tool_calls" not in out


def test_arguments_cut_by_the_token_limit_make_no_call_towards_gemini() -> None:
    body = sse(
        FIRST,
        chat_chunk(chat_call(0, id="c", function={"name": "f", "arguments": '{"a":'})),
        chat_chunk({}, "length"),
        "[DONE]",
    )
    this, out = run("chat", "gemini", body)
    assert fold("gemini", out)["choices"][0]["calls"] == []
    assert this.dropped == ["functionCall"]
    assert fold("gemini", run("chat", "gemini", body.replace(b'"length"', b'"stop"'))[1])["error"]


@pytest.mark.parametrize(("upstream", "client"), [pair for pair in PAIRS if pair[0] != "ollama"])
def test_memory_is_bounded_however_long_the_stream(upstream: str, client: str) -> None:
    source = CASES[upstream]["truncated"]
    this = Translator(upstream, client, max_held_bytes=100_000)
    this.feed(source)
    delta = {
        "chat": sse(chat_chunk({"content": "x" * 1000})),
        "anthropic": sse(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 1000}}
        ),
        "responses": sse({"type": "response.output_text.delta", "output_index": 0, "delta": "x" * 1000}),
        "gemini": gemini(gemini_chunk({"text": "x" * 1000})),
    }[upstream]
    for _ in range(1000):
        this.feed(delta)
        assert this.held <= 101_000
        assert this.pending == 0
    if client == "responses":
        assert this.error is not None
        assert not this.finished
    else:
        assert this.held == 0
        assert this.error is None


def test_what_is_not_translated_is_refused() -> None:
    for pair in (("anthropic", "anthropic"), ("responses", "responses"), ("ollama-generate", "ollama"), ("x", "chat")):
        with pytest.raises(ValueError, match="translation"):
            Translator(*pair)
    with pytest.raises(ValueError, match="quirks"):
        Translator("chat", "chat", quirks=["nope"])


def test_the_first_token_is_passed_on_at_once() -> None:
    for upstream, client in PAIRS:
        body = CASES[upstream]["truncated"]
        this = Translator(upstream, client)
        assert b"Half of" in this.feed(body)


def test_a_thought_too_long_to_keep_is_sent_without_its_signature() -> None:
    thinking = [{"type": "thinking_delta", "thinking": "x" * 1_000_000} for _ in range(5)]
    start = {"type": "thinking", "thinking": "", "signature": ""}
    body = anthropic(*block(0, start, *thinking, {"type": "signature_delta", "signature": "c2ln"}))
    this, out = run("anthropic", "chat", body)
    choice = fold("chat", out)["choices"][0]
    assert (len(choice["reasoning"]), choice["signatures"]) == (5_000_000, [])
    assert this.dropped == ["signature"]


def test_what_needs_no_repair_goes_on_as_it_came() -> None:
    chunk = sse(chat_chunk({"content": "a"}, usage=None, obfuscation="x"))
    this = Translator("chat", "chat", include_usage=True)
    this.feed(sse(FIRST))
    assert this.feed(chunk) == chunk
    this = Translator("chat", "chat", include_usage=True, model="smart")
    this.feed(sse(FIRST))
    assert this.feed(chunk) == chunk.replace(b"m-1", b"smart")
