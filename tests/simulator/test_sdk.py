"""The real openai SDK, validating strictly, gets every endpoint right."""

from __future__ import annotations

import base64
import struct
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from switchgear.config.values import Secret
from switchgear.simulator import Simulator, SimulatorSettings, samples

MESSAGES: list[Any] = [{"role": "user", "content": "How are you?"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "kelvin"]}},
            "required": ["city"],
        },
    },
}
CLOCK: Any = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object"}}}


class Step(BaseModel):
    title: str
    minutes: int


class Plan(BaseModel):
    name: str
    steps: list[Step]
    done: bool
    note: str | None


async def test_chat(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="sim", messages=MESSAGES)
    assert answer.choices[0].finish_reason == "stop"
    assert len((answer.choices[0].message.content or "").split()) == 16
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 16, 19)
    assert answer._request_id == "req_" + "0" * 31 + "1"


async def test_chat_length_and_choices(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="sim", messages=MESSAGES, max_completion_tokens=5, n=3)
    assert [choice.finish_reason for choice in answer.choices] == ["length"] * 3
    assert [len((choice.message.content or "").split()) for choice in answer.choices] == [5, 5, 5]
    assert len({choice.message.content for choice in answer.choices}) == 3


async def test_stream_equals_whole(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="sim", messages=MESSAGES)
    async with client.chat.completions.stream(
        model="sim", messages=MESSAGES, stream_options={"include_usage": True}
    ) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == whole.choices[0].message.content
    assert final.choices[0].finish_reason == "stop"
    assert final.usage == whole.usage


async def test_stream_of_several_choices(client: AsyncOpenAI) -> None:
    texts = ["", ""]
    async for chunk in await client.chat.completions.create(model="sim", messages=MESSAGES, n=2, stream=True):
        assert chunk.usage is None
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    whole = await client.chat.completions.create(model="sim", messages=MESSAGES, n=2)
    assert texts == [choice.message.content for choice in whole.choices]


@pytest.mark.parametrize("streamed", [False, True])
async def test_tools(client: AsyncOpenAI, streamed: bool) -> None:
    tools = [WEATHER, CLOCK]
    if streamed:
        async with client.chat.completions.stream(model="sim", messages=MESSAGES, tools=tools) as stream:
            choice: Any = (await stream.get_final_completion()).choices[0]
    else:
        choice = (await client.chat.completions.create(model="sim", messages=MESSAGES, tools=tools)).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    calls = choice.message.tool_calls
    assert [(call.function.name, call.function.arguments) for call in calls] == [
        ("weather", '{"city":"text","unit":"celsius"}'),
        ("clock", "{}"),
    ]
    assert len({call.id for call in calls}) == 2


async def test_tools_end_with_text(client: AsyncOpenAI) -> None:
    first = await client.chat.completions.create(
        model="sim", messages=MESSAGES, tools=[WEATHER, CLOCK], parallel_tool_calls=False
    )
    calls = first.choices[0].message.tool_calls or []
    assert len(calls) == 1
    history = [
        *MESSAGES,
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": calls[0].id, "content": "sunny"},
    ]
    second = await client.chat.completions.create(model="sim", messages=history, tools=[WEATHER])
    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.content


async def test_tool_choice(client: AsyncOpenAI) -> None:
    for choice, names in ((("none"), []), ({"type": "function", "function": {"name": "clock"}}, ["clock"])):
        made: Any = choice
        answer = await client.chat.completions.create(
            model="sim", messages=MESSAGES, tools=[WEATHER, CLOCK], tool_choice=made
        )
        calls: Any = answer.choices[0].message.tool_calls or []
        assert [call.function.name for call in calls] == names


