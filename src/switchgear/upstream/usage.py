"""What an upstream says it used, as `types.Usage` (TRANSLATION §12).

`read_usage` runs once per request: one decode into a struct; the rarer classes cost a test each. Sides are whole:
where a vendor counts reasoning beside the completion, it is added.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import DecodeError, Meta, Raw, Struct
from msgspec.json import Decoder

from switchgear.types import SERVICE_TIERS, ServiceTier, Usage
from switchgear.wire.conversation import TokenUsage

MAX_TOKENS = 2**40  # more than anybody counts: what is beyond is no number of tokens
Tokens = Annotated[int, Meta(ge=0, le=MAX_TOKENS)]


class _CachedDetails(Struct):
    audio_tokens: Tokens | None = None


class _Details(Struct):
    """cached_tokens_details: of the Realtime API. image_tokens: of the Images API and of xAI."""

    cached_tokens: Tokens | None = None
    cache_write_tokens: Tokens | None = None
    cache_creation_tokens: Tokens | None = None
    reasoning_tokens: Tokens | None = None
    audio_tokens: Tokens | None = None
    image_tokens: Tokens | None = None
    cached_tokens_details: _CachedDetails | None = None


class _UsageWire(Struct):
    """prompt_cache_hit_tokens: DeepSeek's word for cached. input_token_details: of transcriptions. reasoning_tokens,
    citation_tokens: Perplexity's, which counts both beside the completion. service_tier: of events, put here by
    `hotpath._sse`."""

    prompt_tokens: Tokens | None = None
    completion_tokens: Tokens | None = None
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    total_tokens: Tokens | None = None
    prompt_cache_hit_tokens: Tokens | None = None
    reasoning_tokens: Tokens | None = None
    citation_tokens: Tokens | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None
    input_token_details: _Details | None = None
    service_tier: str | None = None


class _Made(Struct):
    data: list[Raw] = []


_decode_usage = Decoder(_UsageWire).decode
_decode_made = Decoder(_Made).decode
_NO_DETAILS = _Details()
_TIER_TOKENS: dict[bytes, ServiceTier] = {f'"{word}"'.encode(): tier for word, tier in SERVICE_TIERS.items()}


def read_usage(token: bytes, tier: bytes = b"") -> Usage | None:
    """A usage object (JSON text) of chat, responses, embeddings, images or transcriptions; None when it is none.

    tier: the service tier (a JSON string) that the answer says it was served as, beside its usage.
    """
    try:
        usage = _decode_usage(token)
    except (DecodeError, UnicodeDecodeError):
        return None
    given = usage.prompt_tokens_details or usage.input_tokens_details or usage.input_token_details or _NO_DETAILS
    made = usage.completion_tokens_details or usage.output_tokens_details or _NO_DETAILS
    prompt = usage.prompt_tokens if usage.prompt_tokens is not None else usage.input_tokens or 0
    completion = usage.completion_tokens if usage.completion_tokens is not None else usage.output_tokens or 0
    reasoning = made.reasoning_tokens or 0
    if usage.total_tokens is not None and reasoning and usage.total_tokens > prompt + completion:
        completion = usage.total_tokens - prompt  # xAI counts reasoning beside the completion
    elif usage.reasoning_tokens:
        reasoning = usage.reasoning_tokens
        if usage.citation_tokens is not None or reasoning > completion:
            completion += reasoning
    found = Usage(
        prompt,
        completion,
        given.cached_tokens or usage.prompt_cache_hit_tokens or 0,
        given.cache_write_tokens or given.cache_creation_tokens or 0,
        reasoning,
    )
    if given is not _NO_DETAILS:
        _read_given(found, given)
    if made is not _NO_DETAILS and (made.audio_tokens or made.image_tokens):
        found.output_audio_tokens = made.audio_tokens or 0
        found.output_image_tokens = made.image_tokens or 0
    if usage.service_tier is not None:
        found.service_tier = SERVICE_TIERS.get(usage.service_tier, "")
    elif tier:
        found.service_tier = _TIER_TOKENS.get(tier, "")
    return found


def _read_given(found: Usage, details: _Details) -> None:
    if details.audio_tokens:
        found.input_audio_tokens = details.audio_tokens
        if details.cached_tokens_details is not None:
            found.cached_audio_tokens = details.cached_tokens_details.audio_tokens or 0
    if details.image_tokens:
        found.input_image_tokens = details.image_tokens


def images_made(body: bytes) -> int:
    """How many images an answer of the Images API holds."""
    try:
        return len(_decode_made(body).data)
    except (DecodeError, UnicodeDecodeError):
        return 0


def usage_of(usage: TokenUsage | None, service_tier: str | None = None) -> Usage | None:
    """Tokens of a decoded answer as the gateway counts them. A count that is no number of tokens is 0."""
    if usage is None:
        return None
    return Usage(
        _counted(usage.input_tokens) if usage.input_tokens else 0,
        _counted(usage.output_tokens) if usage.output_tokens else 0,
        _counted(usage.cached_tokens) if usage.cached_tokens else 0,
        _counted(usage.cache_write_tokens) if usage.cache_write_tokens else 0,
        _counted(usage.reasoning_tokens) if usage.reasoning_tokens else 0,
        input_audio_tokens=_counted(usage.audio_input_tokens) if usage.audio_input_tokens else 0,
        cached_audio_tokens=_counted(usage.cached_audio_tokens) if usage.cached_audio_tokens else 0,
        output_audio_tokens=_counted(usage.audio_output_tokens) if usage.audio_output_tokens else 0,
        service_tier=SERVICE_TIERS.get(usage.service_tier or service_tier or "", ""),
        cache_write_1h_tokens=_counted(usage.cache_write_1h_tokens) if usage.cache_write_1h_tokens else 0,
        input_image_tokens=_counted(usage.image_input_tokens) if usage.image_input_tokens else 0,
        output_image_tokens=_counted(usage.image_output_tokens) if usage.image_output_tokens else 0,
    )


def _counted(tokens: int) -> int:
    return tokens if 0 < tokens <= MAX_TOKENS else 0
