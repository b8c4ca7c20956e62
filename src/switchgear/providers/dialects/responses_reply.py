"""OpenAI Responses towards the client: the response object (TRANSLATION §15.2)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from switchgear.providers.dialects.chat_reply import SERVICE_TIERS
from switchgear.providers.identifiers import new_id
from switchgear.providers.reading import given
from switchgear.providers.signatures import pack, with_turn_signature
from switchgear.wire.conversation import (
    Conversation,
    Foreign,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolChoice,
)
from switchgear.wire.responses import Item, ResponsesTool

if TYPE_CHECKING:
    from switchgear.wire.conversation import Answer, Part, TokenUsage

_item = msgspec.json.Decoder(Item)
_tool = msgspec.json.Decoder(ResponsesTool)
_audio = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.Encoder().encode


def encode_response(answer: Answer, conversation: Conversation, model: str = "") -> bytes:
    """The answer as a response object with every key that clients expect (§15.2); the first choice counts."""
    choice = answer.choices[0]
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(choice.finish)
    status = "failed" if choice.finish == "error" else "incomplete" if reason else "completed"
    body = envelope(conversation, answer.id, model or answer.model, answer.created or int(time.time()))
    body["status"] = status
    if reason:
        body["incomplete_details"] = {"reason": reason}
    if status == "failed":
        body["error"] = {"code": "server_error", "message": "The model's answer ended without a reason."}
    body["output"] = encode_items(
        choice.parts, "incomplete" if reason == "max_output_tokens" else "completed", choice.logprobs
    )
    body["usage"] = encode_usage(answer.usage) if answer.usage is not None else None
    if answer.service_tier in SERVICE_TIERS:
        body["service_tier"] = answer.service_tier
    return _encode(body)


def envelope(conversation: Conversation, answer_id: str, model: str, created: int) -> dict[str, Any]:
    """A response object without output: what the client asked for, said back to it."""
    extensions = conversation.extensions or {}
    thinking = conversation.thinking
    return {
        "id": answer_id if answer_id.startswith("resp_") else new_id("resp_"),
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": _instructions(conversation),
        "max_output_tokens": conversation.max_tokens,
        "model": model,
        "output": [],
        "parallel_tool_calls": conversation.parallel_tool_calls is not False,
        "previous_response_id": None,
        "reasoning": {
            "effort": thinking.effort if thinking is not None else None,
            "summary": thinking.summary if thinking is not None else None,
        },
        "store": extensions.get("store", False),
        "temperature": conversation.temperature if conversation.temperature is not None else 1.0,
        "text": _text_config(conversation),
        "tool_choice": _tool_choice(conversation.tool_choice),
        "tools": _echoed_tools(conversation),
        "top_p": conversation.top_p if conversation.top_p is not None else 1.0,
        "truncation": extensions.get("truncation", "disabled"),
        "usage": None,
        "user": conversation.user,
        "metadata": conversation.metadata if given(conversation.metadata) else {},
    }


def _instructions(conversation: Conversation) -> str | None:
    first = conversation.messages[0] if conversation.messages else None
    if first is None or first.index >= 0 or not first.parts or type(first.parts[0]) is not Text:
        return None
    return first.parts[0].text


def _text_config(conversation: Conversation) -> dict[str, Any]:
    output = conversation.output
    found: dict[str, Any] = {"type": "text"}
    if output is not None and output.kind == "json":
        found = {"type": "json_object"}
    elif output is not None and output.kind == "schema":
        found = {"type": "json_schema", "name": output.name, "schema": output.schema, "strict": output.strict}
        if output.description is not None:
            found["description"] = output.description
    if conversation.verbosity is not None:
        return {"format": found, "verbosity": conversation.verbosity}
    return {"format": found}


def _tool_choice(choice: ToolChoice | None) -> Any:
    if choice is None:
        return "auto"
    if choice.mode == "tool":
        return {"type": "function", "name": choice.name}
    if choice.allowed is not None:
        tools = [{"type": "function", "name": name} for name in choice.allowed]
        return {"type": "allowed_tools", "mode": choice.mode, "tools": tools}
    return choice.mode


def _echoed_tools(conversation: Conversation) -> list[Any]:
    found: list[Any] = [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters if given(tool.parameters) else None,
            "strict": tool.strict,
        }
        for tool in conversation.tools or ()
    ]
    return found + [tool.payload for tool in conversation.server_tools or () if tool.format == "responses"]


def encode_items(parts: list[Part], status: str = "completed", logprobs: Raw | None = None) -> list[Any]:
    """Output items: thoughts first, then the message, then calls; blocks of Responses' own stay where they were."""
    if any(type(part) is ToolCall and part.signature is not None for part in parts):
        parts = with_turn_signature(parts)
    thoughts: list[Any] = []
    rest: list[Any] = []
    message: dict[str, Any] | None = None
    for part in parts:
        if type(part) is Reasoning:
            (thoughts if part.vendor != "openai" or not rest else rest).append(_reasoning_item(part))
        elif type(part) is Text or type(part) is Refusal:
            if message is None:
                message = {
                    "id": new_id("msg_"),
                    "type": "message",
                    "role": "assistant",
                    "status": status,
                    "content": [],
                }
                rest.append(message)
            _say(message["content"], part, logprobs)
        elif type(part) is ToolCall:
            rest.append(
                {
                    "id": new_id("fc_"),
                    "type": "function_call",
                    "call_id": part.id,
                    "name": part.name,
                    "arguments": part.arguments,
                    "status": status,
                }
            )
        elif type(part) is Foreign and part.format == "responses":
            rest.append(part.payload)
    return thoughts + rest


def _say(content: list[dict[str, Any]], part: Text | Refusal, logprobs: Raw | None) -> None:
    if type(part) is Refusal:
        content.append({"type": "refusal", "refusal": part.text})
        return
    assert type(part) is Text  # noqa: S101  # the other half of the union
    notes = [
        {
            "type": "url_citation",
            "url": citation.url,
            "title": citation.title,
            "start_index": max(citation.start, 0),
            "end_index": max(citation.end, 0),
        }
        for citation in part.citations or ()
        if citation.url
    ]
    if content and content[-1]["type"] == "output_text":
        content[-1]["text"] += part.text
        content[-1]["annotations"] += notes
        return
    said: dict[str, Any] = {"type": "output_text", "text": part.text, "annotations": notes, "logprobs": []}
    if logprobs is not None and given(logprobs):
        said["logprobs"] = _audio.decode(logprobs).get("content") or []
    content.append(said)


def _reasoning_item(part: Reasoning) -> dict[str, Any]:
    item: dict[str, Any] = {
        "id": part.id or new_id("rs_"),
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": part.text}] if part.text else [],
    }
    token = pack(part, "responses")
    if token:
        item["encrypted_content"] = token
    return item


def encode_usage(usage: TokenUsage) -> dict[str, Any]:
    """Token counts; the details are required here, so a class that nobody counted is 0 (§12)."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens or 0,
            "cache_write_tokens": usage.cache_write_tokens or 0,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.total_tokens,
    }