async def test_legacy_functions(client: AsyncOpenAI) -> None:
    function = WEATHER["function"]
    answer = await client.chat.completions.create(model="sim", messages=MESSAGES, functions=[function])
    assert answer.choices[0].finish_reason == "function_call"
    call = answer.choices[0].message.function_call
    assert call is not None
    assert (call.name, call.arguments) == ("weather", '{"city":"text","unit":"celsius"}')
    arguments, reason = "", None
    async for chunk in await client.chat.completions.create(
        model="sim", messages=MESSAGES, functions=[function], stream=True
    ):
        delta = chunk.choices[0].delta.function_call
        arguments += (delta.arguments if delta else None) or ""
        reason = reason or chunk.choices[0].finish_reason
    assert (arguments, reason) == (call.arguments, "function_call")


async def test_parse_json_schema(client: AsyncOpenAI) -> None:
    parsed = await client.chat.completions.parse(model="sim", messages=MESSAGES, response_format=Plan)
    assert parsed.choices[0].message.parsed == Plan(
        name="Name", steps=[Step(title="Title", minutes=1)], done=True, note="text"
    )


async def test_completions(client: AsyncOpenAI, lenient: AsyncOpenAI) -> None:
    answer = await client.completions.create(model="sim", prompt=["one", "two"], n=2, max_tokens=4)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert {choice.finish_reason for choice in answer.choices} == {"length"}
    streamed = await lenient.completions.create(  # finish_reason is null until the last chunk
        model="sim", prompt="one", stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in streamed]
    words = "".join(choice.text for chunk in chunks for choice in chunk.choices)
    whole = await client.completions.create(model="sim", prompt="one")
    assert words == whole.choices[0].text
    assert chunks[-1].usage == whole.usage


async def test_responses(client: AsyncOpenAI) -> None:
    whole = await client.responses.create(model="sim", input="How are you?", instructions="Be brief.")
    assert whole.status == "completed"
    assert len(whole.output_text.split()) == 16
    async with client.responses.stream(model="sim", input="How are you?") as stream:
        numbers = [event.sequence_number async for event in stream]
        final = await stream.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert final.output_text == whole.output_text


