"""Anthropic Messages from the upstream: the answer and its errors (TRANSLATION §6, §11, §12)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from switchgear.errors import UpstreamProtocolError, UpstreamRejected
from switchgear.providers.finish import FROM_ANTHROPIC
from switchgear.providers.identifiers import new_id
from switchgear.providers.reading import given, object_text, read_reply
from switchgear.providers.upstream_errors import read_fault
from switchgear.wire.anthropic import AnthropicUsage, Block, BlockCitation, MessagesReply
from switchgear.wire.conversation import (
    Answer,
    Choice,
    Citation,
    Foreign,
    Reasoning,
    Refusal,
    ReplyContext,
    Signature,
    Text,
    TokenUsage,
    ToolCall,
)

if TYPE_CHECKING:
    from switchgear.wire.conversation import Part, UpstreamFault

_decoder = msgspec.json.Decoder(MessagesReply)
_block = msgspec.json.Decoder(Block)
_citations = msgspec.json.Decoder(list[Raw])
_citation = msgspec.json.Decoder(BlockCitation)


def decode_response(body: bytes, context: ReplyContext | None = None) -> Answer:
    """Read an answer. Raises `UpstreamRejected` for an error object in a 200, `UpstreamProtocolError` for no answer."""
    reply = read_reply(_decoder, body)
    if given(reply.error):
        raise UpstreamRejected(502, [], body)
    if reply.content is None:
        raise UpstreamProtocolError("The upstream's answer has no content.")
    parts = decode_blocks(reply.content, context or ReplyContext())
    reason = reply.stop_reason
    finish = FROM_ANTHROPIC.get(reason, "stop") if reason else "error"
    calls = any(type(part) is ToolCall for part in parts)
    if finish == "tool_calls" and not calls:
        finish = "stop"
    if reason == "refusal" and reply.stop_details is not None and reply.stop_details.explanation:
        parts.append(Refusal(reply.stop_details.explanation))
    choice = Choice(parts, finish, provider_finish=reason or "", stop_sequence=reply.stop_sequence)
    usage = reply.usage
    return Answer(
        id=reply.id or new_id("msg_"),
        model=reply.model or "",
        created=int(time.time()),
        choices=[choice],
        usage=decode_usage(usage) if usage is not None else None,
        service_tier=TIERS.get(usage.service_tier or "") if usage is not None else None,
    )


TIERS = {"standard": "default", "priority": "priority"}


def decode_blocks(blocks: list[Raw], context: ReplyContext) -> list[Part]:
    """Content blocks as parts; a block that only Anthropic understands stays whole."""
    parts: list[Part] = []
    length = 0
    for raw in blocks:
        block = read_reply(_block, raw)
        kind = block.type
        if kind == "text":
            text = block.text or ""
            citations = _cited(block.citations, length, length + len(text)) if given(block.citations) else None
            length += len(text)
            parts.append(Text(text, citations))
        elif kind == "tool_use":
            if context.json_tool and block.name == context.json_tool:
                parts.append(Text(object_text(block.input)))
            else:
                name = block.name or ""
                parts.append(
                    ToolCall(block.id or new_id("toolu_"), context.tool_names.get(name, name), object_text(block.input))
                )
        elif kind == "thinking":
            signature = Signature("anthropic", block.signature) if block.signature else None
            parts.append(Reasoning(block.thinking or "", signature, vendor="anthropic"))
        elif kind == "redacted_thinking":
            parts.append(
                Reasoning(signature=Signature("anthropic", block.data or ""), redacted=True, vendor="anthropic")
            )
        else:
            parts.append(Foreign("anthropic", kind, raw))
    return parts


def _cited(raw: Raw, start: int, end: int) -> list[Citation]:
    found = []
    for item in read_reply(_citations, raw):
        cited = read_reply(_citation, item)
        title = cited.title or cited.document_title or ""
        found.append(Citation(cited.url or "", title, start, end, cited.cited_text or "", "anthropic", item))
    return found


def decode_usage(usage: AnthropicUsage) -> TokenUsage:
    """Token counts: Anthropic's input_tokens leave out what was read from and written to the cache (§12)."""
    cached, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    prompt = (usage.input_tokens or 0) + (cached or 0) + (written or 0)
    output = usage.output_tokens or 0
    details = usage.output_tokens_details
    return TokenUsage(
        prompt,
        output,
        prompt + output,
        cached,
        written,
        details.thinking_tokens if details is not None else None,
        cache_write_1h_tokens=usage.cache_creation.ephemeral_1h_input_tokens if usage.cache_creation else None,
        service_tier="fast" if usage.speed == "fast" else usage.service_tier,
    )


def decode_error(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> UpstreamFault:
    """What an error answer says, in the one form that all formats share."""
    return read_fault(status, headers, body)
