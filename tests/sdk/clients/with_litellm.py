"""litellm as a client, through its openai, anthropic and gemini providers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import litellm
from pydantic import BaseModel

from harness import CLOCK, QUESTION, RESULTS, SYSTEM, WEATHER, Target, answer, run

MESSAGES: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
# Gemini takes no object without properties, and the SDK sends it as it is.
ZONED = {**CLOCK, "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}}
TOOLS: list[Any] = [{"type": "function", "function": tool} for tool in (WEATHER, ZONED)]
litellm.suppress_debug_info = True


class Plan(BaseModel):
    """A plan."""

    name: str
    minutes: int
    done: bool


def _ask(target: Target, provider: str, **given: Any) -> Any:
    base = target.v1 if provider == "openai" else target.origin
    return litellm.completion(
        model=f"{provider}/{target.model}",
        api_base=base,
        api_key=target.key,
        num_retries=0,
        max_tokens=300,
        timeout=30,
        **given,
    )


def seen(completion: Any) -> Any:
    choice = completion.choices[0]
    calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]
    usage = (completion.usage.prompt_tokens, completion.usage.completion_tokens)
    return answer(choice.message.content, calls=calls, finish=choice.finish_reason, usage=usage)


def _following(first: Any) -> list[Any]:
    message = first.choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": RESULTS[call.function.name]}
        for call in message.tool_calls
    ]
    return [*MESSAGES, message.model_dump(exclude_none=True), *results]


def _built(chunks: Any) -> Any:
    return litellm.stream_chunk_builder(list(chunks))


def _completion(target: Target, provider: str) -> Any:
    return seen(_ask(target, provider, messages=MESSAGES))


def _stream(target: Target, provider: str) -> Any:
    asked = {"messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}}
    return seen(_built(_ask(target, provider, **asked)))


def _tools(target: Target, provider: str) -> Any:
    first = _ask(target, provider, messages=MESSAGES, tools=TOOLS)
    return seen(first), seen(_ask(target, provider, messages=_following(first), tools=TOOLS))


def _tools_streamed(target: Target, provider: str) -> Any:
    asked: Any = {"tools": TOOLS, "stream": True, "stream_options": {"include_usage": True}}
    first = _built(_ask(target, provider, messages=MESSAGES, **asked))
    return seen(first), seen(_built(_ask(target, provider, messages=_following(first), **asked)))


def _structured(target: Target, provider: str) -> Any:
    completion = _ask(target, provider, messages=MESSAGES, response_format=Plan)
    return Plan.model_validate_json(completion.choices[0].message.content).model_dump()


def _step(provider: str, act: Callable[[Target, str], Any]) -> Any:
    def step(target: Target) -> Any:
        return act(target, provider)

    step.__name__ = f"{provider}{act.__name__}"
    return step


ACTS = (_completion, _stream, _tools, _tools_streamed, _structured)
NOT_OFFERED = {("gemini", _structured)}  # by the SDK, to a model with an unknown name: it asks for JSON in words

run(
    [
        _step(provider, act)
        for provider in ("openai", "anthropic", "gemini")
        for act in ACTS
        if (provider, act) not in NOT_OFFERED
    ],
    ["litellm", "openai"],
)
