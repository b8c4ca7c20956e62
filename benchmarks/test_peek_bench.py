"""peek-and-splice: small and large bodies. Budget: 64 KiB of chat within 40 µs, all of it validated."""

import json

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from switchgear.hotpath._peek import peek_reply, peek_request, prepare

TEXTS = {
    "ascii": 'The quick brown fox said "no", and jumped.\nThen it went on to other things, for a while at least. ',
    "cjk": "\u6211\u73fe\u5728\u90fd\u770b\u5be6\u6cc1\u4e0d\u73a9\u904a\u6232\uff0c\n",
    "cyrillic": "\u0421\u044a\u0435\u0448\u044c \u0435\u0449\u0451 \u0431\u0443\u043b\u043e\u043a. ",
    "emoji": "hello \U0001f600 world \U0001f389 ",
}


def chat(text: str, size: int) -> bytes:
    """A chat body of about `size` bytes, in messages of about 1,200."""
    content = text * (1200 // len(text.encode()) + 1)
    count = max(1, size // len(content.encode()))
    messages = [{"role": "assistant" if i % 2 else "user", "content": content} for i in range(count)]
    return json.dumps({"model": "gpt-4.1", "messages": messages, "stream": True}, ensure_ascii=False).encode()


SMALL = json.dumps(
    {
        "model": "gpt-4.1-mini",
        "messages": [
            {"role": "system", "content": "You are terse."},
            {"role": "user", "content": "What is a load balancer? " * 4},
        ],
        "max_tokens": 64,
        "temperature": 0.7,
        "stream": True,
    }
).encode()


def test_peek_260_bytes(benchmark: BenchmarkFixture) -> None:
    assert 240 < len(SMALL) < 300
    assert benchmark(peek_request, SMALL).stream


@pytest.mark.parametrize("text", TEXTS)
def test_peek_64_kib(benchmark: BenchmarkFixture, text: str) -> None:
    body = chat(TEXTS[text], 65536)
    benchmark.extra_info["bytes"] = len(body)
    assert benchmark(peek_request, body).model == "gpt-4.1"


def test_peek_64_kib_of_numbers(benchmark: BenchmarkFixture) -> None:
    body = json.dumps({"model": "e", "input": [list(range(12_000))]}).encode()
    assert benchmark(peek_request, body).input_kind == ord("[")


def test_reply_700_bytes(benchmark: BenchmarkFixture) -> None:
    message = {"role": "assistant", "content": "word " * 80, "refusal": None}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": message}],
    }
    sent = json.dumps({**body, "usage": {"prompt_tokens": 9, "completion_tokens": 80, "total_tokens": 89}}).encode()
    assert benchmark(peek_reply, sent).usage_start > 0


def test_prepare_260_bytes(benchmark: BenchmarkFixture) -> None:
    request = peek_request(SMALL)
    assert benchmark(prepare, SMALL, request, b'"another-model"', True)


def test_json_loads_64_kib_for_comparison(benchmark: BenchmarkFixture) -> None:
    benchmark(json.loads, chat(TEXTS["ascii"], 65536))
