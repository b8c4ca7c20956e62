"""Anthropic Messages on the wire, both directions (TRANSLATION §1, §14)."""

from __future__ import annotations

from msgspec import Raw, Struct

from switchgear.wire.conversation import ABSENT


class Source(Struct, gc=False):
    """Where an image or document is: type base64, url, file, text or content. content is left undecoded."""

    type: str = ""
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: Raw = ABSENT


class BlockCitation(Struct, gc=False):
    type: str = ""
    cited_text: str | None = None
    url: str | None = None
    title: str | None = None
    document_title: str | None = None


class Block(Struct):
    """Any content block; `type` says which fields count. A block of another type is kept whole, see `anthropic.raw`."""

    type: str
    text: str | None = None
    source: Source | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = ABSENT
    tool_use_id: str | None = None
    content: Raw = ABSENT
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    title: str | None = None
    context: str | None = None
    citations: Raw = ABSENT
    cache_control: Raw = ABSENT


class AnthropicMessage(Struct):
    role: str
    content: str | list[Raw]


class ThinkingParam(Struct, gc=False):
    type: str = ""
    budget_tokens: int | None = None
    display: str | None = None


class Format(Struct):
    type: str = ""
    schema: Raw = ABSENT


class OutputConfig(Struct):
    effort: str | None = None
    format: Format | None = None


class ToolChoiceParam(Struct, gc=False):
    type: str = "auto"
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ToolParam(Struct):
    """A client tool (`type` absent or `custom`) or, by its type, one that Anthropic runs or has trained."""

    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: Raw = ABSENT
    strict: bool | None = None
    cache_control: Raw = ABSENT


class Metadata(Struct, gc=False):
    user_id: str | None = None


class MessagesRequest(Struct):
    messages: list[AnthropicMessage]
    max_tokens: float | int | None = None
    model: str = ""
    system: str | list[Block] | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: Metadata | None = None
    tools: list[Raw] | None = None
    tool_choice: ToolChoiceParam | None = None
    thinking: ThinkingParam | None = None
    output_config: OutputConfig | None = None
    output_format: Format | None = None
    service_tier: str | None = None


class OutputDetails(Struct, gc=False):
    thinking_tokens: int | None = None


class CacheCreation(Struct, gc=False):
    """What was written to the cache, by how long it is kept."""

    ephemeral_1h_input_tokens: int | None = None


class AnthropicUsage(Struct, gc=False):
    """speed: `fast` costs more."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: OutputDetails | None = None
    service_tier: str | None = None
    speed: str | None = None


class StopDetails(Struct, gc=False):
    explanation: str | None = None


class MessagesReply(Struct):
    id: str | None = None
    model: str | None = None
    content: list[Raw] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: AnthropicUsage | None = None
    type: str | None = None
    error: Raw = ABSENT
