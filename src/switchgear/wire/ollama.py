"""Ollama's native /api/chat and /api/generate on the wire, both directions (TRANSLATION §10)."""

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
    """tool_name, tool_call_id: of a tool's result. images: bare base64."""

    role: str | None = None
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[OllamaCall] | None = None
    images: list[str] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class OllamaToolFunction(Struct):
    name: str
    description: str | None = None
    parameters: Raw = ABSENT


class OllamaTool(Struct):
    function: OllamaToolFunction
    type: str | None = None


class OllamaOptions(Struct):
    """Those that other formats know too; the model runner's own (num_ctx, mirostat, …) are read by name alone."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: float | int | None = None
    seed: float | int | None = None
    num_predict: float | int | None = None
    stop: str | list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


class ChatRequest(Struct):
    """stream: true where it is not said. format: "json", a JSON Schema, or "" for neither. think: a bool or a level."""

    model: str = ""
    messages: list[OllamaMessage] | None = None
    stream: bool | None = None
    tools: list[OllamaTool] | None = None
    format: Raw = ABSENT
    options: Raw = ABSENT
    think: bool | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class GenerateRequest(Struct):
    """raw: the prompt is in the model's own template. context: tokens of an earlier answer."""

    model: str = ""
    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    stream: bool | None = None
    images: list[str] | None = None
    format: Raw = ABSENT
    options: Raw = ABSENT
    think: bool | str | None = None
    raw: bool | None = None
    context: list[int] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


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
