"""How long an answer may get: what the request itself says of it, in its own dialect, and what is known of its model.

chat, responses, messages   max_completion_tokens, max_output_tokens, max_tokens; times `n`
old completions             max_tokens; times `n` or `best_of`, times the prompts
Gemini                      generationConfig.maxOutputTokens; times candidateCount
Ollama                      options.num_predict, where it is above zero
images                      nothing: an image has at most `IMAGE_TOKENS`
forms with sound            nothing: a token of text for so many bytes of sound
compacted responses         nothing
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

if TYPE_CHECKING:
    from switchgear.hotpath._estimate import Estimates
    from switchgear.types import RequestContext

FORM_TOKENS, FORM_BYTES = 1024, 1024
"""What is reserved for a form with images or sound: an image of usual size, and a token for so many bytes besides;
compressed speech has a token for more of them."""
IMAGE_TOKENS = 6240
"""Output tokens of the dearest image: gpt-image-1, high quality, 1024x1536 (OpenAI's guide to image generation)."""
MAX_CHOICES = 65_536


class Length(Struct, frozen=True):
    """Output tokens of all choices together. expected: hardly more. longest: never more.

    known: the request, or what it is about, bounds the answer; else the gateway may put a bound into it.
    choices: how many answers of their own it may hold.
    """

    expected: int = 0
    longest: int = 0
    choices: int = 1
    known: bool = True


NOTHING = Length()


class _Completions(Struct):
    prompt: Any = None
    best_of: Any = None


class _GeminiConfig(Struct):
    camel_tokens: Any = field(default=None, name="maxOutputTokens")
    snake_tokens: Any = field(default=None, name="max_output_tokens")
    camel_count: Any = field(default=None, name="candidateCount")
    snake_count: Any = field(default=None, name="candidate_count")


class _Gemini(Struct):
    camel: _GeminiConfig | None = field(default=None, name="generationConfig")
    snake: _GeminiConfig | None = field(default=None, name="generation_config")


class _OllamaOptions(Struct):
    num_predict: Any = None


class _Ollama(Struct):
    options: _OllamaOptions | None = None


_completions = msgspec.json.Decoder(_Completions).decode
_gemini = msgspec.json.Decoder(_Gemini).decode
_ollama = msgspec.json.Decoder(_Ollama).decode
_names = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def length_of(ctx: RequestContext, estimates: Estimates, max_output_tokens: int) -> Length:
    """Of the answer to a request. max_output_tokens: the longest answer of its model, as configured."""
    endpoint, body = ctx.endpoint, ctx.body
    if not isinstance(body, bytes) or not body:
        return NOTHING
    if endpoint.name.startswith("images."):
        return Length(0, images_of(ctx) * IMAGE_TOKENS)
    if ctx.peeked is None:
        return Length(0, FORM_TOKENS + len(body) // FORM_BYTES) if endpoint.name.startswith("audio.") else NOTHING
    if endpoint.name == "responses.compact":
        expected = estimates.output(ctx.model, -1)
        return Length(expected, max(expected, max_output_tokens))
    if not endpoint.generates:
        return NOTHING
    said, choices = _said(ctx, body)
    if said >= 0:
        return Length(said * choices, said * choices, choices)
    expected = estimates.output(ctx.model, -1, choices)
    return Length(expected, max(expected, max_output_tokens * choices), choices, False)


def images_of(ctx: RequestContext) -> int:
    """How many images the answer may hold."""
    if not ctx.endpoint.name.startswith("images."):
        return 0
    if ctx.peeked is not None:
        return max(1, ctx.peeked.n)
    return ctx.form.n if ctx.form is not None else 1


def _said(ctx: RequestContext, body: bytes) -> tuple[int, int]:
    """(the most output tokens of a choice, -1 where nothing is said; the number of choices)."""
    peeked = ctx.peeked
    if ctx.endpoint.wire == "gemini":
        return _of_gemini(body)
    if ctx.endpoint.dialect == "ollama":
        return _of_ollama(body), 1
    if peeked is None:
        return -1, 1
    if ctx.endpoint.wire == "completions":
        return peeked.max_tokens, min(peeked.n * _prompts(body, peeked.n), MAX_CHOICES)
    return peeked.max_tokens, min(peeked.n, MAX_CHOICES)


def _of_gemini(body: bytes) -> tuple[int, int]:
    try:
        read = _gemini(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # the upstream will say so
        return -1, 1
    config = read.camel or read.snake or _GeminiConfig()
    tokens = _whole(config.camel_tokens if config.camel_tokens is not None else config.snake_tokens)
    count = _whole(config.camel_count if config.camel_count is not None else config.snake_count)
    return tokens if tokens > 0 else -1, min(max(1, count), MAX_CHOICES)


def _of_ollama(body: bytes) -> int:
    try:
        options = _ollama(body).options
        if any(name != "options" and name.casefold() == "options" for name in _names(body)):
            return -1  # Go reads names in any case: Ollama takes the last one
    except (msgspec.MsgspecError, UnicodeDecodeError):  # the upstream will say so
        return -1
    tokens = _whole(options.num_predict) if options is not None else -1
    return tokens if tokens > 0 else -1


def _prompts(body: bytes, n: int) -> int:
    """How many times `n` answers an old completion makes: a list of prompts has an answer each, and of `best_of` that
    are made only `n` are shown."""
    try:
        read = _completions(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return 1
    prompt = read.prompt
    several = isinstance(prompt, list) and prompt and isinstance(prompt[0], str | list)
    best_of = _whole(read.best_of)
    return (len(prompt) if several else 1) * max(1, -(-best_of // n))


def _whole(value: Any) -> int:
    """A number of JSON as proto's JSON has it, also written as a string; -1 for what is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(min(value, 2**31 - 1)) if value == value and value >= 0 else -1
    return min(int(value), 2**31 - 1) if isinstance(value, str) and value.isascii() and value.isdigit() else -1
