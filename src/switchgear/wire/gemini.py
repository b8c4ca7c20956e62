"""Google Gemini generateContent on the wire, both directions (TRANSLATION §1-§6, §9)."""

from __future__ import annotations

from msgspec import Raw, Struct

from switchgear.wire.conversation import ABSENT


class Blob(Struct, rename="camel", gc=False):
    mime_type: str | None = None
    data: str = ""
    display_name: str | None = None


class FileData(Struct, rename="camel", gc=False):
    file_uri: str = ""
    mime_type: str | None = None


class GeminiCall(Struct, rename="camel"):
    name: str = ""
    id: str | None = None
    args: Raw = ABSENT


class ResponsePart(Struct, rename="camel"):
    inline_data: Blob | None = None
    file_data: FileData | None = None


class GeminiResult(Struct, rename="camel"):
    name: str = ""
    id: str | None = None
    response: Raw = ABSENT
    parts: list[ResponsePart] | None = None


class GeminiPart(Struct, rename="camel"):
    """Any part; the field that is set says which. The rest (executableCode, toolCall, …) is kept undecoded."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: GeminiCall | None = None
    function_response: GeminiResult | None = None
    executable_code: Raw = ABSENT
    code_execution_result: Raw = ABSENT
    tool_call: Raw = ABSENT
    tool_response: Raw = ABSENT


class Content(Struct, rename="camel"):
    role: str | None = None
    parts: list[GeminiPart] | None = None


class Declaration(Struct, rename="camel"):
    name: str
    description: str | None = None
    parameters: Raw = ABSENT
    parameters_json_schema: Raw = ABSENT
    response: Raw = ABSENT
    behavior: str | None = None


class GeminiTool(Struct, rename="camel"):
    function_declarations: list[Declaration] | None = None
    google_search: Raw = ABSENT
    google_search_retrieval: Raw = ABSENT
    code_execution: Raw = ABSENT
    url_context: Raw = ABSENT


class CallingConfig(Struct, rename="camel"):
    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(Struct, rename="camel"):
    function_calling_config: CallingConfig | None = None


class ThinkingConfig(Struct, rename="camel", gc=False):
    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class GenerationConfig(Struct, rename="camel"):
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | int | None = None
    candidate_count: int | None = None
    max_output_tokens: int | None = None
    stop_sequences: list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    response_mime_type: str | None = None
    response_schema: Raw = ABSENT
    response_json_schema: Raw = ABSENT
    response_modalities: list[str] | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    thinking_config: ThinkingConfig | None = None


class GenerateRequest(Struct, rename="camel"):
    contents: list[Content] | Content | str
    system_instruction: Content | str | None = None
    generation_config: Raw = ABSENT
    tools: list[Raw] | None = None
    tool_config: Raw = ABSENT


class ModalityCount(Struct, rename="camel", gc=False):
    modality: str | int | None = None
    token_count: int | None = None


class UsageMetadata(Struct, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[ModalityCount] | None = None
    cache_tokens_details: list[ModalityCount] | None = None
    candidates_tokens_details: list[ModalityCount] | None = None
    service_tier: str | None = None


class PromptFeedback(Struct, rename="camel", gc=False):
    block_reason: str | int | None = None
    block_reason_message: str | None = None


class WebChunk(Struct, gc=False):
    uri: str | None = None
    title: str | None = None


class GroundingChunk(Struct):
    web: WebChunk | None = None


class Segment(Struct, rename="camel", gc=False):
    start_index: int | None = None
    end_index: int | None = None
    text: str | None = None


class GroundingSupport(Struct, rename="camel"):
    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class Grounding(Struct, rename="camel"):
    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[GroundingSupport] | None = None


class TokenCandidate(Struct, rename="camel", gc=False):
    token: str = ""
    log_probability: float = 0.0


class TopCandidates(Struct):
    candidates: list[TokenCandidate] | None = None


class LogprobsResult(Struct, rename="camel"):
    chosen_candidates: list[TokenCandidate] | None = None
    top_candidates: list[TopCandidates] | None = None


class Candidate(Struct, rename="camel"):
    content: Content | None = None
    finish_reason: str | int | None = None
    finish_message: str | None = None
    index: int | None = None
    grounding_metadata: Grounding | None = None
    logprobs_result: LogprobsResult | None = None


class GenerateReply(Struct, rename="camel"):
    candidates: list[Candidate] | None = None
    usage_metadata: UsageMetadata | None = None
    prompt_feedback: PromptFeedback | None = None
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None
    error: Raw = ABSENT
