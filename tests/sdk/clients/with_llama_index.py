"""llama-index's OpenAILike: chat whole and streamed, tools by hand and by its agent, structured prediction."""

from __future__ import annotations

from functools import cache
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel

from harness import QUESTION, RESULTS, SYSTEM, Target, answer, run

MESSAGES = [ChatMessage(role="system", content=SYSTEM), ChatMessage(role="user", content=QUESTION)]


def weather(city: str) -> str:
    """The weather in a city."""
    return f"{city}: {RESULTS['weather']}"


def clock() -> str:
    """The time now."""
    return RESULTS["clock"]


TOOLS = [FunctionTool.from_defaults(weather), FunctionTool.from_defaults(clock)]


class Plan(BaseModel):
    """A plan."""

    name: str
    minutes: int
    done: bool


@cache
def model(target: Target) -> OpenAILike:
    return OpenAILike(
        model=target.model,
        api_base=target.v1,
        api_key=target.key,
        max_retries=0,
        timeout=30,
        is_chat_model=True,
        is_function_calling_model=True,
    )


def seen(response: Any) -> Any:
    calls = model_calls(response)
    return answer(response.message.content, calls=[(call.tool_id, call.tool_name, call.tool_kwargs) for call in calls])


def model_calls(response: Any) -> Any:
    return OpenAILike(model="any").get_tool_calls_from_response(response, error_on_no_tool_call=False)


def chat(target: Target) -> Any:
    return seen(model(target).chat(MESSAGES))


def stream_chat(target: Target) -> Any:
    responses = list(model(target).stream_chat(MESSAGES))
    return "".join(response.delta or "" for response in responses), seen(responses[-1])


async def achat(target: Target) -> Any:
    return seen(await OpenAILike(**model(target).model_dump()).achat(MESSAGES))


def tools(target: Target) -> Any:
    first = model(target).chat_with_tools(TOOLS, chat_history=MESSAGES, allow_parallel_tool_calls=True)
    second = model(target).chat_with_tools(TOOLS, chat_history=[*MESSAGES, first.message, *_results(first)])
    return seen(first), seen(second)


def tools_streamed(target: Target) -> Any:
    stream = model(target).stream_chat_with_tools(TOOLS, chat_history=MESSAGES, allow_parallel_tool_calls=True)
    first = list(stream)[-1]
    history = [*MESSAGES, first.message, *_results(first)]
    second = list(model(target).stream_chat_with_tools(TOOLS, chat_history=history))[-1]
    return seen(first), seen(second)


def _results(first: Any) -> list[ChatMessage]:
    return [
        ChatMessage(role="tool", content=RESULTS[call.tool_name], additional_kwargs={"tool_call_id": call.tool_id})
        for call in model_calls(first)
    ]


async def agent(target: Target) -> Any:
    # A model of its own: the client of the other steps belongs to another event loop.
    worker = FunctionAgent(tools=TOOLS, llm=OpenAILike(**model(target).model_dump()), system_prompt=SYSTEM)  # type: ignore[arg-type]  # the fields that it was made from
    result = await worker.run(QUESTION)
    return str(result), [call.tool_output.content for call in result.tool_calls]


def structured(target: Target) -> Any:
    return model(target).structured_predict(Plan, PromptTemplate("{asked}"), asked=QUESTION).model_dump()


run(
    [chat, stream_chat, achat, tools, tools_streamed, agent, structured],
    ["llama-index-llms-openai-like", "llama-index-core", "openai"],
)
