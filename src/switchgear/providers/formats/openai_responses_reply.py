"""OpenAI Responses from the upstream: the answer and its errors (TRANSLATION §15)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from switchgear.errors import UpstreamProtocolError, UpstreamRejected
from switchgear.providers.dialects.responses import citations_of, thought_of
from switchgear.providers.identifiers import new_id
from switchgear.providers.reading import given, plain, read_reply
from switchgear.providers.upstream_errors import read_fault
from switchgear.wire.conversation import (
    ABSENT,
    Answer,
    Choice,
    Foreign,
    Refusal,
    ReplyContext,
    Text,
    TokenUsage,
    ToolCall,
)
from switchgear.wire.responses import Item, ItemHead, ResponsesReply, ResponsesUsage

if TYPE_CHECKING:
    from switchgear.wire.conversation import Finish, Part, UpstreamFault

_decoder = msgspec.json.Decoder(ResponsesReply)
_head = msgspec.json.Decoder(ItemHead)
_item = msgspec.json.Decoder(Item)
_tokens = msgspec.json.Decoder(list[Raw])
_encode = msgspec.json.Encoder().encode


def decode_response(body: bytes, context: ReplyContext | None = None) -> Answer:
    """Read a response object. Raises `UpstreamRejected` for a failed one, `UpstreamProtocolError` for none."""
    reply = read_reply(_decoder, body)
    if given(reply.error):
        raise UpstreamRejected(_failed_status(reply.error), [], body)
    if reply.output is None:
        raise UpstreamProtocolError("The upstream's answer has no output.")
    parts = decode_items(reply.output, context or ReplyContext())
    reason = reply.incomplete_details.reason if reply.incomplete_details is not None else None
    status = reply.status or "completed"
    finish: Finish = "tool_calls" if any(type(part) is ToolCall for part in parts) else "stop"
    if status == "incomplete":
        finish = "content_filter" if reason == "content_filter" else "length"
    elif status in ("failed", "cancelled"):
        finish = "error"
    choice = Choice(parts, finish, provider_finish=reason or status, logprobs=_logprobs(reply.output))
    return Answer(
        id=reply.id or new_id("resp_"),
        model=reply.model or "",
        created=int(reply.created_at or time.time()),
        choices=[choice],
        usage=decode_usage(reply.usage) if reply.usage is not None else None,
        service_tier=reply.service_tier,
    )


def _failed_status(error: Raw) -> int:
    fields = plain(error)
    code = fields.get("code") if isinstance(fields, dict) else None
    return {"rate_limit_exceeded": 429, "invalid_prompt": 400, "context_length_exceeded": 400}.get(str(code), 502)


def decode_items(items: list[Raw], context: ReplyContext) -> list[Part]:
    """Output items as parts; an item that only Responses knows stays whole."""
    parts: list[Part] = []
    for raw in items:
        kind = read_reply(_head, raw).type
        if kind == "message":
            content = read_reply(_item, raw).content
            for part in content if isinstance(content, list) else ():
                if part.type == "refusal":
                    parts.append(Refusal(part.refusal or ""))
                elif part.text is not None:
                    parts.append(Text(part.text, citations_of(part)))
        elif kind == "function_call":
            item = read_reply(_item, raw)
            name = item.name or ""
            parts.append(
                ToolCall(item.call_id or item.id or "", context.tool_names.get(name, name), item.arguments or "{}")
            )
        elif kind == "reasoning":
            parts.append(thought_of(read_reply(_item, raw)))
        else:
            parts.append(Foreign("responses", kind or "", raw))
    return parts


def _logprobs(items: list[Raw]) -> Raw:
    """The log probabilities of all texts, in chat's form (§15.1)."""
    tokens: list[Raw] = []
    for raw in items:
        if read_reply(_head, raw).type == "message":
            content = read_reply(_item, raw).content
            for part in content if isinstance(content, list) else ():
                if given(part.logprobs):
                    told = read_reply(_tokens, part.logprobs)
                    tokens += told
    return Raw(_encode({"content": tokens, "refusal": None})) if tokens else ABSENT


def decode_usage(usage: ResponsesUsage) -> TokenUsage:
    """Token counts: the same classes as ours."""
    inputs, outputs = usage.input_tokens_details, usage.output_tokens_details
    prompt, output = usage.input_tokens or 0, usage.output_tokens or 0
    return TokenUsage(
        prompt,
        output,
        usage.total_tokens or prompt + output,
        inputs.cached_tokens if inputs is not None else None,
        inputs.cache_write_tokens if inputs is not None else None,
        outputs.reasoning_tokens if outputs is not None else None,
    )


def decode_error(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> UpstreamFault:
    """What an error answer says, in the one form that all formats share."""
    return read_fault(status, headers, body)
