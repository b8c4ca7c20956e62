"""Reasoning, refusals and cached tokens in the OpenAI formats."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from mistralai.client import Mistral
from openai import AsyncOpenAI

from switchgear.simulator import Simulator

MESSAGES: list[Any] = [{"role": "user", "content": "How are you?"}]
CLOCK: Any = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}


async def streamed(client: AsyncOpenAI, **fields: Any) -> list[dict[str, Any]]:
    """The deltas that say something."""
    made = await client.chat.completions.create(messages=MESSAGES, stream=True, **fields)
    return [chunk.choices[0].delta.to_dict() async for chunk in made if chunk.choices and chunk.choices[0].delta]


async def test_chat(client: AsyncOpenAI) -> None:
    whole: Any = await client.chat.completions.create(model="sim;reasoning=5;tokens=3", messages=MESSAGES)
    message = whole.choices[0].message
    assert (len(message.reasoning_content.split()), len(message.content.split())) == (5, 3)
    assert whole.usage.completion_tokens == 8
    assert whole.usage.completion_tokens_details.reasoning_tokens == 5
    deltas = await streamed(client, model="sim;reasoning=5;tokens=3")
    assert deltas[0] == {"role": "assistant", "content": None}
    assert "".join(each.get("reasoning_content") or "" for each in deltas) == message.reasoning_content
    assert "".join(each.get("content") or "" for each in deltas) == message.content
    assert sum("role" in each for each in deltas) == 1


async def test_chat_reasoning_before_calls_and_within_the_limit(client: AsyncOpenAI) -> None:
    deltas = await streamed(client, model="sim;reasoning=2", tools=[CLOCK])
    assert sum("role" in each for each in deltas) == 1
    assert deltas[3]["tool_calls"][0]["function"]["name"] == "clock"
    cut: Any = await client.chat.completions.create(model="sim;reasoning=9", messages=MESSAGES, max_tokens=4)
    assert (cut.choices[0].finish_reason, cut.choices[0].message.content) == ("length", "")
    assert cut.usage.completion_tokens_details.reasoning_tokens == 4


async def test_chat_refusal_and_cached_tokens(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="sim;refusal;cached=2", messages=MESSAGES)
    message = whole.choices[0].message
    assert (message.content, message.refusal) == (None, "I cannot help with that.")
    assert whole.usage is not None
    assert whole.usage.prompt_tokens_details is not None
    assert whole.usage.prompt_tokens_details.cached_tokens == 2
    deltas = await streamed(client, model="sim;refusal")
    assert "".join(each.get("refusal") or "" for each in deltas) == message.refusal


async def test_responses(client: AsyncOpenAI) -> None:
    fields: Any = {"model": "sim", "input": "x", "reasoning": {"effort": "low", "summary": "auto"}}
    whole = await client.responses.create(**fields, include=["reasoning.encrypted_content"])
    item: Any = whole.output[0]
    assert [each.type for each in whole.output] == ["reasoning", "message"]
    assert len(item.summary[0].text.split()) == 8
    assert whole.usage is not None
    assert whole.usage.output_tokens_details.reasoning_tokens == 8
    async with client.responses.stream(**fields) as stream:
        numbers = [event.sequence_number async for event in stream]
        final: Any = await stream.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert final.output[0].summary[0].text == item.summary[0].text
    assert final.output[0].encrypted_content is None


async def test_encrypted_reasoning_comes_back(client: AsyncOpenAI) -> None:
    fields: Any = {"model": "sim", "reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]}
    tools: Any = [{"type": "function", "name": "clock", "parameters": {"type": "object"}, "strict": False}]
    first: Any = await client.responses.create(input="x", tools=tools, store=False, **fields)
    assert first.output[0].summary == []
    assert [each.type for each in first.output] == ["reasoning", "function_call"]
    history: Any = [{"role": "user", "content": "x"}, *(each.to_dict() for each in first.output)]
    history.append({"type": "function_call_output", "call_id": first.output[1].call_id, "output": "noon"})
    second = await client.responses.create(input=history, tools=tools, store=False, **fields)
    assert second.output_text
    history[1]["encrypted_content"] = "gAAAAspoilt"
    with pytest.raises(openai.BadRequestError, match="The encrypted content gAAAAspo") as caught:
        await client.responses.create(input=history, **fields)
    assert caught.value.code == "invalid_encrypted_content"


async def test_responses_refusal(client: AsyncOpenAI) -> None:
    async with client.responses.stream(model="sim;refusal", input="x") as stream:
        [event async for event in stream]
        final: Any = await stream.get_final_response()
    assert final.output[0].content[0].refusal == "I cannot help with that."


async def test_the_mistral_client(sim: Simulator) -> None:
    async with Mistral(api_key="k", server_url=sim.origin) as client:
        answer = await client.chat.complete_async(model="sim", messages=MESSAGES)
        stream = await client.chat.stream_async(model="sim;split=3", messages=MESSAGES)
        words = "".join([str(event.data.choices[0].delta.content or "") async for event in stream])
    assert words == answer.choices[0].message.content
