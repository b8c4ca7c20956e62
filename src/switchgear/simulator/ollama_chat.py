"""Ollama's POST /api/chat and /api/generate: lines of JSON unless `stream` is false; tools, `format`, `think`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from switchgear.errors import InvalidRequest
from switchgear.simulator import ollama_request, text, tools
from switchgear.simulator.answer import Answer, json_answer
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.ollama_errors import stream_error, stream_of
from switchgear.simulator.reply import Reply, reply

_ROLES = ("system", "user", "assistant", "tool")
_FINISH = {"length": "length"}

Write = Callable[[str, str, list[Json]], Json]
"""(text, reasoning, calls) to the fields of a line that hold them."""


def chat(exchange: Exchange) -> Answer:
    """Raises `InvalidRequest`, `NotFound`."""
    body = exchange.json
    model = ollama_request.require_model(exchange)
    messages = _messages(body.get("messages"))
    if not messages:
        return _loaded(exchange, model, _message("", "", []))
    declared = tools.declared(body.get("tools"))
    made = tools.calls(declared, None, True, messages[-1]["role"] == "user")
    said = _say(exchange, made)
    characters = sum(len(str(message.get("content") or "")) for message in messages)
    return _answer(exchange, model, said, max(1, characters // 4), _message)


def generate(exchange: Exchange) -> Answer:
    """Raises `InvalidRequest`, `NotFound`."""
    body = exchange.json
    model = ollama_request.require_model(exchange)
    prompt = body.get("prompt") or ""
    if not isinstance(prompt, str):
        raise InvalidRequest("json: cannot unmarshal into Go struct field GenerateRequest.prompt of type string")
    if not prompt:
        return _loaded(exchange, model, _completion("", "", []))
    words = str(body.get("system") or "") + prompt
    return _answer(exchange, model, _say(exchange, []), max(1, len(words) // 4), _completion)


def _messages(given: Any) -> list[Json]:
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise InvalidRequest("json: cannot unmarshal into Go struct field ChatRequest.messages of type []api.Message")
    for message in given:
        if message.get("role") not in _ROLES:
            raise InvalidRequest(
                f'invalid role: {message.get("role")}, must be one of "system", "user", "assistant", "tool"'
            )
        if not isinstance(message.get("content") or "", str):
            raise InvalidRequest(
                "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type string"
            )
        _check_calls(message)
    return given


def _check_calls(message: Json) -> None:
    """Arguments are objects here, not text as OpenAI's are."""
    for call in message.get("tool_calls") or []:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("arguments", {}), dict):
            raise InvalidRequest(
                "json: cannot unmarshal string into Go struct field ChatRequest.messages.tool_calls.function.arguments "
                "of type api.ToolCallFunctionArguments"
            )


def _say(exchange: Exchange, made: list[tools.Call]) -> Reply:
    body = exchange.json
    limit, stops = ollama_request.options(body)
    schema = ollama_request.schema(body)
    return reply(exchange, calls=made, schema=schema, limit=limit, stops=stops, thinks=ollama_request.thinks(body))


def _message(words: str, thinking: str, calls: list[Json]) -> Json:
    message: Json = {"role": "assistant", "content": words}
    if thinking:
        message["thinking"] = thinking
    if calls:
        message["tool_calls"] = calls
    return {"message": message}


def _completion(words: str, thinking: str, calls: list[Json]) -> Json:
    return {"response": words, **({"thinking": thinking} if thinking else {})}


def _calls(said: Reply) -> list[Json]:
    return [{"function": {"name": call.name, "arguments": orjson.loads(call.arguments)}} for call in said.calls]


def _loaded(exchange: Exchange, model: str, fields: Json) -> Answer:
    """Nothing was asked: the model is loaded, or unloaded with a `keep_alive` of 0."""
    reason = "unload" if exchange.json.get("keep_alive") in (0, "0", "0s") else "load"
    created = ollama_request.created_at(exchange)
    return json_answer({"model": model, "created_at": created, **fields, "done": True, "done_reason": reason})


def _answer(exchange: Exchange, model: str, said: Reply, prompt: int, write: Write) -> Answer:
    start = {"model": model, "created_at": ollama_request.created_at(exchange)}
    tokens = len(said.reasoning) + sum(text.count_tokens(each.name + each.arguments) for each in said.calls)
    end = {
        "done": True,
        "done_reason": _FINISH.get(said.finish, "stop"),
        **ollama_request.figures(prompt, tokens + len(said.pieces)),
    }
    if exchange.json.get("stream") is False:
        fields = write(said.words, "".join(said.reasoning), _calls(said))
        return json_answer({**start, **fields, **end})
    return stream_of(_lines(exchange, start, end, said, write))


def _lines(exchange: Exchange, start: Json, end: Json, said: Reply, write: Write) -> Iterator[list[Json]]:
    """One line per token, one for all calls, one for the end."""
    behaviour = exchange.behaviour
    deltas = [("", piece, list[Json]()) for piece in said.reasoning]
    deltas += [(piece, "", list[Json]()) for piece in said.pieces]
    if said.calls:
        deltas.append(("", "", _calls(said)))
    for sent, delta in enumerate(deltas):
        if sent == behaviour.error_event:
            break
        yield [{**start, **write(*delta), "done": False}]
    if behaviour.error_event is not None:
        yield [stream_error(exchange)]
    elif not behaviour.no_done:
        yield [{**start, **write("", "", []), **end}]
