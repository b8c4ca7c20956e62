"""Anthropic and Gemini as upstreams: TRANSLATION §8, §9; one test a rule."""

import json
from typing import Any

import pytest

from tests.providers.folding import events
from tests.providers.stream_cases import (
    ANTHROPIC,
    GEMINI,
    START,
    anthropic,
    block,
    gemini,
    gemini_chunk,
    sse,
    text_block,
)
from tests.providers.translating import folded, only, run

# §8: Anthropic -------------------------------------------------------------------------------------------------------


def test_8_tool_index_counts_tool_blocks_only_and_server_tools_are_not_calls() -> None:
    body = anthropic(
        *text_block(0, "a"),
        *block(
            1,
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"q":1}'},
        ),
        *block(2, {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}),
        *block(
            3,
            {"type": "tool_use", "id": "t", "name": "f", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"a":1}'},
        ),
        reason="tool_use",
    )
    assert only("anthropic", "chat", body)["calls"] == [["t", "f", '{"a":1}']]
    assert run("anthropic", "chat", body)[0].dropped == ["server_tool_use", "web_search_tool_result"]


def test_8_a_second_message_start_does_not_start_again() -> None:
    again = {**START["message"], "id": "msg_8"}
    body = (
        sse(START, {"type": "message_start", "message": again}, *text_block(0, "a"), names=True)
        + ANTHROPIC["empty"].split(b"\n\n", 2)[2]
    )
    assert folded("anthropic", "chat", body)["id"] == "msg_7"


def test_8_input_in_the_block_start_is_the_whole_input() -> None:
    body = anthropic(*block(0, {"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1]}}), reason="tool_use")
    assert only("anthropic", "chat", body)["calls"] == [["t", "f", '{"a":[1]}']]


def test_8_usage_of_message_delta_is_cumulative_and_may_correct_the_input() -> None:
    delta = {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"input_tokens": 7, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}},
    }
    body = sse(
        START,
        *text_block(0, "a"),
        {**delta, "usage": {"output_tokens": 3}},
        delta,
        {"type": "message_stop"},
        names=True,
    )
    told = folded("anthropic", "chat", body)["usage"]
    assert (told["prompt_tokens"], told["completion_tokens"], told["completion_tokens_details"]) == (
        67,
        9,
        {"reasoning_tokens": 4},
    )


def test_8_unknown_events_and_deltas_are_ignored() -> None:
    body = anthropic(
        {"type": "new_event", "x": 1},
        *block(0, {"type": "text", "text": ""}, {"type": "new_delta"}, {"type": "text_delta", "text": "a"}),
    )
    assert only("anthropic", "chat", body)["text"] == "a"


def test_8_padding_in_the_json_makes_no_difference() -> None:
    plain = ANTHROPIC["tools"]
    assert run("anthropic", "chat", plain.replace(b"}\n\n", b"  }   \n\n"))[1] == run("anthropic", "chat", plain)[1]


def test_8_a_stream_that_lost_its_message_start_is_told_all_the_same() -> None:
    body = ANTHROPIC["text"].split(b"\n\n", 1)[1]
    for client in ("chat", "responses", "gemini"):
        assert only("anthropic", client, body)["text"] == only("anthropic", client, ANTHROPIC["text"])["text"]


@pytest.mark.parametrize("odd", [[], {}, None, 1.5, True])
def test_8_9_members_of_the_wrong_type_raise_nothing(odd: object) -> None:
    first = {"type": "content_block_start", "index": odd, "content_block": {"type": "text", "text": odd}}
    body = anthropic(first, {"type": "content_block_stop", "index": odd}, *text_block(1, "a"))
    assert only("anthropic", "chat", body)["text"] == "a"
    chunk = gemini_chunk({"text": "a"}, finish="STOP")
    chunk["candidates"][0] |= {"finishReason": odd or "STOP", "groundingMetadata": odd}
    assert only("gemini", "chat", gemini(chunk, chunk | {"candidates": odd}))["text"] == "a"


def test_8_a_stop_without_a_reason_is_truncated() -> None:
    body = sse(START, *text_block(0, "a"), {"type": "message_stop"}, names=True)
    assert folded("anthropic", "chat", body)["error"]["code"] == "upstream_error"


def test_8_citations_become_annotations() -> None:
    cite = {
        "type": "web_search_result_location",
        "url": "http://a",
        "title": "A",
        "cited_text": "x",
        "encrypted_index": "e",
    }
    body = anthropic(
        *text_block(0, "Grüße "),
        *block(
            1,
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "ab"},
            {"type": "citations_delta", "citation": cite},
        ),
    )
    assert only("anthropic", "chat", body)["annotations"] == [
        {
            "index": 0,
            "type": "url_citation",
            "url_citation": {"url": "http://a", "title": "A", "start_index": 6, "end_index": 8},
        }
    ]
    assert only("anthropic", "responses", body)["annotations"] == [
        {"type": "url_citation", "url": "http://a", "title": "A", "start_index": 6, "end_index": 8}
    ]
    assert only("anthropic", "gemini", body)["annotations"] == [{"uri": "http://a", "title": "A"}]


