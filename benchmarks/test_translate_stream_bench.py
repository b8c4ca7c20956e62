"""What an event costs on its way from one wire format into another: a thousand short text deltas, one `feed` each.

`pytest benchmarks/test_translate_stream_bench.py`; the time of a round divided by 1000 is in
`extra_info["us_per_event"]`.
"""

import json
from typing import Any

import pytest

from switchgear.hotpath._translate import CLIENTS, UPSTREAMS, Translator

EVENTS = 1000
PAIRS = [(u, c) for u in UPSTREAMS for c in CLIENTS if c != "gemini-array" and (u != c or u in ("chat", "gemini"))]


def sse(event: dict[str, Any], *, named: bool = False) -> bytes:
    name = f"event: {event['type']}\n" if named else ""
    return f"{name}data: {json.dumps(event, separators=(',', ':'))}\n\n".encode()


def stream(upstream: str) -> tuple[list[bytes], list[bytes]]:
    """(what comes before, the deltas) in the sizes that the providers send."""
    if upstream == "anthropic":
        message = {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": [],
            "usage": {"input_tokens": 9, "output_tokens": 1},
        }
        before = [
            sse({"type": "message_start", "message": message}, named=True),
            sse({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, named=True),
        ]
        return before, [
            sse(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f" word {n}"}},
                named=True,
            )
            for n in range(EVENTS)
        ]
    if upstream == "chat":
        frame = {
            "id": "chatcmpl-01",
            "object": "chat.completion.chunk",
            "created": 1700000000,
            "model": "gpt",
            "service_tier": "default",
            "system_fingerprint": "fp_01",
        }

        def chunk(delta: dict[str, Any]) -> bytes:
            return sse(
                {
                    **frame,
                    "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}],
                    "usage": None,
                    "obfuscation": "aBcDeF",
                }
            )

        return [chunk({"role": "assistant", "content": "", "refusal": None})], [
            chunk({"content": f" word {n}"}) for n in range(EVENTS)
        ]
    if upstream == "responses":
        before = [
            sse(
                {"type": "response.created", "response": {"id": "resp_01", "model": "gpt", "status": "in_progress"}},
                named=True,
            ),
            sse(
                {
                    "type": "response.output_item.added",
                    "output_index": 0,
                    "item": {"id": "msg_01", "type": "message", "content": []},
                },
                named=True,
            ),
        ]
        return before, [
            sse(
                {
                    "type": "response.output_text.delta",
                    "content_index": 0,
                    "delta": f" word {n}",
                    "item_id": "msg_" + "0" * 50,
                    "logprobs": [],
                    "obfuscation": "aBcDeF",
                    "output_index": 0,
                    "sequence_number": n,
                },
                named=True,
            )
            for n in range(EVENTS)
        ]
    if upstream == "gemini":
        usage = {
            "promptTokenCount": 9,
            "candidatesTokenCount": 5,
            "totalTokenCount": 14,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 9}],
        }
        events = [
            sse(
                {
                    "candidates": [{"content": {"parts": [{"text": f" word {n}"}], "role": "model"}, "index": 0}],
                    "usageMetadata": usage,
                    "modelVersion": "gemini",
                    "responseId": "01",
                }
            )
            for n in range(EVENTS + 1)
        ]
        return events[:1], events[1:]
    events = [
        json.dumps(
            {
                "model": "llama",
                "created_at": "2026-01-01T00:00:00.000000Z",
                "message": {"role": "assistant", "content": f" word {n}"},
                "done": False,
            }
        ).encode()
        + b"\n"
        for n in range(EVENTS + 1)
    ]
    return events[:1], events[1:]


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_text_delta(benchmark: Any, upstream: str, client: str) -> None:
    before, deltas = stream(upstream)

    def setup() -> tuple[tuple[Translator], dict[str, Any]]:
        this = Translator(upstream, client, include_usage=True, seed="ab")
        for event in before:
            this.feed(event)
        return (this,), {}

    def run(this: Translator) -> None:
        for event in deltas:
            this.feed(event)

    benchmark.pedantic(run, setup=setup, rounds=5)
    benchmark.extra_info["us_per_event"] = round(benchmark.stats["min"] / EVENTS * 1e6, 2)
