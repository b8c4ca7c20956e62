"""Texts straight from format to format: the very bytes of the long way through the pivot, or None."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.errors import GatewayError, InvalidRequest
from switchgear.providers import text_replies, text_requests
from switchgear.providers.dialects import chat
from switchgear.providers.model_traits import target_model
from switchgear.upstream.translated import FORMATS
from switchgear.wire.conversation import Conversation

MODELS = {
    "anthropic": ("claude-sonnet-4-5", "claude-3-haiku", "claude-sonnet-9", "other"),
    "gemini": ("gemini-2.5-flash", "gemini-3-pro"),
    "responses": ("gpt-4.1", "gpt-5"),
}
ASKED = Conversation(source="chat", model="m", messages=[])

texts = st.one_of(st.text(max_size=12), st.sampled_from(["Hi", " ", "\u2003\n", "\x1c", "😀", "end "]))
roles = st.sampled_from(["system", "developer", "user", "assistant", "user", "assistant", "tool", "robot"])
messages = st.lists(
    st.one_of(
        st.fixed_dictionaries({"role": roles, "content": texts}),
        st.fixed_dictionaries({"role": roles, "content": texts, "name": st.just("ann")}),
        st.fixed_dictionaries(
            {"role": roles, "content": st.one_of(st.none(), st.just([{"type": "text", "text": "a"}]))}
        ),
    ),
    max_size=5,
)
numbers = st.one_of(st.none(), st.integers(-1, 3), st.floats(0, 2), st.just(64), st.just(64.0), st.just("x"))
limits = st.one_of(st.none(), st.integers(-1, 40), st.just(64.0), st.just(1.5), st.just(2**70))
fields = st.fixed_dictionaries(
    {"model": st.just("m"), "messages": messages},
    optional={
        "temperature": numbers,
        "top_p": numbers,
        "max_tokens": limits,
        "max_completion_tokens": limits,
        "n": st.sampled_from([None, 1, 2, 1.0]),
        "stream": st.sampled_from([None, False, True]),
        "seed": st.just(1),
        "extra": st.just([1]),
    },
)


def long_way(fmt: str, body: bytes, model: str) -> tuple[bytes, list[str]] | None:
    """The bytes, and what was dropped; None where it is refused."""
    try:
        encoded = FORMATS[fmt].encode_request(chat.decode_request(body, "m"), target_model(model))
    except (InvalidRequest, OverflowError):
        return None
    return encoded.body, encoded.dropped


def short_way(fmt: str, body: bytes, model: str) -> bytes | None:
    found = text_requests.read(body)
    return None if found is None else text_requests.WRITERS[fmt](found, target_model(model))


@pytest.mark.parametrize("fmt", list(MODELS))
@given(data=st.data())
def test_requests(fmt: str, data: st.DataObject) -> None:
    body = json.dumps(data.draw(fields)).encode()
    model = data.draw(st.sampled_from(MODELS[fmt]))
    short = short_way(fmt, body, model)
    if short is not None:
        assert (short, []) == long_way(fmt, body, model)


@pytest.mark.parametrize("fmt", list(MODELS))
def test_a_plain_chat_takes_the_short_way(fmt: str) -> None:
    plain = {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Grüße"},
            {"role": "assistant", "content": "Hm."},
            {"role": "user", "content": "And?"},
        ],
        "temperature": 1.5,
        "max_tokens": 64,
        "stream": False,
    }
    body = json.dumps(plain).encode()
    for model in MODELS[fmt]:
        assert (short_way(fmt, body, model), []) == long_way(fmt, body, model)
    for body in (b"", b"[]", b"{", b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}'):
        assert text_requests.read(body) is None


counts = st.one_of(st.none(), st.integers(-1, 99), st.just(2**41))
ANTHROPIC = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["msg_1", "", None]),
        "content": st.lists(
            st.one_of(
                st.fixed_dictionaries({"type": st.just("text"), "text": texts}),
                st.fixed_dictionaries(
                    {"type": st.just("text"), "text": texts, "citations": st.sampled_from([None, []])}
                ),
                st.just({"type": "thinking", "thinking": "hm", "signature": "s"}),
                st.just({"type": "tool_use", "id": "t", "name": "f", "input": {}}),
            ),
            max_size=3,
        ),
        "stop_reason": st.sampled_from(["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "odd", None]),
    },
    optional={
        "error": st.sampled_from([None, {"message": "no"}]),
        "usage": st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {"input_tokens": counts, "output_tokens": counts},
                optional={
                    "cache_read_input_tokens": counts,
                    "cache_creation_input_tokens": counts,
                    "service_tier": st.sampled_from(["standard", "priority", "batch"]),
                    "speed": st.just("fast"),
                },
            ),
        ),
    },
)
GEMINI = st.fixed_dictionaries(
    {},
    optional={
        "candidates": st.lists(
            st.fixed_dictionaries(
                {"finishReason": st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", 1, None])},
                optional={
                    "content": st.fixed_dictionaries(
                        {"role": st.just("model")},
                        optional={
                            "parts": st.lists(
                                st.one_of(
                                    st.fixed_dictionaries({"text": texts}),
                                    st.just({"text": "hm", "thought": True}),
                                    st.just({"text": "hm", "thoughtSignature": "c2ln"}),
                                    st.just({"functionCall": {"name": "f", "args": {}}}),
                                ),
                                max_size=3,
                            )
                        },
                    ),
                    "index": st.sampled_from([0, 1, None]),
                    "groundingMetadata": st.sampled_from([None, {}]),
                },
            ),
            max_size=2,
        ),
        "responseId": st.sampled_from(["r", "", None]),
        "createTime": st.sampled_from([None, "2026-01-01T00:00:00Z"]),
        "error": st.sampled_from([None, {"code": 500}]),
        "usageMetadata": st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {"promptTokenCount": counts, "candidatesTokenCount": counts},
                optional={
                    "thoughtsTokenCount": counts,
                    "totalTokenCount": counts,
                    "promptTokensDetails": st.just([{"modality": "AUDIO", "tokenCount": 3}]),
                },
            ),
        ),
    },
)
RESPONSES = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["resp_1", "", None]),
        "created_at": st.sampled_from([1700000000, 1700000000.9, 0, 0.5, None]),
        "status": st.sampled_from(["completed", "incomplete", "failed", None]),
        "output": st.lists(
            st.one_of(
                st.fixed_dictionaries(
                    {
                        "type": st.just("message"),
                        "content": st.lists(
                            st.fixed_dictionaries(
                                {"type": st.sampled_from(["output_text", "refusal"]), "text": texts},
                                optional={
                                    "annotations": st.sampled_from([[], None, [{"type": "file_citation"}]]),
                                    "logprobs": st.sampled_from([[], None, [{"token": "a", "logprob": 0.5}]]),
                                },
                            ),
                            max_size=2,
                        ),
                    }
                ),
                st.just({"type": "reasoning", "id": "rs_1", "summary": []}),
                st.just({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}),
            ),
            max_size=3,
        ),
    },
    optional={
        "error": st.sampled_from([None, {"code": "x"}]),
        "service_tier": st.sampled_from([None, "default", "odd"]),
        "incomplete_details": st.sampled_from([None, {"reason": "max_output_tokens"}]),
        "usage": st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {"input_tokens": counts, "output_tokens": counts},
                optional={
                    "total_tokens": counts,
                    "input_tokens_details": st.fixed_dictionaries({"cached_tokens": counts}),
                    "output_tokens_details": st.fixed_dictionaries({"reasoning_tokens": counts}),
                },
            ),
        ),
    },
)
REPLIES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "responses": RESPONSES,
}


@pytest.fixture(scope="module", autouse=True)
def still() -> Any:
    """Time and chance, the same for both ways."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: 1_800_000_000.5)
        patch.setattr(secrets, "token_hex", lambda size: "0" * 2 * size)
        yield