# §9: Gemini ----------------------------------------------------------------------------------------------------------


def test_9_stop_with_a_call_in_any_chunk_is_tool_calls() -> None:
    choice = only("gemini", "chat", GEMINI["tools"])
    assert choice["finish"] == "tool_calls"
    assert [call[1] for call in choice["calls"]] == ["weather", "now"]


def test_9_the_array_form_reads_like_the_events() -> None:
    chunks = [json.loads(data) for _, data in events(GEMINI["tools"].replace(b"\r\n", b"\n"))]
    array = json.dumps(chunks, indent=2, ensure_ascii=False).encode()
    for client in ("chat", "anthropic", "responses", "gemini", "gemini-array"):
        assert run("gemini", client, array)[1].replace(b" ", b"") == run("gemini", client, GEMINI["tools"])[1].replace(
            b" ", b""
        )


def test_9_long_integers_in_arguments_survive() -> None:
    call = b'{"functionCall":{"name":"f","args":{"n": 123456789012345678901234567890, "f": 1.10}}}'
    body = b'data: {"candidates":[{"content":{"parts":[' + call + b']},"finishReason":"STOP"}]}\n\n'
    assert only("gemini", "chat", body)["calls"][0][2] == '{"n":123456789012345678901234567890,"f":1.10}'


def test_9_partial_arguments_are_collected() -> None:
    def piece(more: bool, *args: dict[str, Any], name: str = "") -> dict[str, Any]:
        return gemini_chunk({"functionCall": {"name": name, "willContinue": more, "partialArgs": list(args)}})

    body = gemini(
        piece(True, {"jsonPath": "$.city", "stringValue": "Kö", "willContinue": True}, name="f"),
        piece(True, {"jsonPath": "$.city", "stringValue": "ln"}, {"jsonPath": "$.list[1].n", "numberValue": 2}),
        piece(False),
        gemini_chunk(finish="STOP"),
    )
    assert json.loads(only("gemini", "chat", body)["calls"][0][2]) == {"city": "Köln", "list": [None, {"n": 2}]}


def test_9_a_block_without_candidates_is_content_filter() -> None:
    choice = only(
        "gemini",
        "chat",
        gemini(
            {
                "promptFeedback": {"blockReason": "SAFETY"},
                "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4},
            }
        ),
    )
    assert (choice["text"], choice["finish"]) == ("", "content_filter")


def test_9_images_are_an_extension_and_code_is_dropped() -> None:
    body = gemini(
        gemini_chunk(
            {"inlineData": {"mimeType": "image/png", "data": "AA=="}},
            {"executableCode": {"code": "1"}},
            {"text": "ok"},
            finish="STOP",
        )
    )
    choice = only("gemini", "chat", body)
    assert choice["media"] == [{"index": 0, "type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    assert choice["text"] == "ok"
    assert run("gemini", "anthropic", body)[0].dropped == ["executableCode", "images"]
