"""Gemini generateContent from the upstream: the answer and its errors (TRANSLATION §6, §9, §11, §12)."""

from __future__ import annotations

import datetime
import math
import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from switchgear.errors import UpstreamProtocolError, UpstreamRejected
from switchgear.providers.dialects.gemini import media_of, msgspec_camel
from switchgear.providers.finish import FROM_GEMINI, GEMINI_MALFORMED, gemini_word
from switchgear.providers.identifiers import new_id, new_tool_id
from switchgear.providers.reading import given, object_text, read_reply
from switchgear.providers.upstream_errors import read_fault
from switchgear.wire.conversation import (
    ABSENT,
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
from switchgear.wire.gemini import (
    Candidate,
    GeminiPart,
    GenerateReply,
    Grounding,
    LogprobsResult,
    ModalityCount,
    TokenCandidate,
    UsageMetadata,
)

if TYPE_CHECKING:
    from switchgear.wire.conversation import Part, UpstreamFault

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(GenerateReply)
_stream_decoder = msgspec.json.Decoder(list[GenerateReply])


def decode_response(body: bytes, context: ReplyContext | None = None) -> Answer:
    """Read an answer, or the JSON array that a stream without alt=sse is.

    Raises `UpstreamRejected` for an error object in a 200, `UpstreamProtocolError` for what is no answer.
    """
    array = body.lstrip()[:1] == b"["
    reply = _joined(read_reply(_stream_decoder, body)) if array else read_reply(_decoder, body)
    if given(reply.error):
        raise UpstreamRejected(502, [], body)
    if reply.candidates:
        choices = [_candidate(candidate, context or ReplyContext()) for candidate in reply.candidates]
    elif reply.prompt_feedback is not None:
        reason = reply.prompt_feedback.block_reason
        message = reply.prompt_feedback.block_reason_message
        refusal: list[Part] = [Refusal(message)] if message else []
        choices = [Choice(refusal, "content_filter", provider_finish=str(reason or ""))]
    elif reply.usage_metadata is not None:
        choices = [Choice([], "stop")]
    else:
        raise UpstreamProtocolError("The upstream's answer has no candidates.")
    usage = reply.usage_metadata
    return Answer(
        id=reply.response_id or new_id("chatcmpl-"),
        model=reply.model_version or "",
        created=_created(reply.create_time),
        choices=choices,
        usage=decode_usage(usage) if usage is not None else None,
    )


def _joined(chunks: list[GenerateReply]) -> GenerateReply:
    """One reply of the pieces of a stream: parts in order, the last word on everything else."""
    whole = GenerateReply(candidates=[])
    by_index: dict[int, Candidate] = {}
    for chunk in chunks:
        for candidate in chunk.candidates or ():
            index = candidate.index or 0
            held = by_index.get(index)
            if held is None:
                by_index[index] = candidate
                continue
            if candidate.content is not None and candidate.content.parts:
                if held.content is None or held.content.parts is None:
                    held.content = candidate.content
                else:
                    held.content.parts = _merged(held.content.parts, candidate.content.parts)
            held.finish_reason = candidate.finish_reason if candidate.finish_reason is not None else held.finish_reason
            held.finish_message = candidate.finish_message or held.finish_message
            held.grounding_metadata = candidate.grounding_metadata or held.grounding_metadata
        if chunk.usage_metadata is not None:
            if whole.usage_metadata is None:
                whole.usage_metadata = chunk.usage_metadata
            else:
                for name in UsageMetadata.__struct_fields__:
                    value = getattr(chunk.usage_metadata, name)
                    if value is not None:
                        setattr(whole.usage_metadata, name, value)
        for name in ("prompt_feedback", "model_version", "response_id", "create_time"):
            if getattr(chunk, name) is not None:
                setattr(whole, name, getattr(chunk, name))
        if given(chunk.error):
            whole.error = chunk.error
    whole.candidates = [by_index[index] for index in sorted(by_index)]
    return whole


def _merged(held: list[GeminiPart], more: list[GeminiPart]) -> list[GeminiPart]:
    for part in more:
        last = held[-1] if held else None
        plain_text = part.text is not None and part.thought_signature is None and part.function_call is None
        if (
            plain_text
            and last is not None
            and last.text is not None
            and last.thought_signature is None
            and last.thought == part.thought
        ):
            last.text += part.text or ""
        else:
            held.append(part)
    return held


def _created(stamp: str | None) -> int:
    if stamp is None:
        return int(time.time())
    try:
        return int(datetime.datetime.fromisoformat(stamp).timestamp())
    except ValueError:
        return int(time.time())


def _candidate(candidate: Candidate, context: ReplyContext) -> Choice:
    content = candidate.content
    parts = _parts(content.parts or [], context) if content is not None else []
    if context.single_call:
        first = next((part for part in parts if type(part) is ToolCall), None)
        parts = [part for part in parts if type(part) is not ToolCall or part is first]
    calls = any(type(part) is ToolCall for part in parts)
    word = gemini_word(candidate.finish_reason)
    finish = FROM_GEMINI.get(word, "stop")
    if calls and finish == "stop":
        finish = "tool_calls"
    if (
        word in GEMINI_MALFORMED
        and candidate.finish_message
        and not any(type(part) is Text and part.text for part in parts)
    ):
        parts.append(Text(candidate.finish_message))
    if candidate.grounding_metadata is not None:
        _ground(parts, candidate.grounding_metadata)
    choice = Choice(parts, finish, candidate.index or 0, word)
    if candidate.logprobs_result is not None:
        choice.logprobs = _logprobs(candidate.logprobs_result)
    return choice


def _parts(items: list[GeminiPart], context: ReplyContext) -> list[Part]:
    parts: list[Part] = []
    for item in items:
        token = item.thought_signature
        signature = Signature("gemini", token) if token else None
        if item.function_call is not None:
            call = item.function_call
            name = context.tool_names.get(call.name, call.name)
            parts.append(ToolCall(call.id or new_tool_id(), name, object_text(call.args), signature))
        elif item.thought:
            parts.append(Reasoning(item.text or "", signature, vendor="gemini"))
        elif item.text is not None:
            if item.text:
                parts.append(Text(item.text))
            if signature is not None:
                parts.append(Reasoning(signature=signature, vendor="gemini"))
        elif item.inline_data is not None or item.file_data is not None:
            parts.append(media_of(item.inline_data, item.file_data, 0))
        else:
            for field in ("executable_code", "code_execution_result", "tool_call", "tool_response"):
                raw = getattr(item, field)
                if given(raw):
                    name = msgspec_camel(field)
                    payload = {name: raw, "thoughtSignature": token} if token else {name: raw}
                    parts.append(Foreign("gemini", name, Raw(_encode(payload))))
    return parts


def _ground(parts: list[Part], grounding: Grounding) -> None:
    """Search results as citations of the text: with places where there are any (in bytes of UTF-8)."""
    text = next((part for part in parts if type(part) is Text), None)
    chunks = grounding.grounding_chunks or []
    if text is None or not chunks:
        return
    whole = "".join(part.text for part in parts if type(part) is Text).encode()
    found: list[Citation] = []
    for support in grounding.grounding_supports or ():
        segment = support.segment
        for index in support.grounding_chunk_indices or ():
            web = chunks[index].web if 0 <= index < len(chunks) else None
            if web is None or segment is None:
                continue
            start = len(whole[: segment.start_index or 0].decode(errors="replace"))
            end = len(whole[: segment.end_index or 0].decode(errors="replace"))
            found.append(Citation(web.uri or "", web.title or "", start, end, segment.text or ""))
    if not found:
        found = [Citation(chunk.web.uri or "", chunk.web.title or "") for chunk in chunks if chunk.web is not None]
    text.citations = found or None


def _logprobs(result: LogprobsResult) -> Raw:
    tops = result.top_candidates or []
    content = []
    for position, chosen in enumerate(result.chosen_candidates or ()):
        item = _token(chosen)
        top = tops[position].candidates if position < len(tops) else None
        item["top_logprobs"] = [_token(candidate) for candidate in top or ()]
        content.append(item)
    return Raw(_encode({"content": content, "refusal": None})) if content else ABSENT


def _token(candidate: TokenCandidate) -> dict[str, Any]:
    value = candidate.log_probability
    return {
        "token": candidate.token,
        "logprob": value if math.isfinite(value) else -9999.0,
        "bytes": list(candidate.token.encode()),
    }


def decode_usage(usage: UsageMetadata) -> TokenUsage:
    """Token counts: thoughts are output, what tools put into the prompt is input (§12)."""
    prompt = (usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0)
    output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    return TokenUsage(
        prompt,
        output,
        usage.total_token_count or prompt + output,
        cached_tokens=usage.cached_content_token_count,
        reasoning_tokens=usage.thoughts_token_count,
        audio_input_tokens=_of_modality(usage.prompt_tokens_details, "AUDIO"),
        audio_output_tokens=_of_modality(usage.candidates_tokens_details, "AUDIO"),
        cached_audio_tokens=_of_modality(usage.cache_tokens_details, "AUDIO"),
        image_input_tokens=_of_modality(usage.prompt_tokens_details, "IMAGE"),
        image_output_tokens=_of_modality(usage.candidates_tokens_details, "IMAGE"),
        service_tier=usage.service_tier,
    )


def _of_modality(counts: list[ModalityCount] | None, modality: str) -> int | None:
    """Tokens of one modality, None where the upstream does not tell."""
    for each in counts or ():
        if each.modality == modality:
            return each.token_count
    return None


def decode_error(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> UpstreamFault:
    """What an error answer says, in the one form that all formats share."""
    return read_fault(status, headers, body)
