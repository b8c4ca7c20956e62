"""Gemini generateContent towards the client: answers and errors (TRANSLATION §6, §11, §12, §16)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from switchgear.providers.finish import TO_GEMINI
from switchgear.providers.identifiers import new_id
from switchgear.providers.reading import as_object, given
from switchgear.providers.signatures import DUMMY_GEMINI_SIGNATURE, call_signature, pack
from switchgear.wire.chat import ChatLogprob, ChatLogprobs
from switchgear.wire.conversation import (
    Conversation,
    Foreign,
    Media,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)

if TYPE_CHECKING:
    from switchgear.wire.conversation import Answer, Choice, Part, TokenUsage

_encode = msgspec.json.Encoder().encode
_logprobs = msgspec.json.Decoder(ChatLogprobs)


def encode_response(answer: Answer, conversation: Conversation, model: str = "") -> bytes:
    """The answer as a GenerateContentResponse."""
    body: dict[str, Any] = {
        "candidates": [_candidate(choice) for choice in answer.choices],
        "modelVersion": model or answer.model,
        "responseId": answer.id or new_id("resp_"),
    }
    if answer.usage is not None:
        body["usageMetadata"] = encode_usage(answer.usage)
    return _encode(body)


def _candidate(choice: Choice) -> dict[str, Any]:
    parts = encode_parts(choice.parts)
    finish = choice.finish
    if finish == "stop" and any(type(part) is Refusal for part in choice.parts):
        finish = "content_filter"  # its words are a text part, so the reason must say what they are
    body: dict[str, Any] = {
        "content": {"parts": parts, "role": "model"} if parts else {"role": "model"},
        "finishReason": TO_GEMINI[finish],
        "index": choice.index,
    }
    chunks = [
        {"web": {"uri": citation.url, "title": citation.title}}
        for part in choice.parts
        if type(part) is Text
        for citation in part.citations or ()
        if citation.url
    ]
    if chunks:
        body["groundingMetadata"] = {"groundingChunks": chunks}
    if given(choice.logprobs):
        body["logprobsResult"] = _logprobs_result(_logprobs.decode(choice.logprobs).content or [])
    return body


def _logprobs_result(content: list[ChatLogprob]) -> dict[str, Any]:
    """Chat's log probabilities in Gemini's form (§6)."""
    return {
        "chosenCandidates": [_token(one) for one in content],
        "topCandidates": [{"candidates": [_token(top) for top in one.top_logprobs or ()]} for one in content],
    }


def _token(one: ChatLogprob) -> dict[str, Any]:
    return {"token": one.token, "logProbability": one.logprob}


def encode_parts(parts: list[Part]) -> list[Any]:
    """Parts of a model turn. A foreign signature rides on its thought; Gemini's own where Gemini put it."""
    found: list[Any] = []
    called = False
    for part in parts:
        if type(part) is Text:
            if part.text:
                found.append({"text": part.text})
        elif type(part) is ToolCall:
            call: dict[str, Any] = {"name": part.name, "args": as_object(part.arguments) or {}, "id": part.id}
            item: dict[str, Any] = {"functionCall": call}
            if part.signature is not None:
                item["thoughtSignature"] = call_signature(part.signature, "gemini")
            elif not called:  # Gemini, should it be asked next, wants one on the first call of a turn
                item["thoughtSignature"] = DUMMY_GEMINI_SIGNATURE
            called = True
            found.append(item)
        elif type(part) is Reasoning:
            token = pack(part, "gemini")
            if part.text or not token:
                thought: dict[str, Any] = {"text": part.text, "thought": True}
                if token:
                    thought["thoughtSignature"] = token
                found.append(thought)
            elif found and "text" in found[-1] and "thoughtSignature" not in found[-1] and part.vendor == "gemini":
                found[-1]["thoughtSignature"] = token
            else:
                found.append(
                    {"text": "", "thoughtSignature": token}
                    if part.vendor == "gemini"
                    else {"text": "", "thought": True, "thoughtSignature": token}
                )
        elif type(part) is Refusal:
            found.append({"text": part.text})
        elif type(part) is Media:
            found.append(_media_part(part))
        elif type(part) is Foreign and part.format == "gemini":
            found.append(part.payload)
    return found


def _media_part(part: Media) -> dict[str, Any]:
    if part.data is not None:
        return {"inlineData": {"mimeType": part.media_type, "data": part.data}}
    if part.text is not None:
        return {"inlineData": {"mimeType": "text/plain", "data": base64.b64encode(part.text.encode()).decode()}}
    return {"fileData": {"fileUri": part.url or part.file_id or "", "mimeType": part.media_type}}


def encode_usage(usage: TokenUsage) -> dict[str, Any]:
    """Token counts in Gemini's classes: thoughts are not among the candidates' tokens (§12)."""
    reasoning = usage.reasoning_tokens or 0
    body: dict[str, Any] = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": max(usage.output_tokens - reasoning, 0),
        "totalTokenCount": usage.total_tokens,
    }
    if usage.reasoning_tokens is not None:
        body["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.cached_tokens is not None:
        body["cachedContentTokenCount"] = usage.cached_tokens
    return body


_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error_status(status: int) -> str:
    """google.rpc.Code of an HTTP status."""
    return _STATUSES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL")


def encode_error(
    status: int,
    type: str,
    code: str | None,
    message: str,
    param: str | None = None,
    request_id: str = "",
    retry_after_s: float | None = None,
) -> bytes:
    """Google's envelope, with ErrorInfo, BadRequest and RetryInfo as details where they apply (§16.1)."""
    details: list[dict[str, Any]] = []
    if code is not None:
        details.append(
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code.upper(), "domain": "switchgear"}
        )
    if param:
        violation = {"field": param, "description": message}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    if retry_after_s is not None:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after_s:g}s"})
    error: dict[str, Any] = {"code": status, "message": message, "status": error_status(status)}
    if details:
        error["details"] = details
    return _encode({"error": error})
