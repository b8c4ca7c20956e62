"""The pivot between wire formats: a conversation as asked for, and its answer.

Every client dialect decodes into these structs and every upstream format encodes from them, so that n dialects and m
formats need n + m codecs. The structs are a superset: whatever at least two formats can express has a field here;
what only one format knows rides along as JSON text (`extensions`, `Foreign`) and comes out again in that format only.

JSON that nobody here needs to understand (schemas, tool arguments, vendor payloads) stays undecoded: `Raw`. An empty
`Raw()` means absent, because msgspec does not allow `Raw | None`.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct, field

Dialect = Literal["chat", "responses", "anthropic", "gemini", "ollama"]
Format = Literal["openai_chat", "openai_responses", "anthropic", "gemini", "ollama"]
Role = Literal["system", "developer", "user", "assistant"]
MediaKind = Literal["image", "audio", "video", "document"]
ToolMode = Literal["auto", "none", "required", "tool"]
Finish = Literal["stop", "length", "tool_calls", "content_filter", "error"]
Effort = str  # none | minimal | low | medium | high | xhigh | max, or a newer word that goes through as it is

ABSENT = Raw(b"")


class Signature(Struct, frozen=True, gc=False):
    """A vendor's opaque proof of its own reasoning. `vendor` names whose it is: it is sent to nobody else.

    vendor: `anthropic`, `gemini`, `openai`, `openrouter`. value: as the vendor sent it.
    """

    vendor: str
    value: str


class Citation(Struct, gc=False):
    """Where a text comes from. start, end: character offsets in the whole answer text, -1 when unknown.

    payload: the citation in its vendor's own words (format named by `format`), for that vendor's clients.
    """

    url: str = ""
    title: str = ""
    start: int = -1
    end: int = -1
    cited_text: str = ""
    format: str = ""
    payload: Raw = ABSENT


class Text(Struct):
    """Text of a message. cache: Anthropic's cache_control object."""

    text: str
    citations: list[Citation] | None = None
    cache: Raw = ABSENT


class Media(Struct):
    """An image, sound, film or document: exactly one of data, url, file_id, text is set.

    data: base64. text: a plain-text document. index: place among the parts of the client's message, for error messages.
    """

    kind: MediaKind
    media_type: str = ""
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    text: str | None = None
    name: str | None = None
    detail: str | None = None
    context: str | None = None
    cites: Raw = ABSENT
    cache: Raw = ABSENT
    index: int = 0


class ToolCall(Struct):
    """The model calls a client's tool. arguments: JSON text, as far as the model got it right."""

    id: str
    name: str
    arguments: str
    signature: Signature | None = None
    cache: Raw = ABSENT


class ToolResult(Struct):
    """A client answers a tool call. text: plain result; parts: when it has more than that. name: "" when not told.

    value: the result as a JSON object, where the client sent one (Gemini's functionResponse.response).
    """

    id: str
    name: str = ""
    text: str = ""
    parts: list[Text | Media] | None = None
    value: Raw = ABSENT
    is_error: bool = False
    cache: Raw = ABSENT


class Reasoning(Struct):
    """What the model thought. text is empty when redacted, or where the signature is the turn's and no thought's.

    redacted: the signature's value is the thought itself, encrypted. id: the Responses item's.
    vendor: who thought it, "" when not told (a bare `reasoning_content`).
    """

    text: str = ""
    signature: Signature | None = None
    redacted: bool = False
    id: str = ""
    vendor: str = ""


class Refusal(Struct):
    """The model declines, in words."""

    text: str


class Foreign(Struct):
    """A block only its own format knows (server tool calls and results, executable code): kept for that format.

    text: what other formats may say in its place, "" for nothing.
    """

    format: str
    type: str
    payload: Raw
    text: str = ""


Part = Text | Media | ToolCall | ToolResult | Reasoning | Refusal | Foreign


class Message(Struct):
    """One turn. index: position in the client's list, -1 for what stood outside it (system, instructions).

    extensions: fields of a chat message that only chat upstreams know, by name.
    """

    role: Role
    parts: list[Part]
    index: int = -1
    name: str | None = None
    cache: Raw = ABSENT
    extensions: dict[str, Raw] | None = None


class Tool(Struct):
    """A client's function. parameters: JSON Schema of its arguments. extensions: fields of its own format."""

    name: str
    description: str | None = None
    parameters: Raw = ABSENT
    strict: bool | None = None
    cache: Raw = ABSENT
    extensions: dict[str, Raw] | None = None


