"""Answer streams made up for the tests, the same eight answers in every upstream format, and what they say.

`CASES[upstream][case]` is the body as the upstream sends it; `VIEWS[case]` what any client must end up with.
"""

import json
from typing import Any

UPSTREAMS = ("chat", "responses", "anthropic", "gemini", "ollama")
CLIENTS = ("chat", "responses", "anthropic", "gemini", "gemini-array", "ollama")
PAIRS = [
    (upstream, client)
    for upstream in UPSTREAMS
    for client in CLIENTS
    if upstream != client or upstream in ("chat", "gemini", "ollama")
]

# the same answers for all; `tools`: parallel calls, the second without arguments
VIEWS: dict[str, dict[str, Any]] = {
    "text": {"text": 'Grüße — "hi"\n\U0001f600 \\ end', "finish": "stop"},
    "tools": {
        "text": "Let me look.",
        "calls": [("weather", {"city": "Köln", "note": 'a "b" \\ {'}), ("now", {})],
        "finish": "tool_calls",
    },
    "reasoning": {"text": "42", "reasoning": "First, think. Then say.", "finish": "stop"},
    "usage": {"text": "ok", "finish": "length", "usage": (100, 20, 120, 60)},
    "error": {"text": "Half of", "error": True},
    "truncated": {"text": "Half of", "error": True},
    "refusal": {"text": "I can't help with that.", "finish": "content_filter"},
    "empty": {"text": "", "finish": "stop"},
}


def sse(*events: dict[str, Any] | str, names: bool = False, end: str = "\n") -> bytes:
    """Events as a stream; names: with `event:` lines from their types."""
    out = ""
    for event in events:
        if names and isinstance(event, dict):
            out += f"event: {event['type']}{end}"
        out += f"data: {event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)}{end}{end}"
    return out.encode()


def lines(*events: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in events)


# chat ----------------------------------------------------------------------------------------------------------------


def chat_chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    return {
        "id": "chatcmpl-7",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "m-1",
        "choices": choices,
        **more,
    }


def chat_call(index: int, **fields: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": index, **fields}]}


FIRST = chat_chunk({"role": "assistant", "content": ""})
CHAT = {
    "text": sse(
        FIRST,
        *[chat_chunk({"content": part}) for part in ("Grü", "ße — ", '"hi"\n', "\U0001f600 \\", " end")],
        chat_chunk({}, "stop"),
        "[DONE]",
    ),
    "tools": sse(
        FIRST,
        chat_chunk({"content": "Let me look."}),
        chat_chunk(chat_call(0, id="call_a", type="function", function={"name": "weather", "arguments": ""})),
        chat_chunk(chat_call(0, function={"arguments": '{"city": "Kö'})),
        chat_chunk(chat_call(1, id="call_b", type="function", function={"name": "now", "arguments": ""})),
        chat_chunk(chat_call(0, function={"arguments": 'ln", "note": "a \\"b\\" \\\\ {"}'})),
        chat_chunk({}, "tool_calls"),
        "[DONE]",
    ),
    "reasoning": sse(
        FIRST,
        chat_chunk({"reasoning_content": "First, think."}),
        chat_chunk({"reasoning": " Then say."}),
        chat_chunk(
            {
                "reasoning_details": [
                    {"type": "reasoning.text", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0}
                ]
            }
        ),
        chat_chunk({"content": "42"}),
        chat_chunk({}, "stop"),
        "[DONE]",
    ),
    "usage": sse(
        FIRST,
        chat_chunk({"content": "ok"}),
        chat_chunk({}, "length"),
        chat_chunk(
            None,
            usage={
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 120,
                "prompt_tokens_details": {"cached_tokens": 60},
            },
        ),
        "[DONE]",
    ),
    "error": sse(
        FIRST,
        chat_chunk({"content": "Half of"}),
        {"error": {"message": "Slow down.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}},
    ),
    "truncated": sse(FIRST, chat_chunk({"content": "Half of"})),
    "refusal": sse(
        FIRST, chat_chunk({"content": "I can't help with that."}), chat_chunk({}, "content_filter"), "[DONE]"
    ),
    "empty": sse(FIRST, chat_chunk({}, "stop"), "[DONE]"),
}

# responses -----------------------------------------------------------------------------------------------------------


def responses(
    *events: dict[str, Any], status: str = "completed", usage: dict[str, Any] | None = None, **more: Any
) -> bytes:
    head = {"id": "resp_7", "object": "response", "created_at": 1700000000, "model": "m-1", "output": []}
    stream: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**head, "status": "in_progress"}},
        {"type": "response.in_progress", "response": {**head, "status": "in_progress"}},
        *events,
    ]
    if status:
        stream.append({"type": f"response.{status}", "response": {**head, "status": status, "usage": usage, **more}})
    return sse(*[{**event, "sequence_number": number} for number, event in enumerate(stream)], names=True)


