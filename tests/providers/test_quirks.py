"""Rules of TRANSLATION, each named by its section."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wire_codecs import DIALECTS, FORMATS, blank

from switchgear.errors import InvalidRequest, UpstreamRejected
from switchgear.providers.identifiers import nine_character_tool_id, plain_tool_id, short_tool_id
from switchgear.providers.media import parse_data_url
from switchgear.providers.model_traits import TargetModel, override, target_model, traits_of
from switchgear.providers.repairs import repair_reply
from switchgear.providers.schemas import openapi_schema
from switchgear.providers.upstream_errors import read_fault
from switchgear.wire.conversation import Raw

USER = [{"role": "user", "content": "hi"}]
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {}}}}}]


def up(
    fmt: str, model: str = "", dialect: str = "chat", target: TargetModel | None = None, **fields: Any
) -> dict[str, Any]:
    """The upstream's body for a request."""
    encoded, _ = both(fmt, model, dialect, target, **fields)
    return encoded


def both(
    fmt: str, model: str = "", dialect: str = "chat", target: TargetModel | None = None, **fields: Any
) -> tuple[dict[str, Any], list[str]]:
    names = {
        "anthropic": "claude-sonnet-4-5",
        "gemini": "gemini-3-pro",
        "openai_chat": "m",
        "openai_responses": "gpt-5",
    }
    body: dict[str, Any] = {
        "model": "m",
        **({"messages": USER} if "messages" not in fields and dialect == "chat" else {}),
        **fields,
    }
    conversation = DIALECTS[dialect].decode_request(json.dumps(body).encode(), "m")
    encoded = FORMATS[fmt].encode_request(conversation, target or target_model(model or names.get(fmt, "m")))
    return json.loads(encoded.body), encoded.dropped


