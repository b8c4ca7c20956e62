"""What the pairs' tests ask and what the scripted upstreams tell, by wire format."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.providers.stream_cases import CASES
from tests.support.processes import KEY
from tests.support.scripted import Asked, Told, events, told

CLIENTS = ("chat", "responses", "anthropic", "gemini", "ollama")
# The upstream's wire → the provider's type and its base URL below the origin.
PROVIDERS: dict[str, tuple[str, str]] = {
    "chat": ("vllm", "/v1"),
    "repaired": ("together", "/v1"),
    "responses": ("openai", "/v1"),
    "anthropic": ("anthropic", ""),
    "gemini": ("gemini", ""),
    "ollama": ("ollama", ""),
}
QUESTION = "What is the weather in Köln?"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def format_of(asked: Asked) -> str:
    path = asked.target.partition("?")[0]
    if path.endswith("/messages"):
        return "anthropic"
    if path.startswith("/v1beta/models/"):
        return "gemini"
    if path == "/api/chat":
        return "ollama"
    return "responses" if path.endswith("/responses") else "chat"


def case_of(asked: Asked, fmt: str) -> str:
    """The case stands in the model's name."""
    if fmt == "gemini":
        return asked.target.partition("/models/")[2].partition(":")[0]
    return str(asked.json["model"])


def answer(asked: Asked) -> Told:
    """The stream or the whole answer that the request's case names."""
    fmt = format_of(asked)
    case = case_of(asked, fmt)
    streams = "streamGenerateContent" in asked.target if fmt == "gemini" else asked.json.get("stream", False)
    if fmt == "ollama":
        streams = asked.json.get("stream") is not False
    if case.startswith("status-"):
        return refused(fmt, int(case[7:]))
    if case == "hold":
        return events(CASES[fmt]["truncated"], ndjson=fmt == "ollama", hold=True)
    if streams:
        return events(CASES[fmt][case], ndjson=fmt == "ollama", cut=case == "truncated")
    name = "request_id" if fmt == "anthropic" else "x_request_id"
    return told(WHOLE[fmt][case], **{name: "req_upstream"})


def refused(fmt: str, status: int) -> Told:
    words = f"{fmt} says {status}"
    bodies: dict[str, Any] = {
        "anthropic": {"type": "error", "error": {"type": "rate_limit_error", "message": words}},
        "gemini": {"error": {"code": status, "message": words, "status": "RESOURCE_EXHAUSTED"}},
        "ollama": {"error": words},
    }
    body = bodies.get(fmt, {"error": {"message": words, "type": "requests", "param": None, "code": "slow_down"}})
    return told(body, status, retry_after="7")


ARGUMENTS = {"city": "Köln", "note": 'a "b" \\ {'}


def _chat(message: dict[str, Any], finish: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-7",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "m-1",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}],
        "usage": USAGE,
    }


USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 60},
}


def _responses(*output: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "resp_7",
        "object": "response",
        "created_at": 1700000000,
        "model": "m-1",
        "status": "completed",
        "output": list(output),
        "usage": {
            "input_tokens": 100,
            "output_tokens": 20,
            "total_tokens": 120,
            "input_tokens_details": {"cached_tokens": 60},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }


def _anthropic(*content: dict[str, Any], stop: str) -> dict[str, Any]:
    return {
        "id": "msg_7",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {"input_tokens": 40, "cache_read_input_tokens": 60, "output_tokens": 20},
    }


def _gemini(*parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": "STOP", "index": 0}],
        "modelVersion": "m-1",
        "responseId": "r7",
        "usageMetadata": {
            "promptTokenCount": 100,
            "candidatesTokenCount": 20,
            "totalTokenCount": 120,
            "cachedContentTokenCount": 60,
        },
    }


def _ollama(**message: Any) -> dict[str, Any]:
    return {
        "model": "m-1",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": "", **message},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 100,
        "eval_count": 20,
    }


_CALLS = [("call_a", "weather", ARGUMENTS), ("call_b", "now", {})]
WHOLE: dict[str, dict[str, Any]] = {
    "chat": {
        "text": _chat({"content": "Grüße"}, "stop"),
        "tools": _chat(
            {
                "content": "Let me look.",
                "tool_calls": [
                    {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
                    for id, name, arguments in _CALLS
                ],
            },
            "tool_calls",
        ),
    },
    "responses": {
        "text": _responses(
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Grüße", "annotations": []}],
            }
        ),
        "tools": _responses(
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}],
            },
            *[
                {
                    "type": "function_call",
                    "id": f"fc_{id}",
                    "call_id": id,
                    "name": name,
                    "arguments": json.dumps(arguments),
                    "status": "completed",
                }
                for id, name, arguments in _CALLS
            ],
        ),
    },
    "anthropic": {
        "text": _anthropic({"type": "text", "text": "Grüße"}, stop="end_turn"),
        "tools": _anthropic(
            {"type": "text", "text": "Let me look."},
            *[{"type": "tool_use", "id": id, "name": name, "input": arguments} for id, name, arguments in _CALLS],
            stop="tool_use",
        ),
    },
    "gemini": {
        "text": _gemini({"text": "Grüße"}),
        "tools": _gemini(
            {"text": "Let me look."},
            *[{"functionCall": {"name": name, "args": arguments}} for _, name, arguments in _CALLS],
        ),
    },
    "ollama": {
        "text": _ollama(content="Grüße"),
        "tools": _ollama(
            content="Let me look.",
            tool_calls=[{"function": {"name": name, "arguments": arguments}} for _, name, arguments in _CALLS],
        ),
    },
}


