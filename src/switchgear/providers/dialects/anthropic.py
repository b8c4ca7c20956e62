"""Anthropic Messages as clients speak it (TRANSLATION §14, §16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from switchgear.errors import InvalidRequest, NotFound
from switchgear.providers.dialects.anthropic_reply import (
    FOREIGN_INDEX,
    encode_blocks,
    encode_error,
    encode_response,
    encode_usage,
    error_type,
)
from switchgear.providers.dialects.chat import WEB_SEARCH
from switchgear.providers.media import canonical_type
from switchgear.providers.reading import given, object_text, read_request, unknown_fields
from switchgear.providers.signatures import unpack
from switchgear.wire.anthropic import Block, Format, MessagesRequest, Source, ToolParam
from switchgear.wire.conversation import (
    Citation,
    Conversation,
    Foreign,
    Media,
    Message,
    OutputFormat,
    ServerTool,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

if TYPE_CHECKING:
    from switchgear.wire.conversation import Part

__all__ = ["decode_request", "encode_blocks", "encode_error", "encode_response", "encode_usage", "error_type"]

_decoder = msgspec.json.Decoder(MessagesRequest)
_block = msgspec.json.Decoder(Block)
_blocks = msgspec.json.Decoder(list[Raw])
_tool_decoder = msgspec.json.Decoder(ToolParam)
_cited = msgspec.json.Decoder(list[Raw])
_citation_head = msgspec.json.Decoder(dict[str, Any])
_string = msgspec.json.Decoder(str)
_KNOWN = frozenset(MessagesRequest.__struct_fields__)
_TOOL_KNOWN = frozenset(ToolParam.__struct_fields__)
_TOOL_MODES = {"auto": "auto", "any": "required", "tool": "tool", "none": "none"}


def decode_request(body: bytes, model: str = "", *, need_max_tokens: bool = True) -> Conversation:
    """Read a request; count_tokens needs no max_tokens. Raises `InvalidRequest` with `param` set."""
    request = read_request(_decoder, body)
    if request.max_tokens is None and need_max_tokens:
        raise InvalidRequest("max_tokens: Field required", param="max_tokens", code="missing_required_parameter")
    if not request.messages:
        raise InvalidRequest("messages: at least one message is required", param="messages", code="empty_array")
    conversation = Conversation(source="anthropic", model=model or request.model, messages=[])
    system = request.system
    if isinstance(system, str):
        conversation.messages.append(Message("system", [Text(system)]))
    elif system:
        conversation.messages.append(Message("system", [_text(block) for block in system]))
    for index, message in enumerate(request.messages):
        conversation.messages.append(_message(message.role, message.content, index))
    if request.max_tokens is not None:
        conversation.max_tokens = int(request.max_tokens)
        if conversation.max_tokens < 0:
            raise InvalidRequest("max_tokens: must not be negative", param="max_tokens", code="integer_below_min_value")
    conversation.stream = request.stream is True
    conversation.stop = request.stop_sequences or None
    conversation.temperature, conversation.top_p, conversation.top_k = request.temperature, request.top_p, request.top_k
    if request.metadata is not None:
        conversation.user = request.metadata.user_id
    if request.tools:
        _tools(request.tools, conversation)
    if request.tool_choice is not None:
        _choice(request, conversation)
    _thinking(request, conversation)
    conversation.service_tier = request.service_tier
    conversation.extensions = unknown_fields(body, _KNOWN)
    _refuse_continued_thread(conversation)
    return conversation


def _refuse_continued_thread(conversation: Conversation) -> None:
    """A thread is kept by Anthropic's servers alone. Creating one can be left out, for nothing refers to it yet; one
    that continues lacks the messages before it, and the SDK (2.0 and later) sends them all upon this code."""
    thread = (conversation.extensions or {}).get("thread")
    kept = msgspec.json.decode(thread) if thread is not None else None
    if isinstance(kept, dict) and kept.get("type") == "continue":
        raise NotFound(
            "thread: the provider that serves this model keeps no conversations; send all messages",
            param="thread",
            code="thread_not_found",
        )


def _message(role: str, content: str | list[Raw], index: int) -> Message:
    if role not in ("user", "assistant", "system"):
        raise InvalidRequest(
            f"messages.{index}.role: Input should be 'user', 'assistant' or 'system'",
            param=f"messages[{index}].role",
            code="invalid_value",
        )
    if isinstance(content, str):
        parts: list[Part] = [Text(content)] if content else []
    else:
        parts = [_part(raw, index, position) for position, raw in enumerate(content)]
    return Message(role, parts, index)  # type: ignore[arg-type]  # just compared


def _text(block: Block) -> Text:
    made = Text(block.text or "")
    if given(block.cache_control):
        made.cache = block.cache_control
    if given(block.citations) and memoryview(block.citations)[0] == 0x5B:
        made.citations = [_citation(raw) for raw in _cited.decode(block.citations)]
    return made


def _citation(raw: Raw) -> Citation:
    fields = _citation_head.decode(raw)
    url, title = fields.get("url"), fields.get("title") or fields.get("document_title")
    cited = fields.get("cited_text")
    if fields.get("encrypted_index") == FOREIGN_INDEX:  # of another vendor's answer: Anthropic does not know it
        return Citation(url or "", title or "", cited_text=cited or "")
    return Citation(url or "", title or "", cited_text=cited or "", format="anthropic", payload=raw)


def _part(raw: Raw, index: int, position: int) -> Part:
    place = f"messages[{index}].content[{position}]"
    block = read_request(_block, raw, place)
    kind = block.type
    if kind == "text":
        return _text(block)
    if kind in ("image", "document"):
        return _media(block, place, position) or Foreign("anthropic", kind, raw)
    if kind == "tool_use":
        call = ToolCall(
            _required(block.id, f"{place}.id"), _required(block.name, f"{place}.name"), object_text(block.input)
        )
        if given(block.cache_control):
            call.cache = block.cache_control
        return call
    if kind == "tool_result":
        return _result(block, place)
    if kind == "thinking":
        return unpack(block.signature or "", "anthropic", block.thinking or "")
    if kind == "redacted_thinking":
        thought = unpack(block.data or "", "anthropic")
        thought.redacted = True
        return thought
    return Foreign("anthropic", kind, raw, _search_text(raw) if kind == "search_result" else "")


def _search_text(raw: Raw) -> str:
    """A search result in words: title, source, and its texts."""
    fields = _citation_head.decode(raw)
    content = fields.get("content")
    texts = (
        [str(item.get("text", "")) for item in content if isinstance(item, dict)] if isinstance(content, list) else []
    )
    return "\n".join(str(line) for line in (fields.get("title"), fields.get("source"), *texts) if line)


def _required(value: str | None, param: str) -> str:
    if value is None:
        raise InvalidRequest(f"{param}: Field required", param=param, code="missing_required_parameter")
    return value


def _media(block: Block, place: str, position: int) -> Media | None:
    source = block.source or Source()
    media = Media(
        "image" if block.type == "image" else "document", index=position, name=block.title, context=block.context
    )
    if source.type == "base64" and source.data is not None:
        media.media_type, media.data = canonical_type(source.media_type or ""), source.data
    elif source.type == "url" and source.url is not None:
        media.url = source.url
    elif source.type == "file" and source.file_id is not None:
        media.file_id = source.file_id
    elif source.type == "text" and source.data is not None:
        media.media_type, media.text = "text/plain", source.data
    elif source.type == "content":
        return None
    else:
        raise InvalidRequest(
            f"{place}.source: not a source that this block can have", param=f"{place}.source", code="invalid_value"
        )
    if given(block.citations):
        media.cites = block.citations
    if given(block.cache_control):
        media.cache = block.cache_control
    return media


def _result(block: Block, place: str) -> Part:
    result = ToolResult(_required(block.tool_use_id, f"{place}.tool_use_id"), is_error=block.is_error is True)
    if given(block.cache_control):
        result.cache = block.cache_control
    if not given(block.content):
        return result
    if memoryview(block.content)[0] == 0x22:
        result.text = _string.decode(block.content)
        return result
    parts: list[Text | Media] = []
    items = read_request(_blocks, block.content, f"{place}.content")
    for position, raw in enumerate(items):
        inner = read_request(_block, raw, f"{place}.content[{position}]")
        if inner.type in ("image", "document"):
            media = _media(inner, f"{place}.content[{position}]", position)
            if media is not None:
                parts.append(media)
        elif inner.type == "text":
            parts.append(_text(inner))
        else:  # search results, tool references: their JSON says what they are
            parts.append(Text(bytes(raw).decode()))
    result.parts = parts
    return result


def _tools(items: list[Raw], conversation: Conversation) -> None:
    tools: list[Tool] = []
    servers: list[ServerTool] = []
    for position, raw in enumerate(items):
        item = read_request(_tool_decoder, raw, f"tools[{position}]")
        if item.type not in (None, "custom"):
            kind = WEB_SEARCH if item.type.startswith("web_search_") else item.type
            servers.append(ServerTool(kind, "anthropic", raw))
            continue
        tool = Tool(
            _required(item.name or None, f"tools[{position}].name"), item.description, item.input_schema, item.strict
        )
        if given(item.cache_control):
            tool.cache = item.cache_control
        tool.extensions = unknown_fields(raw, _TOOL_KNOWN)
        tools.append(tool)
    if len({tool.name for tool in tools}) < len(tools):
        raise InvalidRequest("tools: Tool names must be unique.", param="tools", code="invalid_value")
    conversation.tools = tools or None
    conversation.server_tools = servers or None


def _choice(request: MessagesRequest, conversation: Conversation) -> None:
    choice = request.tool_choice
    assert choice is not None  # noqa: S101  # the caller looked
    mode = _TOOL_MODES.get(choice.type)
    if mode is None:
        raise InvalidRequest(
            "tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'",
            param="tool_choice.type",
            code="invalid_value",
        )
    conversation.tool_choice = ToolChoice(mode, choice.name or "")  # type: ignore[arg-type]  # from the table
    if choice.disable_parallel_tool_use is not None:
        conversation.parallel_tool_calls = not choice.disable_parallel_tool_use


def _thinking(request: MessagesRequest, conversation: Conversation) -> None:
    config = request.output_config
    effort = config.effort if config is not None else None
    form: Format | None = (config.format if config is not None else None) or request.output_format
    if form is not None and given(form.schema):
        conversation.output = OutputFormat("schema", schema=form.schema, strict=True)
    thinking = request.thinking
    if thinking is None:
        if effort is not None:
            conversation.thinking = Thinking(effort=effort)
        return
    if thinking.type == "disabled":
        conversation.thinking = Thinking(effort="none")
    elif thinking.type == "enabled":
        conversation.thinking = Thinking(effort, thinking.budget_tokens, summary=thinking.display)
    else:
        conversation.thinking = Thinking(effort, adaptive=True, summary=thinking.display)