def refused(param: str, fmt: str, **fields: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        up(fmt, **fields)
    assert caught.value.param == param
    assert caught.value.status == 400


def reply(fmt: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = FORMATS[fmt].decode_response(json.dumps(body).encode())
    found: dict[str, Any] = json.loads(DIALECTS["chat"].encode_response(answer, blank("chat")))
    return found


# §1


def test_s1_empty_messages_are_refused() -> None:
    refused("messages", "anthropic", messages=[])


def test_s1_max_completion_tokens_wins_and_floats_are_whole() -> None:
    assert up("anthropic", max_tokens=9, max_completion_tokens=100.0)["max_tokens"] == 100


def test_s1_anthropic_needs_max_tokens() -> None:
    assert up("anthropic", "claude-3-5-haiku-latest")["max_tokens"] == 8192


def test_s1_reasoning_models_take_max_completion_tokens() -> None:
    assert "max_completion_tokens" in up("openai_chat", "o4-mini", max_tokens=5)
    assert "max_tokens" in up("openai_chat", "mixtral-8x7b", max_tokens=5)


def test_s1_temperature_is_capped_for_anthropic_and_top_p_gives_way() -> None:
    body, dropped = both("anthropic", temperature=1.7, top_p=0.5)
    assert (body["temperature"], "top_p" in body, dropped) == (1.0, False, ["top_p"])


def test_s1_n_is_never_dropped() -> None:
    refused("n", "anthropic", n=2)
    refused("n", "ollama", n=2)
    refused("n", "gemini", n=9)
    assert up("gemini", n=3)["generationConfig"]["candidateCount"] == 3
    assert "n" not in up("anthropic", n=1)


def test_s1_stop_is_a_list_without_blanks() -> None:
    assert up("anthropic", stop="x")["stop_sequences"] == ["x"]
    assert "stop_sequences" not in up("anthropic", stop=["", "\n"])


def test_s1_user_that_is_a_person_is_dropped() -> None:
    assert up("anthropic", user="id-1")["metadata"] == {"user_id": "id-1"}
    assert both("anthropic", user="a@example.org")[1] == ["user"]


def test_s1_audio_answers_are_refused() -> None:
    refused("modalities", "anthropic", modalities=["text", "audio"], audio={"voice": "x", "format": "wav"})


def test_s1_stream_options_need_stream() -> None:
    refused("stream_options", "openai_chat", stream_options={"include_usage": True})


def test_s1_null_is_absent() -> None:
    body, dropped = both("gemini", temperature=None, stop=None, tools=None, seed=None, logit_bias=None, foo=None)
    assert ("generationConfig" in body, dropped) == (False, [])


def test_s1_unknown_fields_are_named() -> None:
    assert both("anthropic", guided_json={"a": 1}, seed=1)[1] == ["seed", "guided_json"]
    assert up("openai_chat", guided_json={"a": 1})["guided_json"] == {"a": 1}


def test_s1_strict_refuses_what_would_be_dropped() -> None:
    with pytest.raises(InvalidRequest) as caught:
        up("anthropic", target=target_model("claude-sonnet-4-5", strict=True), seed=1)
    assert caught.value.param == "seed"


def test_s1_web_search_is_not_dropped() -> None:
    assert up("gemini", web_search_options={})["tools"] == [{"googleSearch": {}}]
    assert up("anthropic", web_search_options={})["tools"][0]["name"] == "web_search"
    refused("web_search_options", "ollama", web_search_options={})


# §2


def test_s2_system_messages_are_hoisted_in_order() -> None:
    messages = [{"role": "system", "content": "a"}, *USER, {"role": "developer", "content": "b"}]
    assert up("anthropic", messages=messages)["system"] == "a\nb"
    assert up("gemini", messages=messages)["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}


def test_s2_only_a_system_message() -> None:
    messages = [{"role": "system", "content": "a"}]
    assert up("anthropic", messages=messages)["messages"][0]["role"] == "user"
    assert up("gemini", messages=messages)["contents"][0]["role"] == "user"


def test_s2_empty_texts_and_messages_are_left_out() -> None:
    messages = [
        *USER,
        {"role": "assistant", "content": ""},
        {"role": "user", "content": "  "},
        {"role": "user", "content": "x"},
    ]
    assert up("anthropic", messages=messages)["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "x"}]}
    ]


def test_s2_prefill_loses_its_trailing_blanks() -> None:
    turns = up("anthropic", messages=[*USER, {"role": "assistant", "content": "So: "}])["messages"]
    assert turns[-1] == {"role": "assistant", "content": [{"type": "text", "text": "So:"}]}


def test_s2_results_of_one_turn_stand_together_before_the_text() -> None:
    other = {**CALL, "id": "c2"}
    messages = [
        *USER,
        {"role": "assistant", "content": None, "tool_calls": [CALL, other]},
        {"role": "tool", "tool_call_id": "c1", "content": ""},
        {"role": "user", "content": "and?"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
    ]
    turn = up("anthropic", messages=messages)["messages"][-1]["content"]
    assert [block["type"] for block in turn] == ["tool_result", "tool_result", "text"]
    assert "content" not in turn[0]
    parts = up("gemini", messages=messages)["contents"][-1]["parts"]
    assert [next(iter(part)) for part in parts] == ["functionResponse", "text", "functionResponse"]


def test_s2_a_call_without_result_gets_one() -> None:
    messages = [*USER, {"role": "assistant", "tool_calls": [CALL]}, {"role": "user", "content": "never mind"}]
    turn = up("anthropic", messages=messages)["messages"][-1]["content"]
    assert turn[0] == {"type": "tool_result", "tool_use_id": "c1"}


def test_s2_a_result_without_call_is_refused() -> None:
    for fmt in ("anthropic", "gemini", "ollama"):
        refused(
            "messages[1].tool_call_id", fmt, messages=[*USER, {"role": "tool", "tool_call_id": "zz", "content": "x"}]
        )


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("data:image/png;base64,aGk=", ("image/png", "aGk=")),
        ("DATA:image/JPG;charset=utf-8;base64,aGk=", ("image/jpeg", "aGk=")),
        ("data:text/plain,h%69", ("text/plain", "aGk=")),
        ("data:,hi", ("text/plain", "aGk=")),
        ("data:image/png;base64,aG\nk=", ("image/png", "aGk=")),
        ("data:image/png;base64,aGk%3D", ("image/png", "aGk=")),
    ],
)
def test_s22_data_urls_by_rfc_2397(url: str, want: tuple[str, str]) -> None:
    assert parse_data_url(url, "p") == want


def test_s22_images() -> None:
    def image(url: Any) -> list[dict[str, Any]]:
        return [{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]

    png = "data:image/png;base64,aGk="
    assert up("anthropic", messages=image(png))["messages"][0]["content"][0]["source"]["media_type"] == "image/png"
    assert up("gemini", messages=image({"url": png}))["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
    ]
    assert up("anthropic", messages=image({"url": "https://e.org/a.png"}))["messages"][0]["content"][0]["source"] == {
        "type": "url",
        "url": "https://e.org/a.png",
    }
    refused("messages[0].content[0]", "anthropic", messages=image({"url": "data:image/bmp;base64,aGk="}))
    refused(
        "messages[0].content[0]", "gemini", model="gemini-2.5-flash", messages=image({"url": "https://e.org/a.png"})
    )
    refused("messages[0].content[0]", "ollama", messages=image({"url": "https://e.org/a.png"}))


def test_s22_audio_and_unknown_parts_are_refused_by_place() -> None:
    audio = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}}]}]
    refused("messages[0].content[0]", "anthropic", messages=audio)
    assert up("gemini", messages=audio)["contents"][0]["parts"][0]["inlineData"]["mimeType"] == "audio/wav"
    refused(
        "messages[0].content[0].type", "openai_chat", messages=[{"role": "user", "content": [{"type": "hologram"}]}]
    )


