"""Chat Completions from the upstream: the answer and its errors, repaired (TRANSLATION §6, §10, §12)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from switchgear.errors import UpstreamProtocolError, UpstreamRejected
from switchgear.providers.dialects.chat import arguments_text, detail_thoughts
from switchgear.providers.finish import FROM_CHAT, chat_finish
from switchgear.providers.identifiers import new_id, new_tool_id
from switchgear.providers.media import media_from_url
from switchgear.providers.reading import given, plain, read_reply
from switchgear.providers.signatures import unpack
from switchgear.providers.upstream_errors import read_fault
from switchgear.wire.chat import ChatMessage, ChatReply, ChatUsage, ContentPart, ReplyChoice
from switchgear.wire.conversation import (
    Answer,
    Choice,
    Citation,
    Media,
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

_decoder = msgspec.json.Decoder(ChatReply)


def decode_response(body: bytes, context: ReplyContext | None = None) -> Answer:
    """Read an answer, with every repair of §6 and §10 that does not depend on the provider.

    Raises `UpstreamRejected` for an error object in a 200, `UpstreamProtocolError` for what is no answer.
    """
    reply = read_reply(_decoder, body)
    if given(reply.error) and not reply.choices:
        raise error_in_200(body, reply)
    if reply.choices is None:
        raise UpstreamProtocolError("The upstream's answer has no choices.")
    usage = reply.usage or (reply.x_groq.usage if reply.x_groq is not None else None)
    return Answer(
        id=reply.id or new_id("chatcmpl-"),
        model=reply.model or "",
        created=int(reply.created or time.time()),
        choices=[_choice(choice, position, reply.citations) for position, choice in enumerate(reply.choices)],
        usage=decode_usage(usage) if usage is not None else None,
        service_tier=reply.service_tier,
        system_fingerprint=reply.system_fingerprint,
    )


def error_in_200(body: bytes, reply: ChatReply) -> UpstreamRejected:
    """The error that OpenRouter puts into a 200; its `code` is the status."""
    error = plain(reply.error)
    code = error.get("code") if isinstance(error, dict) else None
    status = int(code) if isinstance(code, int) and 400 <= code < 600 else 502
    return UpstreamRejected(status, [], body)


def _choice(choice: ReplyChoice, position: int, urls: list[str] | None) -> Choice:
    message = choice.message
    parts: list[Part]
    if message is not None:
        parts = decode_message(message)
        if urls and not message.annotations:
            _cite(parts, urls)
    else:
        parts = [Text(choice.text)] if choice.text else []
    calls = any(type(part) is ToolCall for part in parts)
    word = choice.finish_reason
    return Choice(
        parts=parts,
        finish=chat_finish(word, calls) if word not in FROM_CHAT or calls else FROM_CHAT[word],
        index=choice.index if choice.index is not None else position,
        provider_finish=word or "",
        logprobs=choice.logprobs,
    )


def _cite(parts: list[Part], urls: list[str]) -> None:
    """Perplexity and xAI list the pages they read beside the choices: they become citations of the text."""
    for part in parts:
        if type(part) is Text:
            part.citations = [Citation(url=url) for url in urls]
            return


def decode_message(message: ChatMessage) -> list[Part]:
    """The parts of an assistant message: reasoning, then text, then calls."""
    parts: list[Part] = []
    text = ""
    content = message.content
    if isinstance(content, str):
        text = content
    elif content:
        text = _split_content(content, parts)
    thoughts = message.reasoning_content or message.reasoning
    if message.thinking_blocks:
        parts += [_block(block) for block in message.thinking_blocks]
    elif message.reasoning_details:
        parts += _with_text(detail_thoughts(message), thoughts)
    elif thoughts and not any(type(part) is Reasoning for part in parts):
        parts.append(Reasoning(thoughts))
    if text:
        parts.append(Text(text, _citations(message)))
    if message.refusal:
        parts.append(Refusal(message.refusal))
    for call in message.tool_calls or ():
        if call.function is None:
            continue
        made = ToolCall(call.id or new_tool_id(), call.function.name or "", arguments_text(call.function))
        if call.extra_content is not None and call.extra_content.google is not None:
            token = call.extra_content.google.thought_signature
            made.signature = _gemini(token) if token else None
        parts.append(made)
    if message.function_call is not None and message.function_call.name and not message.tool_calls:
        parts.append(ToolCall(new_tool_id(), message.function_call.name, arguments_text(message.function_call)))
    for image in message.images or ():
        url = image.image_url if isinstance(image.image_url, str) else image.image_url.url if image.image_url else ""
        if url:
            parts.append(media_from_reply(url))
    return parts


def media_from_reply(url: str) -> Media:
    """An image that the model made."""
    return media_from_url("image", url, "image")


def _gemini(token: str) -> Signature:
    return Signature("gemini", token)


def _split_content(content: list[ContentPart], parts: list[Part]) -> str:
    """Mistral's list of parts: thoughts go to `parts`, the text comes back (§6b)."""
    texts: list[str] = []
    for item in content:
        if item.type == "thinking":
            words = item.thinking
            said = words if isinstance(words, str) else "".join(part.text or "" for part in words or ())
            if said:
                parts.append(Reasoning(said))
        elif item.type in ("text", "output_text"):
            texts.append(item.text or "")
        elif item.type == "refusal" and item.refusal:
            parts.append(Refusal(item.refusal))
    return "".join(texts)


