"""An answer of nothing but text, straight from a provider's wire format to chat's: the short way of most answers.

The long way is a format's `decode_response` and `dialects.chat_reply.encode_response`. Each function here gives what
they give, or None for any other answer: calls, thoughts, refusals, citations, errors, several choices, what is missing
and would be made up. The types say what passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from switchgear.providers.dialects.chat_reply import SERVICE_TIERS, encode_usage
from switchgear.providers.finish import FROM_ANTHROPIC
from switchgear.providers.formats import anthropic_reply, gemini_reply, openai_responses_reply
from switchgear.wire.anthropic import AnthropicUsage
from switchgear.wire.gemini import UsageMetadata
from switchgear.wire.responses import ResponsesUsage

if TYPE_CHECKING:
    from switchgear.wire.conversation import TokenUsage

_Id = Annotated[str, Meta(min_length=1)]
_Nothing = Annotated[list[Any], Meta(max_length=0)]
_encode = msgspec.json.Encoder().encode


class _Block(Struct, gc=False):
    type: Literal["text"]
    text: str
    citations: None = None


class _Message(Struct):
    id: _Id
    content: list[_Block]
    stop_reason: Literal["end_turn", "stop_sequence", "max_tokens"]
    usage: AnthropicUsage | None = None
    error: None = None


class _Part(Struct, forbid_unknown_fields=True, gc=False):
    text: str


class _Content(Struct):
    parts: list[_Part]


class _Candidate(Struct, rename="camel"):
    content: _Content
    finish_reason: Literal["STOP", "MAX_TOKENS"]
    index: Literal[0] | None = None
    grounding_metadata: None = None
    logprobs_result: None = None


class _Generated(Struct, rename="camel"):
    candidates: Annotated[list[_Candidate], Meta(min_length=1, max_length=1)]
    response_id: _Id
    usage_metadata: UsageMetadata | None = None
    create_time: None = None
    error: None = None


class _Output(Struct, gc=False):
    type: Literal["output_text"]
    text: str
    annotations: _Nothing | None = None
    logprobs: _Nothing | None = None


class _Item(Struct):
    type: Literal["message"]
    content: list[_Output]


class _Response(Struct):
    id: _Id
    created_at: float | int
    status: Literal["completed"]
    output: list[_Item]
    usage: ResponsesUsage | None = None
    service_tier: str | None = None
    error: None = None


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_generated = msgspec.json.Decoder(_Generated).decode
_decode_response = msgspec.json.Decoder(_Response).decode

Told = tuple[bytes, "TokenUsage | None", str | None]
"""A chat completion, the usage that it tells, and the service tier."""


def from_anthropic(body: bytes, model: str) -> Told | None:
    """model: the name to show."""
    try:
        reply = _decode_message(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    usage, tier = None, None
    if reply.usage is not None:
        usage = anthropic_reply.decode_usage(reply.usage)
        tier = anthropic_reply.TIERS.get(reply.usage.service_tier or "")
    text = "".join([block.text for block in reply.content])
    finish = FROM_ANTHROPIC[reply.stop_reason]
    return _completion(reply.id, int(time.time()), model, text, finish, usage, tier), usage, tier


def from_gemini(body: bytes, model: str) -> Told | None:
    """model: the name to show."""
    try:
        reply = _decode_generated(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    usage = gemini_reply.decode_usage(reply.usage_metadata) if reply.usage_metadata is not None else None
    [candidate] = reply.candidates
    text = "".join([part.text for part in candidate.content.parts])
    finish = "stop" if candidate.finish_reason == "STOP" else "length"
    return _completion(reply.response_id, int(time.time()), model, text, finish, usage, None), usage, None


def from_responses(body: bytes, model: str) -> Told | None:
    """model: the name to show."""
    try:
        reply = _decode_response(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    usage = openai_responses_reply.decode_usage(reply.usage) if reply.usage is not None else None
    text = "".join([part.text for item in reply.output for part in item.content])
    created = int(reply.created_at or time.time()) or int(time.time())
    tier = reply.service_tier
    return _completion(reply.id, created, model, text, "stop", usage, tier), usage, tier


def _completion(
    answer_id: str, created: int, model: str, text: str, finish: str, usage: TokenUsage | None, tier: str | None
) -> bytes:
    body: dict[str, Any] = {
        "id": answer_id,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "finish_reason": finish,
                "logprobs": None,
            }
        ],
    }
    if usage is not None:
        body["usage"] = encode_usage(usage)
    if tier in SERVICE_TIERS:
        body["service_tier"] = tier
    body["system_fingerprint"] = None
    return _encode(body)


Reader = Callable[[bytes, str], Told | None]
READERS: dict[str, Reader] = {"anthropic": from_anthropic, "gemini": from_gemini, "responses": from_responses}
"""By the provider's format; those that are not here have the long way only."""
