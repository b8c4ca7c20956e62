"""The rules of TRANSLATION for streams, one test a rule, named by its section."""

import json
from typing import Any

import pytest

from switchgear.hotpath._translate import Translator
from switchgear.wire import signatures
from tests.providers.folding import Fold, events, fold
from tests.providers.stream_cases import (
    ANTHROPIC,
    CASES,
    CHAT,
    FIRST,
    GEMINI,
    PAIRS,
    START,
    anthropic,
    arguments,
    block,
    call_item,
    chat_call,
    chat_chunk,
    gemini,
    gemini_chunk,
    item,
    lines,
    message,
    ollama_line,
    responses,
    sse,
    text_block,
)

SEED = "00112233445566778899aabbccddeeff"


def run(upstream: str, client: str, body: bytes, **options: Any) -> tuple[Translator, bytes]:
    this = Translator(upstream, client, **{"include_usage": True, "seed": SEED, "created": 1700000000, **options})
    return this, this.feed(body) + this.flush()


def folded(upstream: str, client: str, body: bytes, **options: Any) -> Fold:
    return fold(client, run(upstream, client, body, **options)[1])


def only(upstream: str, client: str, body: bytes, **options: Any) -> dict[str, Any]:
    answer = folded(upstream, client, body, **options)
    assert answer["error"] is None
    return answer["choices"][0]


# §7: the chunks we emit ----------------------------------------------------------------------------------------------


def test_7_3_id_created_model_and_object_are_the_same_in_all_chunks() -> None:
    _, out = run("anthropic", "chat", ANTHROPIC["tools"], model="smart")
    frames = {(c["id"], c["created"], c["model"], c["object"]) for _, d in events(out) if d != "[DONE]" for c in [json.loads(d)]}
    assert frames == {("msg_7", 1700000000, "smart", "chat.completion.chunk")}


def test_7_4_the_first_chunk_has_the_role_and_content_null_before_a_tool_call() -> None:
    def first(body: bytes) -> Any:
        return json.loads(events(run("gemini", "chat", body)[1])[0][1])["choices"][0]["delta"]

    assert first(GEMINI["text"]) == {"role": "assistant", "content": ""}
    call = gemini(gemini_chunk({"functionCall": {"name": "f", "args": {}}}, finish="STOP"))
    assert first(call) == {"role": "assistant", "content": None}


def test_7_6_a_call_without_arguments_produces_an_empty_object() -> None:
    body = sse(FIRST, chat_chunk(chat_call(0, id="c", type="function", function={"name": "f"})), chat_chunk({}, "tool_calls"), "[DONE]")
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
    for word in (b"[DONE]", b"message_stop", b"response.completed", b'"finishReason":"STOP"', b'"finish_reason":"stop"'):
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
    body = lines({"error": "no"}) if upstream == "ollama" else sse({"type": "error", "error": {"type": "overloaded_error", "message": "no"}})
    this, out = run(upstream, client, body)
    assert not this.started
    assert this.error_status == (500 if upstream == "ollama" else 529)
    assert fold(client, out)["error"]["message"] == "no"


def test_7_11_choices_interleave_with_their_own_tool_indices() -> None:
    def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**chat_chunk(None), "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}

    call = chat_call(0, id="a", type="function", function={"name": "f", "arguments": "{}"})
    body = sse(chunk(1, {"role": "assistant", "content": "b"}), chunk(0, {"content": "a"}), chunk(1, call), chunk(0, {}, "stop"), chunk(1, {}, "tool_calls"), "[DONE]")
    for client in ("chat", "gemini"):
        answer = folded("chat", client, body)
        assert [answer["choices"][i]["text"] for i in (0, 1)] == ["a", "b"]
        assert answer["choices"][1]["calls"] == [["a", "f", "{}"]]
    this, _ = run("chat", "anthropic", body)
    assert this.dropped == ["choices"]


def test_7_13_every_list_in_a_delta_is_indexed() -> None:
    note = {"type": "url_citation", "url_citation": {"url": "http://a", "title": "A", "start_index": 0, "end_index": 2}}
    body = sse(FIRST, chat_chunk({"content": "ok", "annotations": [note, note]}), chat_chunk({"annotations": [note]}), chat_chunk({}, "stop"), "[DONE]")
    assert [one["index"] for one in only("chat", "chat", body)["annotations"]] == [0, 1, 2]


