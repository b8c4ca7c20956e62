"""The rewriter on whole events. Budget: 1 GB/s on events of 1 KiB with nothing to change, but all of it tracked."""

import json

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from switchgear.hotpath._sse import CHAT, RESPONSES, Parser, Rewriter


def event(content: str, size: int = 0, **more: object) -> bytes:
    """A chunk as OpenAI sends it, its content padded until it has `size` bytes."""
    choice = {"index": 0, "delta": {"content": content}, "logprobs": None, "finish_reason": None}
    chunk = {"id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012", "object": "chat.completion.chunk", "created": 1755000000}
    chunk |= {"model": "gpt-4.1-2025-04-14", "service_tier": "default", "system_fingerprint": "fp_51e1070cf2"}
    text = json.dumps({**chunk, "choices": [choice], **more}, separators=(",", ":"), ensure_ascii=False).encode()
    sent = b"data: " + text + b"\n\n"
    return sent if len(sent) >= size else event(content + "x" * (size - len(sent)), 0, **more)


CHUNKS = {
    "300_bytes": event(" hello"),
    "1_kib": event("", 1024),
    "8_of_1_kib": event("", 1024) * 8,
    "1_kib_usage_null": event("", 1024, usage=None),
    "1_kib_cjk": event("\u6211\u73fe\u5728" * 80),
    "1_kib_escapes": event('say "no"\n' * 65),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_nothing_to_change(benchmark: BenchmarkFixture, name: str) -> None:
    chunk = CHUNKS[name]
    benchmark.extra_info["bytes"] = len(chunk)
    assert benchmark(Rewriter(CHAT).feed, chunk) is chunk


@pytest.mark.parametrize("name", ["300_bytes", "1_kib"])
def test_model_rewritten(benchmark: BenchmarkFixture, name: str) -> None:
    assert b'"smart"' in benchmark(Rewriter(CHAT, model=b'"smart"').feed, CHUNKS[name])


def test_model_rewritten_and_usage_hidden(benchmark: BenchmarkFixture) -> None:
    assert b"usage" not in benchmark(
        Rewriter(CHAT, model=b'"smart"', hide_usage=True).feed, event(" hello", usage=None)
    )


def test_event_in_two_parts(benchmark: BenchmarkFixture) -> None:
    rewriter = Rewriter(CHAT)
    first, second = CHUNKS["300_bytes"][:150], CHUNKS["300_bytes"][150:]

    def both() -> bytes:
        rewriter.feed(first)
        return rewriter.feed(second)

    assert benchmark(both) == CHUNKS["300_bytes"]


def test_responses_delta(benchmark: BenchmarkFixture) -> None:
    data = {
        "type": "response.output_text.delta",
        "sequence_number": 7,
        "item_id": "msg_1",
        "output_index": 0,
        "delta": " hello",
    }
    chunk = b"event: response.output_text.delta\ndata: " + json.dumps(data).encode() + b"\n\n"
    assert benchmark(Rewriter(RESPONSES, model=b'"smart"').feed, chunk) is chunk


def test_new_rewriter(benchmark: BenchmarkFixture) -> None:
    benchmark(Rewriter, CHAT, model=b'"smart"', hide_usage=True)


def test_parser(benchmark: BenchmarkFixture) -> None:
    assert len(benchmark(Parser().feed, CHUNKS["8_of_1_kib"])) == 8
