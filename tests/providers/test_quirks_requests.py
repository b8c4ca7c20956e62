"""Rules of TRANSLATION §1 and §2: parameters, messages, media, tool results. Each test is named by its section."""

from __future__ import annotations

from typing import Any

import pytest

from switchgear.errors import InvalidRequest
from switchgear.providers.media import parse_data_url
from switchgear.providers.model_traits import TargetModel, target_model, traits_of
from tests.providers.quirk_cases import CALL, USER, both, refused, up


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