# §8: Anthropic -------------------------------------------------------------------------------------------------------


def test_8_tool_index_counts_tool_blocks_only_and_server_tools_are_not_calls() -> None:
    body = anthropic(
        *text_block(0, "a"),
        *block(1, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, {"type": "input_json_delta", "partial_json": '{"q":1}'}),
        *block(2, {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}),
        *block(3, {"type": "tool_use", "id": "t", "name": "f", "input": {}}, {"type": "input_json_delta", "partial_json": '{"a":1}'}),
        reason="tool_use",
    )
    assert only("anthropic", "chat", body)["calls"] == [["t", "f", '{"a":1}']]
    assert run("anthropic", "chat", body)[0].dropped == ["server_tool_use", "web_search_tool_result"]


def test_8_a_second_message_start_does_not_start_again() -> None:
    body = sse(START, {**START, "message": {**START["message"], "id": "msg_8"}}, *text_block(0, "a"), names=True) + ANTHROPIC["empty"].split(b"\n\n", 2)[2]
    assert folded("anthropic", "chat", body)["id"] == "msg_7"


def test_8_input_in_the_block_start_is_the_whole_input() -> None:
    body = anthropic(*block(0, {"type": "tool_use", "id": "t", "name": "f", "input": {"a": [1]}}), reason="tool_use")
    assert only("anthropic", "chat", body)["calls"] == [["t", "f", '{"a":[1]}']]


def test_8_usage_of_message_delta_is_cumulative_and_may_correct_the_input() -> None:
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 7, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}}
    body = sse(START, *text_block(0, "a"), {**delta, "usage": {"output_tokens": 3}}, delta, {"type": "message_stop"}, names=True)
    told = folded("anthropic", "chat", body)["usage"]
    assert (told["prompt_tokens"], told["completion_tokens"], told["completion_tokens_details"]) == (67, 9, {"reasoning_tokens": 4})


def test_8_unknown_events_and_deltas_are_ignored() -> None:
    body = anthropic({"type": "new_event", "x": 1}, *block(0, {"type": "text", "text": ""}, {"type": "new_delta"}, {"type": "text_delta", "text": "a"}))
    assert only("anthropic", "chat", body)["text"] == "a"


def test_8_padding_in_the_json_makes_no_difference() -> None:
    plain = ANTHROPIC["tools"]
    assert run("anthropic", "chat", plain.replace(b"}\n\n", b"  }   \n\n"))[1] == run("anthropic", "chat", plain)[1]


def test_8_a_stop_without_a_reason_is_truncated() -> None:
    body = sse(START, *text_block(0, "a"), {"type": "message_stop"}, names=True)
    assert folded("anthropic", "chat", body)["error"]["code"] == "upstream_error"


def test_8_citations_become_annotations() -> None:
    cite = {"type": "web_search_result_location", "url": "http://a", "title": "A", "cited_text": "x", "encrypted_index": "e"}
    body = anthropic(*text_block(0, "Grüße "), *block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "ab"}, {"type": "citations_delta", "citation": cite}))
    assert only("anthropic", "chat", body)["annotations"] == [
        {"index": 0, "type": "url_citation", "url_citation": {"url": "http://a", "title": "A", "start_index": 6, "end_index": 8}}
    ]
    assert only("anthropic", "responses", body)["annotations"] == [{"type": "url_citation", "url": "http://a", "title": "A", "start_index": 6, "end_index": 8}]
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
        assert run("gemini", client, array)[1].replace(b" ", b"") == run("gemini", client, GEMINI["tools"])[1].replace(b" ", b"")


def test_9_long_integers_in_arguments_survive() -> None:
    body = b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"n": 123456789012345678901234567890, "f": 1.10}}}]},"finishReason":"STOP"}]}\n\n'
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
    choice = only("gemini", "chat", gemini({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4}}))
    assert (choice["text"], choice["finish"]) == ("", "content_filter")


