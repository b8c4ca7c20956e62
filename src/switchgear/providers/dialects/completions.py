"""The old /v1/completions in front of providers that only chat (TRANSLATION §19): the prompt is one user message.

1. One prompt of text, as a string or a list of one. Token ids and several prompts are refused by name: a provider's
   tokens are its own, and each prompt would be a request of its own.
2. What continues or inspects the very text of the prompt (`suffix`, `echo`, `logprobs`) and more than one answer (`n`,
   `best_of`) are refused by name: a chat has none of them, and left out they would give another answer.
3. The answer's text comes back as a text_completion; its thoughts stay behind.

`max_tokens` absent leaves the length to the provider: the 16 tokens of OpenAI's old models serve nobody in a chat.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from switchgear.errors import InvalidRequest
from switchgear.providers.dialects import chat_reply
from switchgear.providers.identifiers import new_id
from switchgear.providers.reading import given, read_request, unknown_fields
from switchgear.wire.chat import StreamOptions
from switchgear.wire.conversation import ABSENT, Conversation, Message, Refusal, Text

if TYPE_CHECKING:
    from switchgear.wire.conversation import Answer, Choice


class CompletionRequest(Struct):
    """The body of a /v1/completions request."""

    prompt: str | list[Raw]
    model: str = ""
    suffix: str | None = None
    echo: bool | None = None
    logprobs: int | None = None
    n: int | None = None
    best_of: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: float | int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | int | None = None
    stop: str | list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Raw = ABSENT
    seed: int | None = None
    user: str | None = None


_KNOWN = frozenset(CompletionRequest.__struct_fields__)
_decoder = msgspec.json.Decoder(CompletionRequest)
_encode = msgspec.json.Encoder().encode
_text = msgspec.json.Decoder(str)


def decode_request(body: bytes, model: str = "") -> Conversation:
    """Read a request. Raises `InvalidRequest` with `param` set."""
    request = read_request(_decoder, body)
    _refuse(request)
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
            code="unsupported_parameter",
        )
    message = Message("user", [Text(_prompt(request.prompt))], 0)
    conversation = Conversation(source="chat", model=model or request.model, messages=[message])
    conversation.stream = request.stream is True
    if request.stream_options is not None:
        conversation.include_usage = request.stream_options.include_usage is True
    if request.max_tokens is not None:
        conversation.max_tokens = int(request.max_tokens)
        if conversation.max_tokens < 1:
            raise InvalidRequest("'max_tokens' must be at least 1.", param="max_tokens", code="integer_below_min_value")
    conversation.temperature, conversation.top_p = request.temperature, request.top_p
    conversation.top_k = int(request.top_k) if request.top_k is not None else None
    if request.stop is not None:
        conversation.stop = [request.stop] if isinstance(request.stop, str) else request.stop
    conversation.presence_penalty = request.presence_penalty
    conversation.frequency_penalty = request.frequency_penalty
    if given(request.logit_bias):
        conversation.logit_bias = request.logit_bias
    conversation.seed, conversation.user = request.seed, request.user
    conversation.extensions = unknown_fields(body, _KNOWN)
    return conversation


def _refuse(request: CompletionRequest) -> None:
    for name, asked in (
        ("suffix", bool(request.suffix)),
        ("echo", request.echo is True),
        ("logprobs", request.logprobs is not None),
        ("n", request.n is not None and request.n != 1),
        ("best_of", request.best_of is not None and request.best_of != 1),
    ):
        if asked:
            raise InvalidRequest(
                f"'{name}' cannot be expressed for the provider that serves this model: it answers in a chat.",
                param=name,
                code="unsupported_parameter",
            )


def _prompt(prompt: str | list[Raw]) -> str:
    if isinstance(prompt, list):
        if len(prompt) != 1:
            what = "several prompts, or token ids," if prompt else "an empty list of prompts"
            raise _bad_prompt(f"The provider that serves this model cannot be asked {what} in one request.")
        try:
            prompt = _text.decode(prompt[0])
        except msgspec.ValidationError as exc:
            raise _bad_prompt("Token ids mean nothing to the provider that serves this model: send text.") from exc
    if not prompt.strip():
        raise _bad_prompt("'prompt' must have some text for the provider that serves this model.")
    return prompt


def _bad_prompt(why: str) -> InvalidRequest:
    return InvalidRequest(why, param="prompt", code="unsupported_value")


def encode_response(answer: Answer, conversation: Conversation, model: str = "") -> bytes:
    """The answer as a text_completion. model: the name to show, else the upstream's."""
    body: dict[str, Any] = {
        "id": answer.id or new_id("cmpl-"),
        "object": "text_completion",
        "created": answer.created or int(time.time()),
        "model": model or answer.model,
        "system_fingerprint": answer.system_fingerprint,
        "choices": [_choice(choice) for choice in answer.choices],
    }
    if answer.usage is not None:
        body["usage"] = chat_reply.encode_usage(answer.usage)
    return _encode(body)


def _choice(choice: Choice) -> dict[str, Any]:
    refused = any(type(part) is Refusal for part in choice.parts)
    finish = "content_filter" if refused and choice.finish == "stop" else choice.finish
    return {
        "text": "".join(part.text for part in choice.parts if type(part) is Text or type(part) is Refusal),
        "index": choice.index,
        "logprobs": None,
        "finish_reason": "stop" if finish in ("tool_calls", "error") else finish,
    }