def test_s23_tool_results_for_gemini_are_objects() -> None:
    def response(content: Any) -> Any:
        messages = [
            *USER,
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": content},
        ]
        return up("gemini", messages=messages)["contents"][-1]["parts"][0]["functionResponse"]["response"]

    assert response('{"a":1}') == {"a": 1}
    assert response("[1,2]") == {"output": "[1,2]"}
    assert response("") == {"output": ""}
    assert response([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]) == {"output": "ab"}


def test_s24_arguments_in_the_history() -> None:
    def turn(arguments: Any, target: TargetModel | None = None) -> Any:
        call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
        return up("anthropic", messages=[*USER, {"role": "assistant", "tool_calls": [call]}], target=target)[
            "messages"
        ][1]["content"][0]

    assert turn(" ")["input"] == {}
    assert turn({"a": 1})["input"] == {"a": 1}
    with pytest.raises(InvalidRequest):
        turn("[1]")
    lenient = TargetModel("claude-sonnet-4-5", traits_of("claude-sonnet-4-5"), lenient_arguments=True)
    assert turn("{cut", lenient)["input"] == {"arguments": "{cut"}


def test_s24_custom_calls_are_refused() -> None:
    call = {"id": "c1", "type": "custom", "custom": {"name": "f", "input": "x"}}
    refused(
        "messages[1].tool_calls[0].type", "anthropic", messages=[*USER, {"role": "assistant", "tool_calls": [call]}]
    )


# §3


def test_s3_tools() -> None:
    bare = [{"type": "function", "function": {"name": "f"}}]
    assert up("anthropic", tools=bare)["tools"][0]["input_schema"] == {"type": "object", "properties": {}}
    assert up("gemini", tools=bare)["tools"] == [{"functionDeclarations": [{"name": "f"}]}]
    assert "tools" not in up("anthropic", tools=[], tool_choice="auto")
    refused("tools", "anthropic", tools=[*TOOLS, *TOOLS])
    refused("tools[0].type", "gemini", tools=[{"type": "custom", "custom": {"name": "x"}}])


