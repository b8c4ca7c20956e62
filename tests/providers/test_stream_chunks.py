"""chat.completion.chunk as we emit it: TRANSLATION §7; one test a rule."""

import json
from typing import Any

import pytest

from tests.providers.folding import events, fold
from tests.providers.stream_cases import (
    ANTHROPIC,
    CASES,
    FIRST,
    GEMINI,
    PAIRS,
    chat_call,
    chat_chunk,
    gemini,
    gemini_chunk,
    lines,
    sse,
)
from tests.providers.translating import folded, only, run

# §7: the chunks we emit ----------------------------------------------------------------------------------------------


def test_7_3_id_created_model_and_object_are_the_same_in_all_chunks() -> None:
    _, out = run("anthropic", "chat", ANTHROPIC["tools"], model="smart")
    frames = {
        (c["id"], c["created"], c["model"], c["object"])
        for _, d in events(out)
        if d != "[DONE]"
        for c in [json.loads(d)]
    }
    assert frames == {("msg_7", 1700000000, "smart", "chat.completion.chunk")}


def test_7_4_the_first_chunk_has_the_role_and_content_null_before_a_tool_call() -> None:
    def first(body: bytes) -> Any:
        return json.loads(events(run("gemini", "chat", body)[1])[0][1])["choices"][0]["delta"]

    assert first(GEMINI["text"]) == {"role": "assistant", "content": ""}
    call = gemini(gemini_chunk({"functionCall": {"name": "f", "args": {}}}, finish="STOP"))
    assert first(call) == {"role": "assistant", "content": None}


def test_7_6_a_call_without_arguments_produces_an_empty_object() -> None:
    body = sse(
        FIRST,
        chat_chunk(chat_call(0, id="c", type="function", function={"name": "f"})),
        chat_chunk({}, "tool_calls"),
        "[DONE]",
    )
    assert only("chat", "chat", body)["calls"] == [["c", "f", "{}"]]
    assert only("chat", "responses", body)["calls"] == [["c", "f", "{}"]]


@pytest.mark.parametrize("asked", [True, False])
def test_7_8_usage_comes_in_its_own_chunk_and_only_when_asked_for(asked: bool) -> None:
    this, out = run("anthropic", "chat", ANTHROPIC["usage"], include_usage=asked)
    chunks = [json.loads(data) for _, data in events(out)[:-1]]
    assert [chunk["choices"] for chunk in chunks].count([]) == asked
    assert all(("usage" in chunk) == asked for chunk in chunks)
    assert this.usage is not None
    assert this.usage.input_tokens == 100


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
@pytest.mark.parametrize("case", ["error", "truncated"])
def test_7_10_an_error_in_the_stream_is_no_success(upstream: str, client: str, case: str) -> None:
    this, out = run(upstream, client, CASES[upstream][case])
    for word in (
        b"[DONE]",
        b"message_stop",
        b"response.completed",
        b'"finishReason":"STOP"',
        b'"finish_reason":"stop"',
    ):
        assert word not in out
    assert fold(client, out)["error"]
    assert this.error is not None
    assert this.started
    assert this.done
    assert not this.finished
    assert this.truncated is (case == "truncated")
    assert this.feed(CASES[upstream]["text"]) == b""
    assert this.flush() == b""


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_7_10_an_error_before_anything_else_leaves_started_unset(upstream: str, client: str) -> None:
    body = (
        lines({"error": "no"})
        if upstream == "ollama"
        else sse({"type": "error", "error": {"type": "overloaded_error", "message": "no"}})
    )
    this, out = run(upstream, client, body)
    assert not this.started
    assert this.error_status == (500 if upstream == "ollama" else 529)
    assert fold(client, out)["error"]["message"] == "no"


def test_7_11_choices_interleave_with_their_own_tool_indices() -> None:
    def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**chat_chunk(None), "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}

    call = chat_call(0, id="a", type="function", function={"name": "f", "arguments": "{}"})
    body = sse(
        chunk(1, {"role": "assistant", "content": "b"}),
        chunk(0, {"content": "a"}),
        chunk(1, call),
        chunk(0, {}, "stop"),
        chunk(1, {}, "tool_calls"),
        "[DONE]",
    )
    for client in ("chat", "gemini"):
        answer = folded("chat", client, body)
        assert [answer["choices"][i]["text"] for i in (0, 1)] == ["a", "b"]
        assert answer["choices"][1]["calls"] == [["a", "f", "{}"]]
    this, _ = run("chat", "anthropic", body)
    assert this.dropped == ["choices"]


def test_7_13_every_list_in_a_delta_is_indexed() -> None:
    note = {"type": "url_citation", "url_citation": {"url": "http://a", "title": "A", "start_index": 0, "end_index": 2}}
    body = sse(
        FIRST,
        chat_chunk({"content": "ok", "annotations": [note, note]}),
        chat_chunk({"annotations": [note]}),
        chat_chunk({}, "stop"),
        "[DONE]",
    )
    assert [one["index"] for one in only("chat", "chat", body)["annotations"]] == [0, 1, 2]
