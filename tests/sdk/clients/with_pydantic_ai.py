"""pydantic-ai: one agent on the models of OpenAI (chat and Responses), Anthropic and Google."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

from harness import QUESTION, RESULTS, SYSTEM, Target, run


class Plan(BaseModel):
    """A plan."""

    name: str
    minutes: int
    done: bool


def chat_model(target: Target) -> Any:
    return OpenAIChatModel(target.model, provider=OpenAIProvider(base_url=target.v1, api_key=target.key))


def responses_model(target: Target) -> Any:
    return OpenAIResponsesModel(target.model, provider=OpenAIProvider(base_url=target.v1, api_key=target.key))


def anthropic_model(target: Target) -> Any:
    return AnthropicModel(target.model, provider=AnthropicProvider(base_url=target.origin, api_key=target.key))


def google_model(target: Target) -> Any:
    return GoogleModel(target.model, provider=GoogleProvider(base_url=target.origin, api_key=target.key))


def _agent(model: Any, **settings: Any) -> tuple[Any, list[str]]:
    """An agent with two tools, and what they were asked."""
    asked: list[str] = []
    agent = Agent(model, instructions=SYSTEM, **settings)

    @agent.tool_plain
    def weather(city: str) -> str:
        """The weather in a city."""
        asked.append(f"weather in {city}")
        return RESULTS["weather"]

    @agent.tool_plain
    def clock() -> str:
        """The time now."""
        asked.append("clock")
        return RESULTS["clock"]

    return agent, asked


async def _tools(model: Any) -> Any:
    agent, asked = _agent(model)
    result = await agent.run(QUESTION)
    return result.output, sorted(asked), [type(message).__name__ for message in result.all_messages()]


async def _tools_streamed(model: Any) -> Any:
    agent, asked = _agent(model)
    async with agent.run_stream(QUESTION) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    return "".join(pieces), sorted(asked)


async def _plain(model: Any) -> Any:
    result = await Agent(model, instructions=SYSTEM).run(QUESTION)
    usage = result.usage() if callable(result.usage) else result.usage
    return result.output, usage.input_tokens > 0, usage.output_tokens, usage.requests


async def _output_by_tool(model: Any) -> Any:
    return (await Agent(model, output_type=Plan).run(QUESTION)).output.model_dump()


async def _output_by_schema(model: Any) -> Any:
    return (await Agent(model, output_type=NativeOutput(Plan)).run(QUESTION)).output.model_dump()


async def _tools_then_output(model: Any) -> Any:
    agent, asked = _agent(model, output_type=Plan)
    return (await agent.run(QUESTION)).output.model_dump(), sorted(asked)


def _step(kind: str, make: Callable[[Target], Any], act: Callable[[Any], Any]) -> Any:
    def step(target: Target) -> Any:
        return act(make(target))

    step.__name__ = f"{kind}{act.__name__}"
    return step


MODELS = {"chat": chat_model, "responses": responses_model, "anthropic": anthropic_model, "google": google_model}
ACTS = (_plain, _tools, _tools_streamed, _output_by_tool, _output_by_schema, _tools_then_output)

NOT_OFFERED = {("anthropic", _output_by_schema)}  # by the SDK, to a model with an unknown name

run(
    [_step(kind, make, act) for kind, make in MODELS.items() for act in ACTS if (kind, act) not in NOT_OFFERED],
    ["pydantic-ai-slim", "openai", "anthropic", "google-genai"],
)
