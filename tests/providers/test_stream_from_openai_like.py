"""What OpenAI-like upstreams get wrong, and Ollama: TRANSLATION §10; one test a rule."""

import json
from typing import Any

import pytest

from tests.providers.folding import events, fold
from tests.providers.stream_cases import (
    CHAT,
    FIRST,
    chat_call,
    chat_chunk,
    lines,
    ollama_line,
    sse,
)
from tests.providers.translating import folded, only, run

# §10: OpenAI-like upstreams ------------------------------------------------------------------------------------------


def test_10_azures_empty_first_chunk_goes() -> None:
    empty = {"choices": [], "id": "", "model": "", "object": "", "created": 0, "prompt_filter_results": []}
    for client in ("chat", "anthropic"):
        answer = folded("chat", client, sse(empty) + CHAT["text"])
        assert (answer["id"], answer["model"]) == ("chatcmpl-7", "m-1")


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


@pytest.mark.parametrize(
    "tail",
    [
        [chat_chunk({}, "stop"), chat_chunk({"role": "assistant", "content": ""}, "stop", usage=USAGE)],  # OpenRouter
        [chat_chunk({"content": ""}, "stop", usage=USAGE)],  # DeepSeek, Mistral, Z.ai
        [chat_chunk({}, "stop", x_groq={"usage": USAGE}), chat_chunk(None, usage=USAGE)],  # Groq
    ],
)
def test_10_one_finish_and_one_usage(tail: list[dict[str, Any]]) -> None:
    body = sse(FIRST, chat_chunk({"content": "a"}), *tail, "[DONE]")
    for client in ("chat", "anthropic", "responses", "gemini"):
        this, out = run("chat", client, body)
        assert fold(client, out)["choices"][0]["text"] == "a"
        assert this.usage is not None
        assert (this.usage.input_tokens, this.usage.output_tokens) == (5, 2)
    assert folded("chat", "chat", body)["usage"] == USAGE


def test_10_a_missing_finish_reason_key_and_a_role_in_every_chunk() -> None:
    body = sse(
        *[
            {**chat_chunk(None), "choices": [{"index": 0, "delta": {"role": "assistant", "content": part}}]}
            for part in "ab"
        ],
        chat_chunk({"role": "assistant"}, "stop"),
        "[DONE]",
    )
    assert only("chat", "chat", body)["text"] == "ab"


@pytest.mark.parametrize("client", ["chat", "anthropic", "responses", "gemini"])
def test_10_tool_call_slips(client: str) -> None:
    body = sse(
        FIRST,
        chat_chunk(chat_call(0, id="a", type="function", function={"name": "f"})),  # no arguments key
        chat_chunk(
            chat_call(0, id="a", type="function", function={"name": "f", "arguments": '{"x":'})
        ),  # id and name again
        chat_chunk(chat_call(0, id=None, type=None, function={"name": None, "arguments": "1}"})),
        chat_chunk(
            {"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": {"y": 2}}}]}
        ),  # no index, an object
        chat_chunk(
            {"tool_calls": [{"function": {"name": "h", "arguments": "{}"}, "type": "function"}]}, "stop"
        ),  # no id, with the finish
        "[DONE]",
    )
    choice = only("chat", client, body)
    assert [(name, json.loads(text)) for _, name, text in choice["calls"]] == [
        ("f", {"x": 1}),
        ("g", {"y": 2}),
        ("h", {}),
    ]
    assert [call[0] for call in choice["calls"]][:2] == ["a", "b"]
    assert choice["calls"][2][0].startswith("call_")
    assert choice["finish"] in ("tool_calls", "tool_use", "completed", "STOP")


def test_10_two_calls_under_one_index_are_two_calls() -> None:
    body = sse(
        *[chat_chunk(chat_call(0, id=id, function={"name": "f", "arguments": "{}"})) for id in "ab"],
        chat_chunk({}, "tool_calls"),
        "[DONE]",
    )
    for client in ("chat", "anthropic"):
        assert [call[0] for call in only("chat", client, body)["calls"]] == ["a", "b"]


