"""Usage as each path reads it: of whole answers, of streams that pass as they are, of streams that are translated."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.hotpath._sse import CHAT, RESPONSES, Rewriter
from switchgear.hotpath._translate import Translator
from switchgear.providers.formats import openai_chat_reply
from switchgear.types import Usage
from switchgear.upstream.anthropic_relay import AnthropicRelay, read_counts
from switchgear.upstream.usage import images_made, read_usage, usage_of
from switchgear.wire.chat import ChatUsage
from switchgear.wire.conversation import TokenUsage
from tests.accounting.test_fixtures import CASES


def sse(*events: dict[str, Any] | str) -> bytes:
    datas = [event if isinstance(event, str) else json.dumps(event) for event in events]
    names = [f"event: {event['type']}\n" if isinstance(event, dict) and "type" in event else "" for event in events]
    return b"".join(f"{name}data: {data}\n\n".encode() for name, data in zip(names, datas, strict=True))


def chat_stream(answer: dict[str, Any]) -> bytes:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    tier = {"service_tier": answer["service_tier"]} if "service_tier" in answer else {}
    choice = {"index": 0, "delta": {"content": "x"}, "finish_reason": None}
    done = {"index": 0, "delta": {}, "finish_reason": "stop"}
    usage = {**head, **tier, "choices": [], "usage": answer["usage"]}
    return sse({**head, "choices": [choice]}, {**head, "choices": [done]}, usage, "[DONE]")


def responses_stream(answer: dict[str, Any]) -> bytes:
    response = {"id": "r", "model": "m", "status": "completed", "output": [], **answer}
    created = {"type": "response.created", "response": {**response, "usage": None}}
    return sse(created, {"type": "response.completed", "response": response})


def anthropic_stream(usage: dict[str, Any]) -> bytes:
    """Input and cache in the first event, output in the last, as the vendor sends it."""
    first = {**usage, "output_tokens": 1}
    first.pop("output_tokens_details", None)
    last = {key: usage[key] for key in ("output_tokens", "output_tokens_details") if key in usage}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    return sse(
        {"type": "message_start", "message": {"id": "m", "model": "m", "usage": first}},
        block,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": last},
        {"type": "message_stop"},
    )


def gemini_stream(answer: dict[str, Any]) -> bytes:
    candidate = {"content": {"parts": [{"text": "x"}], "role": "model"}, "finishReason": "STOP", "index": 0}
    return sse({"responseId": "g", "candidates": [candidate], **answer})


def of_format(name: str) -> Any:
    cases = [case for case in CASES if case["format"] == name]
    return pytest.mark.parametrize("case", cases, ids=lambda case: f"{case['model']}: {case['name']}")


def answers_of(kind: str) -> Any:
    cases = [case for case in CASES if case["answer"].get("object") == kind]
    return pytest.mark.parametrize("case", cases, ids=lambda case: f"{case['model']}: {case['name']}")


def translated(upstream: str, client: str, stream: bytes) -> Usage | None:
    translator = Translator(upstream, client)
    translator.feed(stream)
    translator.flush()
    return translator.usage


@answers_of("chat.completion")
def test_a_chat_stream(case: dict[str, Any]) -> None:
    expected = Usage(**case["usage"])
    stream = chat_stream(case["answer"])
    rewriter = Rewriter(CHAT, hide_usage=True)
    rewriter.feed(stream)
    assert rewriter.usage is not None
    assert read_usage(rewriter.usage) == expected
    for client in ("anthropic", "gemini", "responses", "chat"):
        assert translated("chat", client, stream) == expected


@answers_of("chat.completion")
def test_a_chat_answer_that_is_translated(case: dict[str, Any]) -> None:
    usage = msgspec.convert(case["answer"]["usage"], ChatUsage)
    found = usage_of(openai_chat_reply.decode_usage(usage), case["answer"].get("service_tier"))
    assert found == Usage(**case["usage"])


@answers_of("response")
def test_a_responses_stream(case: dict[str, Any]) -> None:
    expected = Usage(**case["usage"])
    stream = responses_stream(case["answer"])
    rewriter = Rewriter(RESPONSES)
    rewriter.feed(stream)
    assert rewriter.usage is not None
    assert read_usage(rewriter.usage) == expected
    assert translated("responses", "chat", stream) == expected


@of_format("anthropic")
def test_an_anthropic_stream(case: dict[str, Any]) -> None:
    expected = Usage(**case["usage"])
    usage = case["answer"]["usage"]
    stream = anthropic_stream(usage)
    relay = AnthropicRelay(None)
    relay.feed(stream)
    assert relay.usage == expected
    if expected.service_tier != "batch":  # batches do not stream
        assert translated("anthropic", "chat", stream) == expected


@of_format("gemini")
def test_a_gemini_stream(case: dict[str, Any]) -> None:
    expected = Usage(**case["usage"])
    stream = gemini_stream(case["answer"])
    for client in ("chat", "gemini", "gemini-array", "anthropic"):
        assert translated("gemini", client, stream) == expected


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        (b'"priority"', "priority"),
        (b'"flex"', "flex"),
        (b'"default"', ""),
        (b'"auto"', ""),
        (b'"priority', ""),
        (b"", ""),
    ],
)
def test_the_service_tier_beside_a_usage(tier: bytes, expected: str) -> None:
    found = read_usage(b'{"prompt_tokens":1}', tier)
    assert found is not None
    assert (found.input_tokens, found.service_tier) == (1, expected)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ('{"usage":{"prompt_tokens":1},"service_tier":"priority","choices":[]}', "priority"),
        ('{"usage":{"prompt_tokens":1},"metadata":{"service_tier":"flex"},"choices":[]}', ""),
        ('{"usage":{"prompt_tokens":1,"service_tier":"batch"},"service_tier":"priority","choices":[]}', "batch"),
        ('{"usage":{"prompt_tokens":1},"service_tier":7,"choices":[]}', ""),
    ],
)
def test_a_streams_service_tier(event: str, expected: str) -> None:
    rewriter = Rewriter(CHAT)
    out = rewriter.feed(sse(event))
    assert out == sse(event)
    assert rewriter.usage is not None
    assert read_usage(rewriter.usage) == Usage(1, service_tier=expected)  # type: ignore[arg-type]  # from the table


def test_an_empty_usage_with_a_service_tier_stays_as_it_is() -> None:
    rewriter = Rewriter(CHAT)
    rewriter.feed(sse('{"usage":{ },"service_tier":"priority","choices":[]}'))
    assert rewriter.usage == b"{ }"


def test_a_transcription() -> None:
    token = b'{"type":"tokens","input_tokens":14,"input_token_details":{"audio_tokens":10},"output_tokens":45}'
    assert read_usage(token) == Usage(14, 45, input_audio_tokens=10)
    assert read_usage(b'{"type":"duration","seconds":9}') == Usage()


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b'{"data":[{"b64_json":"x"},{"url":"y"}]}', 2), (b'{"data":[]}', 0), (b'{"created":1}', 0), (b'{"data":{}}', 0)],
)
def test_images_are_counted(body: bytes, expected: int) -> None:
    assert images_made(body) == expected


@pytest.mark.parametrize(
    "token", [b"", b"[]", b'{"prompt_tokens":-1}', b'{"prompt_tokens":"1"}', b'{"prompt_tokens":1e99}']
)
def test_what_is_no_usage(token: bytes) -> None:
    assert read_usage(token) is None


def test_counts_that_nobody_has() -> None:
    assert usage_of(TokenUsage(10**30, -5, cached_tokens=2**41, reasoning_tokens=3)) == Usage(reasoning_tokens=3)
    assert read_counts(b'{"input_tokens":-1,"output_tokens":5}') == Usage(0, 5)
    assert read_counts(b'{"input_tokens":"many"}') is None


def test_a_fast_answer_of_anthropic() -> None:
    usage = {"input_tokens": 3, "output_tokens": 4, "service_tier": "standard", "speed": "fast"}
    assert read_counts(json.dumps(usage).encode()) == Usage(3, 4, service_tier="fast")
    assert translated("anthropic", "chat", anthropic_stream(usage)) == Usage(3, 4, service_tier="fast")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_usage_or_none(token: bytes) -> None:
    found = read_usage(token, token)
    assert found is None or min(found.input_tokens, found.output_tokens) >= 0
