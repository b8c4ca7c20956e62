"""What a translated, non-streamed chat costs: request and answer, per pair of dialect and format.

The target is 40 µs for request and answer together on the reference machine, two thirds of a pass-through request.
Run: `python -m pytest benchmarks/test_translate_bench.py`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchgear.providers.dialects import anthropic as anthropic_dialect
from switchgear.providers.dialects import chat
from switchgear.providers.formats import anthropic, gemini, openai_chat
from switchgear.providers.model_traits import target_model

CHAT = json.dumps(
    {
        "model": "smart",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "What is the weather like in Paris in the middle of October?"},
        ],
        "temperature": 0.7,
        "max_tokens": 256,
    }
).encode()
MESSAGES = json.dumps(
    {
        "model": "smart",
        "max_tokens": 256,
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Weather in Paris?"}],
    }
).encode()
TEXT = "In mid-October Paris is mild: highs near 16 degrees, lows near 9, with some rain. " * 6
ANSWERS: dict[str, bytes] = {
    "anthropic": json.dumps(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5",
            "content": [{"type": "text", "text": TEXT}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 30, "output_tokens": 120},
        }
    ).encode(),
    "gemini": json.dumps(
        {
            "candidates": [
                {"content": {"parts": [{"text": TEXT}], "role": "model"}, "finishReason": "STOP", "index": 0}
            ],
            "usageMetadata": {"promptTokenCount": 30, "candidatesTokenCount": 120, "totalTokenCount": 150},
            "modelVersion": "gemini-3-pro",
            "responseId": "r1",
        }
    ).encode(),
    "openai_chat": json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1760000000,
            "model": "gpt-4.1",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 30, "completion_tokens": 120, "total_tokens": 150},
        }
    ).encode(),
}
PAIRS: list[Any] = [
    pytest.param(chat, CHAT, anthropic, "claude-sonnet-4-5", "anthropic", id="chat-anthropic"),
    pytest.param(chat, CHAT, gemini, "gemini-3-pro", "gemini", id="chat-gemini"),
    pytest.param(anthropic_dialect, MESSAGES, openai_chat, "gpt-4.1", "openai_chat", id="anthropic-openai_chat"),
]


@pytest.mark.parametrize(("dialect", "body", "fmt", "model", "name"), PAIRS)
def test_request_and_answer(benchmark: Any, dialect: Any, body: bytes, fmt: Any, model: str, name: str) -> None:
    target = target_model(model)
    reply = ANSWERS[name]

    def translate() -> bytes:
        conversation = dialect.decode_request(body)
        encoded = fmt.encode_request(conversation, target)
        answer = fmt.decode_response(reply, encoded.context)
        out: bytes = dialect.encode_response(answer, conversation, "smart")
        return out

    benchmark(translate)
