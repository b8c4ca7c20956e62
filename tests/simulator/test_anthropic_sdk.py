"""The real anthropic SDK, validating strictly, gets every answer right."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic
from pydantic import BaseModel

from switchgear.config.values import Secret
from switchgear.simulator import Simulator, SimulatorSettings
from switchgear.simulator.settings import DEFAULT_MODELS

MESSAGES: list[Any] = [{"role": "user", "content": "How are you?"}]
WEATHER: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CLOCK: Any = {"name": "clock", "input_schema": {"type": "object"}}
THINKING: Any = {"type": "enabled", "budget_tokens": 1024}


class Plan(BaseModel):
    name: str
    done: bool


def words(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def again(message: Any) -> Any:
    """The assistant's turn as a client sends it back."""
    return {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]}


def results(message: Any) -> Any:
    asked = [block.id for block in message.content if block.type == "tool_use"]
    return {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": each, "content": "42"} for each in asked],
    }


async def test_message(claude: AsyncAnthropic) -> None:
    answer = await claude.messages.create(model="sim", max_tokens=100, messages=MESSAGES)
    assert (answer.stop_reason, answer.stop_sequence, answer.role) == ("end_turn", None, "assistant")
    assert len(words(answer).split()) == 16
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (3, 16)
    assert answer._request_id == "req_" + "0" * 31 + "1"


async def test_limits(claude: AsyncAnthropic) -> None:
    cut = await claude.messages.create(model="sim", max_tokens=5, messages=MESSAGES)
    assert (cut.stop_reason, len(words(cut).split()), cut.usage.output_tokens) == ("max_tokens", 5, 5)
    whole = await claude.messages.create(model="sim", max_tokens=100, messages=MESSAGES)
    third = words(whole).split()[2]
    stopped = await claude.messages.create(
        model="sim", max_tokens=100, messages=MESSAGES, stop_sequences=[third, "never"]
    )
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", third)
    assert words(stopped) == words(whole)[: words(whole).index(third)]


async def test_stream_equals_whole(claude: AsyncAnthropic) -> None:
    whole = await claude.messages.create(model="sim", max_tokens=100, messages=MESSAGES)
    async with claude.messages.stream(model="sim", max_tokens=100, messages=MESSAGES) as stream:
        final = await stream.get_final_message()
    assert final.content[0].to_dict() | {"parsed_output": None} == whole.content[0].to_dict() | {"parsed_output": None}
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 16)


@pytest.mark.parametrize("streamed", [False, True])
async def test_two_turns_with_tools_and_thinking(claude: AsyncAnthropic, streamed: bool) -> None:
    fields: Any = {"model": "sim", "max_tokens": 5000, "tools": [WEATHER, CLOCK], "thinking": THINKING}

    async def ask(messages: Any) -> Any:
        if not streamed:
            return await claude.messages.create(messages=messages, **fields)
        async with claude.messages.stream(messages=messages, **fields) as stream:
            return await stream.get_final_message()

    first = await ask(MESSAGES)
    assert [block.type for block in first.content] == ["thinking", "tool_use", "tool_use"]
    assert first.stop_reason == "tool_use"
    assert [(block.name, block.input) for block in first.content[1:]] == [("weather", {"city": "text"}), ("clock", {})]
    assert len({block.id for block in first.content[1:]}) == 2
    assert len(first.content[0].thinking.split()) == first.usage.output_tokens_details.thinking_tokens == 8
    second = await ask([*MESSAGES, again(first), results(first)])
    assert [block.type for block in second.content] == ["thinking", "text"]
    assert second.stop_reason == "end_turn"


async def test_tool_choice(claude: AsyncAnthropic) -> None:
    cases: list[tuple[Any, list[str]]] = [
        ({"type": "none"}, []),
        ({"type": "any"}, ["weather", "clock"]),
        ({"type": "auto", "disable_parallel_tool_use": True}, ["weather"]),
        ({"type": "tool", "name": "clock"}, ["clock"]),
    ]
    for choice, names in cases:
        answer = await claude.messages.create(
            model="sim", max_tokens=100, messages=MESSAGES, tools=[WEATHER, CLOCK], tool_choice=choice
        )
        assert [block.name for block in answer.content if block.type == "tool_use"] == names


async def test_structured_output(claude: AsyncAnthropic) -> None:
    parsed = await claude.messages.parse(model="sim", max_tokens=100, messages=MESSAGES, output_format=Plan)
    assert parsed.parsed_output == Plan(name="Name", done=True)
    forced = await claude.messages.create(
        model="sim",
        max_tokens=100,
        messages=MESSAGES,
        tools=[{"name": "json_tool_call", "input_schema": Plan.model_json_schema()}],
        tool_choice={"type": "tool", "name": "json_tool_call"},
    )
    assert [block.input for block in forced.content if block.type == "tool_use"] == [{"name": "Name", "done": True}]


