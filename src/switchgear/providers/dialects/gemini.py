"""Gemini generateContent as clients speak it (TRANSLATION §1-§6, §16).

Field names come in camelCase or, as protobuf's JSON allows, in snake_case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from switchgear.errors import InvalidRequest
from switchgear.providers.dialects.chat import WEB_SEARCH
from switchgear.providers.dialects.gemini_names import camelised
from switchgear.providers.dialects.gemini_reply import (
    encode_error,
    encode_parts,
    encode_response,
    encode_usage,
    error_status,
)
from switchgear.providers.media import canonical_type, kind_of
from switchgear.providers.reading import given, object_text, plain, read_request, unknown_fields
from switchgear.providers.signatures import unpack
from switchgear.wire.conversation import (
    Conversation,
    Foreign,
    Media,
    Message,
    OutputFormat,
    Reasoning,
    ServerTool,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from switchgear.wire.gemini import (
    Blob,
    Content,
    FileData,
    GeminiPart,
    GeminiTool,
    GenerateRequest,
    GenerationConfig,
    ToolConfig,
)

if TYPE_CHECKING:
    from switchgear.wire.conversation import MediaKind, Part


__all__ = ["decode_request", "encode_error", "encode_parts", "encode_response", "encode_usage", "error_status"]

_decoder = msgspec.json.Decoder(GenerateRequest)
_config = msgspec.json.Decoder(GenerationConfig)
_tool = msgspec.json.Decoder(GeminiTool)
_tool_config = msgspec.json.Decoder(ToolConfig)
_members = msgspec.json.Decoder(dict[str, Raw])
_encode = msgspec.json.Encoder().encode
_KNOWN = frozenset(GenerateRequest.__struct_encode_fields__) | {"model"}
_CONFIG_KNOWN = frozenset(GenerationConfig.__struct_encode_fields__)
_MODES = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto", "MODE_UNSPECIFIED": "auto"}
_OPAQUE = ("executable_code", "code_execution_result", "tool_call", "tool_response")
# Server tools of Gemini's own, by the name of their member in a tool.
_SERVER = {
    "googleSearch": WEB_SEARCH,
    "googleSearchRetrieval": WEB_SEARCH,
    "codeExecution": "code_execution",
    "urlContext": "url_context",
}


def decode_request(body: bytes, model: str = "", *, stream: bool = False) -> Conversation:
    """Read a request; model and streaming stand in its address. Raises `InvalidRequest` with `param` set."""
    body = camelised(body)
    request = read_request(_decoder, body)
    conversation = Conversation(source="gemini", model=model, messages=[], stream=stream)
    system = request.system_instruction
    if system is not None:
        parts: list[Part] = (
            [Text(system)] if isinstance(system, str) else [Text(part.text or "") for part in system.parts or ()]
        )
        conversation.messages.append(Message("system", parts))
    contents = request.contents
    if isinstance(contents, str):
        contents = [Content(parts=[GeminiPart(text=contents)])]
    elif isinstance(contents, Content):
        contents = [contents]
    if not contents:
        raise InvalidRequest("contents is not specified", param="contents", code="empty_array")
    reader = _Reader()
    conversation.messages += [reader.message(content, index) for index, content in enumerate(contents)]
    if given(request.generation_config):
        _generation(request.generation_config, conversation)
    if request.tools:
        _tools(request.tools, conversation)
    if given(request.tool_config):
        _choice(request.tool_config, conversation)
    extra = unknown_fields(body, _KNOWN)
    if extra:
        conversation.extensions = {**(conversation.extensions or {}), **extra}
    return conversation


class _Reader:
    """Reads turns, giving ids to calls that came without: results are matched by id, else by name and order."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, str]] = []
        self.count = 0

    def message(self, content: Content, index: int) -> Message:
        role = content.role or "user"
        if role not in ("user", "model", "function", "tool"):
            raise InvalidRequest(
                "Please use a valid role: user, model.", param=f"contents[{index}].role", code="invalid_value"
            )
        parts: list[Part] = []
        for position, part in enumerate(content.parts or ()):
            self._part(part, index, position, parts)
        return Message("assistant" if role == "model" else "user", parts, index)

    def _part(self, part: GeminiPart, index: int, position: int, parts: list[Part]) -> None:
        token = part.thought_signature
        if part.function_call is not None:
            call = part.function_call
            made = ToolCall(call.id or self._id(call.name), call.name, object_text(call.args))
            self.waiting.append((made.id, made.name))
            if token:
                thought = unpack(token, "gemini")
                if thought.vendor == "gemini":
                    made.signature = thought.signature
                else:
                    parts.append(thought)
            parts.append(made)
        elif part.function_response is not None:
            parts.append(self._result(part, index, position))
        elif part.thought:
            thought = unpack(token or "", "gemini", part.text or "")
            if not token:
                thought.vendor = "gemini"
            elif thought.vendor == "anthropic" and not thought.redacted:
                thought.text = _said_before(parts) + thought.text
            parts.append(thought)
        elif part.text is not None:
            if part.text or not token:
                parts.append(Text(part.text))
            if token:
                parts.append(unpack(token, "gemini"))
        elif part.inline_data is not None or part.file_data is not None:
            parts.append(media_of(part.inline_data, part.file_data, position))
        else:
            for name in _OPAQUE:
                raw = getattr(part, name)
                if given(raw):
                    parts.append(Foreign("gemini", msgspec_camel(name), _wrapped(msgspec_camel(name), raw, token)))

    def _id(self, name: str) -> str:
        self.count += 1
        return f"call_{self.count}_{name}"

    def _result(self, part: GeminiPart, index: int, position: int) -> ToolResult:
        answer = part.function_response
        assert answer is not None  # noqa: S101  # the caller looked
        result_id = answer.id or next((i for i, name in self.waiting if name == answer.name), None)
        if result_id is None:
            raise InvalidRequest(
                "Please ensure that function response turn comes immediately after a function call turn.",
                param=f"contents[{index}].parts[{position}].functionResponse",
                code="invalid_value",
            )
        self.waiting = [pair for pair in self.waiting if pair[0] != result_id]
        result = ToolResult(result_id, answer.name, value=answer.response)
        text, result.is_error = _result_text(answer.response)
        result.text = text
        media = [media_of(inner.inline_data, inner.file_data, position) for inner in answer.parts or ()]
        if media:
            result.parts = [Text(text), *media]
            result.text = ""
        return result


