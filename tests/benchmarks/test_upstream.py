"""The canned upstream's two formats: both are what their readers take, and a translated stream has as many events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from anthropic import Anthropic

from harness.servers import Upstream
from switchgear.hotpath._translate import Translator

MODEL = "sim;first=0ms;gap=0ms;tokens=7"
HELLO: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    upstream = Upstream.canned(tmp_path_factory.mktemp("upstream"), None, 0)
    yield upstream.origin
    upstream.stop()


def post(origin: str, path: str, **body: Any) -> bytes:
    connection = HTTPConnection(urlsplit(origin).netloc, timeout=10)
    try:
        connection.request("POST", path, json.dumps({"model": MODEL, **body}), {"content-type": "application/json"})
        return connection.getresponse().read()
    finally:
        connection.close()


def test_a_message(origin: str) -> None:
    with Anthropic(base_url=origin, api_key="sk-x") as client:
        message = client.messages.create(model=MODEL, max_tokens=64, messages=HELLO)
    assert (message.model, message.stop_reason) == (MODEL, "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (38, 34)
    assert message.content[0].type == "text"
    chat = json.loads(post(origin, "/v1/chat/completions"))
    assert message.content[0].text == chat["choices"][0]["message"]["content"]


def test_a_stream_of_messages(origin: str) -> None:
    with (
        Anthropic(base_url=origin, api_key="sk-x") as client,
        client.messages.stream(model=MODEL, max_tokens=64, messages=HELLO) as stream,
    ):
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text == " circuit breaker opens after repeated failures and"
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 7)


def test_a_translated_stream_has_as_many_events_as_a_chat_stream(origin: str) -> None:
    translator = Translator("anthropic", "chat", include_usage=False, seed="ab")
    translated = translator.feed(post(origin, "/v1/messages", stream=True)) + translator.flush()
    chat = post(origin, "/v1/chat/completions", stream=True)
    assert translator.error is None
    assert translated.count(b"\n\n") == chat.count(b"\n\n") == 7 + 3  # role, tokens, finish, [DONE]


def test_requests_of_both_formats_on_one_connection(origin: str) -> None:
    connection = HTTPConnection(urlsplit(origin).netloc, timeout=10)
    types = []
    for path in ("/v1/messages", "/v1/chat/completions", "/v1/messages"):
        connection.request("POST", path, json.dumps({"model": MODEL}))
        answer = json.loads(connection.getresponse().read())
        types.append(answer.get("type") or answer["object"])
    connection.close()
    assert types == ["message", "chat.completion", "message"]
