"""The openai SDK: chat and Responses, whole, streamed, parsed; conversations with tools; embeddings."""

from __future__ import annotations

from functools import cache
from typing import Any

import openai
from openai import OpenAI
from pydantic import BaseModel

from harness import CLOCK, QUESTION, RESULTS, SYSTEM, WEATHER, Target, answer, run

MESSAGES: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
CHAT_TOOLS: list[Any] = [{"type": "function", "function": tool} for tool in (WEATHER, CLOCK)]
RESPONSE_TOOLS: list[Any] = [{"type": "function", "strict": False, **tool} for tool in (WEATHER, CLOCK)]


class Step(BaseModel):
    title: str
    minutes: int


class Plan(BaseModel):
    name: str
    steps: list[Step]
    done: bool
    note: str | None


@cache
def client(target: Target) -> OpenAI:
    return OpenAI(base_url=target.v1, api_key=target.key, max_retries=0, timeout=30)


def seen_chat(completion: Any) -> Any:
    choice = completion.choices[0]
    calls = [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls or ()]
    usage = completion.usage and (completion.usage.prompt_tokens, completion.usage.completion_tokens)
    thoughts = getattr(choice.message, "reasoning_content", None)
    return answer(choice.message.content, calls=calls, finish=choice.finish_reason, usage=usage, thoughts=thoughts)


def seen_response(response: Any) -> Any:
    calls = [(item.call_id, item.name, item.arguments) for item in response.output if item.type == "function_call"]
    usage = (response.usage.input_tokens, response.usage.output_tokens)
    return answer(response.output_text, calls=calls, finish=response.status, usage=usage)


def chat(target: Target) -> Any:
    completion = client(target).chat.completions.create(model=target.model, messages=MESSAGES, max_tokens=100)
    assert completion.model == target.model
    assert completion.id
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    return seen_chat(completion)


def chat_cut_short(target: Target) -> Any:
    return seen_chat(client(target).chat.completions.create(model=target.model, messages=MESSAGES, max_tokens=20))


def chat_stream(target: Target) -> Any:
    chunks = list(
        client(target).chat.completions.create(
            model=target.model, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )
    assert {chunk.model for chunk in chunks} == {target.model}
    assert len({chunk.id for chunk in chunks}) == 1
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    usage = chunks[-1].usage
    assert usage is not None
    text = "".join(choice.delta.content or "" for choice in choices)
    return answer(text, finish=choices[-1].finish_reason, usage=(usage.prompt_tokens, usage.completion_tokens))


def chat_stream_helper(target: Target) -> Any:
    with client(target).chat.completions.stream(model=target.model, messages=MESSAGES) as stream:
        kinds = sorted({event.type for event in stream})
        return kinds, seen_chat(stream.get_final_completion())


def chat_parse(target: Target) -> Any:
    completion = client(target).chat.completions.parse(model=target.model, messages=MESSAGES, response_format=Plan)
    parsed = completion.choices[0].message.parsed
    return parsed and parsed.model_dump()


def chat_tools(target: Target) -> Any:
    first = client(target).chat.completions.create(model=target.model, messages=MESSAGES, tools=CHAT_TOOLS)
    return seen_chat(first), seen_chat(_second_chat(target, first))


def chat_tools_streamed(target: Target) -> Any:
    completions = client(target).chat.completions
    with completions.stream(model=target.model, messages=MESSAGES, tools=CHAT_TOOLS) as stream:
        first = stream.get_final_completion()
    with completions.stream(model=target.model, messages=_history(first), tools=CHAT_TOOLS) as stream:
        return seen_chat(first), seen_chat(stream.get_final_completion())


def chat_tool_forced(target: Target) -> Any:
    choice: Any = {"type": "function", "function": {"name": "clock"}}
    completions = client(target).chat.completions
    return [
        seen_chat(completions.create(model=target.model, messages=MESSAGES, tools=CHAT_TOOLS, tool_choice=each))
        for each in (choice, "required", "none")
    ]


def chat_reasoning(target: Target) -> Any:
    """With tools, so that a second turn stands on the first one's reasoning."""
    completions = client(target).chat.completions
    given: Any = {
        "model": target.thinking,
        "tools": CHAT_TOOLS,
        "reasoning_effort": "low",
        "max_completion_tokens": 3000,
    }
    first = completions.create(messages=MESSAGES, **given)
    second = completions.create(messages=_history(first), **given)
    return seen_chat(first), seen_chat(second)


def _history(first: Any) -> list[Any]:
    message = first.choices[0].message
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": RESULTS[call.function.name]} for call in message.tool_calls
    ]
    return [*MESSAGES, message.model_dump(exclude_none=True, exclude={"parsed"}), *results]