@pytest.mark.parametrize(
    ("choice", "anthropic", "gemini"),
    [
        ("none", {"type": "none"}, {"mode": "NONE"}),
        ("required", {"type": "any"}, {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "f"}},
            {"type": "tool", "name": "f"},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            {"type": "any"},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_s3_tool_choice(choice: Any, anthropic: Any, gemini: Any) -> None:
    assert up("anthropic", tools=TOOLS, tool_choice=choice)["tool_choice"] == anthropic
    assert up("gemini", tools=TOOLS, tool_choice=choice)["toolConfig"]["functionCallingConfig"] == gemini


def test_s3_tool_choice_without_its_tool() -> None:
    refused("tool_choice", "anthropic", tools=TOOLS, tool_choice={"type": "function", "function": {"name": "g"}})
    refused("tool_choice", "gemini", tool_choice="required")
    assert both("anthropic", tool_choice="auto")[1] == ["tool_choice"]


def test_s3_parallel_false() -> None:
    assert up("anthropic", tools=TOOLS, parallel_tool_calls=False)["tool_choice"] == {
        "type": "auto",
        "disable_parallel_tool_use": True,
    }
    assert up("anthropic", tools=TOOLS, tool_choice="none", parallel_tool_calls=False)["tool_choice"] == {
        "type": "none"
    }
    assert both("gemini", tools=TOOLS, parallel_tool_calls=False)[1] == ["parallel_tool_calls"]


def test_s3_a_forced_tool_ends_thinking() -> None:
    body, dropped = both("anthropic", tools=TOOLS, tool_choice="required", reasoning_effort="high")
    assert ("thinking" in body, dropped) == (False, ["reasoning_effort"])


def test_s3_functions_are_answered_as_functions() -> None:
    request = {
        "model": "m",
        "messages": USER,
        "functions": [{"name": "f", "parameters": {}}],
        "function_call": {"name": "f"},
    }
    conversation = DIALECTS["chat"].decode_request(json.dumps(request).encode())
    answer = FORMATS["ollama"].decode_response(
        b'{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},"done":true}'
    )
    choice = json.loads(DIALECTS["chat"].encode_response(answer, conversation))["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert "tool_calls" not in choice["message"]


def test_s3_openapi_subset() -> None:
    schema = {
        "$schema": "x",
        "$defs": {
            "P": {"type": "object", "properties": {"n": {"type": ["string", "null"]}}, "additionalProperties": False}
        },
        "type": "object",
        "properties": {
            "p": {"$ref": "#/$defs/P"},
            "k": {"const": "a"},
            "u": {"oneOf": [{"type": "integer"}, {"type": "null"}]},
        },
    }
    assert openapi_schema(Raw(json.dumps(schema).encode())) == {
        "type": "object",
        "properties": {
            "p": {"type": "object", "properties": {"n": {"type": "string", "nullable": True}}},
            "k": {"enum": ["a"], "type": "string"},
            "u": {"nullable": True, "type": "integer"},
        },
    }


# §4


FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "o", "schema": {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}},
}


def test_s4_native_structured_output_is_closed() -> None:
    schema = up("anthropic", response_format=FORMAT)["output_config"]["format"]["schema"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["a"] == {"type": "integer", "description": "(minimum: 1)"}


def test_s4_a_forced_tool_answers_as_text() -> None:
    request = {"model": "m", "messages": USER, "response_format": FORMAT}
    conversation = DIALECTS["chat"].decode_request(json.dumps(request).encode())
    encoded = FORMATS["anthropic"].encode_request(conversation, target_model("claude-3-5-sonnet"))
    assert json.loads(encoded.body)["tool_choice"] == {"type": "tool", "name": "json_tool_call"}
    body = {
        "content": [{"type": "tool_use", "id": "t", "name": "json_tool_call", "input": {"a": 1}}],
        "stop_reason": "tool_use",
    }
    answer = FORMATS["anthropic"].decode_response(json.dumps(body).encode(), encoded.context)
    choice = json.loads(DIALECTS["chat"].encode_response(answer, conversation))["choices"][0]
    assert (json.loads(choice["message"]["content"]), choice["finish_reason"]) == ({"a": 1}, "stop")
    assert "tool_calls" not in choice["message"]


# §5


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("claude-sonnet-4-5", "medium", {"type": "enabled", "budget_tokens": 2048}),
        ("claude-opus-4-8", "high", {"type": "adaptive", "display": "summarized"}),
        ("claude-opus-4-8", "none", {"type": "disabled"}),
        ("claude-sonnet-4-5", "none", None),
    ],
)
def test_s5_anthropic(model: str, effort: str, thinking: Any) -> None:
    assert up("anthropic", model, reasoning_effort=effort).get("thinking") == thinking