def message(at: int, *deltas: str, done: bool = True) -> list[dict[str, Any]]:
    where = {"item_id": f"msg_{at}", "output_index": at, "content_index": 0}
    text = "".join(deltas)
    part = {"type": "output_text", "text": text, "annotations": []}
    events: list[dict[str, Any]] = [
        {
            "type": "response.output_item.added",
            "output_index": at,
            "item": {"id": f"msg_{at}", "type": "message", "role": "assistant", "content": []},
        },
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        *[{"type": "response.output_text.delta", **where, "delta": delta, "logprobs": []} for delta in deltas],
    ]
    if done:
        events += [
            {"type": "response.output_text.done", **where, "text": text},
            {"type": "response.content_part.done", **where, "part": part},
            {
                "type": "response.output_item.done",
                "output_index": at,
                "item": {"id": f"msg_{at}", "type": "message", "role": "assistant", "content": [part]},
            },
        ]
    return events


def call_item(at: int, name: str, arguments: str = "") -> dict[str, Any]:
    return {"id": f"fc_{at}", "type": "function_call", "call_id": f"call_{at}", "name": name, "arguments": arguments}


def item(kind: str, at: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": f"response.output_item.{kind}", "output_index": at, "item": item}


def arguments(at: int, delta: str) -> dict[str, Any]:
    return {"type": "response.function_call_arguments.delta", "item_id": f"fc_{at}", "output_index": at, "delta": delta}


WEATHER = '{"city": "Köln", "note": "a \\"b\\" \\\\ {"}'
RESPONSES = {
    "text": responses(*message(0, "Grüße — ", '"hi"\n', "\U0001f600 \\ end")),
    "tools": responses(
        *message(0, "Let me look."),
        item("added", 1, call_item(1, "weather")),
        item("added", 2, call_item(2, "now")),
        arguments(1, WEATHER[:14]),
        arguments(2, "{}"),
        arguments(1, WEATHER[14:]),
        item("done", 1, call_item(1, "weather", WEATHER)),
        item("done", 2, call_item(2, "now", "{}")),
    ),
    "reasoning": responses(
        item("added", 0, {"id": "rs_0", "type": "reasoning", "summary": []}),
        {
            "type": "response.reasoning_summary_part.added",
            "item_id": "rs_0",
            "output_index": 0,
            "summary_index": 0,
            "part": {"type": "summary_text", "text": ""},
        },
        *[
            {
                "type": "response.reasoning_summary_text.delta",
                "item_id": "rs_0",
                "output_index": 0,
                "summary_index": 0,
                "delta": delta,
            }
            for delta in ("First, think.", " Then say.")
        ],
        item(
            "done",
            0,
            {
                "id": "rs_0",
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "First, think. Then say."}],
                "encrypted_content": "c2ln",
            },
        ),
        *message(1, "42"),
    ),
    "usage": responses(
        *message(0, "ok"),
        status="incomplete",
        incomplete_details={"reason": "max_output_tokens"},
        usage={
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 60},
            "output_tokens": 20,
            "total_tokens": 120,
        },
    ),
    "error": responses(
        *message(0, "Half of", done=False),
        {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down.", "param": None},
        status="",
    ),
    "truncated": responses(*message(0, "Half of", done=False), status=""),
    "refusal": responses(
        *message(0, "I can't help with that."), status="incomplete", incomplete_details={"reason": "content_filter"}
    ),
    "empty": responses(),
}

# anthropic -----------------------------------------------------------------------------------------------------------

START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_7",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": [],
        "stop_reason": None,
        "usage": {
            "input_tokens": 40,
            "cache_read_input_tokens": 60,
            "cache_creation_input_tokens": 0,
            "output_tokens": 1,
        },
    },
}


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any], stop: bool = True) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *[{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas],
        *([{"type": "content_block_stop", "index": index}] if stop else []),
    ]


def text_block(index: int, *parts: str, stop: bool = True) -> list[dict[str, Any]]:
    return block(
        index, {"type": "text", "text": ""}, *[{"type": "text_delta", "text": part} for part in parts], stop=stop
    )


def anthropic(*events: dict[str, Any], reason: str = "end_turn") -> bytes:
    end: list[dict[str, Any]] = [
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": {"output_tokens": 20},
        },
        {"type": "message_stop"},
    ]
    return sse(START, {"type": "ping"}, *events, *(end if reason else []), names=True)


