"""Ollama's native /api/chat: the request we send and the answer it gives (TRANSLATION §10)."""

from __future__ import annotations

import datetime
import time
from typing import TYPE_CHECKING, Any

import msgspec

from switchgear.errors import InvalidRequest, UpstreamProtocolError, UpstreamRejected
from switchgear.providers.finish import chat_finish
from switchgear.providers.formats.anthropic_turns import bad_arguments
from switchgear.providers.formats.openai_chat import MODEL_DEFAULT, check_choice, effort_of
from switchgear.providers.identifiers import new_id, new_tool_id
from switchgear.providers.loss import Loss, message_place, refuse, refuse_part
from switchgear.providers.media import decoded_text
from switchgear.providers.reading import as_object, given, object_text, read_reply
from switchgear.providers.schemas import EMPTY_OBJECT
from switchgear.providers.upstream_errors import read_fault
from switchgear.wire.conversation import (
    Answer,
    Choice,
    Encoded,
    Foreign,
    Media,
    Reasoning,
    Refusal,
    ReplyContext,
    Text,
    TokenUsage,
    ToolCall,
    ToolResult,
)
from switchgear.wire.ollama import OllamaReply

if TYPE_CHECKING:
    from switchgear.providers.model_traits import TargetModel
    from switchgear.wire.conversation import Conversation, Message, Part, UpstreamFault

PATH = "/api/chat"
UNASKED = ("load", "unload")
"""`done_reason` of an answer to no question: the model was loaded, or taken out of memory."""
_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(OllamaReply)
_OPTIONS = (
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("seed", "seed"),
    ("max_tokens", "num_predict"),
    ("stop", "stop"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
)
_LEVELS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


def encode_request(conversation: Conversation, target: TargetModel) -> Encoded:
    """The request for Ollama; `stream` is always said, because its default is true. Raises `InvalidRequest`."""
    loss = Loss(conversation, target.strict)
    if conversation.n is not None and conversation.n > 1:
        raise refuse(
            conversation, "n", "The provider that serves this model gives one answer per request.", "unsupported_value"
        )
    body: dict[str, Any] = {
        "model": target.model,
        "messages": _Writer(conversation, target, loss).messages(),
        "stream": conversation.stream,
    }
    _tools(conversation, body, loss)
    options = {theirs: value for name, theirs in _OPTIONS if (value := getattr(conversation, name)) is not None}
    if options:
        body["options"] = options
    output = conversation.output
    if output is not None and output.kind != "text":
        body["format"] = "json" if output.kind == "json" else output.schema
    effort = effort_of(conversation)
    if effort not in (None, MODEL_DEFAULT):
        # Only gpt-oss takes levels; everything else is on or off.
        body["think"] = False if effort == "none" else _LEVELS.get(effort, True) if "gpt-oss" in target.model else True
    _drops(conversation, loss)
    return Encoded(PATH, _encode(body), loss.names, ReplyContext())


def _tools(conversation: Conversation, body: dict[str, Any], loss: Loss) -> None:
    if conversation.server_tools:
        field = "web_search" if conversation.source == "chat" else "server_tools"
        raise refuse(conversation, field, "The provider that serves this model runs no tools of its own.")
    choice = conversation.tool_choice
    allowed = choice.allowed if choice is not None else None
    if choice is not None:
        check_choice(conversation, choice)
        if choice.mode == "tool":
            allowed = [choice.name]  # nothing forces a call, but none other can be made
        if choice.mode in ("required", "tool"):
            loss.drop("tool_choice")
    if not conversation.tools or (choice is not None and choice.mode == "none"):
        return
    body["tools"] = [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description or "",
                "parameters": tool.parameters if given(tool.parameters) else EMPTY_OBJECT,
            },
        }
        for tool in conversation.tools
        if allowed is None or tool.name in allowed
    ]
    if conversation.parallel_tool_calls is False:
        loss.drop("parallel_tool_calls")


def _drops(conversation: Conversation, loss: Loss) -> None:
    for name in ("user", "service_tier", "verbosity", "logprobs", "top_logprobs"):
        if getattr(conversation, name) is not None:
            loss.drop(name)
    for name in ("logit_bias", "metadata"):
        if given(getattr(conversation, name)):
            loss.drop(name)
    if any(word.lower() == "audio" for word in conversation.modalities or ()) or given(conversation.audio):
        raise refuse(
            conversation,
            "modalities",
            "The provider that serves this model does not answer in audio.",
            "unsupported_value",
        )
    for name in conversation.extensions or ():
        loss.drop_named(name)