class ServerTool(Struct):
    """A tool that the provider runs. kind: `web_search`, `code_execution`, or its own type; format: whose wording."""

    kind: str
    format: str
    payload: Raw


class ToolChoice(Struct):
    """mode `tool` forces `name`; allowed: the names the model may choose from."""

    mode: ToolMode
    name: str = ""
    allowed: list[str] | None = None


class OutputFormat(Struct):
    """Structured output. kind: `text`, `json` (any object) or `schema`."""

    kind: Literal["text", "json", "schema"]
    name: str = "output"
    schema: Raw = ABSENT
    strict: bool | None = None
    description: str | None = None


class Thinking(Struct):
    """Reasoning as asked for. effort: a level; budget: tokens. Either, both or none; `effort="none"` switches it off.

    summary: OpenAI Responses' reasoning.summary, Anthropic's display. visible: Gemini's includeThoughts.
    """

    effort: Effort | None = None
    budget: int | None = None
    adaptive: bool = False
    visible: bool | None = None
    summary: str | None = None


class Conversation(Struct):
    """A request, whoever sent it. None means: not said. max_tokens, budget in tokens.

    extensions: top-level fields by the client's own name that have no place here; they go to an upstream that speaks
    the client's format and are reported as dropped to any other.
    legacy_functions: the client used `functions`; the answer must use `function_call`.
    wants_encrypted: a Responses client asked for `reasoning.encrypted_content`.
    """

    source: Dialect
    model: str
    messages: list[Message]
    stream: bool = False
    include_usage: bool = False
    tools: list[Tool] | None = None
    server_tools: list[ServerTool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    output: OutputFormat | None = None
    thinking: Thinking | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    n: int | None = None
    stop: list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Raw = ABSENT
    logprobs: bool | None = None
    top_logprobs: int | None = None
    seed: int | None = None
    user: str | None = None
    metadata: Raw = ABSENT
    service_tier: str | None = None
    verbosity: str | None = None
    modalities: list[str] | None = None
    audio: Raw = ABSENT
    extensions: dict[str, Raw] | None = None
    legacy_functions: bool = False
    wants_encrypted: bool = False


class TokenUsage(Struct, gc=False):
    """Tokens by class. input_tokens includes cached and cache-written ones, output_tokens includes reasoning.

    None: the upstream does not count this class. total_tokens: as the upstream says, else the sum. service_tier: where
    the usage itself says what it was served as.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    cached_audio_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    image_input_tokens: int | None = None
    image_output_tokens: int | None = None
    service_tier: str | None = None


class Choice(Struct):
    """One answer of a reply. provider_finish: the upstream's own word. logprobs: in chat's form."""

    parts: list[Part]
    finish: Finish = "stop"
    index: int = 0
    provider_finish: str = ""
    stop_sequence: str | None = None
    logprobs: Raw = ABSENT


class Answer(Struct):
    """A complete reply. created: unix seconds. usage None: the upstream told nothing. extensions: chat's own."""

    id: str
    model: str
    created: int
    choices: list[Choice]
    usage: TokenUsage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    extensions: dict[str, Raw] | None = None


class ReplyContext(Struct):
    """What the decoder of the answer must know about how the request was encoded.

    json_tool: name of the tool that stands in for structured output: its input is the answer's text.
    tool_names: the upstream's name of a tool → the client's, where they differ.
    single_call: keep the first tool call only (the upstream has no such switch).
    """

    json_tool: str = ""
    tool_names: dict[str, str] = field(default_factory=dict)
    single_call: bool = False


class Encoded(Struct):
    """A request as it goes upstream: POST `body` to `path` below the provider's base URL.

    dropped: names of the client's fields that the upstream cannot express, for `x-switchgear-dropped`.
    """

    path: str
    body: bytes
    dropped: list[str]
    context: ReplyContext


class UpstreamFault(Struct):
    """An upstream's error in one form. status: what the client gets (TRANSLATION §16.2); upstream_status: what came.

    type, code: OpenAI's words. retry_after_s: None when not said. credential: the provider refuses our key.
    """

    status: int
    type: str
    message: str
    code: str | None = None
    param: str | None = None
    retry_after_s: float | None = None
    upstream_status: int = 0
    credential: bool = False
