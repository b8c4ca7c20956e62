"""Ollama's native format: the real client, its errors, and its lines."""

from __future__ import annotations

import json
from typing import Any

import ollama
import pytest

from switchgear.simulator import Simulator, SimulatorSettings
from tests.simulator.helpers import exchange, request, split, unchunk

MESSAGES: list[Any] = [{"role": "user", "content": "How are you?"}]
WEATHER: Any = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


async def test_chat_whole_and_streamed(llama: ollama.AsyncClient) -> None:
    whole = await llama.chat(model="sim", messages=MESSAGES, think=True)
    assert (whole.done_reason, whole.prompt_eval_count, whole.eval_count) == ("stop", 3, 24)
    content = thinking = ""
    async for line in await llama.chat(model="sim", messages=MESSAGES, think=True, stream=True):
        content += line.message.content or ""
        thinking += line.message.thinking or ""
    assert (content, thinking) == (whole.message.content, whole.message.thinking)
    assert (line.done, line.eval_count) == (True, 24)


async def test_options(llama: ollama.AsyncClient) -> None:
    cut = await llama.chat(model="sim", messages=MESSAGES, options={"num_predict": 4})
    assert (cut.done_reason, len((cut.message.content or "").split())) == ("length", 4)
    endless = await llama.chat(model="sim", messages=MESSAGES, options={"num_predict": -1})
    assert endless.done_reason == "stop"
    stop = (endless.message.content or "").split()[2]
    stopped = await llama.generate(model="sim", prompt="x", options={"stop": [stop]})
    assert len(stopped.response.split()) == 2


async def test_two_turns_with_tools(llama: ollama.AsyncClient) -> None:
    for streamed in (False, True):
        if streamed:
            lines = [
                line async for line in await llama.chat(model="sim", messages=MESSAGES, tools=[WEATHER], stream=True)
            ]
            message = lines[0].message
        else:
            message = (await llama.chat(model="sim", messages=MESSAGES, tools=[WEATHER])).message
        calls = message.tool_calls or []
        assert [(call.function.name, call.function.arguments) for call in calls] == [("weather", {"city": "text"})]
        history = [*MESSAGES, message, {"role": "tool", "tool_name": "weather", "content": "sunny"}]
        answer = await llama.chat(model="sim", messages=history, tools=[WEATHER])
        assert answer.message.content


async def test_formats(llama: ollama.AsyncClient) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert json.loads((await llama.generate(model="sim", prompt="x", format=schema)).response) == {"n": 1}
    assert json.loads((await llama.chat(model="sim", messages=MESSAGES, format="json")).message.content or "")


async def test_embeddings_and_models(llama: ollama.AsyncClient) -> None:
    vectors = (await llama.embed(model="sim", input=["a", "b", "a"], dimensions=8)).embeddings
    assert vectors[0] == vectors[2] != vectors[1]
    assert len((await llama.embed(model="sim", input="a")).embeddings[0]) == 768
    assert len((await llama.embeddings(model="sim", prompt="a")).embedding) == 768
    assert (await llama.list()).models[0].model == "sim"
    assert (await llama.ps()).models[0].model == "sim"
    assert "tools" in ((await llama.show("sim")).capabilities or [])


async def test_errors() -> None:
    async with Simulator(SimulatorSettings(models=("sim",))) as sim:
        client = ollama.AsyncClient(host=sim.origin)
        with pytest.raises(ollama.ResponseError, match="model 'other' not found") as caught:
            await client.chat(model="other", messages=MESSAGES)
        assert caught.value.status_code == 404
        with pytest.raises(ollama.ResponseError, match="server busy") as caught:
            await client.chat(model="sim;status=503", messages=MESSAGES)
        assert caught.value.status_code == 503
        lines = await client.chat(model="sim;error-event=2;message=broken", messages=MESSAGES, stream=True)
        with pytest.raises(ollama.ResponseError, match="broken"):
            [line async for line in lines]
        await client._client.aclose()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"messages": MESSAGES}, "model is required"),
        (
            {"model": "sim", "messages": [{"role": "developer", "content": "x"}]},
            "invalid role: developer, must be one of",
        ),
        (
            {"model": "sim", "messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "json: cannot unmarshal array",
        ),
        (
            {
                "model": "sim",
                "messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}],
            },
            "json: cannot unmarshal string into Go struct field ChatRequest.messages.tool_calls.function.arguments",
        ),
    ],
)
async def test_refusals(sim: Simulator, body: Any, message: str) -> None:
    line, _, told = split(await exchange(sim, request(body, path="/api/chat")))
    assert line == b"HTTP/1.1 400 Bad Request"
    assert json.loads(told)["error"].startswith(message)


async def test_lines(sim: Simulator) -> None:
    raw = await exchange(sim, request({"model": "sim;tokens=2", "messages": MESSAGES}, path="/api/chat"))
    _, headers, body = split(raw)
    data, complete = unchunk(body)
    assert (headers["content-type"], complete) == ("application/x-ndjson", True)
    seen = [json.loads(line) for line in data.split(b"\n")[:-1]]
    assert [each["done"] for each in seen] == [False, False, True]
    assert "done_reason" not in seen[0]
    raw = await exchange(sim, request({"model": "sim;no-done", "messages": MESSAGES}, path="/api/chat"))
    assert b'"done":true' not in unchunk(split(raw)[2])[0]
    raw = await exchange(sim, request({"model": "sim", "messages": []}, path="/api/chat"))
    assert json.loads(split(raw)[2])["done_reason"] == "load"


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_a_stream_in_pieces(llama: ollama.AsyncClient, size: int) -> None:
    texts = []
    for model in ("sim", f"sim;split={size}"):
        lines = await llama.chat(model=model, messages=MESSAGES, stream=True)
        texts.append([line.message.content async for line in lines])
    assert texts[0] == texts[1]
