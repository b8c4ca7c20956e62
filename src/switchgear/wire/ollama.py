"""Ollama's native /api/chat on the wire: the answer (TRANSLATION §10). Requests are built, never read."""

from __future__ import annotations

from msgspec import Raw, Struct

from switchgear.wire.conversation import ABSENT


class OllamaFunction(Struct):
    name: str = ""
    arguments: Raw = ABSENT


class OllamaCall(Struct):
    id: str | None = None
    function: OllamaFunction | None = None


class OllamaMessage(Struct):
    role: str | None = None
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[OllamaCall] | None = None


class OllamaReply(Struct):
    """message: /api/chat; response, thinking: /api/generate."""

    model: str | None = None
    created_at: str | None = None
    message: OllamaMessage | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: Raw = ABSENT