@pytest.mark.parametrize("spoil", ["signature", "thinking"])
async def test_a_signature_that_was_not_issued_is_refused(claude: AsyncAnthropic, spoil: str) -> None:
    first = await claude.messages.create(
        model="sim", max_tokens=5000, messages=MESSAGES, tools=[CLOCK], thinking=THINKING
    )
    turn = again(first)
    turn["content"][0][spoil] = "Spoilt" + turn["content"][0][spoil][6:]
    with pytest.raises(anthropic.BadRequestError) as caught:
        await claude.messages.create(
            model="sim", max_tokens=5000, messages=[*MESSAGES, turn, results(first)], tools=[CLOCK], thinking=THINKING
        )
    body: Any = caught.value.body
    assert body["error"] == {
        "type": "invalid_request_error",
        "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
    }
    assert caught.value.request_id == body["request_id"]


async def test_omitted_and_redacted_thinking(claude: AsyncAnthropic) -> None:
    omitted: Any = {"type": "adaptive", "display": "omitted"}
    redacting = [{"role": "user", "content": "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING_46C9A13E193C1776"}]
    for thinking, messages, kind in ((omitted, MESSAGES, "thinking"), (THINKING, redacting, "redacted_thinking")):
        asked: Any = messages
        first = await claude.messages.create(
            model="sim", max_tokens=5000, messages=asked, tools=[CLOCK], thinking=thinking
        )
        block: Any = first.content[0]
        assert block.type == kind
        assert getattr(block, "thinking", "") == ""
        async with claude.messages.stream(
            model="sim", max_tokens=5000, messages=[*asked, again(first), results(first)], thinking=thinking
        ) as stream:
            second = await stream.get_final_message()
        assert words(second)


async def test_refusal(claude: AsyncAnthropic) -> None:
    for model, text in (("sim;refusal", "x"), ("sim", "ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL_1FAEFB6177B4672D")):
        messages: Any = [{"role": "user", "content": text}]
        assert (await claude.messages.create(model=model, max_tokens=9, messages=messages)).stop_reason == "refusal"
        async with claude.messages.stream(model=model, max_tokens=9, messages=messages) as stream:
            assert (await stream.get_final_message()).stop_reason == "refusal"


async def test_prompt_cache(claude: AsyncAnthropic) -> None:
    system: Any = [{"type": "text", "text": "Be brief. " * 40, "cache_control": {"type": "ephemeral"}}]
    seen = []
    for question in ("one", "two"):
        answer = await claude.messages.create(
            model="sim", max_tokens=9, system=system, messages=[{"role": "user", "content": question}]
        )
        usage = answer.usage
        seen.append((usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens))
    assert seen == [(1, 100, 0), (1, 0, 100)]
    forced = await claude.messages.create(model="sim;cached=2", max_tokens=9, messages=MESSAGES)
    assert (forced.usage.input_tokens, forced.usage.cache_read_input_tokens) == (1, 2)


async def test_count_tokens(claude: AsyncAnthropic) -> None:
    bare = await claude.messages.count_tokens(model="sim", messages=MESSAGES)
    answer = await claude.messages.create(model="sim", max_tokens=1, messages=MESSAGES, tools=[WEATHER])
    with_tools = await claude.messages.count_tokens(model="sim", messages=MESSAGES, tools=[WEATHER])
    assert bare.input_tokens == 3
    assert with_tools.input_tokens == answer.usage.input_tokens > 300


async def test_models(claude: AsyncAnthropic) -> None:
    listed = [model.id async for model in claude.models.list(limit=3)]
    assert listed == list(DEFAULT_MODELS)
    assert (await claude.models.retrieve("sim-mini")).display_name == "Sim Mini"


async def test_keys_and_unknown_models() -> None:
    settings = SimulatorSettings(api_key=Secret("sk-ant-good"), models=("sim",))
    async with Simulator(settings) as sim:
        for sent in ({"api_key": "sk-ant-good"}, {"auth_token": "sk-ant-good", "api_key": None}):
            made: Any = sent
            async with AsyncAnthropic(base_url=sim.origin, max_retries=0, **made) as good:
                await good.messages.create(model="sim;tokens=1", max_tokens=1, messages=MESSAGES)
                with pytest.raises(anthropic.NotFoundError, match="model: other"):
                    await good.messages.create(model="other", max_tokens=1, messages=MESSAGES)
        async with AsyncAnthropic(base_url=sim.origin, api_key="sk-ant-bad", max_retries=0) as bad:
            with pytest.raises(anthropic.AuthenticationError) as caught:
                await bad.messages.create(model="sim", max_tokens=1, messages=MESSAGES)
        body: Any = caught.value.body
        assert body["error"] == {"type": "authentication_error", "message": "invalid x-api-key"}


