"""POST /v1/completions, the legacy text endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from switchgear.simulator import text
from switchgear.simulator.answer import DONE, Answer, Burst, json_answer, sse, stream_answer
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.openai_chat import Completion, usage_of
from switchgear.simulator.openai_errors import error_event
from switchgear.simulator.validation import BOOLEAN, SAMPLING, Rule, check, empty_array, require, wrong_type

_RULES = {**SAMPLING, "echo": BOOLEAN, "best_of": Rule("an integer", 1, 20), "logprobs": Rule("an integer", 0, 5)}
_DEFAULT_MAX_TOKENS = 16


def prompts_of(prompt: Any) -> list[str]:
    """The prompts as text; a token array counts as four characters a token. Raises `InvalidRequest`."""
    if isinstance(prompt, str):
        return [prompt]
    if not isinstance(prompt, list):
        raise wrong_type("prompt", "one of a string, an array of strings or an array of tokens", prompt)
    if not prompt:
        raise empty_array("prompt")
    if all(isinstance(item, int) and not isinstance(item, bool) for item in prompt):
        return ["    " * len(prompt)]
    out = []
    for index, item in enumerate(prompt):
        if isinstance(item, str):
            out.append(item)
        elif isinstance(item, list) and all(isinstance(each, int) for each in item):
            out.append("    " * len(item))
        else:
            raise wrong_type(f"prompt[{index}]", "a string or an array of tokens", item)
    return out


def answer(exchange: Exchange) -> Answer:
    """Raises `InvalidRequest`, `NotFound`."""
    body = exchange.json
    model = exchange.require_model()
    prompts = prompts_of(require(body, "prompt"))
    check(body, _RULES)
    limit = body.get("max_tokens") or _DEFAULT_MAX_TOKENS
    choices: list[Completion] = []
    for prompt in prompts:
        for _ in range(body.get("n") or 1):
            count, finish = text.answer_length(exchange.behaviour.tokens, limit)
            pieces = text.tokens(count, exchange.settings.seed, len(choices), exchange.behaviour.giant_event)
            choices.append(Completion(([prompt] if body.get("echo") else []) + pieces, finish, [], False))
    usage = usage_of(sum(map(len, prompts)), choices)
    envelope = {
        "id": exchange.id("cmpl-"),
        "object": "text_completion",
        "created": exchange.now,
        "model": model,
    }
    if body.get("stream"):
        return stream_answer(_stream(exchange, envelope, choices, usage))
    listed = [_choice("".join(choice.pieces), index, choice.finish_reason) for index, choice in enumerate(choices)]
    return json_answer({**envelope, "choices": listed, "usage": usage})


def _choice(words: str, index: int, finish_reason: str | None) -> Json:
    return {"text": words, "index": index, "logprobs": None, "finish_reason": finish_reason}


def _stream(exchange: Exchange, envelope: Json, choices: list[Completion], usage: Json) -> Iterator[Burst]:
    behaviour = exchange.behaviour
    wants_usage = bool((exchange.json.get("stream_options") or {}).get("include_usage"))
    empty = {"usage": None} if wants_usage else {}
    sent = 0
    for step in range(max(len(choice.pieces) for choice in choices)):
        burst: list[bytes] = []
        for index, choice in enumerate(choices):
            if step >= len(choice.pieces):
                continue
            if sent == behaviour.error_event:
                yield (*burst, sse(orjson.dumps(error_event(behaviour))))
                return
            chunk = {**envelope, "choices": [_choice(choice.pieces[step], index, None)], **empty}
            burst.append(sse(orjson.dumps(chunk)))
            sent += 1
        yield tuple(burst)
    if behaviour.error_event is not None:
        yield (sse(orjson.dumps(error_event(behaviour))),)
        return
    last = []
    for index, choice in enumerate(choices):
        final = index == len(choices) - 1
        extra = {"usage": usage} if behaviour.usage_in_finish and final else empty
        last.append(sse(orjson.dumps({**envelope, "choices": [_choice("", index, choice.finish_reason)], **extra})))
    if wants_usage and not behaviour.usage_in_finish:
        last.append(sse(orjson.dumps({**envelope, "choices": [], "usage": usage})))
    if not behaviour.no_done:
        last.append(DONE)
    yield tuple(last)
