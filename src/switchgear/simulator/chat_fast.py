"""The fast path of chat completions: a plain question, answered out of prepared bytes.

A request that asks for anything special (a stream, tools, a format, n, a fault, an unknown shape) is left to
`openai_chat`; for what it does answer, the result differs from that one's in nothing but its identifier.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import orjson
from msgspec import Meta, Struct

from switchgear.simulator import text
from switchgear.simulator.openai_chat import FINGERPRINT
from switchgear.simulator.settings import SimulatorSettings

_MAX_MODELS = 1024


class _Message(Struct):
    role: Literal["system", "developer", "user"]
    content: str


_Positive = Annotated[int, Meta(ge=1)]


class _Plain(Struct):
    model: str
    messages: Annotated[list[_Message], Meta(min_length=1)]
    stream: bool = False
    n: Literal[1] | None = None
    max_tokens: _Positive | None = None
    max_completion_tokens: _Positive | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    seed: int | None = None
    logprobs: Literal[None] = None
    top_logprobs: Literal[None] = None
    stream_options: Literal[None] = None
    stop: Literal[None] = None
    tools: Literal[None] = None
    functions: Literal[None] = None
    parallel_tool_calls: bool | None = None
    response_format: Literal[None] = None
    metadata: dict[str, str] | None = None


_TEMPLATE = (
    b'{"id":"chatcmpl-%024x00000","object":"chat.completion","created":%d,"model":%b,"choices":[{"index":0,"message":'
    b'{"role":"assistant","content":%b,"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"%b"}],'
    b'"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,'
    b'"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,'
    b'"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},'
    b'"service_tier":"default","system_fingerprint":"' + FINGERPRINT.encode() + b'"}'
)


class FastChat:
    """Answers plain questions. `answer` gives the body, or None for what is not one."""

    def __init__(self, settings: SimulatorSettings):
        self._decode = msgspec.json.Decoder(_Plain).decode
        self._models = frozenset(settings.models)
        self._names: dict[str, bytes] = {}
        self._tokens = settings.tokens
        self._seed = settings.seed

    def answer(self, body: bytes, number: int, now: int) -> bytes | None:
        """number: of the request, for its identifier. now: Unix time in seconds."""
        try:
            request = self._decode(body)
        except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if request.stream:
            return None
        name = self._names.get(request.model)
        if name is None:
            name = self._admit(request.model)
            if name is None:
                return None
        count, finish = self._tokens, b"stop"
        limit = request.max_completion_tokens or request.max_tokens
        if limit is not None and limit < count:
            count, finish = limit, b"length"
        characters = 0
        for message in request.messages:
            characters += len(message.content)
        prompt = max(1, characters // 4)
        sentence = text.sentence_json(count, self._seed)
        return _TEMPLATE % (number, now, name, sentence, finish, prompt, count, prompt + count)

    def _admit(self, model: str) -> bytes | None:
        if not model or ";" in model or (self._models and model not in self._models):
            return None
        if len(self._names) >= _MAX_MODELS:
            self._names.clear()
        name = self._names[model] = orjson.dumps(model)
        return name
