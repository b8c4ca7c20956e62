"""langchain-openai: ChatOpenAI over chat completions and over Responses; tools, structured output, embeddings."""

from __future__ import annotations

import functools
import operator
from functools import cache
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from harness import CLOCK, QUESTION, RESULTS, SYSTEM, WEATHER, Target, answer, run

MESSAGES: list[Any] = [SystemMessage(SYSTEM), HumanMessage(QUESTION)]
TOOLS: list[Any] = [{"type": "function", "function": tool} for tool in (WEATHER, CLOCK)]


class Plan(BaseModel):
    """A plan."""

    name: str
    minutes: int
    done: bool


@cache
def model(target: Target, responses: bool = False) -> ChatOpenAI:
    return ChatOpenAI(
        model=target.model,
        base_url=target.v1,
        api_key=SecretStr(target.key),
        max_retries=0,
        timeout=30,
        use_responses_api=responses,
        stream_usage=True,
    )


def seen(message: Any) -> Any:
    text = message.text if isinstance(message.text, str) else message.text()
    calls = [(call["id"], call["name"], call["args"]) for call in message.tool_calls]
    usage = message.usage_metadata
    finish = message.response_metadata.get("finish_reason") or message.response_metadata.get("status")
    return answer(text, calls=calls, finish=finish, usage=(usage["input_tokens"], usage["output_tokens"]))


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


def structured_by_schema(target: Target) -> Any:
    return model(target).with_structured_output(Plan, method="json_schema").invoke(MESSAGES).model_dump()  # type: ignore[union-attr]  # a Plan was asked for


def structured_by_tool(target: Target) -> Any:
    return model(target).with_structured_output(Plan, method="function_calling").invoke(MESSAGES).model_dump()  # type: ignore[union-attr]  # a Plan was asked for


def responses_invoke(target: Target) -> Any:
    return seen(model(target, True).invoke(MESSAGES))


def responses_stream(target: Target) -> Any:
    return seen(_joined(model(target, True).stream(MESSAGES)))


def responses_tools(target: Target) -> Any:
    return _two_turns(model(target, True).bind_tools(TOOLS))


def responses_tools_streamed(target: Target) -> Any:
    return _two_streamed_turns(model(target, True).bind_tools(TOOLS))


async def asynchronously(target: Target) -> Any:
    return seen(await model(target).ainvoke(MESSAGES))


def embeddings(target: Target) -> Any:
    made = OpenAIEmbeddings(
        model=target.embeds, base_url=target.v1, api_key=SecretStr(target.key), check_embedding_ctx_length=False
    )
    vectors = made.embed_documents(["one", "two", "one"])
    return len(vectors), vectors[0] == vectors[2], vectors[0] == vectors[1]


run(
    [
        invoke,
        stream,
        tools,
        tools_streamed,
        structured_by_schema,
        structured_by_tool,
        responses_invoke,
        responses_stream,
        responses_tools,
        responses_tools_streamed,
        asynchronously,
        embeddings,
    ],
    ["langchain-openai", "langchain-core", "openai"],
)