def test_9_images_are_an_extension_and_code_is_dropped() -> None:
    body = gemini(gemini_chunk({"inlineData": {"mimeType": "image/png", "data": "AA=="}}, {"executableCode": {"code": "1"}}, {"text": "ok"}, finish="STOP"))
    choice = only("gemini", "chat", body)
    assert choice["media"] == [{"index": 0, "type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    assert choice["text"] == "ok"
    assert run("gemini", "anthropic", body)[0].dropped == ["executableCode", "images"]


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
    body = sse(*[{**chat_chunk(None), "choices": [{"index": 0, "delta": {"role": "assistant", "content": part}}]} for part in "ab"], chat_chunk({"role": "assistant"}, "stop"), "[DONE]")
    assert only("chat", "chat", body)["text"] == "ab"


@pytest.mark.parametrize("client", ["chat", "anthropic", "responses", "gemini"])
def test_10_tool_call_slips(client: str) -> None:
    body = sse(
        FIRST,
        chat_chunk(chat_call(0, id="a", type="function", function={"name": "f"})),  # no arguments key
        chat_chunk(chat_call(0, id="a", type="function", function={"name": "f", "arguments": '{"x":'})),  # id and name again
        chat_chunk(chat_call(0, id=None, type=None, function={"name": None, "arguments": "1}"})),
        chat_chunk({"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": {"y": 2}}}]}),  # no index, an object
        chat_chunk({"tool_calls": [{"function": {"name": "h", "arguments": "{}"}, "type": "function"}]}, "stop"),  # no id, with the finish
        "[DONE]",
    )
    choice = only("chat", client, body)
    assert [(name, json.loads(text)) for _, name, text in choice["calls"]] == [("f", {"x": 1}), ("g", {"y": 2}), ("h", {})]
    assert [call[0] for call in choice["calls"]][:2] == ["a", "b"]
    assert choice["calls"][2][0].startswith("call_")
    assert choice["finish"] in ("tool_calls", "tool_use", "completed", "STOP")


def test_10_two_calls_under_one_index_are_two_calls() -> None:
    body = sse(*[chat_chunk(chat_call(0, id=id, function={"name": "f", "arguments": "{}"})) for id in "ab"], chat_chunk({}, "tool_calls"), "[DONE]")
    for client in ("chat", "anthropic"):
        assert [call[0] for call in only("chat", client, body)["calls"]] == ["a", "b"]


def test_10_no_finish_reason_before_done_is_made_up() -> None:
    call = chat_chunk(chat_call(0, id="a", function={"name": "f", "arguments": "{}"}))
    assert only("chat", "chat", sse(FIRST, call, "[DONE]"))["finish"] == "tool_calls"
    assert only("chat", "chat", sse(FIRST, "[DONE]"))["finish"] == "stop"


def test_10_mistrals_list_of_parts_is_flattened() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "14"}, {"type": "text", "text": "4"}]
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
        (b'event: error\ndata: {"error":{"message":"m","type":"invalid_request_error","code":"tool_use_failed","status_code":400}}\n\n', "m", 400),
        (b'event: error\ndata: {"message":"m"}\n\n', "m", 500),
        (sse({**chat_chunk({"content": ""}, "error"), "error": {"code": 502, "message": "m"}}, chat_chunk({"content": "more"})), "m", 502),
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
    body = sse(FIRST, chat_chunk({"content": "a", "x": {"y": 1}}, provider="P", citations=["http://a"]), chat_chunk({}, "stop", x_groq={"id": "r"}), "[DONE]")
    _, out = run("chat", "chat", body)
    chunk = json.loads(events(out)[1][1])
    assert (chunk["provider"], chunk["citations"], chunk["choices"][0]["delta"]["x"]) == ("P", ["http://a"], {"y": 1})


def test_10_reasoning_has_one_name_unless_it_is_to_be_kept() -> None:
    body = sse(FIRST, chat_chunk({"reasoning": "hm"}), chat_chunk({}, "stop"), "[DONE]")
    assert b'"reasoning_content":"hm"' in run("chat", "chat", body)[1]
    assert b'"reasoning":"hm"' in run("chat", "chat", body, quirks={"keep_reasoning"})[1]


def test_10_a_whole_answer_instead_of_a_stream_is_told() -> None:
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}], "usage": USAGE}
    for client in ("chat", "anthropic", "responses", "gemini"):
        assert only("chat", client, json.dumps(whole).encode())["text"] == "hi"


def test_10_ollama_lines_without_prompt_count_and_with_generate_form() -> None:
    body = lines({"model": "m", "response": "a", "done": False}, {"model": "m", "response": "", "done": True, "done_reason": "stop", "eval_count": 3})
    answer = folded("ollama", "chat", body)
    assert answer["choices"][0]["text"] == "a"
    assert answer["usage"] == {"prompt_tokens": 0, "completion_tokens": 3, "total_tokens": 3}