def _block(block: ContentPart) -> Reasoning:
    redacted = block.type == "redacted_thinking"
    token = (block.data if redacted else block.signature) or ""
    made = unpack(token, "chat", block.thinking if isinstance(block.thinking, str) else "")
    made.redacted = made.redacted or redacted
    return made


def _with_text(details: list[Part], text: str | None) -> list[Part]:
    """OpenRouter gives the same thoughts twice: the plain text counts, the details carry the signatures."""
    if not text:
        return details
    if "".join(part.text for part in details if type(part) is Reasoning) == text:
        return details
    signed = [part for part in details if type(part) is Reasoning and part.signature is not None]
    for part in signed:
        part.text = ""
    if not signed:
        return [Reasoning(text)]
    signed[0].text = text
    return list(signed)


def _citations(message: ChatMessage) -> list[Citation] | None:
    found = []
    for annotation in message.annotations or ():
        cited = annotation.url_citation
        if cited is None:
            continue
        start = cited.start_index if cited.start_index is not None else -1
        end = cited.end_index if cited.end_index is not None else -1
        found.append(Citation(cited.url, cited.title or "", start, end, cited.content or ""))
    return found or None


def decode_usage(usage: ChatUsage) -> TokenUsage | None:
    """Token counts, with reasoning counted as output where the upstream left it out (§12)."""
    if usage.prompt_tokens is None and usage.completion_tokens is None:
        return None
    prompt, completion = int(usage.prompt_tokens or 0), int(usage.completion_tokens or 0)
    total = int(usage.total_tokens or 0)
    prompt_details, details = usage.prompt_tokens_details, usage.completion_tokens_details
    reasoning = details.reasoning_tokens if details is not None else None
    if reasoning is None:
        reasoning = usage.reasoning_tokens
    if reasoning and total == prompt + completion + reasoning:
        completion += reasoning
    elif total > prompt + completion:
        completion = total - prompt
    elif usage.reasoning_tokens and (usage.citation_tokens is not None or usage.reasoning_tokens > completion):
        completion += usage.reasoning_tokens  # beside the completion, and no total tells
    found = TokenUsage(prompt, completion, total or prompt + completion, reasoning_tokens=reasoning)
    if prompt_details is not None:
        found.cached_tokens = prompt_details.cached_tokens
        written = prompt_details.cache_write_tokens
        found.cache_write_tokens = written if written is not None else prompt_details.cache_creation_tokens
        found.audio_input_tokens = prompt_details.audio_tokens
        found.image_input_tokens = prompt_details.image_tokens
        cached = prompt_details.cached_tokens_details
        found.cached_audio_tokens = cached.audio_tokens if cached is not None else None
    if found.cached_tokens is None:
        found.cached_tokens = usage.prompt_cache_hit_tokens
    if details is not None:
        found.audio_output_tokens = details.audio_tokens
    return found


def decode_error(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> UpstreamFault:
    """What an error answer says, in the one form that all formats share."""
    return read_fault(status, headers, body)
