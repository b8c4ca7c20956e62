"""The providers that speak the OpenAI wire format, one row each.

Plain variation is data: a compatible provider is a row. What differs in behaviour (a wire format of its own) is a
module beside this file. Base URLs and authentication: each vendor's own API reference, as its SDK takes them (DESIGN
§6).
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Literal

from msgspec import Struct

AuthStyle = Literal["bearer", "api-key", "x-api-key", "x-goog-api-key", "none"]
Wire = Literal["openai", "azure", "anthropic", "gemini", "ollama"]


class ProviderType(Struct, frozen=True):
    """How to talk to one kind of provider.

    base_url: the vendor's public address, None where each user has one of its own.
    auth: the header that carries the credential. wire: the format its native API speaks.
    ask_usage: a chat stream reports usage only when `stream_options.include_usage` asks for it; without it the provider
        reports usage unasked, or rejects the field (Mistral answers 422 to unknown fields).
    env: variable with a credential, for `switchgear serve` without a file.
    quirks: what it mis-sends and mis-takes, names of `providers.quirks`. responses: it has a Responses API of its own
        (a provider's `responses` setting overrides it); elsewhere Responses are translated to chat.
    """

    name: str
    base_url: str | None = None
    auth: AuthStyle = "bearer"
    wire: Wire = "openai"
    ask_usage: bool = True
    env: str | None = None
    quirks: frozenset[str] = frozenset()
    responses: bool = False


def _quirks(*names: str) -> frozenset[str]:
    return frozenset(names)


_ROWS = (
    ProviderType("openai", "https://api.openai.com/v1", env="OPENAI_API_KEY", responses=True),
    ProviderType(
        "azure",
        None,
        auth="api-key",
        wire="azure",
        env="AZURE_OPENAI_API_KEY",
        quirks=_quirks("missing_message"),
        responses=True,
    ),
    ProviderType("anthropic", "https://api.anthropic.com", auth="x-api-key", wire="anthropic", env="ANTHROPIC_API_KEY"),
    ProviderType(
        "gemini",
        "https://generativelanguage.googleapis.com",
        auth="x-goog-api-key",
        wire="gemini",
        env="GEMINI_API_KEY",
    ),
    ProviderType(
        "mistral",
        "https://api.mistral.ai/v1",
        ask_usage=False,
        env="MISTRAL_API_KEY",
        quirks=_quirks("content_list", "forbids_unknown"),
    ),
    ProviderType(
        "xai", "https://api.x.ai/v1", env="XAI_API_KEY", quirks=_quirks("usage_excludes_reasoning"), responses=True
    ),
    ProviderType(
        "openrouter",
        "https://openrouter.ai/api/v1",
        env="OPENROUTER_API_KEY",
        quirks=_quirks("error_in_200", "replays_reasoning_details", "takes_top_k", "takes_cache_control"),
        responses=True,
    ),
    ProviderType(
        "together",
        "https://api.together.xyz/v1",
        env="TOGETHER_API_KEY",
        quirks=_quirks("finish_words", "takes_top_k"),
    ),
    ProviderType(
        "groq",
        "https://api.groq.com/openai/v1",
        ask_usage=False,
        env="GROQ_API_KEY",
        quirks=_quirks("error_in_200", "no_names"),
    ),
    ProviderType(
        "deepseek",
        "https://api.deepseek.com",
        ask_usage=False,
        env="DEEPSEEK_API_KEY",
        quirks=_quirks("cache_hit_usage", "replays_reasoning_content", "max_tokens"),
        responses=True,
    ),
    ProviderType("perplexity", "https://api.perplexity.ai", ask_usage=False, env="PERPLEXITY_API_KEY"),
    ProviderType("cerebras", "https://api.cerebras.ai/v1", env="CEREBRAS_API_KEY"),
    ProviderType("huggingface", "https://router.huggingface.co/v1", ask_usage=False, env="HF_TOKEN"),
    ProviderType("zai", "https://api.z.ai/api/paas/v4", env="ZAI_API_KEY", quirks=_quirks("replays_reasoning_content")),
    ProviderType(
        "ollama",
        "http://127.0.0.1:11434/v1",
        quirks=_quirks("object_arguments", "missing_tool_id", "finish_words", "max_tokens"),
    ),
    ProviderType("vllm", quirks=_quirks("takes_top_k")),
    ProviderType("llama-cpp", "http://127.0.0.1:8080/v1", quirks=_quirks("takes_top_k")),
)

BUILT_IN: dict[str, ProviderType] = {row.name: row for row in _ROWS}


def wire_of(row: ProviderType, base_url: str) -> Wire:
    """The format that a provider is spoken to in. Ollama's OpenAI surface lies below `/v1`, its own
    at the bare origin."""
    if row.name == "ollama" and not base_url.rstrip("/").endswith("/v1"):
        return "ollama"
    return row.wire


def provider_types() -> dict[str, ProviderType]:
    """All known types by name: the rows above, and those of installed packages (entry point `switchgear.providers`).

    An entry point names a `ProviderType`. Raises ValueError when it names anything else, or a built-in's name.
    """
    types = dict(BUILT_IN)
    for entry in entry_points(group="switchgear.providers"):
        row = entry.load()
        if not isinstance(row, ProviderType) or row.name in BUILT_IN:
            raise ValueError(
                f"entry point switchgear.providers:{entry.name} must name a ProviderType with a name of its own"
            )
        types[row.name] = row
    return types
