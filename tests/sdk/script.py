"""What an application does with the openai SDK, step by step; each step returns what the application would see.

The same steps run against the gateway and against the provider itself, and must see the same (`same`). Started as a
program, in an environment with another version of the SDK, it takes `{name: {"base_url": …, "key": …}}` on standard
input and writes `{"version": …, "results": {name: {step: result}}}`; for that it imports nothing of the project.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import sys
import traceback
import warnings
import wave
from typing import Any

import openai
from openai import AsyncOpenAI
from pydantic import BaseModel

MESSAGES: list[Any] = [{"role": "user", "content": "How are you, Zoë? 你好 🙂"}]
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
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="


def _silence() -> bytes:
    """50 ms, mono, 16 bit, 24 kHz."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 24000, 1200, "NONE", ""))
        sound.writeframes(bytes(2400))
    return file.getvalue()


# The helper for streams takes no other tools before 3.0.
STRICT: list[Any] = [
    {"type": "function", "function": {**tool["function"], "strict": True}} for tool in (WEATHER, CLOCK)
]
PICTURE = ("a.png", base64.b64decode(_PIXEL), "image/png")
SOUND = ("a.wav", _silence(), "audio/wav")


class Step(BaseModel):
    title: str
    minutes: int


class Plan(BaseModel):
    name: str
    steps: list[Step]
    done: bool
    note: str | None


