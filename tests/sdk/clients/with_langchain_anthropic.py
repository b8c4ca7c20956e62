"""langchain-anthropic: ChatAnthropic whole and streamed, tools, structured output, thinking."""

from __future__ import annotations

import functools
import operator
from functools import cache
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel

from harness import CLOCK, QUESTION, RESULTS, SYSTEM, WEATHER, Target, answer, run

MESSAGES: list[Any] = [SystemMessage(SYSTEM), HumanMessage(QUESTION)]
TOOLS: list[Any] = [{"type": "function", "function": tool} for tool in (WEATHER, CLOCK)]


class Plan(BaseModel):
    """A plan."""

    name: str
    minutes: int
    done: bool


@cache
def model(target: Target, thinks: bool = False) -> ChatAnthropic:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}} if thinks else {}
    made: Any = ChatAnthropic
    return made(  # type: ignore[no-any-return]  # made through Any
        model=target.thinking if thinks else target.model,
        base_url=target.origin,
        api_key=target.key,
        max_tokens=2048,
        max_retries=0,
        timeout=30,
        **thinking,
    )


def seen(message: Any) -> Any:
    blocks = [{"type": "text", "text": message.content}] if isinstance(message.content, str) else message.content
    thoughts = [block.get("thinking", "") for block in blocks if block["type"] == "thinking"]
    usage = message.usage_metadata
    return answer(
        "".join(block["text"] for block in blocks if block["type"] == "text"),
        calls=[(call["id"], call["name"], call["args"]) for call in message.tool_calls],
        finish=message.response_metadata["stop_reason"],
        usage=(usage["input_tokens"], usage["output_tokens"]),
        thoughts="".join(thoughts) if thoughts else None,
    )


def _joined(chunks: Any) -> Any:
    return functools.reduce(operator.add, chunks)


def _following(first: Any) -> list[Any]:
    results = [ToolMessage(RESULTS[call["name"]], tool_call_id=call["id"]) for call in first.tool_calls]
    return [*MESSAGES, first, *results]


def _two_turns(bound: Any) -> Any:
    first = bound.invoke(MESSAGES)
    return seen(first), seen(bound.invoke(_following(first)))


def _two_streamed_turns(bound: Any) -> Any:
    first = _joined(bound.stream(MESSAGES))
    return seen(first), seen(_joined(bound.stream(_following(first))))


def invoke(target: Target) -> Any:
    return seen(model(target).invoke(MESSAGES))


def stream(target: Target) -> Any:
    return seen(_joined(model(target).stream(MESSAGES)))


def tools(target: Target) -> Any:
    return _two_turns(model(target).bind_tools(TOOLS))


def tools_streamed(target: Target) -> Any:
    return _two_streamed_turns(model(target).bind_tools(TOOLS))


def structured_by_tool(target: Target) -> Any:
    return model(target).with_structured_output(Plan).invoke(MESSAGES).model_dump()  # type: ignore[union-attr]  # a Plan was asked for


def thinking(target: Target) -> Any:
    return _two_turns(model(target, True).bind_tools(TOOLS))


def thinking_streamed(target: Target) -> Any:
    return _two_streamed_turns(model(target, True).bind_tools(TOOLS))


async def asynchronously(target: Target) -> Any:
    return seen(await model(target).ainvoke(MESSAGES))


def counted(target: Target) -> Any:
    return model(target).get_num_tokens_from_messages(MESSAGES) > 0


run(
    [invoke, stream, tools, tools_streamed, structured_by_tool, thinking, thinking_streamed, asynchronously, counted],
    ["langchain-anthropic", "langchain-core", "anthropic"],
)
