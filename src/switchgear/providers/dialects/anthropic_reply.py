"""Anthropic Messages towards the client: answers and errors (TRANSLATION §12, §14, §16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from switchgear.providers.finish import TO_ANTHROPIC
from switchgear.providers.identifiers import new_id
from switchgear.providers.reading import as_object
from switchgear.providers.signatures import pack, with_turn_signature
from switchgear.wire.conversation import Foreign, Reasoning, Refusal, Text, ToolCall

if TYPE_CHECKING:
    from switchgear.wire.conversation import Answer, Citation, Conversation, Part, TokenUsage

# In place of Anthropic's own proof of a search result; `upstream.native` looks for how it begins.
FOREIGN_INDEX = "swg.citation"
_encode = msgspec.json.Encoder().encode


def encode_response(answer: Answer, conversation: Conversation, model: str = "") -> bytes:
    """The answer as a message. Of several choices the first counts: the dialect has one."""
    choice = answer.choices[0]
    stop = TO_ANTHROPIC[choice.finish]
    if stop == "end_turn" and any(type(part) is Refusal for part in choice.parts):
        stop = "refusal"  # its words are a text block, so the reason must say what they are (§14.2)
    if choice.stop_sequence is not None and stop == "end_turn":
        stop = "stop_sequence"
    elif choice.provider_finish == "pause_turn":
        stop = "pause_turn"
    return _encode(
        {
            "id": answer.id or new_id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": model or answer.model,
            "content": encode_blocks(choice.parts),
            "stop_reason": stop,
            "stop_sequence": choice.stop_sequence,
            "usage": encode_usage(answer.usage),
        }
    )


def encode_blocks(parts: list[Part]) -> list[Any]:
    """Content blocks: thinking first, then text and calls in their order (§14.2)."""
    if any(type(part) is ToolCall and part.signature is not None for part in parts):
        parts = with_turn_signature(parts)
    blocks: list[Any] = []
    thoughts = 0
    for part in parts:
        if type(part) is Text:
            if part.text:
                blocks.append(_text_block(part))
        elif type(part) is ToolCall:
            blocks.append(
                {"type": "tool_use", "id": part.id, "name": part.name, "input": as_object(part.arguments) or {}}
            )
        elif type(part) is Reasoning:
            block = _thinking_block(part)
            if part.vendor == "anthropic":
                blocks.append(block)
            else:
                blocks.insert(thoughts, block)
                thoughts += 1
        elif type(part) is Refusal:
            blocks.append({"type": "text", "text": part.text})
        elif type(part) is Foreign and part.format == "anthropic":
            blocks.append(part.payload)
    return blocks


def _text_block(part: Text) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": part.text}
    cited = [found for citation in part.citations or () if (found := _cited_place(citation)) is not None]
    if cited:
        block["citations"] = cited
    return block


def _cited_place(citation: Citation) -> Raw | dict[str, Any] | None:
    """A citation as it came, or another vendor's page as a search result; None for one that names no page."""
    if citation.format == "anthropic":
        return citation.payload
    if not citation.url:
        return None
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title,
        "cited_text": citation.cited_text,
        "encrypted_index": FOREIGN_INDEX,
    }


def _thinking_block(part: Reasoning) -> dict[str, Any]:
    token = pack(part, "anthropic")
    if part.redacted:
        return {"type": "redacted_thinking", "data": token}
    return {"type": "thinking", "thinking": part.text, "signature": token}


def encode_usage(usage: TokenUsage | None) -> dict[str, Any]:
    """Token counts in Anthropic's classes: input without what came from or went to the cache, never negative (§12)."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    cached = min(usage.cached_tokens or 0, usage.input_tokens)  # some count more than there was
    written = min(usage.cache_write_tokens or 0, usage.input_tokens - cached)
    body: dict[str, Any] = {
        "input_tokens": max(usage.input_tokens - cached - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens is not None:
        body["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return body


_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    409: "conflict_error",
    413: "request_too_large",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_type(status: int) -> str:
    """Anthropic's error type for a status."""
    return _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")


def encode_error(
    status: int,
    type: str,
    code: str | None,
    message: str,
    param: str | None = None,
    request_id: str = "",
    retry_after_s: float | None = None,
) -> bytes:
    """Anthropic's envelope; the type follows from the status, the field is named in the message (§16.1)."""
    error: dict[str, Any] = {"type": error_type(status), "message": message}
    if param and param not in message:
        error["message"] = f"{param}: {message}"
    if code is not None:
        error["details"] = {"error_code": code}
    return _encode({"type": "error", "error": error, "request_id": request_id or None})
