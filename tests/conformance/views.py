"""What a client ends up with, read from the bytes of an answer: text, reasoning, tool calls, finish reason, usage.

The same shape as `EXPECTED.jsonl` beside the recordings has, so that the two can be compared.
"""

from __future__ import annotations

import json
from typing import Any

View = dict[str, Any]


def events(body: bytes) -> list[tuple[str, str]]:
    """(event name, data) of each event with data in a stream."""
    text = body.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found = []
    for block in text.split("\n\n"):
        name, data = "", []
        for line in block.split("\n"):
            field, _, value = line.partition(":")
            if field == "data":
                data.append(value.removeprefix(" "))
            elif field == "event":
                name = value.removeprefix(" ")
        if data:
            found.append((name, "\n".join(data)))
    return found


def chat_view(body: bytes, stream: bool) -> View:
    """The view of a chat completion."""
    if not stream:
        answer = json.loads(body)
        return {
            "choices": [_message(choice) for choice in sorted(answer["choices"], key=lambda one: one["index"])],
            "usage": chat_usage(answer.get("usage")),
        }
    choices: dict[int, View] = {}
    calls: dict[int, dict[int, View]] = {}
    usage, error = None, None
    for _, data in events(body):
        if data == "[DONE]":
            break
        chunk = json.loads(data)
        error = error or chunk.get("error")
        usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or usage
        for choice in chunk.get("choices") or ():
            _add(choice, choices, calls)
    for index, choice in choices.items():
        choice["tool_calls"] = [_call(call) for _, call in sorted(calls.get(index, {}).items())]
    view = {"choices": [choices[index] for index in sorted(choices)], "usage": chat_usage(usage)}
    return {**view, "stream_error": error} if error else view


def _add(choice: View, choices: dict[int, View], calls: dict[int, dict[int, View]]) -> None:
    index, delta = choice.get("index", 0), choice.get("delta") or {}
    so_far = choices.setdefault(
        index, {"index": index, "text": "", "reasoning": "", "refusal": None, "tool_calls": [], "provider_finish": None}
    )
    so_far["text"] += _text(delta)
    so_far["reasoning"] += _reasoning(delta)
    if delta.get("refusal"):
        so_far["refusal"] = (so_far["refusal"] or "") + delta["refusal"]
    so_far["provider_finish"] = choice.get("finish_reason") or so_far["provider_finish"]
    for call in delta.get("tool_calls") or ():
        at = call.get("index")
        of_choice = calls.setdefault(index, {})
        entry = of_choice.setdefault(at if at is not None else len(of_choice), {"name": "", "arguments": ""})
        function = call.get("function") or {}
        entry["name"] = entry["name"] or function.get("name") or ""
        entry["arguments"] += function.get("arguments") or ""


def _message(choice: View) -> View:
    message = choice["message"]
    return {
        "index": choice["index"],
        "text": _text(message),
        "reasoning": _reasoning(message),
        "refusal": message.get("refusal"),
        "tool_calls": [_call(call["function"]) for call in message.get("tool_calls") or ()],
        "provider_finish": choice.get("finish_reason"),
    }


def _text(message: View) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content if part.get("type") == "text")


def _reasoning(message: View) -> str:
    given = message.get("reasoning_content") or message.get("reasoning") or ""
    content = message.get("content")
    if given or not isinstance(content, list):
        return str(given)
    return "".join(
        piece.get("text", "") for part in content if part.get("type") == "thinking" for piece in part["thinking"]
    )


def _call(call: View) -> View:
    return {"name": call["name"], "arguments": arguments(call["arguments"])}


def arguments(text: Any) -> Any:
    """Arguments as a value, or their text where it is not JSON."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text


def chat_usage(usage: View | None) -> View | None:
    """The usage of a chat completion in the terms of the expectations."""
    if not usage:
        return None
    given = usage.get("prompt_tokens_details") or {}
    made = usage.get("completion_tokens_details") or {}
    return {
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens"),
        "total_tokens": usage.get("total_tokens"),
        "cached_tokens": given.get("cached_tokens"),
        "reasoning_tokens": made.get("reasoning_tokens"),
    }


def responses_view(body: bytes, stream: bool) -> View:
    """The view of a response."""
    if stream:
        last = [json.loads(data) for _, data in events(body) if data != "[DONE]"][-1]
        answer = last["response"]
    else:
        answer = json.loads(body)
    texts: list[str] = []
    refusals: list[str] = []
    calls = []
    for item in answer["output"]:
        if item["type"] == "function_call":
            calls.append({"call_id": item["call_id"], "name": item["name"], "arguments": arguments(item["arguments"])})
        for part in item.get("content") or () if item["type"] == "message" else ():
            (texts if part["type"] == "output_text" else refusals).append(part.get("text") or part.get("refusal") or "")
    usage = answer.get("usage") or {}
    return {
        "status": answer["status"],
        "incomplete": (answer.get("incomplete_details") or {}).get("reason"),
        "text": "".join(texts),
        "refusal": "".join(refusals) or None,
        "tool_calls": calls,
        "item_types": [item["type"] for item in answer["output"]],
        "usage": {
            "input_tokens": usage.get("input_tokens"),
            "output_tokens": usage.get("output_tokens"),
            "total_tokens": usage.get("total_tokens"),
            "cached_tokens": (usage.get("input_tokens_details") or {}).get("cached_tokens"),
            "reasoning_tokens": (usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
        }
        if usage
        else None,
    }