def question(client: str, model: str, *, stream: bool = False, **extra: Any) -> tuple[str, dict[str, str], Any]:
    """(path, headers, body) of a client's request with two tools."""
    bearer = {"authorization": f"Bearer {KEY}"}
    if client == "anthropic":
        body: dict[str, Any] = {
            "model": model,
            "max_tokens": 500,
            "messages": [{"role": "user", "content": QUESTION}],
            "tools": [{"name": name, "description": name, "input_schema": schema} for name, schema in TOOLS.items()],
        }
        headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
        return "/v1/messages", headers, body | ({"stream": True} if stream else {}) | extra
    if client == "gemini":
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        body = {
            "contents": [{"role": "user", "parts": [{"text": QUESTION}]}],
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": name, "description": name, "parameters": schema} for name, schema in TOOLS.items()
                    ]
                }
            ],
        }
        return f"/v1beta/models/{model}:{method}", {"x-goog-api-key": KEY}, body | extra
    if client == "responses":
        body = {
            "model": model,
            "input": QUESTION,
            "tools": [
                {"type": "function", "name": name, "description": name, "parameters": schema, "strict": False}
                for name, schema in TOOLS.items()
            ],
        }
        return "/v1/responses", bearer, body | ({"stream": True} if stream else {}) | extra
    if client == "ollama":
        body = {
            "model": model,
            "messages": [{"role": "user", "content": QUESTION}],
            "tools": [
                {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}
                for name, schema in TOOLS.items()
            ],
        }
        return "/api/chat", bearer, body | ({} if stream else {"stream": False}) | extra
    body = {
        "model": model,
        "messages": [{"role": "user", "content": QUESTION}],
        "tools": [
            {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}
            for name, schema in TOOLS.items()
        ],
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return "/v1/chat/completions", bearer, body | extra


TOOLS: dict[str, Any] = {"weather": SCHEMA, "now": {"type": "object", "properties": {}}}


def call(origin: str, client: str, model: str, *, stream: bool = False, **extra: Any) -> httpx.Response:
    path, headers, body = question(client, model, stream=stream, **extra)
    return httpx.post(origin + path, headers=headers, json=body, timeout=20)


def said(client: str, body: Any) -> tuple[str, list[tuple[str, Any]], Any]:
    """(text, calls, usage) of a whole answer; usage: (input, output, cached) in the client's own words."""
    if client == "anthropic":
        blocks = body["content"]
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        calls = [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
        usage = body["usage"]
        cached = usage.get("cache_read_input_tokens", 0) or 0
        return text, calls, (usage["input_tokens"] + cached, usage["output_tokens"])
    if client == "gemini":
        parts = body["candidates"][0]["content"]["parts"]
        text = "".join(part.get("text", "") for part in parts)
        calls = [
            (part["functionCall"]["name"], part["functionCall"]["args"]) for part in parts if "functionCall" in part
        ]
        usage = body["usageMetadata"]
        return text, calls, (usage["promptTokenCount"], usage["candidatesTokenCount"])
    if client == "responses":
        items = body["output"]
        text = "".join(part["text"] for item in items if item["type"] == "message" for part in item["content"])
        calls = [(item["name"], json.loads(item["arguments"])) for item in items if item["type"] == "function_call"]
        return text, calls, (body["usage"]["input_tokens"], body["usage"]["output_tokens"])
    if client == "ollama":
        said = body["message"]
        calls = [(one["function"]["name"], one["function"]["arguments"]) for one in said.get("tool_calls") or ()]
        return said["content"], calls, (body["prompt_eval_count"], body["eval_count"])
    message = body["choices"][0]["message"]
    calls = [
        (one["function"]["name"], json.loads(one["function"]["arguments"])) for one in message.get("tool_calls") or ()
    ]
    return message["content"] or "", calls, (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"])
