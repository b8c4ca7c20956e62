"""The mistralai SDK: chat whole, streamed and parsed, tools, embeddings, errors."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from pydantic import BaseModel

from harness import CLOCK, QUESTION, RESULTS, SYSTEM, WEATHER, Target, answer, run

MESSAGES: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
TOOLS: list[Any] = [{"type": "function", "function": tool} for tool in (WEATHER, CLOCK)]


class Plan(BaseModel):
    name: str
    minutes: int
    done: bool


@cache
def client(target: Target) -> Any:
    try:
        maker = importlib.import_module("mistralai.client").Mistral  # since 2.0
    except AttributeError:
        maker = importlib.import_module("mistralai").Mistral
    return maker(api_key=target.key, server_url=target.origin, timeout_ms=30_000)


def seen(completion: Any) -> Any:
    choice = completion.choices[0]
    calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]
    usage = (completion.usage.prompt_tokens, completion.usage.completion_tokens)
    return answer(choice.message.content, calls=calls, finish=choice.finish_reason, usage=usage)


def chat(target: Target) -> Any:
    completion = client(target).chat.complete(model=target.model, messages=MESSAGES, max_tokens=100, random_seed=1)
    assert completion.model == target.model
    return seen(completion)


def chat_cut_short(target: Target) -> Any:
    return seen(client(target).chat.complete(model=target.model, messages=MESSAGES, max_tokens=20))


def chat_stream(target: Target) -> Any:
    return _seen_chunks([event.data for event in client(target).chat.stream(model=target.model, messages=MESSAGES)])


def _seen_chunks(chunks: list[Any]) -> Any:
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    calls: dict[int, list[Any]] = {}
    for choice in choices:
        for call in choice.delta.tool_calls or ():
            begun = calls.setdefault(call.index, [call.id, call.function.name, ""])
            begun[2] += call.function.arguments
    text = "".join(choice.delta.content or "" for choice in choices)
    return answer(text, calls=[tuple(call) for call in calls.values()], finish=choices[-1].finish_reason)


def parse(target: Target) -> Any:
    completion = client(target).chat.parse(Plan, model=target.model, messages=MESSAGES)
    return completion.choices[0].message.parsed.model_dump()


def tools(target: Target) -> Any:
    first = client(target).chat.complete(model=target.model, messages=MESSAGES, tools=TOOLS, tool_choice="auto")
    second = client(target).chat.complete(model=target.model, messages=_history(first), tools=TOOLS)
    return seen(first), seen(second)


def tools_streamed(target: Target) -> Any:
    events = client(target).chat.stream(model=target.model, messages=MESSAGES, tools=TOOLS, tool_choice="any")
    return _seen_chunks([event.data for event in events])


def _history(first: Any) -> list[Any]:
    message = first.choices[0].message
    results = [
        {
            "role": "tool",
            "name": call.function.name,
            "tool_call_id": call.id,
            "content": RESULTS[call.function.name],
        }
        for call in message.tool_calls
    ]
    return [*MESSAGES, message, *results]


def embeddings(target: Target) -> Any:
    made = client(target).embeddings.create(model=target.embeds, inputs=["one", "two", "one"])
    vectors = [each.embedding for each in made.data]
    return len(vectors), vectors[0] == vectors[2], vectors[0] == vectors[1]


def unknown_model(target: Target) -> Any:
    try:
        client(target).chat.complete(model="no/such/model;status=404", messages=MESSAGES)
    except Exception as exc:
        return getattr(exc, "status_code", None)
    return "answered"


run(
    [chat, chat_cut_short, chat_stream, parse, tools, tools_streamed, embeddings, unknown_model],
    ["mistralai"],
)