@pytest.mark.parametrize(
    ("model", "kind", "status"),
    [("sim;status=529", "overloaded_error", 529), ("sim;status=429;retry-after=3", "rate_limit_error", 429)],
)
async def test_status_faults(claude: AsyncAnthropic, model: str, kind: str, status: int) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        await claude.messages.create(model=model, max_tokens=1, messages=MESSAGES)
    body: Any = caught.value.body
    assert (caught.value.status_code, body["error"]["type"]) == (status, kind)
    assert caught.value.response.headers.get("retry-after") == ("3" if status == 429 else None)
    assert caught.value.response.headers["anthropic-ratelimit-requests-limit"] == "4000"


async def test_an_error_inside_a_stream(claude: AsyncAnthropic) -> None:
    for model in ("sim;error-event=4", "sim;error-in-200"):
        stream = await claude.messages.create(model=model, max_tokens=9, messages=MESSAGES, stream=True)
        with pytest.raises(anthropic.APIStatusError) as caught:
            [event async for event in stream]
        body: Any = caught.value.body
        assert body["error"] == {"type": "overloaded_error", "message": "Overloaded"}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
async def test_a_stream_in_pieces(sim: Simulator, claude: AsyncAnthropic, size: int) -> None:
    fields: Any = {"max_tokens": 5000, "messages": MESSAGES, "tools": [WEATHER, CLOCK], "thinking": THINKING}
    final = []
    for model in ("sim", f"sim;split={size}"):
        async with claude.messages.stream(model=model, **fields) as stream:
            final.append([block.to_dict() for block in (await stream.get_final_message()).content])
    for blocks in final:  # what differs between two requests
        del blocks[0]["signature"], blocks[1]["id"], blocks[2]["id"]
    assert final[0] == final[1]
    assert [block["type"] for block in final[1]] == ["thinking", "tool_use", "tool_use"]
    assert sim.requests[-1].events > 2000 // size


async def test_threads(claude: AsyncAnthropic, sim: Simulator) -> None:
    """The SDK's runner leaves the conversation to the server, and starts it again when the server has lost it."""
    sent: list[Any] = []

    @anthropic.beta_async_tool
    async def weather(city: str) -> str:
        """The weather in a city."""
        return city

    async def remember(request: Any) -> None:
        sent.append(json.loads(request.content))

    claude._client.event_hooks["request"].append(remember)
    runner = claude.beta.messages.tool_runner(model="sim", max_tokens=100, messages=MESSAGES, tools=[weather])
    answer = await runner.until_done()
    assert len(words(answer).split()) == 16
    first, second = sent
    assert first["thread"] == {"type": "create"}
    assert second["thread"]["type"] == "continue"
    assert [message["role"] for message in second["messages"]] == ["user"]
    assert "tools" not in second
    lost: Any = {"type": "continue", "previous_message_id": "msg_unknown"}
    beta: Any = ["message-threads-2026-08-12"]
    with pytest.raises(anthropic.NotFoundError) as caught:
        await claude.beta.messages.create(model="sim", max_tokens=9, messages=MESSAGES, thread=lost, betas=beta)
    body: Any = caught.value.body
    assert body["error"]["details"] == {"error_code": "thread_not_found"}
    with pytest.raises(anthropic.BadRequestError, match="Extra inputs"):
        await claude.beta.messages.create(model="sim", max_tokens=9, messages=MESSAGES, thread=lost)


async def test_a_forced_call_is_of_a_tool_not_called_yet(claude: AsyncAnthropic) -> None:
    asked: Any = {"model": "sim", "max_tokens": 100, "tools": [WEATHER, CLOCK, {**CLOCK, "name": "third"}]}
    first = await claude.messages.create(messages=MESSAGES, tool_choice={"type": "any"}, **asked)
    history = [*MESSAGES, again(first), results(first)]
    second = await claude.messages.create(messages=history, tool_choice={"type": "any"}, **asked)
    called = [[block.name for block in each.content if block.type == "tool_use"] for each in (first, second)]
    assert called == [["weather", "clock"], ["third"]]
