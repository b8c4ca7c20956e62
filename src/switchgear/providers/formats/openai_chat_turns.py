"""The turns of a conversation as chat messages (TRANSLATION §2, §14.1).

Tool results come out as messages of their own, before the rest of their turn; what a tool message cannot hold follows
in a user message. Reasoning goes back only where the upstream takes it, and only what it can verify.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from switchgear.providers.identifiers import new_tool_id
from switchgear.providers.loss import Loss, message_place, refuse, refuse_part
from switchgear.providers.media import data_url
from switchgear.providers.reading import given
from switchgear.providers.signatures import pack
from switchgear.wire.conversation import (
    ABSENT,
    Foreign,
    Media,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from switchgear.providers.model_traits import TargetModel
    from switchgear.wire.conversation import Conversation, Message, Part


class MessageWriter:
    """Turns the pivot's turns into chat messages: tool results come first, as messages of their own."""

    def __init__(self, conversation: Conversation, target: TargetModel, loss: Loss, tool_id: Callable[[str], str]):
        self.conversation = conversation
        self.loss = loss
        self.tool_id = tool_id
        self.own = conversation.source == "chat"
        self.quirks = target.quirks
        self.caches = self.own or "takes_cache_control" in target.quirks
        self.system_role = target.traits.system_role
        self.found: list[dict[str, Any]] = []

    def messages(self) -> list[dict[str, Any]]:
        """The conversation's messages as the API takes them. Raises InvalidRequest for what it cannot take."""
        for message in self.conversation.messages:
            if message.role == "assistant":
                self._assistant(message)
            elif message.role == "user":
                self._user(message)
            else:
                role = message.role if self.own else self.system_role
                if "forbids_unknown" in self.quirks:
                    role = "system"
                self._add({"role": role, "content": self._content(message, message.parts)}, message)
        return self.found

    def _add(self, item: dict[str, Any], message: Message) -> None:
        if message.name is not None:
            if "no_names" in self.quirks:
                self.loss.drop_named(f"{message_place(self.conversation, message.index)}.name")
            else:
                item["name"] = message.name
        if given(message.cache) and self.caches:
            item["cache_control"] = message.cache
        self.found.append(item)

    def _user(self, message: Message) -> None:
        parts = message.parts
        if len(parts) == 1 and type(parts[0]) is Text:
            self._add({"role": "user", "content": self._content(message, parts)}, message)
            return
        rest: list[Part] = []
        pictures: list[Part] = []
        for part in parts:
            if type(part) is ToolResult:
                pictures += self._result(message, part)
            else:
                rest.append(part)
        rest = pictures + rest
        if rest or not parts:
            self._add({"role": "user", "content": self._content(message, rest)}, message)

    def _result(self, message: Message, result: ToolResult) -> list[Part]:
        """Write a tool message; what it cannot hold comes back, to follow in a user message."""
        text, pictures = result.text, [part for part in result.parts or () if type(part) is Media]
        if not text and result.parts:
            text = "".join(part.text for part in result.parts if type(part) is Text)
        if not text and given(result.value):
            text = bytes(result.value).decode()
        if result.is_error:
            text = f"Error: {text}"
        if not result.id:
            raise refuse(
                self.conversation, "messages", "A tool result does not say which call it answers.", "invalid_value"
            )
        item: dict[str, Any] = {"role": "tool", "tool_call_id": self.tool_id(result.id), "content": text}
        if result.parts and self.own and not pictures:
            item["content"] = self._content(message, list(result.parts))
        if result.name and self.own:
            item["name"] = result.name
        self.found.append(item)
        return list(pictures)

    def _content(self, message: Message, parts: list[Part]) -> str | list[dict[str, Any]]:
        if not parts:
            return ""
        if len(parts) == 1 or message.role in ("system", "developer"):
            texts = [part for part in parts if type(part) is Text]
            if len(texts) == len(parts) and not (self.caches and any(given(text.cache) for text in texts)):
                return texts[0].text if len(texts) == 1 else "\n".join(text.text for text in texts)
        found = []
        for part in parts:
            item = self._part(message, part)
            if item is not None:
                found.append(item)
        return found

    def _part(self, message: Message, part: Part) -> dict[str, Any] | None:
        if type(part) is Text:
            item: dict[str, Any] = {"type": "text", "text": part.text}
        elif type(part) is Media:
            item = self._media(message, part)
        elif type(part) is Refusal:
            item = {"type": "refusal", "refusal": part.text}
        else:
            text = self.loss.leave_out(self.conversation, message.index, part) if type(part) is Foreign else ""
            return {"type": "text", "text": text} if text else None
        cache = getattr(part, "cache", ABSENT)
        if self.caches and given(cache):
            item["cache_control"] = cache
        return item

    def _media(self, message: Message, part: Media) -> dict[str, Any]:
        if part.kind == "image":
            if part.file_id is not None:
                raise refuse_part(
                    self.conversation,
                    message.index,
                    part.index,
                    "An uploaded image cannot be passed on to this provider.",
                )
            image: dict[str, Any] = {"url": part.url or data_url(part)}
            if part.detail is not None:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        if part.kind == "audio" and part.data is not None:
            return {
                "type": "input_audio",
                "input_audio": {"data": part.data, "format": part.media_type.partition("/")[2]},
            }
        if part.kind == "document":
            return self._document(message, part)
        raise refuse_part(
            self.conversation,
            message.index,
            part.index,
            f"Content of type '{part.media_type or part.kind}' cannot be passed on to this provider.",
        )

    def _document(self, message: Message, part: Media) -> dict[str, Any]:
        if part.text is not None:
            return {"type": "text", "text": part.text}
        if part.file_id is not None and self.conversation.source in ("chat", "responses"):
            file: dict[str, Any] = {"file_id": part.file_id}
        elif part.data is not None:
            suffix = part.media_type.partition("/")[2] or "pdf"
            file = {
                "filename": part.name or f"document.{'txt' if suffix == 'plain' else suffix}",
                "file_data": data_url(part),
            }
            if part.name is None and self.own:
                del file["filename"]
        elif part.url is not None and self.own:
            if "forbids_unknown" in self.quirks:
                return {"type": "document_url", "document_url": part.url}
            file = {"filename": part.name or "document.pdf", "file_data": part.url}
        else:
            raise refuse_part(
                self.conversation,
                message.index,
                part.index,
                "A document behind a URL or an upload cannot be passed on to this provider.",
            )
        return {"type": "file", "file": file}

    def _assistant(self, message: Message) -> None:
        content: list[Part] = []
        calls: list[dict[str, Any]] = []
        thoughts: list[Reasoning] = []
        for part in message.parts:
            if type(part) is ToolCall:
                calls.append(self._call(part))
            elif type(part) is Reasoning:
                thoughts.append(part)
            elif type(part) is Refusal and not self.own:
                content.append(Text(part.text))
            else:
                content.append(part)
        extensions = message.extensions or {}
        if not content and not calls and not thoughts and not extensions:
            return
        item: dict[str, Any] = {"role": "assistant"}
        refusals = [part for part in content if type(part) is Refusal]
        if len(content) == 1 and refusals:
            item["content"], item["refusal"] = None, refusals[0].text
        elif not content:
            item["content"] = None if calls else ""
        elif all(type(part) is Text for part in content) and not self.caches:
            item["content"] = "".join(part.text for part in content if type(part) is Text)
        else:
            item["content"] = self._content(message, content)
        if calls:
            item["tool_calls"] = calls
        self._thoughts(item, thoughts, extensions)
        for name, value in extensions.items():
            if name != "reasoning_details" and self.own:
                item[name] = value
        self._add(item, message)

    def _call(self, call: ToolCall) -> dict[str, Any]:
        item: dict[str, Any] = {
            "id": self.tool_id(call.id or new_tool_id()),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        if call.signature is not None and call.signature.vendor == "gemini":
            item["extra_content"] = {"google": {"thought_signature": call.signature.value}}
            if not self.own and "gemini" not in self.quirks:
                del item["extra_content"]
        if self.caches and given(call.cache):
            item["cache_control"] = call.cache
        return item

    def _thoughts(self, item: dict[str, Any], thoughts: list[Reasoning], extensions: dict[str, Any]) -> None:
        """Reasoning goes back where the upstream takes it, in its own field (§14.1)."""
        text = "".join(thought.text for thought in thoughts)
        if "reasoning_details" in extensions and (self.own or "replays_reasoning_details" in self.quirks):
            item["reasoning_details"] = extensions["reasoning_details"]
        elif "replays_reasoning_details" in self.quirks and thoughts:
            details = [_detail(thought, index) for index, thought in enumerate(thoughts)]
            item["reasoning_details"] = details
        elif self.own:
            signed = [_block(thought) for thought in thoughts if _is_anthropic(thought)]
            if signed:  # other vendors' proofs mean nothing there
                item["thinking_blocks"] = signed
        if text and ("replays_reasoning" in self.quirks):
            item["reasoning"] = text
        elif text and (self.own or "replays_reasoning_content" in self.quirks):
            item["reasoning_content"] = text


def _is_anthropic(thought: Reasoning) -> bool:
    return thought.signature is not None and thought.signature.vendor == "anthropic"


def _block(thought: Reasoning) -> dict[str, Any]:
    token = pack(thought, "chat")
    if thought.redacted:
        return {"type": "redacted_thinking", "data": token}
    return {"type": "thinking", "thinking": thought.text, "signature": token}


_DETAIL_FORMATS = {"anthropic": "anthropic-claude-v1", "gemini": "google-gemini-v1", "openai": "openai-responses-v1"}


def _detail(thought: Reasoning, index: int) -> dict[str, Any]:
    signature = thought.signature
    if signature is None:
        return {"type": "reasoning.text", "text": thought.text, "index": index}
    named: dict[str, Any] = {"format": _DETAIL_FORMATS.get(signature.vendor, "unknown"), "index": index}
    if thought.redacted or signature.vendor == "openai":
        if thought.id:
            named["id"] = thought.id
        return {"type": "reasoning.encrypted", "data": signature.value, **named}
    return {"type": "reasoning.text", "text": thought.text, "signature": signature.value, **named}