def test_10_no_finish_reason_before_done_is_made_up() -> None:
    call = chat_chunk(chat_call(0, id="a", function={"name": "f", "arguments": "{}"}))
    assert only("chat", "chat", sse(FIRST, call, "[DONE]"))["finish"] == "tool_calls"
    assert only("chat", "chat", sse(FIRST, "[DONE]"))["finish"] == "stop"


def test_10_mistrals_list_of_parts_is_flattened() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "14"},
        {"type": "text", "text": "4"},
    ]
    for client in ("chat", "anthropic", "responses", "gemini"):
        choice = only("chat", client, sse(FIRST, chat_chunk({"content": parts}), chat_chunk({}, "stop"), "[DONE]"))
        assert (choice["text"], choice["reasoning"]) == ("144", "hm")


def test_10_no_done_after_a_finish_reason_is_an_end() -> None:
    body = CHAT["tools"].removesuffix(b"data: [DONE]\n\n")
    for client in ("chat", "anthropic", "responses", "gemini"):
        assert run("chat", client, body)[1] == run("chat", client, CHAT["tools"])[1]


@pytest.mark.parametrize(
    ("event", "message", "status"),
    [
        (
            b'event: error\ndata: {"error":{"message":"m","code":"tool_use_failed","status_code":400}}\n\n',
            "m",
            400,
        ),
        (b'event: error\ndata: {"message":"m"}\n\n', "m", 500),
        (
            sse(
                {**chat_chunk({"content": ""}, "error"), "error": {"code": 502, "message": "m"}},
                chat_chunk({"content": "more"}),
            ),
            "m",
            502,
        ),
        (sse({"object": "error", "message": "m", "type": "BadRequestError", "code": 400}), "m", 400),
        (sse({"code": "invalid-argument", "error": "m"}), "m", 500),
    ],
)
def test_10_errors_inside_the_stream_stop_it(event: bytes, message: str, status: int) -> None:
    for client in ("chat", "anthropic", "responses", "gemini"):
        this, out = run("chat", client, sse(FIRST) + event)
        assert fold(client, out)["error"]["message"] == message
        assert this.error_status == status
        assert b"more" not in out


def test_10_other_fields_are_carried_through_between_chat_and_chat() -> None:
    body = sse(
        FIRST,
        chat_chunk({"content": "a", "x": {"y": 1}}, provider="P", citations=["http://a"]),
        chat_chunk({}, "stop", x_groq={"id": "r"}),
        "[DONE]",
    )
    _, out = run("chat", "chat", body)
    chunk = json.loads(events(out)[1][1])
    assert (chunk["provider"], chunk["citations"], chunk["choices"][0]["delta"]["x"]) == ("P", ["http://a"], {"y": 1})


def test_10_reasoning_has_one_name_unless_it_is_to_be_kept() -> None:
    body = sse(FIRST, chat_chunk({"reasoning": "hm"}), chat_chunk({}, "stop"), "[DONE]")
    assert b'"reasoning_content":"hm"' in run("chat", "chat", body)[1]
    assert b'"reasoning":"hm"' in run("chat", "chat", body, quirks={"keep_reasoning"})[1]


def test_10_a_whole_answer_instead_of_a_stream_is_told() -> None:
    whole = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    for client in ("chat", "anthropic", "responses", "gemini"):
        assert only("chat", client, json.dumps(whole).encode())["text"] == "hi"


def test_10_ollama_lines_without_prompt_count_and_with_generate_form() -> None:
    body = lines(
        {"model": "m", "response": "a", "done": False},
        {"model": "m", "response": "", "done": True, "done_reason": "stop", "eval_count": 3},
    )
    answer = folded("ollama", "chat", body)
    assert answer["choices"][0]["text"] == "a"
    assert answer["usage"] == {"prompt_tokens": 0, "completion_tokens": 3, "total_tokens": 3}


def test_10_ollama_calls_get_ids_of_their_own() -> None:
    call = {"function": {"name": "f", "arguments": {"n": 1}}}
    calls = only("ollama", "chat", lines(ollama_line(tool_calls=[call, call]), ollama_line(True)))["calls"]
    assert len({id for id, _, _ in calls}) == 2
    assert all(len(id) == 29 and id.startswith("call_") for id, _, _ in calls)