class Script:
    """The steps, one method each, in the order of `STEPS`. model: a name that exists where the client points."""

    def __init__(self, client: AsyncOpenAI, model: str = "sim"):
        self.client = client
        self.model = model

    async def chat(self) -> Any:
        return await self.client.chat.completions.create(model=self.model, messages=MESSAGES, seed=1, user="somebody")

    async def chat_choices_and_length(self) -> Any:
        return await self.client.chat.completions.create(
            model=self.model, messages=MESSAGES, n=3, max_completion_tokens=5, logprobs=True, top_logprobs=2
        )

    async def chat_chunks(self) -> Any:
        stream = await self.client.chat.completions.create(model=self.model, messages=MESSAGES, n=2, stream=True)
        return [chunk async for chunk in stream]

    async def chat_chunks_with_usage(self) -> Any:
        stream = await self.client.chat.completions.create(
            model=self.model, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        return [chunk async for chunk in stream]

    async def chat_stream_helper(self) -> Any:
        async with self.client.chat.completions.stream(model=self.model, messages=MESSAGES) as stream:
            kinds = [event.type async for event in stream]
            return kinds, await stream.get_final_completion()

    async def tools_in_parallel(self) -> Any:
        return await self.client.chat.completions.create(model=self.model, messages=MESSAGES, tools=[WEATHER, CLOCK])

    async def tools_streamed(self) -> Any:
        async with self.client.chat.completions.stream(model=self.model, messages=MESSAGES, tools=STRICT) as stream:
            return await stream.get_final_completion()

    async def tools_over_two_turns(self) -> Any:
        first = await self.client.chat.completions.create(
            model=self.model, messages=MESSAGES, tools=[WEATHER, CLOCK], parallel_tool_calls=False
        )
        calls = first.choices[0].message.tool_calls or []
        history: list[Any] = [
            *MESSAGES,
            first.choices[0].message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": calls[0].id, "content": "sunny"},
        ]
        second = await self.client.chat.completions.create(model=self.model, messages=history, tools=[WEATHER])
        return first, second

    async def structured(self) -> Any:
        answer = await self.client.chat.completions.parse(model=self.model, messages=MESSAGES, response_format=Plan)
        return answer.choices[0].message.parsed, answer

    async def completions(self) -> Any:
        whole = await self.client.completions.create(model=self.model, prompt=["one", "two"], n=2, max_tokens=4)
        stream = await self.client.completions.create(model=self.model, prompt="one", stream=True)
        return whole, [chunk async for chunk in stream]

    async def responses(self) -> Any:
        whole = await self.client.responses.create(model=self.model, input="How are you?", instructions="Be brief.")
        again = await self.client.responses.retrieve(whole.id)
        items = [item async for item in self.client.responses.input_items.list(whole.id)]
        await self.client.responses.delete(whole.id)
        return whole, again, items

    async def responses_stream_helper(self) -> Any:
        async with self.client.responses.stream(model=self.model, input="How are you?") as stream:
            kinds = [(event.type, event.sequence_number) async for event in stream]
            return kinds, await stream.get_final_response()

    async def responses_with_tools_and_schema(self) -> Any:
        tools: Any = [{**tool["function"], "type": "function", "strict": False} for tool in (WEATHER, CLOCK)]
        called = await self.client.responses.create(model=self.model, input="x", tools=tools)
        parsed = await self.client.responses.parse(model=self.model, input="x", text_format=Plan)
        return called, parsed.output_parsed

    async def embeddings(self) -> Any:
        by_default = await self.client.embeddings.create(model=self.model, input=["a", "b", "a"])  # base64 on the wire
        floats = await self.client.embeddings.create(
            model=self.model, input=[[1, 2]], encoding_format="float", dimensions=7
        )
        return by_default, floats

    async def moderations(self) -> Any:
        return await self.client.moderations.create(model=self.model, input=["a fine day", "this is flagged"])

    async def images(self) -> Any:
        made = await self.client.images.generate(model="gpt-image-1", prompt="a cat", n=2)
        edited = await self.client.images.edit(model="gpt-image-1", image=PICTURE, prompt="x")
        return made, edited

    async def images_without_a_model(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return await self.client.images.create_variation(image=PICTURE, n=2)

    async def speech(self) -> Any:
        whole = await self.client.audio.speech.create(model=self.model, input="hello", voice="alloy")
        async with self.client.audio.speech.with_streaming_response.create(
            model=self.model, input="hello", voice="alloy", response_format="wav"
        ) as answer:
            streamed = b"".join([part async for part in answer.iter_bytes()])
            return whole.content, whole.response.headers["content-type"], streamed, answer.headers["content-type"]

    async def transcriptions(self) -> Any:
        create = self.client.audio.transcriptions.create
        subtitles = await create(model=self.model, file=SOUND, response_format="srt")
        detailed = await create(model=self.model, file=SOUND, response_format="verbose_json")
        events = [event async for event in await create(model=self.model, file=SOUND, stream=True)]
        return subtitles, detailed, events

    async def files_and_batches(self) -> Any:
        content = b'{"custom_id": "1"}\r\n--not a boundary\r\n' * 5000
        file = await self.client.files.create(file=("in.jsonl", content), purpose="batch")
        seen = [
            file,
            file.id in [each.id async for each in self.client.files.list()],
            await self.client.files.retrieve(file.id),
            (await self.client.files.content(file.id)).content == content,
        ]
        batch = await self.client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        seen += [batch, batch.id in [each.id async for each in self.client.batches.list(limit=5)]]
        seen += [await self.client.batches.retrieve(batch.id), await self.client.batches.cancel(batch.id)]
        return [*seen, await self.client.files.delete(file.id)]

    async def unknown_fields(self) -> Any:
        """Both ways: a field that no schema knows reaches the provider; what the provider adds reaches the client."""
        return await self.client.chat.completions.create(
            model=self.model, messages=MESSAGES, extra_body={"vendor_option": {"deep": [1, None]}}
        )


STEPS = [name for name in vars(Script) if not name.startswith("_")]

_ID = re.compile(r"\b(chatcmpl|cmpl|req|resp|msg|fc|call|file|batch|modr|rs|item|emb)[-_][A-Za-z0-9_-]+")
_CLOCKS = frozenset(
    ("created", "created_at", "expires_at", "in_progress_at", "completed_at", "cancelled_at", "cancelling_at")
)


def same(value: Any) -> Any:
    """A step's result without what differs from run to run: identifiers and times."""
    if isinstance(value, BaseModel):
        return same(value.model_dump(mode="python", warnings=False))
    if isinstance(value, dict):
        return {key: "a time" if key in _CLOCKS and each is not None else same(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [same(each) for each in value]
    if isinstance(value, str):
        return _ID.sub(r"\1-ID", value)
    return value


async def _results(given: dict[str, str]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    async with AsyncOpenAI(base_url=given["base_url"], api_key=given["key"], max_retries=0, timeout=20) as client:
        for step in STEPS:
            try:
                seen[step] = same(await getattr(Script(client), step)())
            except Exception as exc:
                traceback.print_exc()
                seen[step] = {"raised": f"{type(exc).__name__}: {exc}"}
    return seen


def main() -> None:
    targets = json.load(sys.stdin)
    results = {name: asyncio.run(_results(given)) for name, given in targets.items()}
    json.dump({"version": openai.__version__, "results": results}, sys.stdout, default=repr)


if __name__ == "__main__":
    main()