class _Writer:
    """Turns as Ollama's messages: text in `content`, images as bare base64, calls with objects as arguments."""

    def __init__(self, conversation: Conversation, target: TargetModel, loss: Loss):
        self.conversation = conversation
        self.lenient = target.lenient_arguments
        self.loss = loss
        self.names: dict[str, str] = {}
        self.found: list[dict[str, Any]] = []

    def messages(self) -> list[dict[str, Any]]:
        for message in self.conversation.messages:
            if message.role == "assistant":
                self._assistant(message)
            else:
                self._other(message)
            if message.name is not None:
                self.loss.drop_named(f"{message_place(self.conversation, message.index)}.name")
        return self.found

    def _assistant(self, message: Message) -> None:
        item: dict[str, Any] = {"role": "assistant", "content": ""}
        calls = []
        for part in message.parts:
            if type(part) is Text or type(part) is Refusal:
                item["content"] += part.text
            elif type(part) is Reasoning:
                if part.text:
                    item["thinking"] = item.get("thinking", "") + part.text
            elif type(part) is ToolCall:
                arguments: Any = as_object(part.arguments)
                if arguments is None:
                    if not self.lenient:
                        raise bad_arguments(self.conversation, message, part)
                    arguments = {"arguments": part.arguments}
                self.names[part.id] = part.name
                calls.append({"id": part.id, "function": {"name": part.name, "arguments": arguments}})
            elif type(part) is Foreign:
                item["content"] += self.loss.leave_out(self.conversation, message.index, part)
        if calls:
            item["tool_calls"] = calls
        if item["content"] or calls or "thinking" in item:
            self.found.append(item)

    def _other(self, message: Message) -> None:
        role = "user" if message.role == "user" else "system"
        texts: list[str] = []
        images: list[str] = []
        for part in message.parts:
            if type(part) is Text:
                texts.append(part.text)
            elif type(part) is ToolResult:
                self._result(part, message)
            elif type(part) is Media:
                self._media(part, message, texts, images)
            elif type(part) is Foreign:
                text = self.loss.leave_out(self.conversation, message.index, part)
                texts += [text] if text else []
        if texts or images:
            item: dict[str, Any] = {"role": role, "content": "\n".join(texts)}
            if images:
                item["images"] = images
            self.found.append(item)

    def _result(self, result: ToolResult, message: Message) -> None:
        name = self.names.get(result.id)
        if name is None:
            param = f"{message_place(self.conversation, message.index)}.tool_call_id"
            raise InvalidRequest(
                f"'{param}' answers no tool call of the messages before it.", param=param, code="invalid_value"
            )
        texts, images = [result.text] if result.text else [], list[str]()
        for part in result.parts or ():
            if type(part) is Text and not result.text:
                texts.append(part.text)
            elif type(part) is Media:
                self._media(part, message, texts, images)
        text = "\n".join(texts) if texts else object_text(result.value) if given(result.value) else ""
        item: dict[str, Any] = {
            "role": "tool",
            "content": f"Error: {text}" if result.is_error else text,
            "tool_name": name,
            "tool_call_id": result.id,
        }
        if images:
            item["images"] = images
        self.found.append(item)

    def _media(self, part: Media, message: Message, texts: list[str], images: list[str]) -> None:
        if part.kind == "image" and part.data is not None:
            images.append(part.data)
        elif part.text is not None or (part.data is not None and part.media_type.startswith("text/")):
            texts.append(decoded_text(part, message_place(self.conversation, message.index)))
        else:
            why = "The provider that serves this model takes images as data URLs and text files only."
            raise refuse_part(self.conversation, message.index, part.index, why)


def decode_response(body: bytes, context: ReplyContext | None = None) -> Answer:
    """Read an answer of /api/chat or /api/generate. Raises `UpstreamRejected`, `UpstreamProtocolError`."""
    reply = read_reply(_decoder, body)
    if given(reply.error):
        raise UpstreamRejected(502, [], body)
    parts: list[Part] = []
    message = reply.message
    if message is None and reply.response is None:
        raise UpstreamProtocolError("The upstream's answer has no message.")
    thinking = message.thinking if message is not None else reply.thinking
    text = message.content if message is not None else reply.response
    if thinking:
        parts.append(Reasoning(thinking))
    if text:
        parts.append(Text(text))
    for call in (message.tool_calls if message is not None else None) or ():
        if call.function is not None:
            parts.append(ToolCall(call.id or new_tool_id(), call.function.name, object_text(call.function.arguments)))
    calls = any(type(part) is ToolCall for part in parts)
    word = reply.done_reason or ""
    choice = Choice(parts, chat_finish(word, calls), provider_finish=word)
    return Answer(new_id("chatcmpl-"), reply.model or "", _created(reply.created_at), [choice], decode_usage(reply))


def decode_usage(reply: OllamaReply) -> TokenUsage | None:
    """None where nothing was counted; a prompt that was cached whole is not counted: 0 (§10)."""
    if reply.prompt_eval_count is None and reply.eval_count is None:
        return None
    prompt, output = reply.prompt_eval_count or 0, reply.eval_count or 0
    return TokenUsage(prompt, output, prompt + output)


def _created(stamp: str | None) -> int:
    try:
        return int(datetime.datetime.fromisoformat(stamp or "").timestamp())
    except ValueError:
        return int(time.time())


def decode_error(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> UpstreamFault:
    """What an error answer says, in the one form that all formats share."""
    return read_fault(status, headers, body)