def _said_before(parts: list[Part]) -> str:
    """The text of the thoughts without signature at the end, taken from `parts`: a stream tells a thought in pieces and
    its signature, which is of the whole, behind the last."""
    pieces: list[str] = []
    while parts and type(last := parts[-1]) is Reasoning and last.signature is None:
        pieces.append(last.text)
        parts.pop()
    return "".join(reversed(pieces))


def msgspec_camel(name: str) -> str:
    """`executable_code` → `executableCode`."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _wrapped(name: str, raw: Raw, token: str | None) -> Raw:
    found: dict[str, Any] = {name: raw}
    if token:
        found["thoughtSignature"] = token
    return Raw(_encode(found))


def _result_text(response: Raw) -> tuple[str, bool]:
    """A result object as text: the documented single keys are looked into; (text, is it an error)."""
    if not given(response):
        return "", False
    fields = _members.decode(response)
    if len(fields) == 1:
        (key, value), *_ = fields.items()
        if key in ("output", "result", "content", "error"):
            inner = plain(value)
            return inner if isinstance(inner, str) else bytes(value).decode(), key == "error"
    return bytes(response).decode() if fields else "", False


def media_of(blob: Blob | None, file: FileData | None, position: int) -> Media:
    """A part with bytes or with a file's address. Files of Google's own become file ids."""
    if blob is not None:
        media_type = canonical_type(blob.mime_type or "application/octet-stream")
        data = blob.data
        if "-" in data or "_" in data:  # the SDK writes base64url
            data = data.replace("-", "+").replace("_", "/")
        return Media(
            kind_of(media_type), media_type, data + "=" * (-len(data) % 4), name=blob.display_name, index=position
        )
    assert file is not None  # noqa: S101  # the caller looked
    media_type = file.mime_type or ""
    kind: MediaKind = kind_of(media_type) if media_type else "document"
    if file.file_uri.startswith("gs://") or "generativelanguage.googleapis.com" in file.file_uri:
        return Media(kind, media_type, file_id=file.file_uri, index=position)
    return Media(kind, media_type, url=file.file_uri, index=position)


def _generation(raw: Raw, conversation: Conversation) -> None:
    config = read_request(_config, raw, "generationConfig")
    conversation.temperature, conversation.top_p = config.temperature, config.top_p
    conversation.top_k = int(config.top_k) if config.top_k is not None else None
    conversation.n, conversation.max_tokens = config.candidate_count, config.max_output_tokens
    conversation.stop = config.stop_sequences or None
    conversation.presence_penalty, conversation.frequency_penalty = config.presence_penalty, config.frequency_penalty
    conversation.seed = config.seed
    conversation.logprobs, conversation.top_logprobs = config.response_logprobs, config.logprobs
    wanted = [word for word in config.response_modalities or () if word.upper() != "MODALITY_UNSPECIFIED"]
    if wanted and [word.upper() for word in wanted] != ["TEXT"]:
        conversation.modalities = [word.lower() for word in wanted]
    thinking = config.thinking_config
    if thinking is not None:
        level = thinking.thinking_level
        conversation.thinking = Thinking(
            level.lower() if level else None, thinking.thinking_budget, visible=thinking.include_thoughts
        )
    if given(config.response_json_schema):
        conversation.output = OutputFormat("schema", schema=config.response_json_schema)
    elif given(config.response_schema):
        conversation.output = OutputFormat("schema", schema=_json_schema(config.response_schema))
    elif config.response_mime_type == "application/json":
        conversation.output = OutputFormat("json")
    extra = unknown_fields(raw, _CONFIG_KNOWN)
    if extra:
        conversation.extensions = {f"generationConfig.{name}": value for name, value in extra.items()}


def _json_schema(raw: Raw) -> Raw:
    """JSON Schema of an OpenAPI-like one: type names in lower case, `nullable` as a union."""
    return Raw(_encode(_lowered(plain(raw))))


def _lowered(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_lowered(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "type" and isinstance(value, str):
            found[key] = value.lower()
        elif key == "properties" and isinstance(value, dict):
            found[key] = {name: _lowered(inner) for name, inner in value.items()}
        elif key in ("items", "anyOf", "allOf", "oneOf", "prefixItems", "additionalProperties", "$defs"):
            found[key] = {n: _lowered(v) for n, v in value.items()} if key == "$defs" else _lowered(value)
        elif key not in ("nullable", "propertyOrdering"):
            found[key] = value
    if schema.get("nullable") is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    return found


def _tools(items: list[Raw], conversation: Conversation) -> None:
    tools: list[Tool] = []
    servers: list[ServerTool] = []
    for position, raw in enumerate(items):
        item = read_request(_tool, raw, f"tools[{position}]")
        for declared in item.function_declarations or ():
            schema = declared.parameters_json_schema
            if not given(schema) and given(declared.parameters):
                schema = _json_schema(declared.parameters)
            tools.append(Tool(declared.name, declared.description, schema))
        for name, value in _members.decode(raw).items():
            if name != "functionDeclarations":
                servers.append(ServerTool(_SERVER.get(name, name), "gemini", Raw(_encode({name: value}))))
    if len({tool.name for tool in tools}) < len(tools):
        raise InvalidRequest("Duplicate function declaration found.", param="tools", code="invalid_value")
    conversation.tools = tools or None
    conversation.server_tools = servers or None


def _choice(raw: Raw, conversation: Conversation) -> None:
    config = read_request(_tool_config, raw, "toolConfig").function_calling_config
    extra = unknown_fields(raw, frozenset({"functionCallingConfig"}))
    if extra:
        conversation.extensions = {
            **(conversation.extensions or {}),
            **{f"toolConfig.{n}": v for n, v in extra.items()},
        }
    if config is None or config.mode is None:
        return
    mode = _MODES.get(config.mode.upper())
    if mode is None:
        param = "toolConfig.functionCallingConfig.mode"
        raise InvalidRequest(f"Invalid value at '{param}'", param=param, code="invalid_value")
    allowed = config.allowed_function_names
    if mode == "required" and allowed and len(allowed) == 1:
        conversation.tool_choice = ToolChoice("tool", allowed[0])
    else:
        conversation.tool_choice = ToolChoice(mode, allowed=allowed or None)  # type: ignore[arg-type]  # from the table
