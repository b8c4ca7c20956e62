"""POST /v1/chat/completions, as OpenAI answers it: whole and streamed; tools, functions, JSON schema, n, usage.

Reasoning, when the behaviour asks for it, is `reasoning_content` as DeepSeek, xAI and vLLM send it: OpenAI hides it.
"""

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
from switchgear.simulator.reply import REFUSAL, cut, reasoning
from switchgear.simulator.schema_instance import instance
from switchgear.simulator.validation import ARRAY, BOOLEAN, OBJECT, SAMPLING, Rule, check, require_messages, wrong_type

FINGERPRINT = "fp_51b9c32e14"
_MAX_STOPS = 4
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
    """What one choice says: text in pieces, or tool calls; and why it stops. `legacy`: a `function_call`.

    reasoning: tokens before that. refused: the text is a refusal. tokens: of all this.
    """

    __slots__ = ("calls", "finish_reason", "legacy", "pieces", "reasoning", "refused", "tokens")

    def __init__(self, pieces: list[str], finish_reason: str, calls: list[tools.Call], legacy: bool):
        self.pieces = pieces
        self.calls = calls
        self.legacy = legacy
        self.finish_reason = finish_reason
        self.reasoning: list[str] = []
        self.refused = False
        self.tokens = len(pieces) + sum(text.count_tokens(call.name + call.arguments) for call in calls)

    def after(self, reasoning: list[str]) -> Completion:
        """The same with `reasoning` before it."""
        self.reasoning = reasoning
        self.tokens += len(reasoning)
        return self


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
    usage = usage_of(
        sum(len(text_of(message.get("content"))) for message in messages), choices, exchange.behaviour.cached
    )
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
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if not behaviour.reasoning:
        return _say(exchange, messages, index, limit)
    count, finish = text.answer_length(behaviour.reasoning, limit)
    thoughts = reasoning(exchange, count, index)
    if finish == "length":
        return Completion([], finish, [], False).after(thoughts)
    return _say(exchange, messages, index, limit - count if limit else None).after(thoughts)


def _say(exchange: Exchange, messages: list[Json], index: int, limit: int | None) -> Completion:
    """What comes after the reasoning."""
    body, behaviour = exchange.json, exchange.behaviour
    if behaviour.refusal:
        refused = Completion(text.pieces(REFUSAL, 6), "stop", [], False)
        refused.refused = True
        return refused
    made, legacy = _calls(body, messages)
    if made:
        return Completion([], "function_call" if legacy else "tool_calls", made, legacy)
    structured = _structured(body.get("response_format"))
    if structured is not None:
        pieces = text.pieces(structured)
        count, finish = text.answer_length(len(pieces), limit)
        return Completion(pieces[:count], finish, [], False)
    count, finish = text.answer_length(behaviour.tokens, limit)
    pieces = text.tokens(count, exchange.settings.seed, index, behaviour.giant_event)
    kept, stopped_at = cut(pieces, _stops(body))
    return Completion(kept, "stop" if stopped_at is not None else finish, [], False)


def _stops(body: Json) -> list[str]:
    """`stop`, one or up to four texts. Raises `InvalidRequest`."""
    given = body.get("stop") or []
    stops = [given] if isinstance(given, str) else given
    if not isinstance(stops, list) or not all(isinstance(each, str) for each in stops):
        raise wrong_type("stop", "one of a string or array of strings", given)
    if len(stops) > _MAX_STOPS:
        raise InvalidRequest(
            f"Invalid 'stop': array too long. Expected an array with maximum length {_MAX_STOPS}, but got an array "
            f"with length {len(stops)} instead.",
            param="stop",
            code="array_above_max_length",
        )
    return stops


def _calls(body: Json, messages: list[Json]) -> tuple[list[tools.Call], bool]:
    answers_user = messages[-1].get("role") == "user"
    if body.get("functions") and not body.get("tools"):
        functions = tools.declared([{"type": "function", "function": each} for each in body["functions"]])
        return tools.calls(functions, body.get("function_call"), False, answers_user), True
    parallel, choice = body.get("parallel_tool_calls") is not False, body.get("tool_choice")
    return tools.calls(tools.declared(body.get("tools")), choice, parallel, answers_user, _called(messages)), False


def _called(messages: list[Json]) -> set[str]:
    """The names of the tools called since the user last said something."""
    names: set[str] = set()
    for message in reversed(messages):
        if message.get("role") == "user":
            break
        for call in message.get("tool_calls") or []:
            function = call.get(call.get("type", "function")) if isinstance(call, dict) else None
            if isinstance(function, dict):
                names.add(str(function.get("name")))
    return names


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


def usage_of(prompt_characters: int, choices: list[Completion], cached: int = 0) -> Json:
    """The usage object of chat completions and completions. cached: tokens of the prompt, cut to its length."""
    prompt = max(1, prompt_characters // 4)
    completion = sum(choice.tokens for choice in choices)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": min(cached, prompt), "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": sum(len(choice.reasoning) for choice in choices),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _choice(exchange: Exchange, index: int, choice: Completion) -> Json:
    message: Json = {
        "role": "assistant",
        "content": None if choice.calls or choice.refused else "".join(choice.pieces),
        "refusal": "".join(choice.pieces) if choice.refused else None,
        "annotations": [],
    }
    if choice.reasoning:
        message["reasoning_content"] = "".join(choice.reasoning)
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
    """The deltas of one choice but the last, empty one. The role is in the first, whatever that brings."""
    if choice.reasoning:
        yield b'{"role":"assistant","content":null}'
        for piece in choice.reasoning:
            yield b'{"reasoning_content":%b}' % orjson.dumps(piece)
    if choice.legacy:
        call = choice.calls[0]
        opening = {"role": "assistant", "content": None, "refusal": None} if not choice.reasoning else {}
        yield orjson.dumps({**opening, "function_call": {"name": call.name, "arguments": ""}})
        for piece in text.pieces(call.arguments):
            yield orjson.dumps({"function_call": {"arguments": piece}})
        return
    if not choice.calls:
        if not choice.reasoning:
            yield b'{"role":"assistant","content":"","refusal":null}'
        key = b"refusal" if choice.refused else b"content"
        for piece in choice.pieces:
            yield b'{"%b":%b}' % (key, orjson.dumps(piece))
        return
    for number, call in enumerate(choice.calls):
        opened: dict[str, Any] = {"index": number, **_tool_call(exchange, index, number, call, "")}
        starts = number == 0 and not choice.reasoning
        first = {"role": "assistant", "content": None} if starts else {}
        yield orjson.dumps({**first, "tool_calls": [opened], **({"refusal": None} if starts else {})})
        kind, field = ("custom", "input") if call.custom else ("function", "arguments")
        for piece in text.pieces(call.arguments):
            yield orjson.dumps({"tool_calls": [{"index": number, kind: {field: piece}}]})
