"""Counting tokens: the shapes of the dialects' answers, and an estimate for upstreams that do not count.

The estimate is a heuristic for planning, not for billing: four UTF-8 bytes of text a token (English text measures 3.5
to 4.5 with today's tokenizers; other scripts use more bytes per character and come out near), four tokens a message
for its role and separators (OpenAI's published figure for chat), schemas and arguments as their JSON, 1,100 tokens an
image (a 1024 x 1024 one measures 765 at OpenAI, 1,290 at Gemini, 1,398 at Anthropic), and for other media one token a
kilobyte of base64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from switchgear.providers.reading import given
from switchgear.wire.conversation import Foreign, Media, Reasoning, Refusal, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from switchgear.wire.conversation import Conversation, Dialect, Part

_BYTES_PER_TOKEN = 4
_PER_MESSAGE = 4
_PER_IMAGE = 1_100
_BYTES_PER_MEDIA_TOKEN = 1_024
_URL_DOCUMENT = 3_000
_encode = msgspec.json.Encoder().encode


def estimate_tokens(conversation: Conversation) -> int:
    """Input tokens of a request, estimated as the module says; at least 1."""
    size = 0
    tokens = _PER_MESSAGE * len(conversation.messages)
    for message in conversation.messages:
        for part in message.parts:
            more, bytes_ = _part(part)
            tokens += more
            size += bytes_
    for tool in conversation.tools or ():
        size += len(tool.name) + len((tool.description or "").encode())
        if given(tool.parameters):
            size += len(memoryview(tool.parameters))
    if conversation.output is not None and given(conversation.output.schema):
        size += len(memoryview(conversation.output.schema))
    return max(tokens + -(-size // _BYTES_PER_TOKEN), 1)


def _part(part: Part) -> tuple[int, int]:
    """(tokens, bytes of text) of one part."""
    if isinstance(part, Text | Reasoning | Refusal):
        return 0, len(part.text.encode())
    if isinstance(part, ToolCall):
        return 0, len(part.name) + len(part.arguments.encode())
    if isinstance(part, ToolResult):
        tokens, size = 0, len(part.text.encode())
        if not part.text and not part.parts and given(part.value):
            size = len(memoryview(part.value))
        for inner in part.parts or ():
            if isinstance(inner, Media) or not part.text:
                more, bytes_ = _part(inner)
                tokens, size = tokens + more, size + bytes_
        return tokens, size
    if isinstance(part, Foreign):
        return 0, len(memoryview(part.payload))
    if part.kind == "image":
        return _PER_IMAGE, 0
    if part.text is not None:
        return 0, len(part.text.encode())
    if part.data is not None:
        return len(part.data) // _BYTES_PER_MEDIA_TOKEN + 1, 0
    return _URL_DOCUMENT, 0


def encode_count(dialect: Dialect, tokens: int, cached_tokens: int = 0) -> bytes:
    """A count in a dialect's shape: Anthropic's count_tokens, Gemini's countTokens, OpenAI's responses/input_tokens."""
    if dialect == "anthropic":
        return _encode({"input_tokens": tokens})
    if dialect == "gemini":
        body: dict[str, object] = {"totalTokens": tokens}
        if cached_tokens:
            body["cachedContentTokenCount"] = cached_tokens
        return _encode(body)
    return _encode({"object": "response.input_tokens", "input_tokens": tokens})


class _Counts(msgspec.Struct):
    input_tokens: int | None = None
    total_tokens: int | None = msgspec.field(default=None, name="totalTokens")


_counts = msgspec.json.Decoder(_Counts)


def decode_count(body: bytes) -> int | None:
    """The count in an Anthropic, Gemini or Responses answer; None when there is none."""
    try:
        counts = _counts.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return counts.input_tokens if counts.input_tokens is not None else counts.total_tokens


def gemini_count_body(body: bytes) -> bytes:
    """The generateContent request inside a countTokens body: `generateContentRequest`, or the body itself."""
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    inner = fields.get("generateContentRequest") or fields.get("generate_content_request")
    return bytes(inner) if inner is not None else body
