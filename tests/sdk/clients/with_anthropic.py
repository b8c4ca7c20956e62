"""The anthropic SDK: messages whole, streamed and parsed; tools, also by its runner; thinking; counting tokens."""

from __future__ import annotations

from functools import cache
from typing import Any

import anthropic
from anthropic import Anthropic
from pydantic import BaseModel

from harness import CLOCK, QUESTION, RESULTS, SYSTEM, WEATHER, Target, answer, run

ASKED: Any = {"messages": [{"role": "user", "content": QUESTION}], "system": SYSTEM, "max_tokens": 400}
TOOLS: list[Any] = [
    {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]}
    for tool in (WEATHER, CLOCK)
]
THINKING: Any = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048}


class Plan(BaseModel):
    name: str
    minutes: int
    done: bool


@cache
def client(target: Target) -> Anthropic:
    return Anthropic(base_url=target.origin, api_key=target.key, max_retries=0, timeout=30)


def seen(message: Any) -> Any:
    blocks = message.content
    thoughts = [block.thinking for block in blocks if block.type == "thinking"]
    return answer(
        "".join(block.text for block in blocks if block.type == "text"),
        calls=[(block.id, block.name, block.input) for block in blocks if block.type == "tool_use"],
        finish=message.stop_reason,
        usage=(message.usage.input_tokens, message.usage.output_tokens),
        thoughts="".join(thoughts) if thoughts else None,
    )


def messages(target: Target) -> Any:
    message = client(target).messages.create(model=target.model, **ASKED)
    assert message.model == target.model
    assert (message.type, message.role) == ("message", "assistant")
    return seen(message)


def messages_cut_short(target: Target) -> Any:
    return seen(client(target).messages.create(model=target.model, **{**ASKED, "max_tokens": 20}))


def messages_stop_sequence(target: Target) -> Any:
    whole = client(target).messages.create(model=target.model, **ASKED)
    word = whole.content[0].text.split()[3]  # type: ignore[union-attr]  # the first block is text
    message = client(target).messages.create(model=target.model, stop_sequences=[word], **ASKED)
    return seen(message), message.stop_sequence == word


def messages_stream(target: Target) -> Any:
    events = list(client(target).messages.create(model=target.model, stream=True, **ASKED))
    return sorted({event.type for event in events})


def stream_helper(target: Target) -> Any:
    with client(target).messages.stream(model=target.model, **ASKED) as stream:
        text = "".join(stream.text_stream)
        return text, seen(stream.get_final_message())


def parsed(target: Target) -> Any:
    message = client(target).messages.parse(model=target.model, output_format=Plan, **ASKED)
    return message.parsed_output and message.parsed_output.model_dump()


def tools(target: Target) -> Any:
    first = client(target).messages.create(model=target.model, tools=TOOLS, **ASKED)
    second = client(target).messages.create(model=target.model, tools=TOOLS, **_following(first))
    return seen(first), seen(second)


def tools_streamed(target: Target) -> Any:
    with client(target).messages.stream(model=target.model, tools=TOOLS, **ASKED) as stream:
        first = stream.get_final_message()
    with client(target).messages.stream(model=target.model, tools=TOOLS, **_following(first)) as stream:
        return seen(first), seen(stream.get_final_message())


def tool_forced(target: Target) -> Any:
    choices: list[Any] = [{"type": "tool", "name": "clock"}, {"type": "any"}, {"type": "none"}]
    create = client(target).messages.create
    return [seen(create(model=target.model, tools=TOOLS, tool_choice=choice, **ASKED)) for choice in choices]


def tool_runner(target: Target) -> Any:
    asked: list[str] = []

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return RESULTS["weather"]

    runner = client(target).beta.messages.tool_runner(model=target.model, tools=[weather], **ASKED)
    return asked, seen(runner.until_done()), asked


def thinking(target: Target) -> Any:
    """A second turn stands on the thinking of the first, with its signature."""
    create = client(target).messages.create
    first = create(model=target.thinking, tools=TOOLS, **{**ASKED, **THINKING})
    second = create(model=target.thinking, tools=TOOLS, **{**_following(first), **THINKING})
    return seen(first), seen(second)


def thinking_streamed(target: Target) -> Any:
    stream_of = client(target).messages.stream
    with stream_of(model=target.thinking, tools=TOOLS, **{**ASKED, **THINKING}) as stream:
        first = stream.get_final_message()
    with stream_of(model=target.thinking, tools=TOOLS, **{**_following(first), **THINKING}) as stream:
        return seen(first), seen(stream.get_final_message())


def _following(first: Any) -> Any:
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": RESULTS[block.name]}
        for block in first.content
        if block.type == "tool_use"
    ]
    history = [
        *ASKED["messages"],
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": results},
    ]
    return {**ASKED, "messages": history}


def count_tokens(target: Target) -> Any:
    asked = {name: value for name, value in ASKED.items() if name != "max_tokens"}
    counted = client(target).messages.count_tokens(model=target.model, tools=TOOLS, **asked)
    return counted.input_tokens > 0


def unknown_model(target: Target) -> Any:
    try:
        client(target).messages.create(model="no/such/model;status=404", **ASKED)
    except anthropic.APIStatusError as exc:
        body: Any = exc.body
        return type(exc).__name__, exc.status_code, body["type"], body["error"]["type"]
    return "answered"


run(
    [
        messages,
        messages_cut_short,
        messages_stop_sequence,
        messages_stream,
        stream_helper,
        parsed,
        tools,
        tools_streamed,
        tool_forced,
        tool_runner,
        thinking,
        thinking_streamed,
        count_tokens,
        unknown_model,
    ],
    ["anthropic"],
)
