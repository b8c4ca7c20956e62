"""Ollama's /api/chat as clients speak it (TRANSLATION §10).

1. The official SDK knows no ids of tool calls: it drops those of an answer, and its results name a tool at most. So a
   result is matched by its id where it has one, else by the tool's name, else by order.
2. Nothing in this dialect can carry a vendor's signature of reasoning: thoughts travel as text.
3. No message at all is no question: the client wants the model loaded. `encode_loaded` is the answer to that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from switchgear.errors import InvalidRequest
from switchgear.providers.dialects.ollama_reply import encode_error, encode_loaded, encode_response, encode_usage
from switchgear.providers.dialects.ollama_settings import read_images, read_settings
from switchgear.providers.reading import object_text, read_request, unknown_fields
from switchgear.wire.conversation import Conversation, Message, Reasoning, Text, Tool, ToolCall, ToolResult
from switchgear.wire.ollama import ChatRequest, OllamaMessage, OllamaTool

if TYPE_CHECKING:
    from switchgear.wire.conversation import Part


__all__ = ["decode_request", "encode_error", "encode_loaded", "encode_response", "encode_usage"]

_decoder = msgspec.json.Decoder(ChatRequest)
_KNOWN = frozenset(ChatRequest.__struct_fields__)
_ROLES = ("system", "user", "assistant", "tool")


def decode_request(body: bytes, model: str = "") -> Conversation:
    """Read a request; one without messages has none here either. Raises `InvalidRequest` with `param` set."""
    request = read_request(_decoder, body)
    conversation = Conversation(source="ollama", model=model or request.model, messages=[])
    reader = _Reader()
    conversation.messages += [reader.message(item, index) for index, item in enumerate(request.messages or ())]
    conversation.tools = _tools(request.tools or [])
    read_settings(request, conversation, unknown_fields(body, _KNOWN))
    return conversation


class _Reader:
    """Reads turns, giving ids to calls that came without; the results after them are matched to these."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, str]] = []
        self.count = 0

    def message(self, item: OllamaMessage, index: int) -> Message:
        role = item.role
        if role == "assistant":
            return Message("assistant", self._said(item, index), index)
        if role == "tool":
            return Message("user", [self._result(item, index)], index)
        if role not in _ROLES:
            raise InvalidRequest(
                f"invalid role: {(role or '')[:64]}, must be one of {', '.join(_ROLES)}",
                param=f"messages[{index}].role",
                code="invalid_value",
            )
        parts: list[Part] = [*read_images(item.images, f"messages[{index}].images")]
        if item.content or not parts:
            parts.append(Text(item.content or ""))
        return Message("system" if role == "system" else "user", parts, index)

    def _said(self, item: OllamaMessage, index: int) -> list[Part]:
        parts: list[Part] = [Reasoning(item.thinking)] if item.thinking else []
        if item.content:
            parts.append(Text(item.content))
        parts += read_images(item.images, f"messages[{index}].images")
        for position, call in enumerate(item.tool_calls or ()):
            function = call.function
            if function is None or not function.name:
                param = f"messages[{index}].tool_calls[{position}].function.name"
                raise InvalidRequest(
                    f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
                )
            made = ToolCall(call.id or self._id(function.name), function.name, object_text(function.arguments))
            self.waiting.append((made.id, made.name))
            parts.append(made)
        return parts

    def _id(self, name: str) -> str:
        """The same for the same history: a provider that caches prompts sees the same one in the next turn."""
        self.count += 1
        return f"call_{self.count}_{name}"

    def _result(self, item: OllamaMessage, index: int) -> ToolResult:
        found = next((pair for pair in self.waiting if self._answers(item, *pair)), None)
        if found is None:
            raise InvalidRequest(
                f"'messages[{index}]' answers no tool call of the messages before it.",
                param=f"messages[{index}]",
                code="invalid_value",
            )
        self.waiting.remove(found)
        result = ToolResult(*found)
        text = item.content or ""
        media = read_images(item.images, f"messages[{index}].images")
        if media:
            result.parts = [Text(text), *media]
        else:
            result.text = text
        return result

    @staticmethod
    def _answers(item: OllamaMessage, call_id: str, name: str) -> bool:
        if item.tool_call_id:
            return item.tool_call_id == call_id
        return not item.tool_name or item.tool_name == name


def _tools(items: list[OllamaTool]) -> list[Tool] | None:
    return [Tool(item.function.name, item.function.description, item.function.parameters) for item in items] or None