def test_s5_a_budget_stays_below_max_tokens() -> None:
    assert up("anthropic", reasoning_effort="max", max_tokens=4000)["thinking"]["budget_tokens"] == 3999
    assert both("anthropic", reasoning_effort="low", max_tokens=500)[1] == ["reasoning_effort"]


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}),
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-3-pro", "xhigh", {"thinkingLevel": "HIGH", "includeThoughts": True}),
    ],
)
def test_s5_gemini(model: str, effort: str, config: Any) -> None:
    assert up("gemini", model, reasoning_effort=effort)["generationConfig"]["thinkingConfig"] == config


# §6, §10


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


# §11, §12


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


# §13


def test_s13_ids() -> None:
    assert plain_tool_id("call_1") == "call_1"
    assert plain_tool_id("functions.f:0") == "sgid-ZnVuY3Rpb25zLmY6MA"
    assert plain_tool_id(plain_tool_id("a.b")) != plain_tool_id("a.b")
    assert len(short_tool_id("x" * 41)) <= 40
    assert nine_character_tool_id("abcDEF123") == "abcDEF123"
    assert len(nine_character_tool_id("call_1")) == 9


# §14, §15


def test_s14_max_tokens_is_required() -> None:
    with pytest.raises(InvalidRequest, match="max_tokens: Field required"):
        DIALECTS["anthropic"].decode_request(b'{"model":"m","messages":[{"role":"user","content":"x"}]}')


@pytest.mark.parametrize(
    ("budget", "effort"), [(1024, "low"), (2047, "low"), (2048, "medium"), (8191, "medium"), (8192, "high")]
)
def test_s14_budgets_are_efforts(budget: int, effort: str) -> None:
    body = up(
        "openai_chat",
        dialect="anthropic",
        max_tokens=9000,
        messages=USER,
        thinking={"type": "enabled", "budget_tokens": budget},
    )
    assert body["reasoning_effort"] == effort


def test_s14_trained_tools_are_refused() -> None:
    tools = [{"type": "bash_20250124", "name": "bash"}]
    refused("tools", "openai_chat", dialect="anthropic", max_tokens=9, messages=USER, tools=tools)


def test_s15_state_is_refused_by_name() -> None:
    refused("previous_response_id", "openai_chat", dialect="responses", input="x", previous_response_id="resp_1")
    assert (
        up("openai_responses", dialect="responses", input="x", previous_response_id="resp_1")["previous_response_id"]
        == "resp_1"
    )


def test_s15_calls_fold_into_one_message() -> None:
    items = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "let me see"},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {"type": "function_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
    ]
    messages = up("openai_chat", dialect="responses", input=items)["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool"]
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["a", "b"]
    assert messages[3]["content"] == "2"


# §16