def _second_chat(target: Target, first: Any) -> Any:
    return client(target).chat.completions.create(model=target.model, messages=_history(first), tools=CHAT_TOOLS)


def responses(target: Target) -> Any:
    made = client(target).responses.create(model=target.model, input=QUESTION, instructions=SYSTEM, store=False)
    assert made.model == target.model
    return seen_response(made)


def responses_stream(target: Target) -> Any:
    events = list(client(target).responses.create(model=target.model, input=QUESTION, stream=True, store=False))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    return sorted({event.type for event in events}), text, seen_response(events[-1].response)  # type: ignore[union-attr]  # the last event has the response


def responses_stream_helper(target: Target) -> Any:
    with client(target).responses.stream(model=target.model, input=QUESTION, store=False) as stream:
        kinds = sorted({event.type for event in stream})
        return kinds, seen_response(stream.get_final_response())


def responses_parse(target: Target) -> Any:
    parsed = client(target).responses.parse(model=target.model, input=QUESTION, text_format=Plan, store=False)
    return parsed.output_parsed and parsed.output_parsed.model_dump()


def responses_tools(target: Target) -> Any:
    create = client(target).responses.create
    first = create(model=target.model, input=QUESTION, tools=RESPONSE_TOOLS, store=False)
    second = create(model=target.model, input=_items(first), tools=RESPONSE_TOOLS, store=False)
    return seen_response(first), seen_response(second)


def responses_tools_streamed(target: Target) -> Any:
    stream_of = client(target).responses.stream
    with stream_of(model=target.model, input=QUESTION, tools=RESPONSE_TOOLS, store=False) as stream:
        first = stream.get_final_response()
    with stream_of(model=target.model, input=_items(first), tools=RESPONSE_TOOLS, store=False) as stream:
        return seen_response(first), seen_response(stream.get_final_response())


def responses_reasoning(target: Target) -> Any:
    create = client(target).responses.create
    given: Any = {
        "model": target.thinking,
        "tools": RESPONSE_TOOLS,
        "store": False,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 3000,
    }
    first = create(input=QUESTION, **given)
    second = create(input=_items(first), **given)
    kinds = [item.type for item in first.output]
    return kinds, seen_response(first), seen_response(second)


def _items(first: Any) -> list[Any]:
    calls = [item for item in first.output if item.type == "function_call"]
    results = [
        {"type": "function_call_output", "call_id": call.call_id, "output": RESULTS[call.name]} for call in calls
    ]
    unsent = {"parsed_arguments", "status"}
    return [
        {"role": "user", "content": QUESTION},
        *[item.model_dump(exclude_none=True, exclude=unsent) for item in first.output],
        *results,
    ]


def embeddings(target: Target) -> Any:
    made = client(target).embeddings.create(model=target.embeds, input=["one", "two", "one"])
    vectors = [each.embedding for each in made.data]
    assert [each.index for each in made.data] == [0, 1, 2]
    return len({len(vector) for vector in vectors}), vectors[0] == vectors[2], vectors[0] == vectors[1]


def unknown_model(target: Target) -> Any:
    try:
        client(target).chat.completions.create(
            model="no/such/model;status=404;error-code=model_not_found", messages=MESSAGES
        )
    except openai.APIStatusError as exc:
        return type(exc).__name__, exc.status_code, exc.code
    return "answered"


run(
    [
        chat,
        chat_cut_short,
        chat_stream,
        chat_stream_helper,
        chat_parse,
        chat_tools,
        chat_tools_streamed,
        chat_tool_forced,
        chat_reasoning,
        responses,
        responses_stream,
        responses_stream_helper,
        responses_parse,
        responses_tools,
        responses_tools_streamed,
        responses_reasoning,
        embeddings,
        unknown_model,
    ],
    ["openai"],
)
