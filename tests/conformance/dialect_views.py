"""What a client of each dialect ends up with: one shape for chat, Responses, Anthropic and Gemini, streamed or whole.

A stream is first put together into the whole answer that it tells; an answer is read in one way only.

A view is `{"choices": [{"text", "reasoning", "refusal", "calls", "finish"}], "citations", "usage"}` or, for an error,
`{"error": …}`. calls: (name, arguments as a value). finish: in the dialect's own words, without a translation.
citations: the URLs, each once, sorted. usage: `(input, output, total, cached, reasoning)` in tokens, input with what
was cached and output with what was thought (TRANSLATION §12); None where the answer tells nothing.
"""

from __future__ import annotations

import json
from typing import Any

from tests.conformance.views import arguments

View = dict[str, Any]


def view(client: str, body: bytes, *, stream: bool) -> View:
    """The view of an answer. Raises `AssertionError` for one that breaks off."""
    if client == "gemini" and body.lstrip()[:1] == b"[":
        chunks = json.loads(body)
        return READ[client](chunks[-1] if "error" in chunks[-1] else _joined_gemini(chunks))
    if not stream:
        return READ[client](json.loads(body))
    told = _data(body)
    for event in told:
        if event.get("error") and event.get("object") != "response":
            return {"error": event["error"], "before": READ[client](JOIN[client](told)) if client == "chat" else None}
    return READ[client](JOIN[client](told))


def _data(body: bytes) -> list[Any]:
    lines = body.decode().replace("\r\n", "\n").split("\n")
    found = [line[5:].strip() for line in lines if line.startswith("data:")]
    return [json.loads(data) for data in found if data not in ("[DONE]", "")]


# chat ----------------------------------------------------------------------------------------------------------------


def _joined_chat(chunks: list[Any]) -> Any:
    choices: dict[int, Any] = {}
    whole: dict[str, Any] = {"usage": None}
    for chunk in chunks:
        whole["usage"] = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or whole["usage"]
        whole["citations"] = chunk.get("citations") or whole.get("citations")
        for one in chunk.get("choices") or ():
            choice = choices.setdefault(
                one.get("index", 0), {"index": one.get("index", 0), "finish_reason": None, "message": _empty()}
            )
            _add(choice["message"], one.get("delta") or {})
            choice["finish_reason"] = one.get("finish_reason") or choice["finish_reason"]
    for choice in choices.values():
        choice["message"]["tool_calls"] = list(choice["message"]["tool_calls"].values())
    return whole | {"choices": [choices[index] for index in sorted(choices)]}


def _empty() -> Any:
    return {"content": "", "reasoning_content": "", "refusal": "", "tool_calls": {}, "annotations": []}


def _add(message: Any, delta: Any) -> None:
    content = delta.get("content") or ""
    if isinstance(content, list):  # Mistral's parts, not repaired
        message["reasoning_content"] += _thought_parts(content)
        content = "".join(part["text"] for part in content if part["type"] == "text")
    message["content"] += content
    message["reasoning_content"] += delta.get("reasoning_content") or delta.get("reasoning") or ""
    message["refusal"] += delta.get("refusal") or ""
    message["annotations"] += delta.get("annotations") or []
    calls = message["tool_calls"]
    if delta.get("function_call"):
        calls.setdefault(0, {"function": {"name": "", "arguments": ""}})
        _extend(calls[0]["function"], delta["function_call"])
    for call in delta.get("tool_calls") or ():
        at = call.get("index")
        entry = calls.setdefault(len(calls) if at is None else at, {"function": {"name": "", "arguments": ""}})
        _extend(entry["function"], call.get("function") or {})


def _extend(function: Any, more: Any) -> None:
    function["name"] = function["name"] or more.get("name") or ""
    function["arguments"] += more.get("arguments") or ""


def _thought_parts(content: list[Any]) -> str:
    return "".join(
        inner.get("text", "") for part in content if part["type"] == "thinking" for inner in part["thinking"]
    )


def _read_chat(body: Any) -> View:
    if body.get("error") and not body.get("choices"):
        return {"error": body["error"]}
    usage = body.get("usage")
    urls: list[str] = [one for one in body.get("citations") or () if isinstance(one, str)]
    choices = []
    for choice in sorted(body["choices"], key=lambda one: one.get("index", 0)):
        message = choice["message"]
        content = message.get("content") or ""
        thought = message.get("reasoning_content") or message.get("reasoning") or ""
        if isinstance(content, list):
            thought += _thought_parts(content)
            content = "".join(part["text"] for part in content if part["type"] == "text")
        calls = [one["function"] for one in message.get("tool_calls") or ()]
        if message.get("function_call"):
            calls.append(message["function_call"])
        urls += [note["url_citation"]["url"] for note in message.get("annotations") or () if "url_citation" in note]
        choices.append(
            {
                "text": content,
                "reasoning": thought,
                "refusal": message.get("refusal") or "",
                "calls": [(call["name"], arguments(call["arguments"] or "{}")) for call in calls],
                "finish": choice.get("finish_reason"),
            }
        )
    counts = None
    if usage:
        given, made = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
        cached = given.get("cached_tokens")
        counts = (
            usage["prompt_tokens"],
            usage["completion_tokens"],
            usage["total_tokens"],
            cached if cached is not None else usage.get("prompt_cache_hit_tokens") or 0,
            made.get("reasoning_tokens") or 0,
        )
    return {"choices": choices, "citations": sorted(set(urls)), "usage": counts}


# responses -----------------------------------------------------------------------------------------------------------