@pytest.mark.parametrize(
    ("status", "body", "want"),
    [
        (
            400,
            {"error": {"message": "m", "type": "invalid_request_error", "param": "x", "code": "invalid_value"}},
            (400, "invalid_value", "m"),
        ),
        (
            400,
            {"error": {"message": "prompt is too long: 9 tokens > 8 maximum"}},
            (400, "context_length_exceeded", "prompt is too long: 9 tokens > 8 maximum"),
        ),
        (401, {"error": {"message": "bad key sk-1"}}, (502, "upstream_authentication_error", "The provider refused")),
        (
            400,
            {"code": "invalid-argument", "error": "Incorrect API key provided"},
            (502, "upstream_authentication_error", "The provider refused"),
        ),
        (404, {"error": 'model "x" not found'}, (404, "model_not_found", 'model "x" not found')),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "extra"}]}, (400, None, "body.n: extra")),
        (400, {"object": "error", "message": "flat", "type": "BadRequestError", "code": 400}, (400, None, "flat")),
        (
            429,
            [{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}],
            (429, "rate_limit_exceeded", "quota"),
        ),
        (
            529,
            {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}},
            (503, "overloaded_error", "busy"),
        ),
        (502, "<html><h1>Bad gateway</h1></html>", (502, None, "Bad gateway")),
        (503, "", (503, "overloaded", "Service Unavailable")),
    ],
)
def test_s16_errors(status: int, body: Any, want: tuple[int, str | None, str]) -> None:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    fault = read_fault(status, [], raw)
    assert (fault.status, fault.code) == want[:2]
    assert fault.message.startswith(want[2])


def test_s16_waiting() -> None:
    assert read_fault(429, [(b"retry-after", b"7")], b"").retry_after_s == 7
    assert read_fault(429, [(b"retry-after-ms", b"250"), (b"retry-after", b"7")], b"").retry_after_s == 0.25
    details = {"error": {"message": "m", "details": [{"@type": "x/google.rpc.RetryInfo", "retryDelay": "17s"}]}}
    assert read_fault(429, [], json.dumps(details).encode()).retry_after_s == 17


def test_s16_envelopes() -> None:
    def said(dialect: str) -> Any:
        return json.loads(
            DIALECTS[dialect].encode_error(429, "rate_limit_error", "rate_limit_exceeded", "slow", None, "req_1", 2.0)
        )

    assert said("chat") == {
        "error": {"message": "slow", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}
    }
    assert said("responses") == said("chat")
    assert said("anthropic")["error"]["type"] == "rate_limit_error"
    assert said("anthropic")["request_id"] == "req_1"
    assert said("gemini")["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert said("gemini")["error"]["details"][-1]["retryDelay"] == "2s"


# §21


def test_s21_mistral() -> None:
    target = target_model("mistral-large", frozenset({"forbids_unknown"}))
    call = [*USER, {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c1", "content": "x"}]
    body, dropped = both(
        "openai_chat",
        target=target,
        messages=call,
        seed=1,
        user="u",
        tools=TOOLS,
        tool_choice="required",
        max_completion_tokens=9,
        stream=True,
    )
    assert (body["random_seed"], body["tool_choice"], body["max_tokens"]) == (1, "any", 9)
    assert "stream_options" not in body
    assert dropped == ["user"]
    assert len(body["messages"][1]["tool_calls"][0]["id"]) == 9
    assert body["messages"][1]["tool_calls"][0]["id"] == body["messages"][2]["tool_call_id"]


def test_s21_groq() -> None:
    target = target_model("llama", frozenset({"no_names"}))
    body, dropped = both(
        "openai_chat", target=target, messages=[{"role": "user", "content": "x", "name": "bo"}], logprobs=True
    )
    assert ("name" in body["messages"][0], dropped) == (False, ["messages[0].name", "logprobs"])


def test_traits_are_overridable_and_default_to_the_most_capable() -> None:
    assert traits_of("some-new-model") == traits_of("another")
    assert traits_of("anthropic/claude-3-5-haiku").structured == "tool"
    assert override(traits_of("x"), {"structured": "tool"}).structured == "tool"
