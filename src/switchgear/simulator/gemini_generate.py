"""Gemini's generateContent, streamGenerateContent (server-sent events, or one JSON array) and countTokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from switchgear.errors import InvalidRequest
from switchgear.simulator import gemini_request, signatures, text
from switchgear.simulator.answer import Answer
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.gemini_errors import json_answer, stream_error, stream_of
from switchgear.simulator.gemini_request import Request
from switchgear.simulator.gemini_schema import camels
from switchgear.simulator.gemini_turns import THOUGHT
from switchgear.simulator.reply import Reply, reply

_FINISH = {"stop": "STOP", "stop_sequence": "STOP", "calls": "STOP", "length": "MAX_TOKENS", "refusal": "SAFETY"}
_RATING = {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}


def generate(exchange: Exchange) -> Answer:
    """Raises `InvalidRequest`, `NotFound`."""
    request, said = _said(exchange)
    if exchange.behaviour.refusal == "prompt":
        return json_answer(_blocked(exchange, request))
    candidates = []
    for index, each in enumerate(said):
        parts = [part for step in _steps(exchange, request, each) for part in step]
        candidates.append(_candidate(index, each, _joined(parts), ends=True))
    return json_answer(_response(exchange, request, candidates, said))


def stream(exchange: Exchange) -> Answer:
    """Raises `InvalidRequest`, `NotFound`."""
    request, said = _said(exchange)
    if exchange.behaviour.refusal == "prompt":
        return stream_of(exchange, iter([[_blocked(exchange, request)]]))
    return stream_of(exchange, _bursts(exchange, request, said))


def count(exchange: Exchange) -> Answer:
    """The length of a prompt, given as contents or as a whole request. Raises `InvalidRequest`, `NotFound`."""
    fields = camels(exchange.json)
    whole = fields.get("generateContentRequest")
    if whole is not None and "contents" in fields:
        raise InvalidRequest("Only one of contents and generate_content_request may be set.")
    kept: Json = {name: fields[name] for name in ("contents", "systemInstruction", "tools") if name in fields}
    request = gemini_request.read(exchange, whole if isinstance(whole, dict) else kept)
    tokens = _prompt_tokens(request)
    return json_answer({"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]})


def _said(exchange: Exchange) -> tuple[Request, list[Reply]]:
    request = gemini_request.read(exchange, exchange.json)
    config = request.config
    made = gemini_request.calls(request)
    said = [
        reply(
            exchange,
            calls=made,
            schema=request.schema,
            limit=config.get("maxOutputTokens"),
            stops=config.get("stopSequences"),
            thinks=request.thinks,
            choice=index,
        )
        for index in range(config.get("candidateCount") or 1)
    ]
    return request, said


def _bursts(exchange: Exchange, request: Request, said: list[Reply]) -> Iterator[list[Json]]:
    """One burst per step of the model; candidates interleave. Usage grows from chunk to chunk."""
    behaviour, sent = exchange.behaviour, 0
    steps = [list(_steps(exchange, request, each)) or [[]] for each in said]
    for number in range(max(map(len, steps))):
        burst: list[Json] = []
        for index, (each, of_one) in enumerate(zip(said, steps, strict=True)):
            if number >= len(of_one):
                continue
            if sent == behaviour.error_event:
                yield [*burst, stream_error(exchange)]
                return
            ends = number == len(of_one) - 1 and not behaviour.no_done
            ends = ends and behaviour.error_event is None
            candidate = _candidate(index, each, of_one[number], ends=ends)
            burst.append(_response(exchange, request, [candidate], said, done=number + 1))
            sent += 1
        yield burst
    if behaviour.error_event is not None:
        yield [stream_error(exchange)]


def _steps(exchange: Exchange, request: Request, said: Reply) -> Iterator[list[Json]]:
    """The parts of each chunk. Thoughts are there when they are wanted; the signature is on the
    first call, or behind the text."""
    signature = ""
    if request.signs or said.reasoning:
        signature = signatures.issue(THOUGHT, "", exchange.number)
    if request.shows:
        for piece in said.reasoning:
            yield [{"text": piece, "thought": True}]
    if said.finish == "refusal":
        yield []
        return
    for piece in said.pieces:
        yield [{"text": piece}]
    if said.calls:
        yield [_call(exchange, request, said, number, signature) for number in range(len(said.calls))]
    elif said.pieces and signature:
        yield [{"text": "", "thoughtSignature": signature}]


def _call(exchange: Exchange, request: Request, said: Reply, number: int, signature: str) -> Json:
    call = said.calls[number]
    made: Json = {"name": call.name, "args": orjson.loads(call.arguments)}
    if request.signs:
        made["id"] = exchange.id("", number)[-16:]
    return {"functionCall": made, **({"thoughtSignature": signature} if signature and number == 0 else {})}


def _joined(parts: list[Json]) -> list[Json]:
    """Neighbours of one kind made one part, as in an answer that is not streamed."""
    out: list[Json] = []
    for part in parts:
        alike = out and "text" in part and "text" in out[-1] and part.get("thought") == out[-1].get("thought")
        if alike:
            out[-1] = {**out[-1], **part, "text": out[-1]["text"] + part["text"]}
        else:
            out.append(part)
    return out


def _candidate(index: int, said: Reply, parts: list[Json], *, ends: bool) -> Json:
    content: Json = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    out: Json = {"content": content, "index": index}
    if said.finish == "refusal":
        del out["content"]
        out["safetyRatings"] = [_RATING]
    if ends:
        out["finishReason"] = _FINISH[said.finish]
        if said.calls:
            out["finishMessage"] = "Model generated function call(s)."
    return out


def _blocked(exchange: Exchange, request: Request) -> Json:
    """A prompt that was refused before there was a candidate."""
    body = _response(exchange, request, [], [])
    del body["candidates"]
    return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, **body}


def _prompt_tokens(request: Request) -> int:
    words = request.system + "".join(turn.words for turn in request.turns)
    functions = orjson.dumps(request.functions).decode() if request.functions else ""
    return max(1, text.count_tokens(words)) + text.count_tokens(functions)


def _response(
    exchange: Exchange, request: Request, candidates: list[Json], said: list[Reply], done: int | None = None
) -> Json:
    """done: how many steps each candidate has taken; None for all. Candidates' tokens are absent while it thinks."""
    prompt = _prompt_tokens(request)
    thoughts = sum(len(each.reasoning) for each in said)
    written = sum(_written(request, each, done) for each in said)
    usage: dict[str, Any] = {"promptTokenCount": prompt}
    if written:
        usage["candidatesTokenCount"] = written
    usage["totalTokenCount"] = prompt + written + thoughts
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": prompt}]
    cached = min(exchange.behaviour.cached, prompt)
    if cached:
        usage["cachedContentTokenCount"] = cached
        usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": cached}]
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    return {
        "candidates": candidates,
        "usageMetadata": usage,
        "modelVersion": request.model.removeprefix("models/"),
        "responseId": exchange.id("")[-22:],
    }


def _written(request: Request, said: Reply, done: int | None) -> int:
    if done is None:
        return said.tokens
    thinking = len(said.reasoning) if request.shows else 0
    return said.tokens if said.calls and done > thinking else max(0, min(said.tokens, done - thinking))
