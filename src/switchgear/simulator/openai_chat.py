"""POST /v1/chat/completions, as OpenAI answers it: whole and streamed; tools, functions, JSON schema, n, usage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from switchgear.errors import InvalidRequest
from switchgear.simulator import text, tools
from switchgear.simulator.answer import DONE, Answer, Burst, json_answer, sse, stream_answer
from switchgear.simulator.behaviour import Behaviour
from switchgear.simulator.exchange import Exchange, Json, text_of
from switchgear.simulator.openai_errors import error_event
from switchgear.simulator.schema_instance import instance
from switchgear.simulator.validation import ARRAY, BOOLEAN, OBJECT, SAMPLING, Rule, check, require_messages

FINGERPRINT = "fp_51b9c32e14"
_RULES = {
    **SAMPLING,
    "max_completion_tokens": Rule("an integer", 1),
    "logprobs": BOOLEAN,
    "top_logprobs": Rule("an integer", 0, 20),
    "tools": ARRAY,
    "functions": ARRAY,
    "parallel_tool_calls": BOOLEAN,
    "response_format": OBJECT,
    "metadata": OBJECT,
}


class Completion:
    """What one choice says: text in pieces, or tool calls; and why it stops. `legacy`: a `function_call`."""

    __slots__ = ("calls", "finish_reason", "legacy", "pieces", "tokens")

    def __init__(self, pieces: list[str], finish_reason: str, calls: list[tools.Call], legacy: bool):
        self.pieces = pieces
        self.calls = calls
        self.legacy = legacy
        self.finish_reason = finish_reason
        self.tokens = len(pieces) + sum(text.count_tokens(call.name + call.arguments) for call in calls)


def answer(exchange: Exchange) -> Answer:
    """Raises `InvalidRequest`, `NotFound`."""
    body = exchange.json
    model = exchange.require_model()
    messages = require_messages(body)
    check(body, _RULES)
    if body.get("stream_options") is not None and not body.get("stream"):
        raise InvalidRequest(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    choices = [complete(exchange, messages, index) for index in range(body.get("n") or 1)]
    usage = usage_of(sum(len(text_of(message.get("content"))) for message in messages), choices)
    if body.get("stream"):
        return stream_answer(_stream(exchange, model, choices, usage))
    return json_answer(
        {
            "id": exchange.id("chatcmpl-"),
            "object": "chat.completion",
            "created": exchange.now,
            "model": model,
            "choices": [_choice(exchange, index, choice) for index, choice in enumerate(choices)],
            "usage": usage,
            "service_tier": "default",
            "system_fingerprint": FINGERPRINT,
        }
    )


def complete(exchange: Exchange, messages: list[Json], index: int) -> Completion:
    """What choice `index` says."""
    body, behaviour = exchange.json, exchange.behaviour
    made, legacy = _calls(body, messages)
    if made:
        return Completion([], "function_call" if legacy else "tool_calls", made, legacy)
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    structured = _structured(body.get("response_format"))
    if structured is not None:
        pieces = text.pieces(structured)
        count, finish = text.answer_length(len(pieces), limit)
        return Completion(pieces[:count], finish, [], False)
    count, finish = text.answer_length(behaviour.tokens, limit)
    pieces = text.tokens(count, exchange.settings.seed, index, behaviour.giant_event)
    return Completion(pieces, finish, [], False)


def _calls(body: Json, messages: list[Json]) -> tuple[list[tools.Call], bool]:
    answers_user = messages[-1].get("role") == "user"
    if body.get("functions") and not body.get("tools"):
        functions = tools.declared([{"type": "function", "function": each} for each in body["functions"]])
        return tools.calls(functions, body.get("function_call"), False, answers_user), True
    parallel = body.get("parallel_tool_calls") is not False
    return tools.calls(tools.declared(body.get("tools")), body.get("tool_choice"), parallel, answers_user), False


def _structured(response_format: Json | None) -> str | None:
    """The JSON text that `response_format` asks for, or None when it asks for text."""
    kind = (response_format or {}).get("type", "text")
    if kind == "text":
        return None
    if kind == "json_object":
        return '{"answer":"simulated"}'
    described = (response_format or {}).get("json_schema")
    if kind != "json_schema" or not isinstance(described, dict) or not isinstance(described.get("schema"), dict):
        raise InvalidRequest(
            "Missing required parameter: 'response_format.json_schema'.",
            param="response_format.json_schema",
            code="missing_required_parameter",
        )
    return orjson.dumps(instance(described["schema"])).decode()


def usage_of(prompt_characters: int, choices: list[Completion]) -> Json:
    """The usage object of chat completions and completions."""
    prompt = max(1, prompt_characters // 4)
    completion = sum(choice.tokens for choice in choices)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _choice(exchange: Exchange, index: int, choice: Completion) -> Json:
    message: Json = {
        "role": "assistant",
        "content": None if choice.calls else "".join(choice.pieces),
        "refusal": None,
        "annotations": [],
    }
    if choice.legacy:
        message["function_call"] = {"name": choice.calls[0].name, "arguments": choice.calls[0].arguments}
    elif choice.calls:
        message["tool_calls"] = [
            _tool_call(exchange, index, number, call, call.arguments) for number, call in enumerate(choice.calls)
        ]
    return {"index": index, "message": message, "logprobs": None, "finish_reason": choice.finish_reason}


def _tool_call(exchange: Exchange, choice: int, number: int, call: tools.Call, arguments: str) -> Json:
    identity = {"id": exchange.id("call_", choice * 16 + number)}
    if call.custom:
        return {**identity, "type": "custom", "custom": {"name": call.name, "input": arguments}}
    return {**identity, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _stream(exchange: Exchange, model: str, choices: list[Completion], usage: Json) -> Iterator[Burst]:
    """One burst per step of the choices; the last one ends them, tells the usage, and says [DONE]."""
    behaviour = exchange.behaviour
    wants_usage = bool((exchange.json.get("stream_options") or {}).get("include_usage"))
    envelope = _Envelope(exchange, model, wants_usage)
    writers = [_deltas(exchange, index, choice) for index, choice in enumerate(choices)]
    sent = 0
    open_writers = list(enumerate(writers))
    while open_writers:
        burst: list[bytes] = []
        for pair in list(open_writers):
            delta = next(pair[1], None)
            if delta is None:
                open_writers.remove(pair)
                continue
            if sent == behaviour.error_event:
                yield (*burst, sse(orjson.dumps(error_event(behaviour))))
                return
            burst.append(envelope.chunk(pair[0], delta))
            sent += 1
        if burst:
            yield tuple(burst)
    yield tuple(_last(envelope, behaviour, choices, usage, wants_usage))


def _last(
    envelope: _Envelope, behaviour: Behaviour, choices: list[Completion], usage: Json, wants_usage: bool
) -> Iterator[bytes]:
    if behaviour.error_event is not None:
        yield sse(orjson.dumps(error_event(behaviour)))
        return
    last = len(choices) - 1
    for index, choice in enumerate(choices):
        within = usage if behaviour.usage_in_finish and index == last else None
        yield envelope.chunk(index, b"{}", choice.finish_reason, within)
    if wants_usage and not behaviour.usage_in_finish:
        yield envelope.usage(usage)
    if not behaviour.no_done:
        yield DONE


class _Envelope:
    """What all chunks of one stream share, encoded once."""

    def __init__(self, exchange: Exchange, model: str, wants_usage: bool):
        self._start = (
            b'data: {"id":"%b","object":"chat.completion.chunk","created":%d,"model":%b,"service_tier":"default",'
            b'"system_fingerprint":"%b","choices":['
        ) % (exchange.id("chatcmpl-").encode(), exchange.now, orjson.dumps(model), FINGERPRINT.encode())
        self._tail = b'],"usage":null}\n\n' if wants_usage else b"]}\n\n"

    def chunk(self, index: int, delta: bytes, finish_reason: str | None = None, usage: Json | None = None) -> bytes:
        finish = b'"%b"' % finish_reason.encode() if finish_reason else b"null"
        tail = b'],"usage":%b}\n\n' % orjson.dumps(usage) if usage else self._tail
        return b'%b{"index":%d,"delta":%b,"logprobs":null,"finish_reason":%b}%b' % (
            self._start,
            index,
            delta,
            finish,
            tail,
        )

    def usage(self, usage: Json) -> bytes:
        return b'%b],"usage":%b}\n\n' % (self._start, orjson.dumps(usage))


def _deltas(exchange: Exchange, index: int, choice: Completion) -> Iterator[bytes]:
    """The deltas of one choice but the last, empty one (TRANSLATION §7)."""
    if choice.legacy:
        call = choice.calls[0]
        yield orjson.dumps(
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": call.name, "arguments": ""},
                "refusal": None,
            }
        )
        for piece in text.pieces(call.arguments):
            yield orjson.dumps({"function_call": {"arguments": piece}})
        return
    if not choice.calls:
        yield b'{"role":"assistant","content":"","refusal":null}'
        for piece in choice.pieces:
            yield b'{"content":%b}' % orjson.dumps(piece)
        return
    for number, call in enumerate(choice.calls):
        opened: dict[str, Any] = {"index": number, **_tool_call(exchange, index, number, call, "")}
        first = {"role": "assistant", "content": None} if number == 0 else {}
        yield orjson.dumps({**first, "tool_calls": [opened], **({"refusal": None} if number == 0 else {})})
        key, field = ("custom", "input") if call.custom else ("function", "arguments")
        for piece in text.pieces(call.arguments):
            yield orjson.dumps({"tool_calls": [{"index": number, key: {field: piece}}]})
