"""instructor over the SDKs of OpenAI, Anthropic and Google: models filled by tools and by JSON schemas."""

from __future__ import annotations

from typing import Any

import instructor
from anthropic import Anthropic
from google import genai
from google.genai import types
from openai import OpenAI
from pydantic import BaseModel

from harness import QUESTION, RESULTS, Target, run

MESSAGES: list[Any] = [{"role": "user", "content": QUESTION}]


class Step(BaseModel):
    title: str
    minutes: int


class Plan(BaseModel):
    """A plan."""

    name: str
    steps: list[Step]
    done: bool


def _openai(target: Target) -> Any:
    return OpenAI(base_url=target.v1, api_key=target.key, max_retries=0, timeout=30)


def _anthropic(target: Target) -> Any:
    return Anthropic(base_url=target.origin, api_key=target.key, max_retries=0, timeout=30)


def openai_tools(target: Target) -> Any:
    client = instructor.from_openai(_openai(target), mode=instructor.Mode.TOOLS)
    made, raw = client.create_with_completion(model=target.model, messages=MESSAGES, response_model=Plan, max_retries=0)
    return made.model_dump(), raw.choices[0].finish_reason


def openai_json_schema(target: Target) -> Any:
    client = instructor.from_openai(_openai(target), mode=instructor.Mode.JSON_SCHEMA)
    return client.create(model=target.model, messages=MESSAGES, response_model=Plan, max_retries=0).model_dump()


def openai_partial(target: Target) -> Any:
    client = instructor.from_openai(_openai(target), mode=instructor.Mode.TOOLS)
    return list(client.create_partial(model=target.model, messages=MESSAGES, response_model=Plan))[-1].model_dump()


def openai_second_turn(target: Target) -> Any:
    """A conversation with a tool; the answer to its result is a model."""
    client = _openai(target)
    tool: Any = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}
    first = client.chat.completions.create(model=target.model, messages=MESSAGES, tools=[tool])
    message = first.choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": RESULTS["clock"]} for call in message.tool_calls or ()
    ]
    history = [*MESSAGES, {"content": "", **message.model_dump(exclude_none=True)}, *results]
    filler = instructor.from_openai(client, mode=instructor.Mode.JSON_SCHEMA)
    made = filler.create(model=target.model, messages=history, response_model=Plan, max_retries=0)
    return [call["content"] for call in results], made.model_dump()


def anthropic_tools(target: Target) -> Any:
    client = instructor.from_anthropic(_anthropic(target), mode=instructor.Mode.ANTHROPIC_TOOLS)
    made = client.create(model=target.model, messages=MESSAGES, response_model=Plan, max_tokens=500, max_retries=0)
    return made.model_dump()


def google_tools(target: Target) -> Any:
    return _google(target, instructor.Mode.GENAI_TOOLS)


def google_structured(target: Target) -> Any:
    return _google(target, instructor.Mode.GENAI_STRUCTURED_OUTPUTS)


def _google(target: Target, mode: Any) -> Any:
    options = types.HttpOptions(base_url=target.origin, timeout=30_000)
    client = instructor.from_genai(genai.Client(api_key=target.key, vertexai=False, http_options=options), mode=mode)
    made: Any = client.create(model=target.model, messages=MESSAGES, response_model=Plan, max_retries=0)
    return made.model_dump()


run(
    [
        openai_tools,
        openai_json_schema,
        openai_partial,
        openai_second_turn,
        anthropic_tools,
        google_tools,
        google_structured,
    ],
    ["instructor", "openai", "anthropic", "google-genai"],
)
