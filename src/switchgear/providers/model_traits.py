"""What a model's API wants to hear: which of several spellings of a request is right for it.

One table, by the model's name; the first row whose pattern matches wins, a name that no row knows gets the most
capable defaults. The table only chooses an encoding. It never refuses a parameter: a model's own API knows better than
any list what it takes. An operator overrides single traits per target (`override`).

Sources: platform.claude.com (extended thinking, structured outputs), ai.google.dev (thinking, thought signatures,
structured output), platform.openai.com (reasoning models), TRANSLATION §1, §4, §5, §21.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec import Struct


class ModelTraits(Struct, frozen=True):
    """Choices of encoding for one model.

    max_tokens: Anthropic's required max_tokens when the client names none.
    thinking: `adaptive` and effort levels, or `budget` in tokens (Anthropic).
    sampling: Anthropic: `all`, `one` of temperature and top_p (temperature wins), `none`.
    structured: `native` output format, or a forced `tool` (Anthropic).
    strict_tools: the API knows `strict` on tools (Anthropic).
    gemini_thinking: `level` (Gemini 3) or `budget` (2.5). min_budget, max_budget: of thinkingBudget, tokens.
    json_schema: Gemini takes JSON Schema; else the OpenAPI subset.
    wants_signature: Gemini refuses a call in the current turn without a thought signature.
    image_urls: Gemini takes public https URLs as fileData.
    max_tokens_field, system_role: chat's spelling.
    """

    max_tokens: int = 32_000
    thinking: Literal["adaptive", "budget"] = "adaptive"
    sampling: Literal["all", "one", "none"] = "all"
    structured: Literal["native", "tool"] = "native"
    strict_tools: bool = True
    gemini_thinking: Literal["level", "budget"] = "level"
    min_budget: int = 0
    max_budget: int = 24_576
    json_schema: bool = True
    wants_signature: bool = True
    image_urls: bool = True
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    system_role: Literal["system", "developer"] = "system"


_TABLE: tuple[tuple[str, dict[str, Any]], ...] = (
    # Anthropic
    (
        r"claude-3-(opus|sonnet|haiku)",
        {"max_tokens": 4_096, "thinking": "budget", "structured": "tool", "strict_tools": False},
    ),
    (r"claude-3-5", {"max_tokens": 8_192, "thinking": "budget", "structured": "tool", "strict_tools": False}),
    (r"claude-3-7", {"max_tokens": 32_000, "thinking": "budget", "structured": "tool", "strict_tools": False}),
    (r"claude-(2|instant)", {"max_tokens": 4_096, "thinking": "budget", "structured": "tool", "strict_tools": False}),
    (r"claude-(opus|sonnet)-4(-0|-2025\d{4}|@|$)", {"thinking": "budget", "structured": "tool", "strict_tools": False}),
    (r"claude-opus-4-1", {"thinking": "budget", "sampling": "one"}),
    (r"claude-(opus|sonnet|haiku)-4-5", {"thinking": "budget", "sampling": "one"}),
    (r"claude-", {"sampling": "one"}),
    # Gemini
    (
        r"gemini-(1|2\.0|pro)",
        {"gemini_thinking": "budget", "json_schema": False, "wants_signature": False, "image_urls": False},
    ),
    (
        r"gemini-2\.5-pro",
        {
            "gemini_thinking": "budget",
            "min_budget": 128,
            "max_budget": 32_768,
            "wants_signature": False,
            "image_urls": False,
        },
    ),
    (r"gemini-2\.5", {"gemini_thinking": "budget", "wants_signature": False, "image_urls": False}),
    # OpenAI
    (r"(o[1-9]|gpt-5)", {"max_tokens_field": "max_completion_tokens", "system_role": "developer"}),
    (r"(gpt-4|gpt-3\.5|chatgpt)", {"max_tokens_field": "max_completion_tokens"}),
)
_ROWS = tuple((re.compile(pattern), ModelTraits(**values)) for pattern, values in _TABLE)
_DEFAULT = ModelTraits()


@lru_cache(maxsize=1024)
def traits_of(model: str) -> ModelTraits:
    """The traits of a model by its name at the provider; vendor prefixes (`anthropic/`, `us.`) are looked past."""
    name = model.lower().rpartition("/")[2]
    for pattern, traits in _ROWS:
        if pattern.match(name) or (name.startswith(("us.", "eu.", "anthropic.")) and pattern.search(name)):
            return traits
    return _DEFAULT


def override(traits: ModelTraits, values: dict[str, Any]) -> ModelTraits:
    """`traits` with some replaced. Raises `msgspec.ValidationError` for a name or value that is none."""
    unknown = values.keys() - set(ModelTraits.__struct_fields__)
    if unknown:
        raise msgspec.ValidationError(f"Unknown model trait `{min(unknown)}`")
    return msgspec.convert({**msgspec.structs.asdict(traits), **values}, ModelTraits)


class TargetModel(Struct, frozen=True):
    """Where a translated request goes: the model's name there, its traits, its provider's quirks, and strictness.

    strict: what would be dropped is refused. lenient_arguments: tool arguments in the history that are not a JSON
    object are wrapped as {"arguments": text} instead of refused.
    """

    model: str
    traits: ModelTraits
    quirks: frozenset[str] = frozenset()
    strict: bool = False
    lenient_arguments: bool = False

    @property
    def max_tokens_field(self) -> str:
        """What chat calls the most output tokens here."""
        old = "forbids_unknown" in self.quirks or "max_tokens" in self.quirks
        return "max_tokens" if old else self.traits.max_tokens_field


def target_model(model: str, quirks: frozenset[str] = frozenset(), strict: bool = False) -> TargetModel:
    """A target with the table's traits."""
    return TargetModel(model, traits_of(model), quirks, strict)
