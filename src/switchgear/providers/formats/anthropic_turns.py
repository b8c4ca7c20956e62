"""The turns of a conversation as Anthropic wants them (TRANSLATION §2).

1. System and developer messages are hoisted into `system`, in order.
2. Turns of the same role that follow each other become one; the first is a user's.
3. A user turn has its tool results first. Each call is answered in the very next turn: a result whose call is unknown
   is refused, a call without a result gets an empty one (histories are cut by clients).
4. Empty and whitespace-only texts go; an empty user turn keeps one ".".
5. Thinking comes first in its turn, and only if Anthropic signed it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Raw

from switchgear.errors import InvalidRequest
from switchgear.providers.identifiers import fit_tool_name, plain_tool_id
from switchgear.providers.loss import message_place, part_place, refuse, refuse_part
from switchgear.providers.media import ANTHROPIC_IMAGES, canonical_type, decoded_text
from switchgear.providers.reading import as_object, given
from switchgear.wire.conversation import ABSENT, Foreign, Media, Reasoning, Refusal, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from switchgear.providers.loss import Loss
    from switchgear.providers.model_traits import TargetModel
    from switchgear.wire.conversation import Conversation, Message

_PLACEHOLDER = {"type": "text", "text": "."}


class TurnWriter:
    """Writes `system` and `messages` of one request."""

    def __init__(self, conversation: Conversation, target: TargetModel, loss: Loss):
        self.conversation = conversation
        self.own = conversation.source == "anthropic"
        self.lenient = target.lenient_arguments
        self.loss = loss
        self.system: list[dict[str, Any]] = []
        self.turns: list[dict[str, Any]] = []
        self.calls: dict[str, str] = {}
        self.open: list[str] = []

    def write(self, body: dict[str, Any]) -> None:
        """Fill in `system` and `messages`."""
        for message in self.conversation.messages:
            if message.name is not None:
                self.loss.drop_named(f"{message_place(self.conversation, message.index)}.name")
            if message.role == "assistant":
                self._assistant(message)
            elif message.role == "user":
                self._user(message)
            elif self.own and message.index >= 0:
                self._in_place(message)
            else:
                self._system(message)
        if self.open:
            self._close_open()
        if not self.turns or self.turns[0]["role"] != "user":
            self.turns.insert(0, {"role": "user", "content": [_PLACEHOLDER]})
        self._finish()
        if self.system:
            body["system"] = self._system_value()
        body["messages"] = self.turns

    def _system_value(self) -> Any:
        if self.own or any(len(block) > 2 for block in self.system):
            return self.system
        return "\n".join(block["text"] for block in self.system)

    def _system(self, message: Message) -> None:
        for part in message.parts:
            if type(part) is Text:
                if part.text.strip():
                    self.system.append(self._text(part, message.cache))
            elif type(part) is Media:
                raise refuse_part(self.conversation, message.index, part.index, "System messages hold text only.")

    def _in_place(self, message: Message) -> None:
        """A system message that an Anthropic client put among the turns (newest API)."""
        blocks: list[Any] = []
        for part in message.parts:
            if type(part) is Text:
                blocks.append(self._text(part, ABSENT))
            elif type(part) is Foreign:
                blocks.append(part.payload)
        self.turns.append({"role": "system", "content": blocks})

    def _text(self, part: Text, cache: Raw) -> dict[str, Any]:
        block: dict[str, Any] = {"type": "text", "text": part.text}
        if given(part.cache):
            block["cache_control"] = part.cache
        elif given(cache):
            block["cache_control"] = cache
        native = [citation.payload for citation in part.citations or () if citation.format == "anthropic"]
        if self.own and native:
            block["citations"] = native
        return block

    def _turn(self, role: str) -> list[Any]:
        """The content list of the turn to write to: the last one if it is of this role."""
        if self.turns and self.turns[-1]["role"] == role:
            content: list[Any] = self.turns[-1]["content"]
            return content
        content = []
        self.turns.append({"role": role, "content": content})
        return content

    def _assistant(self, message: Message) -> None:
        blocks: list[Any] = []
        thoughts: list[Any] = []
        calls: list[tuple[str, dict[str, Any]]] = []
        for part in message.parts:
            if type(part) is Text:
                if part.text.strip():
                    blocks.append(self._text(part, message.cache))
            elif type(part) is Refusal:
                if part.text.strip():
                    blocks.append({"type": "text", "text": part.text})
            elif type(part) is Reasoning:
                thought = _thought(part)
                if thought is not None:
                    (blocks if self.own else thoughts).append(thought)
            elif type(part) is ToolCall:
                block = self._call(part, message)
                if self.own:
                    blocks.append(block)
                    self._opened(block["id"], part.name)
                else:
                    calls.append((part.name, block))
            elif type(part) is Foreign and part.format == "anthropic":
                blocks.append(part.payload)
            elif type(part) is Media:
                raise refuse_part(
                    self.conversation,
                    message.index,
                    part.index,
                    "An assistant message cannot hold media for this provider.",
                )
            elif type(part) is Foreign:
                self._foreign(part, message, blocks)
        for name in message.extensions or ():
            if name not in ("reasoning_details", "prefix"):
                self.loss.drop_named(f"{message_place(self.conversation, message.index)}.{name}")
        if not (blocks or thoughts or calls):
            return
        if self.open and self.turns[-1]["role"] != "assistant":
            self._close_open()
        for name, block in calls:
            self._opened(block["id"], name)
        self._turn("assistant").extend(thoughts + blocks + [block for _, block in calls])

    def _opened(self, call_id: str, name: str) -> None:
        self.calls[call_id] = name
        self.open.append(call_id)

    def _call(self, call: ToolCall, message: Message) -> dict[str, Any]:
        arguments: Any = as_object(call.arguments)
        if arguments is None:
            if not self.lenient:
                raise bad_arguments(self.conversation, message, call)
            arguments = {"arguments": call.arguments}
        name = fit_tool_name(call.name, gemini=False) if self.conversation.source == "gemini" else call.name
        block = {"type": "tool_use", "id": plain_tool_id(call.id), "name": name, "input": arguments}
        if given(call.cache):
            block["cache_control"] = call.cache
        return block

    def _user(self, message: Message) -> None:
        results: list[Any] = []
        blocks: list[Any] = []
        for part in message.parts:
            if type(part) is Text:
                if part.text.strip():
                    blocks.append(self._text(part, message.cache))
            elif type(part) is ToolResult:
                results.append(self._result(part, message))
            elif type(part) is Media:
                blocks.append(self._media(part, message))
            elif type(part) is Foreign:
                if part.format == "anthropic":
                    blocks.append(part.payload)
                else:
                    self._foreign(part, message, blocks)
        content = self._turn("user")
        _results_first(content, results)
        content.extend(blocks)

    def _foreign(self, part: Foreign, message: Message, blocks: list[Any]) -> None:
        text = self.loss.leave_out(self.conversation, message.index, part)
        if text:
            blocks.append({"type": "text", "text": text})

    def _close_open(self) -> None:
        """Calls that the history never answers: Anthropic refuses the whole conversation for one of them."""
        if not self.own:
            missing = [{"type": "tool_result", "tool_use_id": call_id} for call_id in self.open]
            _results_first(self._turn("user"), missing)
        self.open.clear()

    def _result(self, result: ToolResult, message: Message) -> dict[str, Any]:
        call_id = plain_tool_id(result.id)
        if call_id not in self.calls and not self.own:
            param = f"{message_place(self.conversation, message.index)}.tool_call_id"
            raise InvalidRequest(
                f"'{param}' answers no tool call of the messages before it.", param=param, code="invalid_value"
            )
        if call_id in self.open:
            self.open.remove(call_id)
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": call_id}
        content: Any = result.text
        if result.parts and not result.text:
            content = [b for b in (self._result_part(part, message) for part in result.parts) if b is not None]
        elif not content and given(result.value):
            content = bytes(result.value).decode()
        if content:
            block["content"] = content
        if result.is_error:
            block["is_error"] = True
        if given(result.cache):
            block["cache_control"] = result.cache
        return block

    def _result_part(self, part: Text | Media, message: Message) -> dict[str, Any] | None:
        if type(part) is Text:
            return self._text(part, ABSENT) if part.text.strip() else None
        return self._media(part, message) if type(part) is Media else None

    def _media(self, part: Media, message: Message) -> dict[str, Any]:
        if part.kind == "image":
            block: dict[str, Any] = {"type": "image", "source": self._image(part, message)}
        elif part.kind == "document":
            block = {"type": "document", "source": self._document(part, message)}
            if part.name is not None:
                block["title"] = part.name
            if part.context is not None:
                block["context"] = part.context
            if given(part.cites):
                block["citations"] = part.cites
        else:
            raise refuse_part(
                self.conversation,
                message.index,
                part.index,
                f"The provider that serves this model takes no {part.kind}.",
            )
        if given(part.cache):
            block["cache_control"] = part.cache
        return block

    def _image(self, part: Media, message: Message) -> dict[str, Any]:
        if part.url is not None:
            return {"type": "url", "url": part.url}
        if part.file_id is not None:
            return self._uploaded(part, message)
        media_type = canonical_type(part.media_type)
        if media_type not in ANTHROPIC_IMAGES and not self.own:
            raise refuse_part(
                self.conversation,
                message.index,
                part.index,
                f"Images of type '{media_type}' are not supported by this provider: use JPEG, PNG, GIF or WebP.",
            )
        return {"type": "base64", "media_type": media_type, "data": part.data or ""}

    def _document(self, part: Media, message: Message) -> dict[str, Any]:
        if part.url is not None:
            return {"type": "url", "url": part.url}
        if part.file_id is not None:
            return self._uploaded(part, message)
        if part.text is not None:
            return {"type": "text", "media_type": "text/plain", "data": part.text}
        if part.media_type.startswith("text/"):
            place = part_place(self.conversation, message.index, part.index)
            return {"type": "text", "media_type": "text/plain", "data": decoded_text(part, place)}
        if part.media_type != "application/pdf" and not self.own:
            raise refuse_part(
                self.conversation,
                message.index,
                part.index,
                f"Files of type '{part.media_type}' are not supported by this provider.",
            )
        return {"type": "base64", "media_type": part.media_type, "data": part.data or ""}

    def _uploaded(self, part: Media, message: Message) -> dict[str, Any]:
        if not self.own:
            raise refuse_part(
                self.conversation,
                message.index,
                part.index,
                "A file uploaded elsewhere cannot be passed on to this provider.",
            )
        return {"type": "file", "file_id": part.file_id}

    def _finish(self) -> None:
        for turn in self.turns:
            if not turn["content"]:
                turn["content"].append(_PLACEHOLDER)
        last = self.turns[-1]
        if (
            last["role"] == "assistant"
            and type(last["content"][-1]) is dict
            and last["content"][-1].get("type") == "text"
        ):
            last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()


def bad_arguments(conversation: Conversation, message: Message, call: ToolCall) -> InvalidRequest:
    """The 400 for arguments in the history that are not a JSON object."""
    field = f"{message_place(conversation, message.index)}.tool_calls"
    error = refuse(
        conversation, "messages", f"The arguments of the call of '{call.name}' are not a JSON object.", "invalid_value"
    )
    error.param = field if conversation.source == "chat" else message_place(conversation, message.index)
    return error


def _results_first(content: list[Any], results: list[dict[str, Any]]) -> None:
    """Put tool results behind those that are there and before everything else."""
    behind = 0
    while behind < len(content) and type(content[behind]) is dict and content[behind].get("type") == "tool_result":
        behind += 1
    content[behind:behind] = results


def _thought(part: Reasoning) -> dict[str, Any] | None:
    """A thinking block with Anthropic's signature; without it there is none."""
    signature = part.signature
    if signature is None or signature.vendor != "anthropic":
        return None
    if part.redacted:
        return {"type": "redacted_thinking", "data": signature.value}
    return {"type": "thinking", "thinking": part.text, "signature": signature.value}