def test_10_ollama_calls_get_ids_of_their_own() -> None:
    call = {"function": {"name": "f", "arguments": {"n": 1}}}
    calls = only("ollama", "chat", lines(ollama_line(tool_calls=[call, call]), ollama_line(True)))["calls"]
    assert len({id for id, _, _ in calls}) == 2
    assert all(len(id) == 29 and id.startswith("call_") for id, _, _ in calls)


# §11: finish reasons -------------------------------------------------------------------------------------------------

STOPS = [("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("model_context_window_exceeded", "length"),
         ("pause_turn", "stop"), ("refusal", "content_filter"), ("something_new", "stop"), ("tool_use", "stop")]  # fmt: skip
GEMINI_STOPS = [("STOP", "stop"), ("MAX_TOKENS", "length"), ("SAFETY", "content_filter"), ("RECITATION", "content_filter"), ("OTHER", "stop"),
                ("MODEL_ARMOR", "content_filter"), ("MALFORMED_FUNCTION_CALL", "stop"), ("CONTINUATION", "length"), (1, "stop"), (2, "length"), (3, "content_filter")]  # fmt: skip


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
    [("stop", "end_turn", "completed"), ("length", "max_tokens", "max_output_tokens"), ("content_filter", "refusal", "content_filter"), ("eos", "end_turn", "completed")],
)
def test_11_chat_finish_reasons(reason: str, stop_reason: str, status: str) -> None:
    body = sse(FIRST, chat_chunk({"content": "a"}), chat_chunk({}, reason), "[DONE]")
    assert only("chat", "anthropic", body)["finish"] == stop_reason
    assert only("chat", "responses", body)["finish"] == status


# §12: usage ----------------------------------------------------------------------------------------------------------


def test_12_anthropic_input_without_what_was_cached_or_written() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30}}
    told = folded("chat", "anthropic", sse(FIRST, chat_chunk({}, "stop"), chat_chunk(None, usage=usage), "[DONE]"))["usage"]
    assert told == {"input_tokens": 10, "cache_read_input_tokens": 60, "cache_creation_input_tokens": 30, "output_tokens": 5}


def test_12_reasoning_beside_the_completion_is_counted_in() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 20, "completion_tokens_details": {"reasoning_tokens": 8}}
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
    usage = {"promptTokenCount": 10, "toolUsePromptTokenCount": 5, "candidatesTokenCount": 4, "totalTokenCount": 19, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 6}]}
    told = folded("gemini", "chat", gemini(gemini_chunk({"text": "a"}, finish="STOP", usage=usage)))["usage"]
    assert told == {"prompt_tokens": 15, "completion_tokens": 4, "total_tokens": 19, "prompt_tokens_details": {"audio_tokens": 6}}


# §13: ids ------------------------------------------------------------------------------------------------------------


def test_13_tool_ids_towards_anthropic_are_clean_and_distinct() -> None:
    ids = ["functions.f:0", "call|x", "a b", "a_b", "ok-1", "_x20", "ü"]
    body = sse(*[chat_chunk(chat_call(i, id=id, type="function", function={"name": "f", "arguments": "{}"})) for i, id in enumerate(ids)], chat_chunk({}, "tool_calls"), "[DONE]")
    seen = [call[0] for call in only("chat", "anthropic", body)["calls"]]
    assert len(set(seen)) == len(ids)
    assert seen[3:5] == ["a_b", "ok-1"]


def test_13_ids_that_the_upstream_does_not_give_come_from_the_seed() -> None:
    assert run("ollama", "chat", lines(ollama_line(content="a"), ollama_line(True)))[1].count(b'"id":"chatcmpl-' + SEED.encode()) == 4
    assert folded("ollama", "anthropic", lines(ollama_line(content="a"), ollama_line(True)))["id"] == "msg_" + SEED


# §14.3: to Anthropic -------------------------------------------------------------------------------------------------