async def test_responses_incomplete_and_schema(client: AsyncOpenAI) -> None:
    cut = await client.responses.create(model="sim;tokens=40", input="x", max_output_tokens=20)
    assert (cut.status, cut.incomplete_details and cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    parsed = await client.responses.parse(model="sim", input="x", text_format=Plan)
    assert parsed.output_parsed is not None
    assert parsed.output_parsed.steps == [Step(title="Title", minutes=1)]


async def test_responses_tools(client: AsyncOpenAI) -> None:
    tools: Any = [{**tool["function"], "type": "function", "strict": False} for tool in (WEATHER, CLOCK)]
    whole = await client.responses.create(model="sim", input="x", tools=tools)
    async with client.responses.stream(model="sim", input="x", tools=tools) as stream:
        final = await stream.get_final_response()
    for response in (whole, final):
        calls: Any = response.output
        assert [(call.type, call.name, call.arguments) for call in calls] == [
            ("function_call", "weather", '{"city":"text","unit":"celsius"}'),
            ("function_call", "clock", "{}"),
        ]
    output: Any = [{"type": "function_call_output", "call_id": "call_1", "output": "sunny"}]
    assert (await client.responses.create(model="sim", input=output, tools=tools)).output_text


async def test_stored_responses(client: AsyncOpenAI) -> None:
    made = await client.responses.create(model="sim", input="x")
    assert (await client.responses.retrieve(made.id)).output_text == made.output_text
    assert [item.id async for item in client.responses.input_items.list(made.id)] == [f"msg_{made.id}_0"]
    await client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(made.id)
    unkept = await client.responses.create(model="sim", input="x", store=False)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(unkept.id)


async def test_embeddings(client: AsyncOpenAI, lenient: AsyncOpenAI) -> None:
    by_default = await lenient.embeddings.create(model="sim", input=["a", "b", "a"])  # base64 on the wire
    as_floats = await client.embeddings.create(model="sim", input=["a", "b", "a"], encoding_format="float")
    vectors = [each.embedding for each in by_default.data]
    assert vectors == [each.embedding for each in as_floats.data]
    assert vectors[0] == vectors[2] != vectors[1]
    assert {len(each) for each in vectors} == {1536}
    assert sum(value * value for value in vectors[0]) == pytest.approx(1.0, abs=1e-5)
    assert by_default.usage.total_tokens == 3
    small = await lenient.embeddings.create(model="sim", input=[[1, 2, 3]], dimensions=7)
    assert len(small.data[0].embedding) == 7
    assert small.usage.prompt_tokens == 3
    many = await lenient.embeddings.create(model="sim", input=[str(number) for number in range(2048)], dimensions=64)
    assert [each.index for each in many.data] == list(range(2048))
    assert len({tuple(each.embedding) for each in many.data}) == 2048


async def test_models(client: AsyncOpenAI) -> None:
    listed = [model.id async for model in client.models.list()]
    assert listed[0] == "sim"
    assert (await client.models.retrieve("org/model:free")).id == "org/model:free"


async def test_moderations(client: AsyncOpenAI) -> None:
    answer = await client.moderations.create(input=["a fine day", "this is flagged"])
    assert [result.flagged for result in answer.results] == [False, True]
    assert answer.results[1].categories.violence


async def test_images(client: AsyncOpenAI) -> None:
    inline = await client.images.generate(model="gpt-image-1", prompt="a cat", n=2)
    assert inline.data is not None
    assert [base64.b64decode(each.b64_json or "") for each in inline.data] == [samples.png()] * 2
    linked = await client.images.generate(model="dall-e-3", prompt="a cat")
    assert linked.data is not None
    assert (await client._client.get(linked.data[0].url or "")).content == samples.png()
    edited = await client.images.edit(model="gpt-image-1", image=("a.png", samples.png(), "image/png"), prompt="x")
    assert edited.data is not None
    with pytest.warns(DeprecationWarning, match="deprecated"):
        varied = await client.images.create_variation(image=("a.png", samples.png(), "image/png"), n=2)
    assert varied.data is not None
    assert len(varied.data) == 2


async def test_speech(client: AsyncOpenAI) -> None:
    mp3 = await client.audio.speech.create(model="sim", input="hello", voice="alloy")
    assert mp3.content == samples.mp3()
    assert mp3.response.headers["content-type"] == "audio/mpeg"
    wav = await client.audio.speech.create(model="sim", input="hello", voice="alloy", response_format="wav")
    assert wav.content == samples.wav()
    assert struct.unpack("<I", wav.content[4:8]) == (len(wav.content) - 8,)


async def test_transcriptions(client: AsyncOpenAI) -> None:
    file = ("a.wav", samples.wav(), "audio/wav")
    plain = await client.audio.transcriptions.create(model="sim", file=file)
    detailed = await client.audio.transcriptions.create(model="sim", file=file, response_format="verbose_json")
    assert detailed.text == plain.text
    assert detailed.duration == 4.0
    subtitles = await client.audio.transcriptions.create(model="sim", file=file, response_format="srt")
    assert subtitles == f"1\n00:00:00,000 --> 00:00:04,000\n{plain.text}\n\n"
    with pytest.warns(DeprecationWarning, match="deprecated"):
        captions = await client.audio.translations.create(model="sim", file=file, response_format="vtt")
    assert captions.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:04.000\n")
    text = ""
    async for event in await client.audio.transcriptions.create(model="sim", file=file, stream=True):
        if event.type == "transcript.text.delta":
            text += event.delta
    assert text == plain.text


async def test_files_and_batches(client: AsyncOpenAI) -> None:
    content = b'{"custom_id": "1"}\r\n--not a boundary\r\n'
    file = await client.files.create(file=("in.jsonl", content), purpose="batch")
    assert (file.filename, file.bytes, file.status) == ("in.jsonl", len(content), "processed")
    assert (await client.files.content(file.id)).content == content
    assert [each.id async for each in client.files.list()] == [file.id]
    batch = await client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    assert [each.id async for each in client.batches.list()] == [batch.id]
    assert (await client.batches.cancel(batch.id)).status == "cancelled"
    assert (await client.batches.retrieve(batch.id)).status == "cancelled"
    await client.files.delete(file.id)
    with pytest.raises(openai.NotFoundError):
        await client.files.retrieve(file.id)


async def test_api_key() -> None:
    async with Simulator(SimulatorSettings(api_key=Secret("sk-right"))) as sim:
        async with AsyncOpenAI(base_url=sim.url, api_key="sk-right", max_retries=0) as right:
            await right.chat.completions.create(model="sim", messages=MESSAGES)
        async with AsyncOpenAI(base_url=sim.url, api_key="sk-quite-wrong", max_retries=0) as wrong:
            with pytest.raises(openai.AuthenticationError) as caught:
                await wrong.chat.completions.create(model="sim", messages=MESSAGES)
        assert caught.value.code == "invalid_api_key"
        assert "sk-quite**rong" in caught.value.message


async def test_unknown_model() -> None:
    async with (
        Simulator(SimulatorSettings(models=("one",))) as sim,
        AsyncOpenAI(base_url=sim.url, api_key="x", max_retries=0) as client,
    ):
        assert [model.id async for model in client.models.list()] == ["one"]
        await client.chat.completions.create(model="one;tokens=2", messages=MESSAGES)
        with pytest.raises(openai.NotFoundError) as caught:
            await client.chat.completions.create(model="two", messages=MESSAGES)
        assert caught.value.code == "model_not_found"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("two")


async def test_retry_after_is_honoured(sim: Simulator) -> None:
    sim.add_fault({"status": 429, "retry-after-ms": "1"}, times=2)
    async with AsyncOpenAI(base_url=sim.url, api_key="x", max_retries=2) as client:
        await client.chat.completions.create(model="sim", messages=MESSAGES)
    assert [record.status for record in sim.requests] == [429, 429, 200]


@pytest.mark.parametrize("streamed", [False, True])
async def test_stop(client: AsyncOpenAI, streamed: bool) -> None:
    """Plain and streamed: the answer ends before the text that it must not reach."""
    whole = await client.chat.completions.create(model="sim", messages=MESSAGES)
    words = (whole.choices[0].message.content or "").split()
    asked: Any = {"model": "sim", "messages": MESSAGES, "stop": ["not there", words[3]]}
    if streamed:
        async with client.chat.completions.stream(**asked) as stream:
            choice: Any = (await stream.get_final_completion()).choices[0]
    else:
        choice = (await client.chat.completions.create(**asked)).choices[0]
    assert (choice.message.content.split(), choice.finish_reason) == (words[:3], "stop")
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="sim", messages=MESSAGES, stop=["a", "b", "c", "d", "e"])
    assert (caught.value.param, caught.value.code) == ("stop", "array_above_max_length")


async def test_a_forced_call_is_of_a_tool_not_called_yet(client: AsyncOpenAI) -> None:
    tools: Any = [WEATHER, CLOCK, {"type": "function", "function": {"name": "third"}}]
    first = await client.chat.completions.create(model="sim", messages=MESSAGES, tools=tools, tool_choice="required")
    message: Any = first.choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "42"} for call in message.tool_calls]
    history: Any = [*MESSAGES, message.model_dump(exclude_none=True), *results]
    second: Any = await client.chat.completions.create(
        model="sim", messages=history, tools=tools, tool_choice="required"
    )
    assert [call.function.name for call in second.choices[0].message.tool_calls] == ["third"]
    flat: Any = [{"type": "function", "strict": False, **tool["function"]} for tool in tools]
    asked: Any = {"model": "sim", "tools": flat, "tool_choice": "required"}
    called: Any = await client.responses.create(input="x", **asked)
    given = [{"role": "user", "content": "x"}, *[item.model_dump(exclude_none=True) for item in called.output]]
    given += [{"type": "function_call_output", "call_id": item.call_id, "output": "42"} for item in called.output]
    last: Any = await client.responses.create(input=given, **asked)
    assert [item.name for item in last.output] == ["third"]
