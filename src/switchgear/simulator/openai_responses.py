"""POST /v1/responses, whole and streamed, and the stored ones: get, delete, cancel, input items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from switchgear.errors import InvalidRequest, NotFound
from switchgear.simulator import reasoning_items, text, tools
from switchgear.simulator.answer import Answer, Burst, json_answer, sse, stream_answer
from switchgear.simulator.exchange import Exchange, Json, text_of
from switchgear.simulator.openai_errors import error_event
from switchgear.simulator.reply import Reply, reply
from switchgear.simulator.validation import ARRAY, BOOLEAN, OBJECT, SAMPLING, Rule, check, require, wrong_type

_RULES = {
    **{name: rule for name, rule in SAMPLING.items() if name not in ("n", "max_tokens")},
    "max_output_tokens": Rule("an integer", 16),
    "tools": ARRAY,
    "text": OBJECT,
    "store": BOOLEAN,
    "parallel_tool_calls": BOOLEAN,
    "reasoning": OBJECT,
    "metadata": OBJECT,
}


def create(exchange: Exchange) -> Answer:
    """Raises `InvalidRequest`, `NotFound`."""
    body = exchange.json
    exchange.require_model()
    items = _input_items(require(body, "input"))
    check(body, _RULES)
    _check_previous(exchange)
    reasoning_items.check(items)
    output, usage, finish = _output(exchange, items)
    done = _response(exchange, output, usage, finish)
    if body.get("store") is not False:
        done_bytes = len(orjson.dumps(done)) + len(exchange.body)
        exchange.store.responses.put(done["id"], {"response": done, "input": items}, done_bytes)
    return stream_answer(_stream(exchange, done)) if body.get("stream") else json_answer(done)


def retrieve(exchange: Exchange) -> Answer:
    """A stored response. Raises `NotFound`."""
    return json_answer(_stored(exchange)["response"])


def delete(exchange: Exchange) -> Answer:
    """Forget a stored response. Raises `NotFound`."""
    _stored(exchange)
    exchange.store.responses.pop(exchange.path_id)
    return json_answer({"id": exchange.path_id, "object": "response", "deleted": True})


def cancel(exchange: Exchange) -> Answer:
    """Refuse: only background responses can be cancelled. Raises `InvalidRequest`, `NotFound`."""
    _stored(exchange)
    raise InvalidRequest("Cannot cancel a synchronous response.")


def input_items(exchange: Exchange) -> Answer:
    """What a stored response was asked. Raises `NotFound`."""
    items = [
        {"id": f"msg_{exchange.path_id}_{index}", "type": "message", "status": "completed", **item}
        for index, item in enumerate(_stored(exchange)["input"])
    ]
    first, last = (items[0]["id"], items[-1]["id"]) if items else (None, None)
    return json_answer({"object": "list", "data": items, "first_id": first, "last_id": last, "has_more": False})


def _stored(exchange: Exchange) -> Json:
    found = exchange.store.responses.get(exchange.path_id)
    if found is None:
        raise NotFound(f"Response with id '{exchange.path_id}' not found.", code="not_found")
    return found


def _check_previous(exchange: Exchange) -> None:
    previous = exchange.json.get("previous_response_id")
    if previous is not None and exchange.store.responses.get(str(previous)) is None:
        raise InvalidRequest(
            f"Previous response with id '{previous}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )


def _input_items(given: Any) -> list[Json]:
    if isinstance(given, str):
        return [{"role": "user", "content": [{"type": "input_text", "text": given}]}]
    if not isinstance(given, list):
        raise wrong_type("input", "one of a string or array of input items", given)
    for index, item in enumerate(given):
        if not isinstance(item, dict):
            raise wrong_type(f"input[{index}]", "an object", item)
    return given


def _output(exchange: Exchange, items: list[Json]) -> tuple[list[Json], Json, str]:
    """(output items, usage, finish reason)."""
    body = exchange.json
    characters = len(body.get("instructions") or "") + sum(len(text_of(item.get("content"))) for item in items)
    parallel = body.get("parallel_tool_calls") is not False
    answers_user = bool(items) and items[-1].get("role") == "user"
    declared = tools.declared(body.get("tools"))
    made = tools.calls(declared, body.get("tool_choice"), parallel, answers_user, _called(items))
    said = reply(
        exchange,
        calls=made,
        schema=_schema((body.get("text") or {}).get("format")),
        limit=body.get("max_output_tokens"),
        thinks=reasoning_items.asked(body),
    )
    output = [reasoning_items.item(exchange, said.reasoning)] if said.reasoning else []
    if said.calls:
        output += [_call_item(exchange, index, call) for index, call in enumerate(said.calls)]
    elif said.pieces or not said.reasoning:
        output.append(_message_item(exchange, said))
    usage = _usage(exchange, characters, said.tokens + len(said.reasoning), len(said.reasoning))
    return output, usage, "length" if said.finish == "length" else "stop"


def _called(items: list[Json]) -> set[str]:
    """The names of the tools called since the user last said something."""
    names: set[str] = set()
    for item in reversed(items):
        if item.get("role") == "user":
            break
        if item.get("type") in ("function_call", "custom_tool_call"):
            names.add(str(item.get("name")))
    return names


def _message_item(exchange: Exchange, said: Reply) -> Json:
    part = {"type": "refusal", "refusal": said.words} if said.finish == "refusal" else _part(said.words)
    return {
        "id": exchange.id("msg_"),
        "type": "message",
        "status": "incomplete" if said.finish == "length" else "completed",
        "role": "assistant",
        "content": [part],
    }


def _part(words: str) -> Json:
    return {"type": "output_text", "text": words, "annotations": [], "logprobs": []}


def _call_item(exchange: Exchange, index: int, call: tools.Call) -> Json:
    kind, field = ("custom_tool_call", "input") if call.custom else ("function_call", "arguments")
    return {
        "id": exchange.id("ctc_" if call.custom else "fc_", index),
        "type": kind,
        "status": "completed",
        field: call.arguments,
        "call_id": exchange.id("call_", index),
        "name": call.name,
    }


def _schema(wanted: Json | None) -> Any:
    """The JSON Schema that the text must be valid for, or None."""
    kind = (wanted or {}).get("type", "text")
    if kind == "text":
        return None
    return {"const": {"answer": "simulated"}} if kind == "json_object" else (wanted or {}).get("schema", {})


def _usage(exchange: Exchange, prompt_characters: int, tokens: int, reasoning: int) -> Json:
    prompt = max(1, prompt_characters // 4)
    cached = min(exchange.behaviour.cached, prompt)
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + tokens,
    }


def _response(exchange: Exchange, output: list[Json], usage: Json, finish: str) -> Json:
    body = exchange.json
    settings = body.get("text") or {}
    return {
        "id": exchange.id("resp_"),
        "object": "response",
        "created_at": exchange.now,
        "status": "completed" if finish == "stop" else "incomplete",
        "background": False,
        "completed_at": exchange.now if finish == "stop" else None,
        "error": None,
        "incomplete_details": None if finish == "stop" else {"reason": "max_output_tokens"},
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "model": body["model"],
        "output": output,
        "parallel_tool_calls": body.get("parallel_tool_calls") is not False,
        "previous_response_id": body.get("previous_response_id"),
        "prompt_cache_key": body.get("prompt_cache_key"),
        "reasoning": {"effort": None, "summary": None, **(body.get("reasoning") or {})},
        "safety_identifier": body.get("safety_identifier"),
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": body.get("temperature") if body.get("temperature") is not None else 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium", **settings},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": [_echoed(tool) for tool in body.get("tools") or []],
        "top_logprobs": body.get("top_logprobs") or 0,
        "top_p": body.get("top_p") if body.get("top_p") is not None else 1.0,
        "truncation": body.get("truncation") or "disabled",
        "usage": usage,
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _echoed(tool: Json) -> Json:
    """A tool as the answer shows it: functions are strict unless the request says otherwise."""
    return {"strict": True, "description": None, **tool} if tool.get("type") == "function" else tool


def _stream(exchange: Exchange, done: Json) -> Iterator[Burst]:
    """Events numbered without gaps; the bursts are one step of the model each."""
    behaviour = exchange.behaviour
    burst: list[bytes] = []
    sent = 0
    for paced, event in _events(done):
        if sent == behaviour.error_event:
            yield (*burst, *_failure(exchange, done, sent))
            return
        if paced and burst:
            yield tuple(burst)
            burst = []
        event["sequence_number"] = sent
        burst.append(sse(orjson.dumps(event), event["type"].encode()))
        sent += 1
    if behaviour.error_event is not None:
        yield (*burst[:-1], *_failure(exchange, done, sent - 1))
        return
    yield tuple(burst)


def _failure(exchange: Exchange, done: Json, number: int) -> Burst:
    """An error in the stream, in both shapes seen (flat and nested), and `response.failed`."""
    error = error_event(exchange.behaviour)["error"]
    flat = {name: error[name] for name in ("code", "message", "param")}
    failed = {
        **done,
        "status": "failed",
        "completed_at": None,
        "output": [],
        "usage": None,
        "error": {"code": error["code"] or error["type"], "message": error["message"]},
    }
    return (
        sse(orjson.dumps({"type": "error", **flat, "error": error, "sequence_number": number}), b"error"),
        sse(
            orjson.dumps({"type": "response.failed", "response": failed, "sequence_number": number + 1}),
            b"response.failed",
        ),
    )


def _events(done: Json) -> Iterator[tuple[bool, Json]]:
    """(whether a gap goes before it, event without its number)."""
    started = {
        **done,
        "status": "in_progress",
        "completed_at": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
    }
    yield False, {"type": "response.created", "response": started}
    yield False, {"type": "response.in_progress", "response": started}
    for index, item in enumerate(done["output"]):
        if item["type"] == "reasoning":
            yield from reasoning_items.events(index, item)
        elif item["type"] == "message":
            yield from _message_events(index, item)
        else:
            yield from _call_events(index, item)
    yield False, {"type": f"response.{done['status']}", "response": done}


def _message_events(index: int, item: Json) -> Iterator[tuple[bool, Json]]:
    place = {"item_id": item["id"], "output_index": index, "content_index": 0}
    part = item["content"][0]
    yield index > 0, reasoning_items.added(index, {**item, "status": "in_progress", "content": []})
    if part["type"] == "refusal":
        yield False, {"type": "response.content_part.added", **place, "part": {"type": "refusal", "refusal": ""}}
        for number, piece in enumerate(_deltas(part["refusal"])):
            yield number > 0, {"type": "response.refusal.delta", **place, "delta": piece}
        yield False, {"type": "response.refusal.done", **place, "refusal": part["refusal"]}
    else:
        yield False, {"type": "response.content_part.added", **place, "part": _part("")}
        for number, piece in enumerate(_deltas(part["text"])):
            yield number > 0, {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
        yield False, {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
    yield False, {"type": "response.content_part.done", **place, "part": part}
    yield False, {"type": "response.output_item.done", "output_index": index, "item": item}


def _deltas(words: str) -> Iterator[str]:
    """The text as its tokens again: JSON in pieces, prose at its spaces."""
    if words.startswith(("{", "[")):
        yield from text.pieces(words)
        return
    first, *rest = words.split(" ")
    if first:
        yield first
    for word in rest:
        yield f" {word}"


def _call_events(index: int, item: Json) -> Iterator[tuple[bool, Json]]:
    custom = item["type"] == "custom_tool_call"
    field = "input" if custom else "arguments"
    stem = "response.custom_tool_call_input" if custom else "response.function_call_arguments"
    place = {"item_id": item["id"], "output_index": index}
    yield False, reasoning_items.added(index, {**item, "status": "in_progress", field: ""})
    for number, piece in enumerate(text.pieces(item[field])):
        yield number > 0 or index > 0, {"type": f"{stem}.delta", **place, "delta": piece}
    named = {} if custom else {"name": item["name"]}
    yield False, {"type": f"{stem}.done", **place, field: item[field], **named}
    yield False, {"type": "response.output_item.done", "output_index": index, "item": item}
