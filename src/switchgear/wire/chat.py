"""OpenAI Chat Completions on the wire, both directions (TRANSLATION §1, §2, §6)."""

from __future__ import annotations

from msgspec import Raw, Struct

from switchgear.wire.conversation import ABSENT


class ImageUrl(Struct, gc=False):
    url: str = ""
    detail: str | None = None


class InputAudio(Struct, gc=False):
    data: str = ""
    format: str = "wav"


class FileRef(Struct, gc=False):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class ContentPart(Struct):
    """Any content part; `type` says which fields count. thinking, signature, data: extensions of other vendors."""

    type: str = ""
    text: str | None = None
    image_url: ImageUrl | str | None = None
    input_audio: InputAudio | None = None
    file: FileRef | None = None
    refusal: str | None = None
    document_url: str | None = None
    thinking: list[ContentPart] | str | None = None
    signature: str | None = None
    data: str | None = None
    cache_control: Raw = ABSENT


class GoogleExtra(Struct, gc=False):
    thought_signature: str | None = None


class ExtraContent(Struct, gc=False):
    google: GoogleExtra | None = None


class FunctionCall(Struct):
    """arguments: JSON text; some upstreams send the object itself (TRANSLATION §10)."""

    name: str | None = None
    arguments: Raw = ABSENT


class ToolCallItem(Struct):
    id: str | None = None
    type: str | None = None
    function: FunctionCall | None = None
    index: int | None = None
    extra_content: ExtraContent | None = None
    cache_control: Raw = ABSENT


class UrlCitation(Struct, gc=False):
    url: str = ""
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None
    content: str | None = None


class Annotation(Struct):
    type: str = ""
    url_citation: UrlCitation | None = None


class ReasoningDetail(Struct):
    """OpenRouter's reasoning_details entry."""

    type: str = ""
    text: str | None = None
    summary: str | None = None
    data: str | None = None
    signature: str | None = None
    format: str | None = None
    id: str | None = None


class ChatMessage(Struct):
    """A message of either direction. Extensions of other vendors' dialects that are echoed have their fields too."""

    role: str | None = None
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[ToolCallItem] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCall | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[ContentPart] | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    annotations: list[Annotation] | None = None
    audio: Raw = ABSENT
    images: list[ContentPart] | None = None
    prefix: bool | None = None
    cache_control: Raw = ABSENT


class FunctionDef(Struct):
    name: str
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None


class ChatTool(Struct):
    type: str = "function"
    function: FunctionDef | None = None
    cache_control: Raw = ABSENT


class Named(Struct, gc=False):
    name: str = ""


class AllowedTool(Struct, gc=False):
    type: str = "function"
    function: Named | None = None


class AllowedTools(Struct):
    mode: str = "auto"
    tools: list[AllowedTool] = []


class ChatToolChoice(Struct):
    type: str = "function"
    function: Named | None = None
    allowed_tools: AllowedTools | None = None
    name: str | None = None


class JsonSchema(Struct):
    name: str = "output"
    schema: Raw = ABSENT
    strict: bool | None = None
    description: str | None = None


class ResponseFormat(Struct):
    type: str = "text"
    json_schema: JsonSchema | None = None


class StreamOptions(Struct, gc=False):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(Struct):
    """The request. Fields left out here are extensions."""

    messages: list[ChatMessage]
    model: str = ""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: float | int | None = None
    max_completion_tokens: float | int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Raw = ABSENT
    logprobs: bool | None = None
    top_logprobs: int | None = None
    seed: int | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: Raw = ABSENT
    service_tier: str | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    audio: Raw = ABSENT
    tools: list[ChatTool] | None = None
    tool_choice: str | ChatToolChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: list[FunctionDef] | None = None
    function_call: str | Named | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    web_search_options: Raw = ABSENT


class CachedDetails(Struct, gc=False):
    audio_tokens: int | None = None


class PromptDetails(Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    cached_tokens_details: CachedDetails | None = None


class CompletionDetails(Struct, gc=False):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class ChatUsage(Struct, gc=False):
    """prompt_cache_hit_tokens: DeepSeek's word for cached tokens. reasoning_tokens, citation_tokens: Perplexity counts
    both beside the completion."""

    prompt_tokens: float | int | None = None
    completion_tokens: float | int | None = None
    total_tokens: float | int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    reasoning_tokens: int | None = None
    citation_tokens: int | None = None


class ChatLogprob(Struct, gc=False):
    """A token and its natural logarithm of probability; top_logprobs: what else might have stood there."""

    token: str = ""
    logprob: float | int | None = None
    top_logprobs: list[ChatLogprob] | None = None


class ChatLogprobs(Struct, gc=False):
    content: list[ChatLogprob] | None = None


class ReplyChoice(Struct):
    """One choice. `message` is missing when Azure's filter struck (§6)."""

    index: int | None = None
    message: ChatMessage | None = None
    finish_reason: str | None = None
    logprobs: Raw = ABSENT
    text: str | None = None


class Groq(Struct, gc=False):
    usage: ChatUsage | None = None


class ChatReply(Struct):
    id: str | None = None
    model: str | None = None
    created: float | int | None = None
    choices: list[ReplyChoice] | None = None
    usage: ChatUsage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    x_groq: Groq | None = None
    error: Raw = ABSENT
    citations: list[str] | None = None