def test_14_3_interleaved_calls_and_text_become_blocks_one_after_the_other() -> None:
    def start(index: int, name: str) -> dict[str, Any]:
        return chat_chunk(chat_call(index, id=f"c{index}", type="function", function={"name": name, "arguments": ""}))

    def more(index: int, text: str) -> dict[str, Any]:
        return chat_chunk(chat_call(index, function={"arguments": text}))

    body = sse(
        FIRST, start(0, "f"), start(1, "g"), more(1, '{"b":'), more(0, '{"a":'), start(2, "h"), chat_chunk({"content": "between"}),
        more(2, "{}"), more(1, '"}"}'), more(0, "1}"), chat_chunk({"content": " after"}), chat_chunk({}, "tool_calls"), "[DONE]",
    )  # fmt: skip
    answer = folded("chat", "anthropic", body)
    assert answer["choices"][0]["calls"] == [["c0", "f", '{"a":1}'], ["c1", "g", '{"b":"}"}'], ["c2", "h", "{}"]]
    assert answer["choices"][0]["text"] == "between after"
    assert folded("chat", "responses", body)["choices"][0]["calls"] == answer["choices"][0]["calls"]
    assert sorted(folded("chat", "gemini", body)["choices"][0]["calls"]) == [["c0", "f", '{"a": 1}'], ["c1", "g", '{"b": "}"}'], ["c2", "h", "{}"]]


def test_14_3_empty_content_opens_no_block() -> None:
    answer = folded("chat", "anthropic", sse(FIRST, chat_chunk({"content": None}), chat_chunk({"content": ""}), chat_chunk({}, "stop"), "[DONE]"))
    assert answer["blocks"] == []


def test_14_3_thinking_text_and_tools_are_blocks_in_order() -> None:
    body = sse(
        FIRST, chat_chunk({"reasoning_content": "hm"}), chat_chunk({"content": "a"}), chat_chunk(chat_call(0, id="c", function={"name": "f", "arguments": "{}"})),
        chat_chunk({"content": "b"}), chat_chunk({}, "tool_calls"), "[DONE]",
    )  # fmt: skip
    assert folded("chat", "anthropic", body)["blocks"] == ["thinking", "text", "tool_use", "text"]


def test_14_3_arguments_before_the_name_wait_for_it() -> None:
    body = sse(FIRST, chat_chunk(chat_call(0, function={"arguments": '{"a"'})), chat_chunk(chat_call(0, id="c", function={"name": "f", "arguments": ":1}"})), chat_chunk({}, "tool_calls"), "[DONE]")
    for client in ("chat", "anthropic", "responses"):
        assert only("chat", client, body)["calls"] == [["c", "f", '{"a":1}']]


def test_14_3_a_refusal_is_text_and_a_stop_reason() -> None:
    body = sse(FIRST, chat_chunk({"refusal": "No."}), chat_chunk({}, "stop"), "[DONE]")
    choice = only("chat", "anthropic", body)
    assert (choice["text"], choice["finish"]) == ("No.", "refusal")


# §15.3: to Responses -------------------------------------------------------------------------------------------------


def test_15_3_a_refusal_is_a_part_of_its_own() -> None:
    body = sse(FIRST, chat_chunk({"content": "Well. "}), chat_chunk({"refusal": "No."}), chat_chunk({}, "stop"), "[DONE]")
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
    body = responses(*[event for event in text if not event["type"].endswith(".delta")], item("added", 1, call_item(1, "f")), item("done", 1, call_item(1, "f", '{"a":1}')))
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
        item("added", 0, call_item(0, "f")), item("added", 1, call_item(1, "g")), arguments(0, '{"a"'), arguments(1, "{"), arguments(0, ":1}"), arguments(1, "}"),
        item("done", 1, call_item(1, "g", "{}")), item("done", 0, call_item(0, "f", '{"a":1}')),
    )  # fmt: skip
    for client in ("chat", "anthropic"):
        assert only("responses", client, body)["calls"] == [["call_0", "f", '{"a":1}'], ["call_1", "g", "{}"]]


