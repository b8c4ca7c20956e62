"""The ollama SDK: chat and generate whole and streamed, tools, formats, thinking, embeddings, models, errors."""

from __future__ import annotations

from functools import cache
from typing import Any

from ollama import AsyncClient, Client, ResponseError
from pydantic import BaseModel

from harness import CLOCK, QUESTION, RESULTS, SYSTEM, WEATHER, Target, answer, run

MESSAGES: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
TOOLS: list[Any] = [{"type": "function", "function": tool} for tool in (WEATHER, CLOCK)]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class Plan(BaseModel):
    name: str
    minutes: int
    done: bool


def weather(city: str) -> str:
    """The weather in a city.

    Args:
      city: Where.
    """
    return RESULTS["weather"]


@cache
def client(target: Target) -> Client:
    return Client(host=target.origin, headers={"Authorization": f"Bearer {target.key}"}, timeout=30)


def seen(reply: Any) -> Any:
    message = reply.message
    calls = _calls(message.tool_calls)
    usage = (reply.prompt_eval_count, reply.eval_count)
    return answer(message.content, calls=calls, finish=reply.done_reason, usage=usage, thoughts=message.thinking)


def _calls(calls: Any) -> list[Any]:
    """The SDK shows no ids: position stands for them."""
    return [
        (f"call {position}", call.function.name, dict(call.function.arguments))
        for position, call in enumerate(calls or ())
    ]


def _seen_lines(lines: list[Any]) -> Any:
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    calls = [call for line in lines for call in line.message.tool_calls or ()]
    text = "".join(line.message.content or "" for line in lines)
    thoughts = "".join(line.message.thinking or "" for line in lines)
    last = lines[-1]
    usage = (last.prompt_eval_count, last.eval_count)
    return answer(text, calls=_calls(calls), finish=last.done_reason, usage=usage, thoughts=thoughts)


def chat(target: Target) -> Any:
    options = {"num_predict": 100, "temperature": 0.5, "seed": 1, "top_p": 0.9}
    reply = client(target).chat(target.model, MESSAGES, options=options, keep_alive="5m")
    assert reply.model == target.model
    assert reply.done
    assert reply.total_duration
    assert reply.created_at
    return seen(reply)


def chat_cut_short(target: Target) -> Any:
    return seen(client(target).chat(target.model, MESSAGES, options={"num_predict": 20}))


def chat_stream(target: Target) -> Any:
    lines = list(client(target).chat(target.model, MESSAGES, stream=True))
    assert {line.model for line in lines} == {target.model}
    assert lines[-1].total_duration
    assert lines[-1].eval_duration is not None
    return _seen_lines(lines)


def chat_image(target: Target) -> Any:
    return seen(client(target).chat(target.model, [{"role": "user", "content": "What is it?", "images": [PIXEL]}]))


def tools(target: Target) -> Any:
    first = client(target).chat(target.model, MESSAGES, tools=TOOLS)
    second = client(target).chat(target.model, _history(first.message), tools=TOOLS)
    return seen(first), seen(second)


def tools_streamed(target: Target) -> Any:
    lines = list(client(target).chat(target.model, MESSAGES, tools=TOOLS, stream=True))
    said = {
        "role": "assistant",
        "content": "".join(line.message.content or "" for line in lines),
        "tool_calls": [call for line in lines for call in line.message.tool_calls or ()],
    }
    second = list(client(target).chat(target.model, _history(said), tools=TOOLS, stream=True))
    return _seen_lines(lines), _seen_lines(second)


def _history(message: Any) -> list[Any]:
    results = [
        {"role": "tool", "tool_name": call.function.name, "content": RESULTS[call.function.name]}
        for call in message["tool_calls"]
    ]
    return [*MESSAGES, message, *results]


def function_as_tool(target: Target) -> Any:
    """A Python function is the tool; its result does not say whose it is, as older programs have it."""
    first = client(target).chat(target.model, MESSAGES, tools=[weather])
    called = first.message.tool_calls[0].function
    result = {"role": "tool", "content": weather("Köln")}
    second = client(target).chat(target.model, [*MESSAGES, first.message, result], tools=[weather])
    return called.name, sorted(called.arguments), seen(second)


def json_format(target: Target) -> Any:
    return seen(client(target).chat(target.model, MESSAGES, format="json"))


def json_schema(target: Target) -> Any:
    reply = client(target).chat(target.model, MESSAGES, format=Plan.model_json_schema())
    return Plan.model_validate_json(reply.message.content).model_dump()


def json_schema_streamed(target: Target) -> Any:
    lines = client(target).chat(target.model, MESSAGES, format=Plan.model_json_schema(), stream=True)
    return Plan.model_validate_json("".join(line.message.content for line in lines)).model_dump()


def thinking(target: Target) -> Any:
    return seen(client(target).chat(target.thinking, MESSAGES, think=True))


def thinking_streamed(target: Target) -> Any:
    return _seen_lines(list(client(target).chat(target.thinking, MESSAGES, think=True, stream=True)))


def generate(target: Target) -> Any:
    reply = client(target).generate(target.model, QUESTION, system=SYSTEM, options={"num_predict": 100})
    return answer(reply.response, finish=reply.done_reason, usage=(reply.prompt_eval_count, reply.eval_count))


def generate_stream(target: Target) -> Any:
    lines = list(client(target).generate(target.model, QUESTION, stream=True))
    text = "".join(line.response for line in lines)
    last = lines[-1]
    return answer(text, finish=last.done_reason, usage=(last.prompt_eval_count, last.eval_count))


def loaded(target: Target) -> Any:
    chat, generate = client(target).chat(target.model), client(target).generate(target.model, keep_alive=0)
    return chat.done_reason, chat.message.content, generate.done_reason, generate.response


def embed(target: Target) -> Any:
    made = client(target).embed(target.embeds, ["one", "two", "one"])
    vectors = made.embeddings
    return len(vectors), vectors[0] == vectors[2], vectors[0] == vectors[1]


def embeddings(target: Target) -> Any:
    one, another = (client(target).embeddings(target.embeds, text).embedding for text in ("one", "one"))
    return len(one) > 0, one == another


def listed(target: Target) -> Any:
    models = client(target).list().models
    return all(model.model and len(model.digest) == 64 and model.modified_at for model in models), bool(models)


def shown(target: Target) -> Any:
    found = client(target).show(target.model)
    return "tools" in found.capabilities, found.modelinfo is not None


async def asynchronously(target: Target) -> Any:
    own = AsyncClient(host=target.origin, headers={"Authorization": f"Bearer {target.key}"}, timeout=30)
    whole = await own.chat(target.model, MESSAGES)
    lines = [line async for line in await own.chat(target.model, MESSAGES, stream=True)]
    return seen(whole), _seen_lines(lines)


def unknown_model(target: Target) -> Any:
    return [_refused(target, stream=stream) for stream in (False, True)]


def _refused(target: Target, *, stream: bool) -> Any:
    try:
        reply = client(target).chat("no/such/model;status=404", MESSAGES, stream=stream)
        list(reply if stream else [reply])
    except ResponseError as exc:
        return exc.status_code, bool(exc.error) and not exc.error.startswith("{")
    return "answered"


run(
    [
        chat,
        chat_cut_short,
        chat_stream,
        chat_image,
        tools,
        tools_streamed,
        function_as_tool,
        json_format,
        json_schema,
        json_schema_streamed,
        thinking,
        thinking_streamed,
        generate,
        generate_stream,
        loaded,
        embed,
        embeddings,
        listed,
        shown,
        asynchronously,
        unknown_model,
    ],
    ["ollama"],
)
