"""The real google-genai SDK gets every answer right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from google.genai.client import AsyncClient
from pydantic import BaseModel

from switchgear.config.values import Secret
from switchgear.simulator import Simulator, SimulatorSettings
from switchgear.simulator.settings import DEFAULT_MODELS

WEATHER: Any = {
    "name": "weather",
    "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
}
CLOCK: Any = {"name": "clock", "parametersJsonSchema": {"type": "object", "properties": {"zone": {"type": "integer"}}}}
TOOLS: Any = {"tools": [{"functionDeclarations": [WEATHER, CLOCK]}]}


class Plan(BaseModel):
    name: str
    minutes: int
    note: str | None


def parts(answer: Any) -> list[Any]:
    made: list[Any] = answer.candidates[0].content.parts
    return made


async def gathered(gemini: AsyncClient, **fields: Any) -> list[Any]:
    return [chunk async for chunk in await gemini.models.generate_content_stream(**fields)]


async def test_generate(gemini: AsyncClient) -> None:
    answer = await gemini.models.generate_content(model="sim", contents="How are you?")
    usage: Any = answer.usage_metadata
    assert len((answer.text or "").split()) == 16
    assert parts(answer)[0].thought_signature is None
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (3, 16, 19)
    candidate: Any = (answer.candidates or [])[0]
    assert candidate.finish_reason is types.FinishReason.STOP


async def test_limits(gemini: AsyncClient) -> None:
    whole = (await gemini.models.generate_content(model="sim", contents="x")).text or ""
    config: Any = {"maxOutputTokens": 5, "candidateCount": 2}
    cut: Any = await gemini.models.generate_content(model="sim", contents="x", config=config)
    assert [candidate.finish_reason.value for candidate in cut.candidates] == ["MAX_TOKENS"] * 2
    assert [len(candidate.content.parts[0].text.split()) for candidate in cut.candidates] == [5, 5]
    stop = whole.split()[3]
    stopped = await gemini.models.generate_content(model="sim", contents="x", config={"stopSequences": [stop]})
    assert stopped.text == whole[: whole.index(stop)]


async def test_stream_equals_whole(gemini: AsyncClient) -> None:
    config: Any = {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "LOW"}}
    whole = await gemini.models.generate_content(model="gemini-3-pro", contents="x", config=config)
    chunks = await gathered(gemini, model="gemini-3-pro", contents="x", config=config)
    streamed = [part for chunk in chunks for part in parts(chunk)]
    for thought, expected in ((True, parts(whole)[0].text), (None, parts(whole)[1].text)):
        assert "".join(part.text for part in streamed if part.thought is thought) == expected
    assert whole.usage_metadata == chunks[-1].usage_metadata
    assert [chunk.usage_metadata.candidates_token_count for chunk in chunks[:8]] == [None] * 8
    assert chunks[-1].candidates[0].finish_reason is types.FinishReason.STOP
    assert streamed[-1].thought_signature
    assert parts(whole)[1].thought_signature


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-3-pro;tokens=4"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_two_turns_with_tools(gemini: AsyncClient, model: str, streamed: bool) -> None:
    async def ask(contents: Any) -> Any:
        if streamed:
            return (await gathered(gemini, model=model, contents=contents, config=TOOLS))[0]
        return await gemini.models.generate_content(model=model, contents=contents, config=TOOLS)

    question = types.Content(role="user", parts=[types.Part(text="How are you?")])
    first = await ask([question])
    called = [(part.function_call.name, part.function_call.args) for part in parts(first)]
    assert called == [("weather", {"city": "text"}), ("clock", {"zone": 1})]
    signed = [part.thought_signature is not None for part in parts(first)]
    assert signed == [model.startswith("gemini-3"), False]
    results = [types.Part.from_function_response(name=name, response={"output": "42"}) for name, _ in called]
    history = [question, first.candidates[0].content, types.Content(role="user", parts=results)]
    assert (await ask(history)).text


async def test_a_missing_or_foreign_signature_is_refused(gemini: AsyncClient) -> None:
    def history(signature: bytes | None) -> list[Any]:
        call = types.Part(function_call=types.FunctionCall(name="clock", args={}), thought_signature=signature)
        result = types.Part.from_function_response(name="clock", response={"output": "noon"})
        return [
            types.Content(role="user", parts=[types.Part(text="x")]),
            types.Content(role="model", parts=[call]),
            types.Content(role="user", parts=[result]),
        ]

    missing = (
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
        "correctly, and missing thought_signature may lead to degraded model performance. Additional data, function "
        "call `default_api:clock` , position 2. Please refer to https://ai.google.dev/gemini-api/docs/thought-"
        "signatures for more details."
    )
    for signature, message in ((None, missing), (b"made up", "Corrupted thought signature.")):
        with pytest.raises(errors.ClientError) as caught:
            await gemini.models.generate_content(model="gemini-3-pro", contents=history(signature), config=TOOLS)
        assert (caught.value.code, caught.value.status, caught.value.message) == (400, "INVALID_ARGUMENT", message)
    await gemini.models.generate_content(model="gemini-2.5-pro", contents=history(None), config=TOOLS)
    later = [*history(None), types.Content(role="user", parts=[types.Part(text="and now?")])]
    await gemini.models.generate_content(model="gemini-3-pro", contents=later, config=TOOLS)


async def test_calling_modes(gemini: AsyncClient) -> None:
    cases: list[tuple[Any, list[str]]] = [
        ({"mode": "NONE"}, []),
        ({"mode": "ANY", "allowedFunctionNames": ["clock"]}, ["clock"]),
        ({"mode": "ANY"}, ["weather", "clock"]),
    ]
    for calling, names in cases:
        config: Any = {**TOOLS, "toolConfig": {"functionCallingConfig": calling}}
        answer = await gemini.models.generate_content(model="sim", contents="x", config=config)
        assert [call.name for call in answer.function_calls or []] == names


async def test_structured_output(gemini: AsyncClient) -> None:
    for name in ("responseSchema", "responseJsonSchema"):
        schema: Any = Plan if name == "responseSchema" else Plan.model_json_schema()
        config: Any = {"responseMimeType": "application/json", name: schema}
        answer = await gemini.models.generate_content(model="sim", contents="x", config=config)
        assert Plan.model_validate_json(answer.text or "").minutes == 1
    loose: Any = {"responseMimeType": "application/json"}
    assert json.loads((await gemini.models.generate_content(model="sim", contents="x", config=loose)).text or "")


async def test_usage(gemini: AsyncClient) -> None:
    answer = await gemini.models.generate_content(model="sim;reasoning=5;cached=2", contents="How are you?")
    usage: Any = answer.usage_metadata
    assert (usage.thoughts_token_count, usage.cached_content_token_count, usage.total_token_count) == (5, 2, 24)
    assert len(parts(answer)) == 1


async def test_refusals(gemini: AsyncClient) -> None:
    for refusal in ("answer", "prompt"):
        model = f"sim;refusal={refusal}"
        whole: Any = await gemini.models.generate_content(model=model, contents="x")
        (chunk,) = await gathered(gemini, model=model, contents="x")
        for answer in (whole, chunk):
            if refusal == "answer":
                assert answer.candidates[0].finish_reason is types.FinishReason.SAFETY
                assert answer.candidates[0].content is None
            else:
                assert answer.candidates is None
                assert answer.prompt_feedback.block_reason.value == "PROHIBITED_CONTENT"


async def test_embeddings_and_counts(gemini: AsyncClient) -> None:
    many: Any = await gemini.models.embed_content(model="sim-embedding", contents=["a", "b", "a"])
    vectors = [each.values for each in many.embeddings]
    assert vectors[0] == vectors[2] != vectors[1]
    assert {len(each) for each in vectors} == {3072}
    small: Any = await gemini.models.embed_content(
        model="sim-embedding", contents="a", config={"outputDimensionality": 4}
    )
    assert len(small.embeddings[0].values) == 4
    assert (await gemini.models.count_tokens(model="sim", contents="How are you?")).total_tokens == 3


async def test_models(gemini: AsyncClient) -> None:
    listed = [model.name async for model in await gemini.models.list(config={"page_size": 3})]
    assert listed == [f"models/{name}" for name in DEFAULT_MODELS]
    assert (await gemini.models.get(model="sim-embedding")).supported_actions == ["embedContent", "batchEmbedContents"]


async def test_keys_and_unknown_models() -> None:
    settings = SimulatorSettings(api_key=Secret("AIza-good"), models=("gemini-3-pro",))
    async with Simulator(settings) as sim:
        async with genai.Client(api_key="AIza-good", http_options={"base_url": sim.origin}).aio as good:
            await good.models.generate_content(model="gemini-3-pro", contents="x")
            with pytest.raises(
                errors.ClientError, match="models/other is not found for API version v1, or is not"
            ) as e:
                await good.models.generate_content(model="other", contents="x")
            assert (e.value.code, e.value.status) == (404, "NOT_FOUND")
        async with genai.Client(api_key="AIza-bad", http_options={"base_url": sim.origin}).aio as bad:
            with pytest.raises(errors.ClientError, match="API key not valid") as e:
                await bad.models.generate_content(model="gemini-3-pro", contents="x")
            details: Any = e.value.details
            assert (e.value.code, details["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")


async def test_faults(gemini: AsyncClient) -> None:
    with pytest.raises(errors.ClientError) as quota:
        await gemini.models.generate_content(model="sim;status=429;retry-after=17", contents="x")
    details: Any = quota.value.details
    assert (quota.value.status, details["error"]["details"][1]["retryDelay"]) == ("RESOURCE_EXHAUSTED", "17s")
    with pytest.raises(errors.ServerError) as down:
        await gemini.models.generate_content(model="sim;status=503", contents="x")
    assert down.value.status == "UNAVAILABLE"
    with pytest.raises(errors.ServerError, match="overloaded"):
        await gathered(gemini, model="sim;error-event=3", contents="x")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
async def test_a_stream_in_pieces(sim: Simulator, gemini: AsyncClient, size: int) -> None:
    config: Any = {"thinkingConfig": {"includeThoughts": True}}
    texts = []
    for model in ("gemini-3-pro;tokens=6", f"gemini-3-pro;tokens=6;split={size}"):
        chunks = await gathered(gemini, model=model, contents="x", config=config)
        texts.append([part.text for chunk in chunks for part in parts(chunk)])
    assert texts[0] == texts[1]
    assert len(texts[0]) == 8 + 6 + 1
    assert sim.requests[-1].events > 3000 // size


async def test_a_dummy_signature_is_taken_as_an_sdk_encodes_it(gemini: AsyncClient) -> None:
    call = types.FunctionCall(name="clock", args={})
    part = types.Part(function_call=call, thought_signature=b"skip_thought_signature_validator")
    history: list[Any] = [
        types.Content(role="user", parts=[types.Part(text="x")]),
        types.Content(role="model", parts=[part]),
        types.Content(
            role="user", parts=[types.Part.from_function_response(name="clock", response={"output": "noon"})]
        ),
    ]
    answer = await gemini.models.generate_content(model="gemini-3-pro", contents=history, config=TOOLS)
    assert answer.text
    forced: Any = {**TOOLS, "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}
    again = await gemini.models.generate_content(model="gemini-3-pro", contents=history, config=forced)
    assert [call.name for call in again.function_calls or []] == ["weather"]  # the clock has been asked
