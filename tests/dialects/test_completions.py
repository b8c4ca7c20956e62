"""/v1/completions in front of providers that only chat: the prompt is a user message (TRANSLATION §19)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from tests.dialects.conftest import Pairs
from tests.support.processes import KEY
from tests.support.scripted import WAIT_S

WIRES = ("anthropic", "gemini", "ollama")
BEARER = {"authorization": f"Bearer {KEY}"}


def post(pairs: Pairs, model: str, **fields: Any) -> httpx.Response:
    body = {"model": model, "prompt": "Say hello.", **fields}
    return httpx.post(f"{pairs.origin}/v1/completions", headers=BEARER, json=body, timeout=WAIT_S)


def asked_text(wire: str, body: Any) -> Any:
    if wire == "gemini":
        return body["contents"]
    return body["messages"]


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("prompt", ["Say hello.", ["Say hello."]])
def test_a_whole_answer(pairs: Pairs, wire: str, prompt: Any) -> None:
    answer = post(pairs, f"{wire}-text", prompt=prompt, max_tokens=50, stop="END")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["object"], body["model"]) == ("text_completion", f"{wire}-text")
    assert body["choices"] == [{"text": "Grüße", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]) == (100, 20)
    (asked,) = pairs.upstreams[wire].requests
    turns = asked_text(wire, asked.json)
    assert [turn["role"] for turn in turns] == ["user"]
    assert "Say hello." in json.dumps(turns)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("usage", [False, True])
def test_a_stream(pairs: Pairs, wire: str, usage: bool) -> None:
    with openai.OpenAI(base_url=f"{pairs.origin}/v1", api_key=KEY, max_retries=0) as client:
        stream = client.completions.create(
            model=f"{wire}-usage", prompt="Say hello.", stream=True, stream_options={"include_usage": usage}
        )
        chunks = list(stream)
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    choices = [choice for chunk in chunks for choice in chunk.choices]
    assert "".join(choice.text for choice in choices) == "ok"
    assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["length"]
    assert (chunks[-1].usage is not None) is usage


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_that_breaks_off_ends_in_an_error(pairs: Pairs, wire: str) -> None:
    answer = post(pairs, f"{wire}-truncated", stream=True)
    assert answer.status_code == 200
    assert b"[DONE]" not in answer.content
    assert json.loads(answer.text.rstrip().rsplit("data: ", 1)[1])["error"]["code"] == "upstream_error"


@pytest.mark.parametrize("wire", WIRES)
def test_an_error_before_the_answer(pairs: Pairs, wire: str) -> None:
    answer = post(pairs, f"{wire}-status-429")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["message"] == f"{wire} says 429"


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": [17]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"suffix": "the end"}, "suffix"),
        ({"echo": True}, "echo"),
        ({"logprobs": 0}, "logprobs"),
        ({"n": 2}, "n"),
        ({"best_of": 2}, "best_of"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_what_a_chat_cannot_do_is_refused_by_name(pairs: Pairs, wire: str, fields: dict[str, Any], param: str) -> None:
    answer = post(pairs, f"{wire}-text", **fields)
    assert answer.status_code == 400
    assert (answer.json()["error"]["type"], answer.json()["error"]["param"]) == ("invalid_request_error", param)
    assert pairs.upstreams[wire].requests == []


def test_neutral_values_pass(pairs: Pairs) -> None:
    answer = post(
        pairs, "anthropic-text", n=1, best_of=1, echo=False, suffix=None, logprobs=None, seed=3, presence_penalty=0.1
    )
    assert answer.status_code == 200
    assert set(answer.headers["x-switchgear-dropped"].split(", ")) == {"seed", "presence_penalty"}


def test_openais_own_surface_is_asked_as_before(pairs: Pairs) -> None:
    post(pairs, "chat-text", prompt=[1, 2, 3], echo=True)
    (asked,) = pairs.upstreams["chat"].requests
    assert asked.target == "/v1/completions"
    assert asked.json["prompt"] == [1, 2, 3]
