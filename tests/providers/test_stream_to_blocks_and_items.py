"""Anthropic blocks and Responses items from anything: TRANSLATION §14.3, §15.3; one test a rule."""

import json
from typing import Any

from tests.providers.folding import events
from tests.providers.stream_cases import (
    CHAT,
    FIRST,
    arguments,
    call_item,
    chat_call,
    chat_chunk,
    item,
    message,
    responses,
    sse,
)
from tests.providers.translating import folded, only, run

# §14.3: to Anthropic -------------------------------------------------------------------------------------------------


def test_14_3_interleaved_calls_and_text_become_blocks_one_after_the_other() -> None:
    def start(index: int, name: str) -> dict[str, Any]:
        return chat_chunk(chat_call(index, id=f"c{index}", type="function", function={"name": name, "arguments": ""}))

    def more(index: int, text: str) -> dict[str, Any]:
        return chat_chunk(chat_call(index, function={"arguments": text}))

    body = sse(
        FIRST,
        start(0, "f"),
        start(1, "g"),
        more(1, '{"b":'),
        more(0, '{"a":'),
        start(2, "h"),
        chat_chunk({"content": "between"}),
        more(2, "{}"),
        more(1, '"}"}'),
        more(0, "1}"),
        chat_chunk({"content": " after"}),
        chat_chunk({}, "tool_calls"),
        "[DONE]",
    )
    answer = folded("chat", "anthropic", body)
    assert answer["choices"][0]["calls"] == [["c0", "f", '{"a":1}'], ["c1", "g", '{"b":"}"}'], ["c2", "h", "{}"]]
    assert answer["choices"][0]["text"] == "between after"
    assert folded("chat", "responses", body)["choices"][0]["calls"] == answer["choices"][0]["calls"]
    assert sorted(folded("chat", "gemini", body)["choices"][0]["calls"]) == [
        ["c0", "f", '{"a": 1}'],
        ["c1", "g", '{"b": "}"}'],
        ["c2", "h", "{}"],
    ]


def test_14_3_empty_content_opens_no_block() -> None:
    answer = folded(
        "chat",
        "anthropic",
        sse(FIRST, chat_chunk({"content": None}), chat_chunk({"content": ""}), chat_chunk({}, "stop"), "[DONE]"),
    )
    assert answer["blocks"] == []


def test_14_3_thinking_text_and_tools_are_blocks_in_order() -> None:
    body = sse(
        FIRST,
        chat_chunk({"reasoning_content": "hm"}),
        chat_chunk({"content": "a"}),
        chat_chunk(chat_call(0, id="c", function={"name": "f", "arguments": "{}"})),
        chat_chunk({"content": "b"}),
        chat_chunk({}, "tool_calls"),
        "[DONE]",
    )
    assert folded("chat", "anthropic", body)["blocks"] == ["thinking", "text", "tool_use", "text"]


def test_14_3_arguments_before_the_name_wait_for_it() -> None:
    body = sse(
        FIRST,
        chat_chunk(chat_call(0, function={"arguments": '{"a"'})),
        chat_chunk(chat_call(0, id="c", function={"name": "f", "arguments": ":1}"})),
        chat_chunk({}, "tool_calls"),
        "[DONE]",
    )
    for client in ("chat", "anthropic", "responses"):
        assert only("chat", client, body)["calls"] == [["c", "f", '{"a":1}']]


def test_14_3_a_refusal_is_text_and_a_stop_reason() -> None:
    body = sse(FIRST, chat_chunk({"refusal": "No."}), chat_chunk({}, "stop"), "[DONE]")
    choice = only("chat", "anthropic", body)
    assert (choice["text"], choice["finish"]) == ("No.", "refusal")


# §15.3: to Responses -------------------------------------------------------------------------------------------------


def test_15_3_a_refusal_is_a_part_of_its_own() -> None:
    body = sse(
        FIRST, chat_chunk({"content": "Well. "}), chat_chunk({"refusal": "No."}), chat_chunk({}, "stop"), "[DONE]"
    )
    answer = folded("chat", "responses", body)
    assert answer["choices"][0]["refusal"] == "No."
    assert [part["type"] for part in answer["response"]["output"][0]["content"]] == ["output_text", "refusal"]


def test_15_3_an_error_is_an_error_event_and_response_failed() -> None:
    _, out = run("chat", "responses", CHAT["error"])
    assert [name for name, _ in events(out)][-2:] == ["error", "response.failed"]
    assert json.loads(events(out)[-2][1])["code"] == "rate_limit_exceeded"


def test_15_3_the_request_is_echoed() -> None:
    tools = [{"type": "function", "name": "f"}]
    response = folded("chat", "responses", CHAT["text"], echo={"tools": tools, "temperature": 0.5})["response"]
    assert (response["tools"], response["temperature"]) == (tools, 0.5)


def test_15_3_what_the_deltas_left_out_is_taken_from_the_items() -> None:
    text = message(0, "told at the end")
    body = responses(
        *[event for event in text if not event["type"].endswith(".delta")],
        item("added", 1, call_item(1, "f")),
        item("done", 1, call_item(1, "f", '{"a":1}')),
    )
    choice = only("responses", "chat", body)
    assert choice["text"] == "told at the end"
    assert choice["calls"] == [["call_1", "f", '{"a":1}']]


def test_15_3_a_failed_response_is_an_error() -> None:
    body = responses(*message(0, "a"), status="failed", error={"code": "server_error", "message": "broken"})
    assert folded("responses", "chat", body)["error"]["message"] == "broken"


def test_15_3_done_is_no_end_of_a_responses_stream() -> None:
    body = responses(*message(0, "a", done=False), status="") + b"data: [DONE]\n\n"
    assert run("responses", "chat", body)[0].truncated


def test_15_3_arguments_of_parallel_items_keep_apart() -> None:
    body = responses(
        item("added", 0, call_item(0, "f")),
        item("added", 1, call_item(1, "g")),
        arguments(0, '{"a"'),
        arguments(1, "{"),
        arguments(0, ":1}"),
        arguments(1, "}"),
        item("done", 1, call_item(1, "g", "{}")),
        item("done", 0, call_item(0, "f", '{"a":1}')),
    )
    for client in ("chat", "anthropic"):
        assert only("responses", client, body)["calls"] == [["call_0", "f", '{"a":1}'], ["call_1", "g", "{}"]]