ANTHROPIC = {
    "text": anthropic(*text_block(0, "Grüße — ", '"hi"\n', "\U0001f600 \\ end")),
    "tools": anthropic(
        *text_block(0, "Let me look."),
        *block(
            1,
            {"type": "tool_use", "id": "toolu_a", "name": "weather", "input": {}},
            *[{"type": "input_json_delta", "partial_json": part} for part in ("", WEATHER[:14], WEATHER[14:])],
        ),
        *block(
            2,
            {"type": "tool_use", "id": "toolu_b", "name": "now", "input": {}},
            {"type": "input_json_delta", "partial_json": ""},
        ),
        reason="tool_use",
    ),
    "reasoning": anthropic(
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "First, think."},
            {"type": "thinking_delta", "thinking": " Then say."},
            {"type": "signature_delta", "signature": "c2ln"},
        ),
        *text_block(1, "42"),
    ),
    "usage": anthropic(*text_block(0, "ok"), reason="max_tokens"),
    "error": anthropic(
        *text_block(0, "Half of", stop=False),
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        reason="",
    ),
    "truncated": anthropic(*text_block(0, "Half of", stop=False), reason=""),
    "refusal": anthropic(*text_block(0, "I can't help with that."), reason="refusal"),
    "empty": anthropic(),
}

# gemini --------------------------------------------------------------------------------------------------------------


def gemini_chunk(
    *parts: dict[str, Any], finish: str | None = None, usage: dict[str, Any] | None = None
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    chunk: dict[str, Any] = {"candidates": [candidate], "modelVersion": "m-1", "responseId": "r7"}
    if usage:
        chunk["usageMetadata"] = usage
    return chunk


def gemini(*chunks: dict[str, Any]) -> bytes:
    return sse(*chunks, end="\r\n")


GEMINI = {
    "text": gemini(
        gemini_chunk({"text": "Grüße — "}),
        gemini_chunk({"text": '"hi"\n'}),
        gemini_chunk({"text": "\U0001f600 \\ end"}, finish="STOP"),
    ),
    "tools": gemini(
        gemini_chunk({"text": "Let me look."}),
        gemini_chunk({"functionCall": {"name": "weather", "args": json.loads(WEATHER)}, "thoughtSignature": "c2ln"}),
        gemini_chunk({"functionCall": {"name": "now", "args": {}}}),
        gemini_chunk({"text": ""}, finish="STOP"),
    ),
    "reasoning": gemini(
        gemini_chunk({"text": "First, think.", "thought": True}),
        gemini_chunk({"text": " Then say.", "thought": True}),
        gemini_chunk({"text": "42", "thoughtSignature": "c2ln"}, finish="STOP"),
    ),
    "usage": gemini(
        gemini_chunk({"text": "o"}, usage={"promptTokenCount": 100, "totalTokenCount": 100}),
        gemini_chunk(
            {"text": "k"},
            finish="MAX_TOKENS",
            usage={
                "promptTokenCount": 100,
                "candidatesTokenCount": 15,
                "thoughtsTokenCount": 5,
                "totalTokenCount": 120,
                "cachedContentTokenCount": 60,
            },
        ),
    ),
    "error": gemini(
        gemini_chunk({"text": "Half of"}), {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}
    ),
    "truncated": gemini(gemini_chunk({"text": "Half of"})),
    "refusal": gemini(gemini_chunk({"text": "I can't help with that."}), gemini_chunk(finish="SAFETY")),
    "empty": gemini(gemini_chunk(finish="STOP")),
}

# ollama --------------------------------------------------------------------------------------------------------------


def ollama_line(done: bool = False, *, reason: str = "stop", **message: Any) -> dict[str, Any]:
    line: dict[str, Any] = {
        "model": "m-1",
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": "", **message},
        "done": done,
    }
    if done:
        line |= {"done_reason": reason, "prompt_eval_count": 100, "eval_count": 20}
    return line


OLLAMA = {
    "text": lines(
        *[ollama_line(content=part) for part in ("Grüße — ", '"hi"\n', "\U0001f600 \\ end")], ollama_line(True)
    ),
    "tools": lines(
        ollama_line(content="Let me look."),
        ollama_line(
            tool_calls=[
                {"function": {"name": "weather", "arguments": json.loads(WEATHER)}},
                {"function": {"name": "now", "arguments": {}}},
            ]
        ),
        ollama_line(True),
    ),
    "reasoning": lines(
        ollama_line(thinking="First, think."),
        ollama_line(thinking=" Then say."),
        ollama_line(content="42"),
        ollama_line(True),
    ),
    "usage": lines(ollama_line(content="ok"), ollama_line(True, reason="length")),
    "error": lines(ollama_line(content="Half of"), {"error": "model runner has stopped"}),
    "truncated": lines(ollama_line(content="Half of")),
    "empty": lines(ollama_line(True)),
}

CASES: dict[str, dict[str, bytes]] = {
    "chat": CHAT,
    "responses": RESPONSES,
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "ollama": OLLAMA,
}
ALL = [(upstream, client, case) for upstream, client in PAIRS for case in CASES[upstream]]
