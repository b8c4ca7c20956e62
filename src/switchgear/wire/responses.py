"""OpenAI Responses on the wire, both directions (TRANSLATION §15)."""

from __future__ import annotations

from msgspec import Raw, Struct

from switchgear.wire.conversation import ABSENT


class ItemAnnotation(Struct, gc=False):
    type: str = ""
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class ItemPart(Struct):
    """A content part of any type: `type` says which fields count."""

    type: str = ""
    text: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: Raw = ABSENT
    refusal: str | None = None
    annotations: list[ItemAnnotation] | None = None
    logprobs: Raw = ABSENT


class Item(Struct):
    """An input or output item; `type` (absent: a message) says which fields count."""

    type: str | None = None
    id: str | None = None
    role: str | None = None
    content: str | list[ItemPart] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[ItemPart] | None = None
    summary: list[ItemPart] | None = None
    encrypted_content: str | None = None
    status: str | None = None


class ItemHead(Struct, gc=False):
    """What tells items apart before they are decoded."""

    type: str | None = None
    role: str | None = None


class TextFormat(Struct):
    type: str = "text"
    name: str = "output"
    schema: Raw = ABSENT
    strict: bool | None = None
    description: str | None = None


class TextConfig(Struct):
    format: TextFormat | None = None
    verbosity: str | None = None


class ReasoningConfig(Struct, gc=False):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class ResponsesTool(Struct):
    """Flat, unlike chat's. `strict` defaults to true on the real API."""

    type: str = "function"
    name: str = ""
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None


class AllowedName(Struct, gc=False):
    type: str = "function"
    name: str = ""


class ResponsesToolChoice(Struct):
    type: str = "function"
    name: str = ""
    mode: str = "auto"
    tools: list[AllowedName] | None = None


class ResponsesRequest(Struct):
    input: str | list[Raw] | None = None
    model: str = ""
    instructions: str | None = None
    stream: bool | None = None
    max_output_tokens: float | int | None = None
    temperature: float | None = None
    top_p: float | None = None
    text: TextConfig | None = None
    reasoning: ReasoningConfig | None = None
    tools: list[Raw] | None = None
    tool_choice: str | ResponsesToolChoice | None = None
    parallel_tool_calls: bool | None = None
    metadata: Raw = ABSENT
    user: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    previous_response_id: str | None = None
    conversation: Raw = ABSENT
    prompt: Raw = ABSENT
    background: bool | None = None


class InputDetails(Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputDetails(Struct, gc=False):
    reasoning_tokens: int | None = None


class ResponsesUsage(Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


class Incomplete(Struct, gc=False):
    reason: str | None = None


class ResponsesReply(Struct):
    id: str | None = None
    created_at: float | int | None = None
    model: str | None = None
    status: str | None = None
    output: list[Raw] | None = None
    incomplete_details: Incomplete | None = None
    usage: ResponsesUsage | None = None
    service_tier: str | None = None
    error: Raw = ABSENT
