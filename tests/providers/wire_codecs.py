"""The codecs by name, and the view of an answer that tests compare."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from switchgear.providers.dialects import anthropic as anthropic_dialect
from switchgear.providers.dialects import chat
from switchgear.providers.dialects import gemini as gemini_dialect
from switchgear.providers.dialects import responses as responses_dialect
from switchgear.providers.formats import anthropic, gemini, ollama, openai_chat, openai_responses
from switchgear.wire.conversation import Answer, Conversation, Reasoning, Refusal, Text, ToolCall

if TYPE_CHECKING:
    from types import ModuleType

DIALECTS: dict[str, ModuleType] = {
    "chat": chat,
    "responses": responses_dialect,
    "anthropic": anthropic_dialect,
    "gemini": gemini_dialect,
}
FORMATS: dict[str, ModuleType] = {
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "ollama": ollama,
}
FORMAT_OF = {"chat": "openai_chat", "responses": "openai_responses", "anthropic": "anthropic", "gemini": "gemini"}


def blank(source: str) -> Conversation:
    """A conversation to answer in `source`'s dialect."""
    return Conversation(source=source, model="m", messages=[])  # type: ignore[arg-type]  # any of the words


def choice_views(answer: Answer) -> list[dict[str, Any]]:
    """Text, reasoning, calls with parsed arguments and finish reason of each choice."""
    views = []
    for choice in answer.choices:
        views.append(
            {
                "index": choice.index,
                "text": "".join(p.text for p in choice.parts if isinstance(p, Text)),
                "reasoning": "".join(p.text for p in choice.parts if isinstance(p, Reasoning)),
                "refusal": "".join(p.text for p in choice.parts if isinstance(p, Refusal)) or None,
                "tool_calls": [
                    {"name": p.name, "arguments": _parsed(p.arguments)} for p in choice.parts if isinstance(p, ToolCall)
                ],
                "finish": choice.finish,
            }
        )
    return views


def usage_view(answer: Answer) -> dict[str, Any] | None:
    """Token counts by class, uncounted ones None."""
    usage = answer.usage
    if usage is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }


def _parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
