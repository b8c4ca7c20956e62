"""Chat Completions towards the client: answers and errors (TRANSLATION §6, §12, §16)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from switchgear.providers import media as media_parts
from switchgear.providers.identifiers import new_id
from switchgear.providers.reading import given
from switchgear.providers.signatures import pack
from switchgear.wire.conversation import (
    Citation,
    Conversation,
    Media,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)

if TYPE_CHECKING:
    from switchgear.wire.conversation import Answer, Choice, Part, TokenUsage

SERVICE_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_encode = msgspec.json.Encoder().encode


def encode_response(answer: Answer, conversation: Conversation, model: str = "") -> bytes:
    """The answer as a chat.completion. model: the name to show, else the upstream's."""
    legacy = conversation.legacy_functions
    body: dict[str, Any] = {
        "id": answer.id or new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": answer.created or int(time.time()),
        "model": model or answer.model,
        "choices": [_encode_choice(choice, legacy) for choice in answer.choices],
    }
    if answer.usage is not None:
        body["usage"] = encode_usage(answer.usage)
    if answer.service_tier in SERVICE_TIERS:
        body["service_tier"] = answer.service_tier
    body["system_fingerprint"] = answer.system_fingerprint
    if answer.extensions:
        body.update(answer.extensions)
    return _encode(body)


def _encode_choice(choice: Choice, legacy: bool) -> dict[str, Any]:
    finish: str = choice.finish
    message = encode_message(choice.parts, legacy)
    if legacy and finish == "tool_calls":
        finish = "function_call"
    return {
        "index": choice.index,
        "message": message,
        "finish_reason": "stop" if finish == "error" else finish,
        "logprobs": choice.logprobs if given(choice.logprobs) else None,
    }


def encode_message(parts: list[Part], legacy: bool = False) -> dict[str, Any]:
    """An assistant message: text joined, reasoning beside it, calls with JSON text as arguments (§6)."""
    text: str | None = None
    refusal: str | None = None
    reasoning = ""
    calls: list[dict[str, Any]] = []
    blocks: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    signed = False
    for part in parts:
        if type(part) is Text:
            if part.citations:
                annotations += _annotations(part.citations)
            text = part.text if text is None else text + part.text
        elif type(part) is ToolCall:
            calls.append(_encode_call(part))
        elif type(part) is Reasoning:
            reasoning += part.text
            signed = signed or part.signature is not None
            blocks.append(_encode_block(part))
        elif type(part) is Refusal:
            refusal = part.text if refusal is None else refusal + part.text
        elif type(part) is Media:
            url = part.url or media_parts.data_url(part)
            images.append({"type": "image_url", "index": len(images), "image_url": {"url": url}})
    if text is None and not calls and refusal is None:
        text = ""
    message: dict[str, Any] = {"role": "assistant", "content": text or None if calls else text, "refusal": refusal}
    if reasoning:
        message["reasoning_content"] = reasoning
    if signed:  # whole, so that the blocks alone can be sent back
        message["thinking_blocks"] = blocks
    if calls:
        if legacy:
            message["function_call"] = calls[0]["function"]
        else:
            message["tool_calls"] = calls
    if annotations:
        message["annotations"] = annotations
    if images:
        message["images"] = images
    return message


def _encode_call(call: ToolCall) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
    if call.signature is not None and call.signature.vendor == "gemini":
        found["extra_content"] = {"google": {"thought_signature": call.signature.value}}
    return found


def _encode_block(part: Reasoning) -> dict[str, Any]:
    token = pack(part, "chat")
    if not token:
        return {"type": "thinking", "thinking": part.text}
    if part.redacted:
        return {"type": "redacted_thinking", "data": token}
    return {"type": "thinking", "thinking": part.text, "signature": token}


def _annotations(citations: list[Citation]) -> list[dict[str, Any]]:
    return [
        {
            "type": "url_citation",
            "url_citation": {
                "url": citation.url,
                "title": citation.title,
                "start_index": max(citation.start, 0),
                "end_index": max(citation.end, 0),
            },
        }
        for citation in citations
        if citation.url
    ]


def encode_usage(usage: TokenUsage) -> dict[str, Any]:
    """Token counts in chat's form; classes that the upstream does not count are left out (§12)."""
    body: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    prompt: dict[str, int] = {}
    if usage.cached_tokens is not None:
        prompt["cached_tokens"] = usage.cached_tokens
    if usage.cache_write_tokens is not None:
        prompt["cache_write_tokens"] = usage.cache_write_tokens
    if usage.audio_input_tokens is not None:
        prompt["audio_tokens"] = usage.audio_input_tokens
    if prompt:
        body["prompt_tokens_details"] = prompt
    completion: dict[str, int] = {}
    if usage.reasoning_tokens is not None:
        completion["reasoning_tokens"] = usage.reasoning_tokens
    if usage.audio_output_tokens is not None:
        completion["audio_tokens"] = usage.audio_output_tokens
    if completion:
        body["completion_tokens_details"] = completion
    return body


def encode_error(
    status: int,
    type: str,
    code: str | None,
    message: str,
    param: str | None = None,
    request_id: str = "",
    retry_after_s: float | None = None,
) -> bytes:
    """OpenAI's envelope: all four keys, `code` a string or null (§16.1). The rest is for headers."""
    return _encode({"error": {"message": message, "type": type, "param": param, "code": code}})
