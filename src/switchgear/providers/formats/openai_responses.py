"""OpenAI Responses as the upstream takes and sends it: stateless, all turns in `input` (TRANSLATION §15)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from switchgear.providers.dialects.chat import WEB_SEARCH
from switchgear.providers.dialects.responses import ENCRYPTED, LOGPROBS
from switchgear.providers.formats.openai_chat import SHARED_WITH_RESPONSES, check_choice, effort_of
from switchgear.providers.formats.openai_responses_reply import (
    decode_error,
    decode_items,
    decode_response,
    decode_usage,
)
from switchgear.providers.identifiers import fit_tool_name, new_id, short_tool_id
from switchgear.providers.loss import Loss, message_place, refuse, refuse_part
from switchgear.providers.media import data_url
from switchgear.providers.reading import given, plain
from switchgear.wire.conversation import (
    Encoded,
    Foreign,
    Media,
    Reasoning,
    Refusal,
    ReplyContext,
    Text,
    ToolCall,
    ToolResult,
)
from switchgear.wire.responses import Item, ItemHead, ResponsesReply

if TYPE_CHECKING:
    from switchgear.providers.model_traits import TargetModel
    from switchgear.wire.conversation import Conversation, Message


__all__ = ["decode_error", "decode_items", "decode_response", "decode_usage", "encode_request"]

PATH = "/responses"
MIN_OUTPUT = 16
_USER_LENGTH = 64
_CALL_ID_LENGTH = 64
_EMPTY = {"type": "object", "properties": {}}
_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(ResponsesReply)
_head = msgspec.json.Decoder(ItemHead)
_item = msgspec.json.Decoder(Item)


def encode_request(conversation: Conversation, target: TargetModel) -> Encoded:
    """The request for a Responses upstream. Raises `InvalidRequest` for what must not be dropped."""
    loss = Loss(conversation, target.strict)
    own = conversation.source == "responses"
    context = ReplyContext()
    body: dict[str, Any] = {"model": target.model}
    writer = _ItemWriter(conversation, loss)
    body["input"] = writer.items()
    if writer.instructions:
        body["instructions"] = "\n".join(writer.instructions)
    if conversation.n is not None and conversation.n > 1:
        raise refuse(
            conversation, "n", "The provider that serves this model gives one answer per request.", "unsupported_value"
        )
    if any(word.lower() == "audio" for word in conversation.modalities or ()) or given(conversation.audio):
        raise refuse(
            conversation,
            "modalities",
            "The provider that serves this model does not answer in audio.",
            "unsupported_value",
        )
    _tools(conversation, body, context, loss)
    _options(conversation, body, loss)
    include = []
    if conversation.logprobs:
        include.append(LOGPROBS)
        if conversation.top_logprobs is not None:
            body["top_logprobs"] = conversation.top_logprobs
    if conversation.wants_encrypted:
        include.append(ENCRYPTED)
    if not own:
        # Nothing is stored for a client that could not refer to it; so the thoughts must come along.
        body["store"] = False
        include.append(ENCRYPTED)
    _extensions(conversation, body, include, loss)
    if include:
        body["include"] = include
    if conversation.stream:
        body["stream"] = True
    return Encoded(PATH, _encode(body), loss.names, context)


def _extensions(conversation: Conversation, body: dict[str, Any], include: list[str], loss: Loss) -> None:
    for name, value in (conversation.extensions or {}).items():
        if name == "include" and conversation.source == "responses":
            include += plain(value)
        elif conversation.source == "responses" or (conversation.source == "chat" and name in SHARED_WITH_RESPONSES):
            body[name] = value
        else:
            loss.drop_named(name)


def _options(conversation: Conversation, body: dict[str, Any], loss: Loss) -> None:
    if conversation.max_tokens is not None:
        body["max_output_tokens"] = max(conversation.max_tokens, MIN_OUTPUT)
    for name in ("temperature", "top_p", "service_tier"):
        value = getattr(conversation, name)
        if value is not None:
            body[name] = "default" if value == "standard_only" else value
    if conversation.user is not None:
        user = conversation.user
        body["user"] = user if len(user) <= _USER_LENGTH else hashlib.sha256(user.encode()).hexdigest()
    if given(conversation.metadata):
        body["metadata"] = conversation.metadata
    text: dict[str, Any] = {}
    output = conversation.output
    if output is not None:
        text["format"] = {"type": "text"} if output.kind == "text" else {"type": "json_object"}
        if output.kind == "schema":
            text["format"] = {"type": "json_schema", "name": output.name, "schema": output.schema}
            if output.strict is not None:
                text["format"]["strict"] = output.strict
            if output.description is not None:
                text["format"]["description"] = output.description
    if conversation.verbosity is not None:
        text["verbosity"] = conversation.verbosity
    if text:
        body["text"] = text
    thinking = conversation.thinking
    if thinking is not None:
        reasoning: dict[str, Any] = {}
        effort = effort_of(conversation)
        if effort is not None:
            reasoning["effort"] = effort
        if conversation.source == "responses":
            if thinking.summary is not None:
                reasoning["summary"] = thinking.summary
        elif effort not in (None, "none"):
            reasoning["summary"] = "auto"
        if reasoning:
            body["reasoning"] = reasoning
    for name in ("stop", "presence_penalty", "frequency_penalty", "seed", "top_k"):
        if getattr(conversation, name) is not None:
            loss.drop(name)
    if given(conversation.logit_bias):
        loss.drop("logit_bias")


def _tools(conversation: Conversation, body: dict[str, Any], context: ReplyContext, loss: Loss) -> None:
    own = conversation.source == "responses"
    found: list[Any] = []
    for tool in conversation.tools or ():
        name = fit_tool_name(tool.name, gemini=False) if conversation.source == "gemini" else tool.name
        if name != tool.name:
            context.tool_names[name] = tool.name
        item: dict[str, Any] = {"type": "function", "name": name}
        if tool.description is not None:
            item["description"] = tool.description
        item["parameters"] = tool.parameters if given(tool.parameters) else _EMPTY
        if tool.strict is not None:
            item["strict"] = tool.strict
        elif not own:
            item["strict"] = False  # the default here is true, everywhere else it is false
        for field, value in (tool.extensions or {}).items():
            if own:
                item[field] = value
            else:
                loss.drop_named(f"tools.{field}")
        found.append(item)
    for server in conversation.server_tools or ():
        if server.format == "responses":
            found.append(server.payload)
        elif server.kind == WEB_SEARCH:
            found.append({"type": "web_search"})
        else:
            raise refuse(conversation, "server_tools", f"Tools of type '{server.kind}' need a provider that runs them.")
    if found:
        body["tools"] = found
    choice = conversation.tool_choice
    if choice is not None and (found or choice.mode in ("required", "tool")):
        check_choice(conversation, choice)
        if choice.mode == "tool":
            body["tool_choice"] = {"type": "function", "name": choice.name}
        elif choice.allowed is not None:
            tools = [{"type": "function", "name": name} for name in choice.allowed]
            body["tool_choice"] = {"type": "allowed_tools", "mode": choice.mode, "tools": tools}
        else:
            body["tool_choice"] = choice.mode
    if conversation.parallel_tool_calls is not None and (found or own):
        body["parallel_tool_calls"] = conversation.parallel_tool_calls


class _ItemWriter:
    """Turns the pivot's turns into input items, in order."""

    def __init__(self, conversation: Conversation, loss: Loss):
        self.conversation = conversation
        self.own = conversation.source == "responses"
        self.loss = loss
        self.instructions: list[str] = []
        self.found: list[Any] = []

    def items(self) -> list[Any]:
        for message in self.conversation.messages:
            if message.name is not None:
                self.loss.drop_named(f"{message_place(self.conversation, message.index)}.name")
            if message.role == "assistant":
                self._assistant(message)
            elif message.role != "user" and message.index < 0:
                self.instructions += [part.text for part in message.parts if type(part) is Text]
            else:
                self._input(message)
        return self.found

    def _input(self, message: Message) -> None:
        content: list[dict[str, Any]] = []
        for part in message.parts:
            if type(part) is ToolResult:
                self._result(part, message)
            elif type(part) is Text:
                content.append({"type": "input_text", "text": part.text})
            elif type(part) is Media:
                content.append(self._media(part, message))
            elif type(part) is Foreign:
                if part.format == "responses":
                    self.found.append(part.payload)
                else:
                    text = self.loss.leave_out(self.conversation, message.index, part)
                    content += [{"type": "input_text", "text": text}] if text else []
        if not content:
            return
        only_text = len(content) == 1 and content[0]["type"] == "input_text"
        self.found.append({"role": message.role, "content": content[0]["text"] if only_text else content})

    def _assistant(self, message: Message) -> None:
        content: list[dict[str, Any]] = []

        def close() -> None:
            if content:
                self.found.append({"type": "message", "role": "assistant", "content": list(content)})
                content.clear()

        for part in message.parts:
            if type(part) is Text:
                if part.text:
                    content.append({"type": "output_text", "text": part.text, "annotations": []})
            elif type(part) is Refusal:
                content.append({"type": "refusal", "refusal": part.text})
            elif type(part) is ToolCall:
                close()
                name = fit_tool_name(part.name, gemini=False) if self.conversation.source == "gemini" else part.name
                call = {
                    "type": "function_call",
                    "call_id": short_tool_id(part.id, _CALL_ID_LENGTH),
                    "name": name,
                    "arguments": part.arguments,
                }
                self.found.append(call)
            elif type(part) is Reasoning:
                close()
                self._thought(part)
            elif type(part) is Foreign and part.format == "responses":
                close()
                self.found.append(part.payload)
            elif type(part) is Foreign:
                text = self.loss.leave_out(self.conversation, message.index, part)
                content += [{"type": "output_text", "text": text, "annotations": []}] if text else []
            elif type(part) is Media:
                raise refuse_part(
                    self.conversation,
                    message.index,
                    part.index,
                    "An assistant message cannot hold media for this provider.",
                )
        close()
        for name in message.extensions or ():
            if name not in ("reasoning_details", "prefix"):
                self.loss.drop_named(f"{message_place(self.conversation, message.index)}.{name}")

    def _thought(self, part: Reasoning) -> None:
        """OpenAI's own thoughts go back; others' cannot be verified there."""
        signature = part.signature
        ours = signature is not None and signature.vendor == "openai"
        if not ours and not (self.own and part.id and signature is None):
            return
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        item: dict[str, Any] = {"type": "reasoning", "id": part.id or new_id("rs_"), "summary": summary}
        if signature is not None:
            item["encrypted_content"] = signature.value
        self.found.append(item)

    def _result(self, result: ToolResult, message: Message) -> None:
        output: Any = result.text
        if result.parts and not result.text:
            if any(type(part) is Media for part in result.parts):
                output = [
                    {"type": "input_text", "text": part.text} if type(part) is Text else self._media(part, message)  # type: ignore[arg-type]  # the other half of the union
                    for part in result.parts
                ]
            else:
                output = "".join(part.text for part in result.parts if type(part) is Text)
        elif not result.text and given(result.value):
            output = bytes(result.value).decode()
        if result.is_error and isinstance(output, str):
            output = f"Error: {output}"
        self.found.append(
            {"type": "function_call_output", "call_id": short_tool_id(result.id, _CALL_ID_LENGTH), "output": output}
        )

    def _media(self, part: Media, message: Message) -> dict[str, Any]:
        foreign_file = part.file_id is not None and self.conversation.source not in ("chat", "responses")
        if part.kind == "image" and not foreign_file:
            item: dict[str, Any] = {"type": "input_image"}
            if part.file_id is not None:
                item["file_id"] = part.file_id
            else:
                item["image_url"] = part.url or data_url(part)
            item["detail"] = part.detail or "auto"
            return item
        if part.kind == "audio" and part.data is not None:
            return {
                "type": "input_audio",
                "input_audio": {"data": part.data, "format": part.media_type.partition("/")[2]},
            }
        if part.kind == "document" and not foreign_file:
            if part.text is not None:
                return {"type": "input_text", "text": part.text}
            if part.url is not None:
                return {"type": "input_file", "file_url": part.url}
            if part.file_id is not None:
                return {"type": "input_file", "file_id": part.file_id}
            return {"type": "input_file", "filename": part.name or "document.pdf", "file_data": data_url(part)}
        why = f"Content of type '{part.media_type or part.kind}' cannot be passed on to this provider."
        raise refuse_part(self.conversation, message.index, part.index, why)