# §16: errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "openai", "anthropic_type", "google"),
    [
        ({"type": "rate_limit_error", "message": "m"}, 429, ("rate_limit_error", None), "rate_limit_error", "RESOURCE_EXHAUSTED"),
        ({"type": "overloaded_error", "message": "m"}, 529, ("server_error", "overloaded_error"), "overloaded_error", "UNAVAILABLE"),
        ({"type": "invalid_request_error", "message": "m"}, 400, ("invalid_request_error", None), "invalid_request_error", "INVALID_ARGUMENT"),
        ({"type": "api_error", "message": "m"}, 500, ("server_error", "api_error"), "api_error", "INTERNAL"),
        ({"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}, 429, ("rate_limit_error", "429"), "rate_limit_error", "RESOURCE_EXHAUSTED"),
    ],
)
def test_16_2_types_are_mapped(error: dict[str, Any], status: int, openai: tuple[str, str | None], anthropic_type: str, google: str) -> None:
    body = sse({"type": "error", "error": error}, names=True)
    this, out = run("anthropic", "chat", body)
    told = fold("chat", out)["error"]
    assert (this.error_status, told["type"], told["code"]) == (status, *openai)
    assert folded("chat", "anthropic", body)["error"]["type"] == anthropic_type
    assert folded("anthropic", "gemini", body)["error"]["status"] == google


def test_16_2_a_rejected_credential_is_the_gateways_affair() -> None:
    body = sse({"error": {"message": "Incorrect API key provided: sk-abc***xyz", "type": "invalid_request_error", "code": "invalid_api_key"}})
    this, out = run("chat", "anthropic", body)
    assert this.error_status == 502
    assert b"sk-abc" not in out


@pytest.mark.parametrize("junk", [b"data: {oops\n\n", b'data: "text"\n\n', b"data: [1]\n\n", b"<html>\n\n", b"{]", b'{"a":1}', b"data: null\n\n"])
@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_what_cannot_be_read_ends_with_an_error_event(upstream: str, client: str, junk: bytes) -> None:
    this, out = run(upstream, client, junk)
    assert this.error is not None
    assert fold(client, out)["error"]


# §20: reading and writing --------------------------------------------------------------------------------------------


def test_20_data_over_several_lines_is_one_event() -> None:
    body = b'data: {"id":"c","choices":\ndata: [{"index":0,"delta":\ndata: {"content":"a"}}]}\n\n' + CHAT["empty"]
    assert only("chat", "chat", body)["text"] == "a"


def test_20_only_cr_and_lf_end_a_line() -> None:
    text = "a\u2028b\u2029c\u0085d\x7f"
    body = sse(FIRST, chat_chunk({"content": text}), chat_chunk({}, "stop"), "[DONE]")
    for client in ("chat", "anthropic", "responses", "gemini"):
        assert only("chat", client, body)["text"] == text


@pytest.mark.parametrize("client", ["chat", "anthropic", "responses", "gemini"])
def test_20_invalid_utf_8_and_lone_surrogates_become_replacement_characters(client: str) -> None:
    head = sse(FIRST)
    for inside in (b"a\xff", b"a\\ud83d", b"a\xed\xa0\x80", b"a\xc0\x80"):
        chunk = b'data: {"id":"chatcmpl-7","object":"chat.completion.chunk","created":1700000000,"model":"m-1","choices":[{"index":0,"delta":{"content":"' + inside + b'"},"finish_reason":null}]}\n\n'
        text = only("chat", client, head + chunk + sse(chat_chunk({}, "stop"), "[DONE]"))["text"]
        assert text[0] == "a"
        assert set(text[1:]) == {"\ufffd"}


@pytest.mark.parametrize("ending", [b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data: [DONE]  \n\n", b"data: [DONE]\n\ndata: {\n\n"])
def test_20_done_with_or_without_blanks_and_what_follows_is_ignored(ending: bytes) -> None:
    assert run("chat", "anthropic", CHAT["text"].removesuffix(b"data: [DONE]\n\n") + ending)[1] == run("chat", "anthropic", CHAT["text"])[1]


def test_20_an_event_beyond_the_bound_ends_the_stream() -> None:
    this = Translator("anthropic", "chat", max_event_bytes=1000)
    this.feed(sse(START, names=True))
    out = this.feed(b"data: " + b"x" * 2000)
    assert b"too long" in out
    assert this.done
    assert this.pending == 0


# signatures, options, bounds -----------------------------------------------------------------------------------------

OWNERS = {"anthropic": "anthropic", "responses": "openai", "gemini": "gemini", "chat": "anthropic"}
OWN = {"anthropic": "anthropic", "responses": "openai", "gemini": "gemini"}


@pytest.mark.parametrize(("upstream", "client"), [(u, c.removesuffix("-array")) for u, c in PAIRS if u != c and u != "ollama" and (u, c) != ("gemini", "gemini-array")])
def test_signatures_reach_the_client_marked_if_foreign(upstream: str, client: str) -> None:
    vendor = OWNERS[upstream]
    [(kind, value, text)] = only(upstream, client, CASES[upstream]["reasoning"])["signatures"]
    if client == "chat":
        assert (kind, value) == ({"anthropic": "anthropic-claude-v1", "openai": "openai-responses-v1", "gemini": "google-gemini-v1"}[vendor], "c2ln")
        assert text == ("First, think. Then say." if upstream == "anthropic" else None)
    elif OWN[client] == vendor:
        assert value == "c2ln"
    else:
        assert value == (signatures.pack_base64 if client == "gemini" else signatures.pack)(vendor, "c2ln")
        assert signatures.unpack(value) == signatures.Signed(vendor, "c2ln")


def test_a_function_calls_signature_comes_with_it_or_right_before_it() -> None:
    assert only("gemini", "chat", GEMINI["tools"])["signatures"] == [("call", "c2ln", None)]
    answer = folded("gemini", "anthropic", GEMINI["tools"])
    assert answer["blocks"] == ["text", "redacted_thinking", "tool_use", "tool_use"]
    assert answer["choices"][0]["signatures"] == [("redacted", "switchgear:gemini:c2ln", None)]
    output = folded("gemini", "responses", GEMINI["tools"])["response"]["output"]
    assert [one["type"] for one in output] == ["message", "reasoning", "function_call", "function_call"]
    extra = chat_chunk({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": {"google": {"thought_signature": "c2ln"}}}]})
    assert only("chat", "gemini", sse(FIRST, extra, chat_chunk({}, "tool_calls"), "[DONE]"))["signatures"] == [("call", "c2ln", None)]
    assert only("chat", "chat", sse(FIRST, extra, chat_chunk({}, "tool_calls"), "[DONE]"))["signatures"] == [("call", "c2ln", None)]


def test_redacted_thinking_travels_as_such() -> None:
    body = anthropic(*block(0, {"type": "redacted_thinking", "data": "ZGF0YQ"}), *text_block(1, "a"))
    assert only("anthropic", "chat", body)["signatures"] == [("anthropic-claude-v1", "ZGF0YQ", None)]
    [(_, value, _)] = only("anthropic", "responses", body)["signatures"]
    assert signatures.unpack(value) == signatures.Signed("anthropic", "ZGF0YQ", True)


def test_structured_output_by_a_tool_is_text() -> None:
    body = anthropic(*block(0, {"type": "tool_use", "id": "t", "name": "json_tool_call", "input": {}}, {"type": "input_json_delta", "partial_json": '{"a":1}'}), reason="tool_use")
    choice = only("anthropic", "chat", body, json_tool="json_tool_call")
    assert (choice["text"], choice["calls"], choice["finish"]) == ('{"a":1}', [], "stop")


def test_tool_names_are_mapped_back_and_one_call_is_one_call() -> None:
    choice = only("anthropic", "chat", ANTHROPIC["tools"], tool_names={"weather": "my.weather"}, single_call=True)
    assert [call[1] for call in choice["calls"]] == ["my.weather"]


def test_legacy_functions_get_function_call() -> None:
    _, out = run("anthropic", "chat", ANTHROPIC["tools"], legacy_functions=True)
    deltas = [json.loads(data)["choices"][0] for _, data in events(out)[:-2]]
    assert "".join(one["delta"].get("function_call", {}).get("arguments", "") for one in deltas) == '{"city": "Köln", "note": "a \\"b\\" \\\\ {"}'
    assert deltas[-1]["finish_reason"] == "function_call"
    assert b"tool_calls" not in out


def test_arguments_cut_by_the_token_limit_make_no_call_towards_gemini() -> None:
    body = sse(FIRST, chat_chunk(chat_call(0, id="c", function={"name": "f", "arguments": '{"a":'})), chat_chunk({}, "length"), "[DONE]")
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
        "anthropic": sse({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 1000}}),
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
    for pair in (("anthropic", "anthropic"), ("responses", "responses"), ("chat", "ollama"), ("x", "chat")):
        with pytest.raises(ValueError, match="translation"):
            Translator(*pair)
    with pytest.raises(ValueError, match="quirks"):
        Translator("chat", "chat", quirks=["nope"])


def test_the_first_token_is_passed_on_at_once() -> None:
    for upstream, client in PAIRS:
        body = CASES[upstream]["truncated"]
        this = Translator(upstream, client)
        assert b"Half of" in this.feed(body)
