"""POST /v1/messages, whole and streamed, and /v1/messages/count_tokens, as Anthropic answers them.

Two texts in the last turn that Anthropic documents for tests work here too: `ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL…`
and `ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING…`; `refusal` in the behaviour does what the first does.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from switchgear.simulator import anthropic_request, anthropic_stream, anthropic_threads, signatures, text
from switchgear.simulator.answer import Answer, json_answer, stream_answer
from switchgear.simulator.anthropic_turns import REDACTED, THINKING, answers_tool, blocks
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.reply import Reply, reply

_REFUSE = "ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL"
_REDACT = "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING"
_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "stop_sequence": "stop_sequence",
    "calls": "tool_use",
    "refusal": "refusal",
}
_TOOLS_PROMPT = 346  # tokens of the system prompt that Anthropic adds when there are tools


def answer(exchange: Exchange) -> Answer:
    """Raises `InvalidRequest`, `NotFound`."""
    in_thread = anthropic_threads.resume(exchange)
    body = anthropic_request.checked(exchange, "max_tokens")
    said = reply(
        exchange,
        calls=anthropic_request.calls(
            body, body["messages"][-1]["role"] == "user" and not answers_tool(body["messages"])
        ),
        schema=anthropic_request.schema(body),
        limit=body["max_tokens"],
        stops=body.get("stop_sequences"),
        thinks=anthropic_request.thinks(body),
    )
    last = _texts(body["messages"][-1]["content"])
    if _REFUSE in last:
        said.pieces, said.calls, said.finish = [], [], "refusal"
    message = {
        "model": body["model"],
        "id": exchange.id("msg_"),
        "type": "message",
        "role": "assistant",
        "content": _content(exchange, said, redact=_REDACT in last),
        "stop_reason": _STOP_REASONS[said.finish],
        "stop_sequence": said.stop_sequence,
        "stop_details": _refusal_details() if said.finish == "refusal" else None,
        "usage": _usage(exchange, body, said),
    }
    if in_thread:
        anthropic_threads.keep(exchange, message)
    if body.get("stream"):
        return stream_answer(anthropic_stream.bursts(exchange, message, said))
    return json_answer(message)


def count_tokens(exchange: Exchange) -> Answer:
    """The length of a prompt. Raises `InvalidRequest`, `NotFound`."""
    return json_answer({"input_tokens": _input_tokens(anthropic_request.checked(exchange))})


def _refusal_details() -> Json:
    return {"type": "refusal", "category": None, "explanation": None}


def _content(exchange: Exchange, said: Reply, redact: bool) -> list[Json]:
    out: list[Json] = []
    if said.reasoning and redact:
        out.append({"type": "redacted_thinking", "data": signatures.issue(REDACTED, "", exchange.number)})
        said.reasoning = []
    elif said.reasoning:
        shown = (exchange.json.get("thinking") or {}).get("display") != "omitted"
        words = "".join(said.reasoning) if shown else ""
        signature = signatures.issue(THINKING, words, exchange.number)
        out.append({"type": "thinking", "thinking": words, "signature": signature})
    if said.pieces:
        out.append({"type": "text", "text": said.words})
    for number, call in enumerate(said.calls):
        arguments = orjson.loads(call.arguments)
        identity = {"type": "tool_use", "id": exchange.id("toolu_", number), "name": call.name}
        out.append({**identity, "input": arguments, "caller": {"type": "direct"}})
    return out


def _texts(value: Any) -> str:
    """All text in a message's content, a tool's result or a system prompt."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_texts, value))
    if not isinstance(value, dict):
        return ""
    return "".join(_texts(value.get(name)) for name in ("text", "thinking", "content"))


def _input_tokens(body: Json) -> int:
    """About what the prompt has: text, calls, tools."""
    inputs = [
        orjson.dumps(block["input"]).decode()
        for message in body["messages"]
        for block in blocks(message)
        if block["type"] == "tool_use"
    ]
    words = _texts(body.get("system")) + _texts([message["content"] for message in body["messages"]]) + "".join(inputs)
    used = max(1, text.count_tokens(words))
    if body.get("tools"):
        used += _TOOLS_PROMPT + text.count_tokens(orjson.dumps(body["tools"]).decode())
    return used


def _usage(exchange: Exchange, body: Json, said: Reply) -> Json:
    """`input_tokens` are those that were neither read from the cache nor written to it."""
    whole = _input_tokens(body)
    read, written = _cached(exchange, body, whole)
    if exchange.behaviour.cached:
        read, written = min(exchange.behaviour.cached, whole), 0
    return {
        "input_tokens": whole - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": len(said.reasoning) + said.tokens,
        "output_tokens_details": {"thinking_tokens": len(said.reasoning)},
        "service_tier": "standard",
        "inference_geo": "not_available",
    }


def _cached(exchange: Exchange, body: Json, whole: int) -> tuple[int, int]:
    """(tokens read from the cache, tokens written to it): what stands before each block with a `cache_control`."""
    cache = exchange.store.cached_prompts
    digest, size, read, marked = hashlib.sha256(str(body["model"]).encode()), 0, 0, 0
    for part in _parts(body):
        digest.update(orjson.dumps({name: value for name, value in part.items() if name != "cache_control"}))
        size += text.count_tokens(_texts(part))
        if not part.get("cache_control"):
            continue
        marked = min(size, whole)
        key = digest.hexdigest()
        if cache.get(key) is not None:
            read = marked
        else:
            cache.put(key, marked)
    return read, marked - read


def _parts(body: Json) -> list[Json]:
    """Tools, system blocks and message blocks, in the order in which a prompt is cached."""
    system = body.get("system") or []
    systems = [{"type": "text", "text": system}] if isinstance(system, str) else system
    turns = [block for message in body["messages"] for block in blocks(message)]
    return [*(body.get("tools") or []), *(part for part in systems if isinstance(part, dict)), *turns]