def _joined_responses(events: list[Any]) -> Any:
    ends = [one for one in events if one["type"] in ("response.completed", "response.incomplete", "response.failed")]
    assert len(ends) == 1, "no end"
    return ends[0]["response"]


def _read_responses(body: Any) -> View:
    if body.get("error"):
        return {"error": body["error"]}
    text, thought, refusal, calls, urls = "", "", "", [], []
    for item in body["output"]:
        if item["type"] == "message":
            for part in item["content"]:
                text += part.get("text") or ""
                refusal += part.get("refusal") or ""
                urls += [note["url"] for note in part.get("annotations") or () if note.get("url")]
        elif item["type"] == "function_call":
            calls.append((item["name"], arguments(item["arguments"] or "{}")))
        elif item["type"] == "reasoning":
            said = (item.get("content") or []) + (item.get("summary") or [])
            thought += "\n\n".join(part["text"] for part in said)
    usage = body.get("usage")
    counts = usage and (
        usage["input_tokens"],
        usage["output_tokens"],
        usage["total_tokens"],
        (usage.get("input_tokens_details") or {}).get("cached_tokens") or 0,
        (usage.get("output_tokens_details") or {}).get("reasoning_tokens") or 0,
    )
    why = (body.get("incomplete_details") or {}).get("reason")
    choice = {"text": text, "reasoning": thought, "refusal": refusal, "calls": calls, "finish": why or body["status"]}
    return {"choices": [choice], "citations": sorted(set(urls)), "usage": counts}


# anthropic -----------------------------------------------------------------------------------------------------------


def _joined_anthropic(events: list[Any]) -> Any:
    message: Any = None
    blocks: dict[int, Any] = {}
    assert events[-1]["type"] == "message_stop", "no end"
    for event in events:
        if event["type"] == "message_start":
            message = message or event["message"]
        elif event["type"] == "content_block_start":
            blocks[event["index"]] = event["content_block"] | {"json": ""}
        elif event["type"] == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            for name in ("text", "thinking"):
                if name in delta:
                    block[name] = (block.get(name) or "") + delta[name]
            block["json"] += delta.get("partial_json", "")
            if delta.get("citation"):
                block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        elif event["type"] == "message_delta":
            message |= event["delta"]
            message["usage"] |= {name: count for name, count in (event.get("usage") or {}).items() if count is not None}
    for block in blocks.values():
        if block["json"]:
            block["input"] = arguments(block["json"])
    return message | {"content": [blocks[index] for index in sorted(blocks)]}


def _read_anthropic(body: Any) -> View:
    if body["type"] == "error":
        return {"error": body["error"]}
    blocks, usage = body["content"], body.get("usage") or {}
    urls = [note["url"] for one in blocks for note in one.get("citations") or () if note.get("url")]
    read, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    whole = usage["input_tokens"] + read + written
    made = usage["output_tokens"]
    choice = {
        "text": "".join(block["text"] for block in blocks if block["type"] == "text"),
        "reasoning": "".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        "refusal": "",
        "calls": [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"],
        "finish": body["stop_reason"],
    }
    thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0
    counts = (whole, made, whole + made, read, thought) if whole + made else None
    return {"choices": [choice], "citations": sorted(set(urls)), "usage": counts}


# gemini --------------------------------------------------------------------------------------------------------------


def _joined_gemini(chunks: list[Any]) -> Any:
    whole: dict[str, Any] = {}
    candidates: dict[int, Any] = {}
    for chunk in chunks:
        whole |= {name: chunk[name] for name in ("usageMetadata", "promptFeedback") if name in chunk}
        for one in chunk.get("candidates") or ():
            to = candidates.setdefault(one.get("index", 0), {"content": {"parts": []}, "grounds": []})
            to["content"]["parts"] += (one.get("content") or {}).get("parts") or []
            to["finishReason"] = one.get("finishReason") or to.get("finishReason")
            to["grounds"] += (one.get("groundingMetadata") or {}).get("groundingChunks") or []
    return whole | {"candidates": [candidates[index] for index in sorted(candidates)]}


def _read_gemini(body: Any) -> View:
    if isinstance(body, list):
        return _read_gemini(_joined_gemini(body))
    if body.get("error"):
        return {"error": body["error"]}
    choices, urls = [], []
    for candidate in body.get("candidates") or ():
        parts = (candidate.get("content") or {}).get("parts") or []
        grounds = candidate.get("grounds") or (candidate.get("groundingMetadata") or {}).get("groundingChunks") or []
        urls += [ground["web"]["uri"] for ground in grounds if "web" in ground]
        choices.append(
            {
                "text": "".join(part.get("text", "") for part in parts if not part.get("thought")),
                "reasoning": "".join(part.get("text", "") for part in parts if part.get("thought")),
                "refusal": "",
                "calls": [
                    (part["functionCall"]["name"], part["functionCall"].get("args") or {})
                    for part in parts
                    if "functionCall" in part
                ],
                "finish": candidate.get("finishReason"),
            }
        )
    usage = body.get("usageMetadata")
    counts = usage and (
        usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0),
        usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0),
        usage.get("totalTokenCount", 0),
        usage.get("cachedContentTokenCount", 0),
        usage.get("thoughtsTokenCount", 0),
    )
    return {"choices": choices, "citations": sorted(set(urls)), "usage": counts}


READ = {"chat": _read_chat, "responses": _read_responses, "anthropic": _read_anthropic, "gemini": _read_gemini}
JOIN = {"chat": _joined_chat, "responses": _joined_responses, "anthropic": _joined_anthropic, "gemini": _joined_gemini}