@pytest.mark.parametrize("fmt", list(MODELS))
@given(data=st.data())
def test_answers(fmt: str, data: st.DataObject) -> None:
    body = json.dumps(data.draw(REPLIES[fmt])).encode()
    short = text_replies.READERS[fmt](body, "shown")
    if short is not None:
        try:
            answer = FORMATS[fmt].decode_response(body)
        except GatewayError:
            pytest.fail(f"the long way refuses {body!r}")
        assert short == (chat.encode_response(answer, ASKED, "shown"), answer.usage, answer.service_tier)


def test_a_plain_answer_takes_the_short_way() -> None:
    bodies = {
        "anthropic": {
            "id": "msg_1",
            "type": "message",
            "content": [{"type": "text", "text": "Grüße"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 2},
        },
        "gemini": {
            "candidates": [{"content": {"parts": [{"text": "Grüße"}], "role": "model"}, "finishReason": "STOP"}],
            "responseId": "r",
        },
        "responses": {
            "id": "resp_1",
            "created_at": 1,
            "status": "completed",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "Grüße", "annotations": []}]}],
        },
    }
    for fmt, value in bodies.items():
        short = text_replies.READERS[fmt](json.dumps(value).encode(), "shown")
        assert short is not None
        assert json.loads(short[0])["choices"][0]["message"]["content"] == "Grüße"
        assert text_replies.READERS[fmt](b"\xff", "shown") is None
