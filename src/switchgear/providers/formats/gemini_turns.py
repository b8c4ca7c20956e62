"""The turns of a conversation as Gemini wants them (TRANSLATION §2).

1. System and developer messages become `systemInstruction`, one part each.
2. Roles alternate: turns of the same role that follow each other are joined.
3. The results of one model turn's calls stand together in one user turn, each with its function's name.
4. Empty texts and parts without data go; a turn without parts is left out.
5. Thought signatures: Gemini's own go back to the part that had them. A turn's signature that lost its place on the way
   through another dialect goes to the turn's first call, else to its last text. The first call of a turn without any
   gets Google's documented stand-in.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from switchgear.errors import InvalidRequest
from switchgear.providers.formats.anthropic_turns import bad_arguments
from switchgear.providers.identifiers import fit_tool_name
from switchgear.providers.loss import message_place, refuse_part
from switchgear.providers.reading import as_object, given
from switchgear.providers.signatures import DUMMY_GEMINI_SIGNATURE
from switchgear.wire.conversation import Foreign, Media, Reasoning, Refusal, Text, ToolCall, ToolResult

if TYPE_CHECKING:
    from switchgear.providers.loss import Loss
    from switchgear.providers.model_traits import TargetModel
    from switchgear.wire.conversation import Conversation, Message


class ContentWriter:
    """Writes `systemInstruction` and `contents` of one request."""

    def __init__(self, conversation: Conversation, target: TargetModel, loss: Loss, names: dict[str, str]):
        self.conversation = conversation
        self.own = conversation.source == "gemini"
        self.traits = target.traits
        self.lenient = target.lenient_arguments
        self.loss = loss
        self.names = names
        self.system: list[dict[str, Any]] = []
        self.turns: list[dict[str, Any]] = []
        self.calls: dict[str, str] = {}

    def write(self, body: dict[str, Any]) -> None:
        """Fill in `systemInstruction` and `contents`."""
        for message in self.conversation.messages:
            if message.name is not None:
                self.loss.drop_named(f"{message_place(self.conversation, message.index)}.name")
            if message.role == "assistant":
                self._model(message)
            elif message.role == "user":
                self._user(message)
            else:
                self._system(message)
        if not self.turns or (self.turns[0]["role"] != "user" and not self.own):
            self.turns.insert(0, {"role": "user", "parts": [{"text": "."}]})
        if self.system:
            body["systemInstruction"] = {"parts": self.system}
        body["contents"] = self.turns

    def _system(self, message: Message) -> None:
        for part in message.parts:
            if type(part) is Text:
                if part.text:
                    self.system.append({"text": part.text})
                if given(part.cache) or given(message.cache):
                    self.loss.drop_named("cache_control")
            elif type(part) is Media:
                raise refuse_part(self.conversation, message.index, part.index, "System messages hold text only.")

    def _turn(self, role: str, parts: list[Any]) -> None:
        if not parts:
            return
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["parts"].extend(parts)
        else:
            self.turns.append({"role": role, "parts": parts})

    def _model(self, message: Message) -> None:
        parts: list[Any] = []
        pending = ""
        first_call: dict[str, Any] | None = None
        last_text: dict[str, Any] | None = None
        for part in message.parts:
            if type(part) is Text:
                if part.text:
                    last_text = {"text": part.text}
                    parts.append(last_text)
            elif type(part) is ToolCall:
                item = self._call(part, message)
                first_call = first_call or item
                parts.append(item)
            elif type(part) is Reasoning:
                signature = part.signature
                if signature is not None and signature.vendor == "gemini":
                    if self.own and part.text:
                        parts.append({"text": part.text, "thought": True, "thoughtSignature": signature.value})
                    else:
                        pending = signature.value
                elif self.own and part.vendor == "gemini":
                    parts.append({"text": part.text, "thought": True})
            elif type(part) is Refusal:
                if part.text:
                    parts.append({"text": part.text})
            elif type(part) is Media:
                parts.append(self._media(part, message))
            elif type(part) is Foreign:
                if part.format == "gemini":
                    parts.append(part.payload)
                else:
                    text = self.loss.leave_out(self.conversation, message.index, part)
                    parts += [{"text": text}] if text else []
        for name in message.extensions or ():
            if name not in ("reasoning_details", "prefix"):
                self.loss.drop_named(f"{message_place(self.conversation, message.index)}.{name}")
        if first_call is not None:
            if "thoughtSignature" not in first_call:
                if pending:
                    first_call["thoughtSignature"] = pending
                elif self.traits.wants_signature and not self.own:
                    first_call["thoughtSignature"] = DUMMY_GEMINI_SIGNATURE
        elif pending:
            if last_text is not None:
                last_text["thoughtSignature"] = pending
            elif self.own:
                parts.append({"text": "", "thoughtSignature": pending})
        self._turn("model", parts)

    def _name(self, name: str) -> str:
        return self.names.get(name) or fit_tool_name(name, gemini=True)

    def _call(self, call: ToolCall, message: Message) -> dict[str, Any]:
        arguments: Any = as_object(call.arguments)
        if arguments is None:
            if not self.lenient:
                raise bad_arguments(self.conversation, message, call)
            arguments = {"arguments": call.arguments}
        name = self._name(call.name)
        self.calls[call.id] = name
        item: dict[str, Any] = {"functionCall": {"name": name, "args": arguments, "id": call.id}}
        if call.signature is not None and call.signature.vendor == "gemini":
            item["thoughtSignature"] = call.signature.value
        return item

    def _user(self, message: Message) -> None:
        results: list[Any] = []
        parts: list[Any] = []
        for part in message.parts:
            if type(part) is Text:
                if part.text:
                    parts.append({"text": part.text})
                if given(part.cache) or given(message.cache):
                    self.loss.drop_named("cache_control")
            elif type(part) is ToolResult:
                item, more = self._result(part, message)
                results.append(item)
                parts += more
            elif type(part) is Media:
                if given(part.cache):
                    self.loss.drop_named("cache_control")
                parts.append(self._media(part, message))
            elif type(part) is Foreign:
                if part.format == "gemini":
                    parts.append(part.payload)
                else:
                    text = self.loss.leave_out(self.conversation, message.index, part)
                    parts += [{"text": text}] if text else []
        self._turn("user", results + parts)

    def _result(self, result: ToolResult, message: Message) -> tuple[dict[str, Any], list[Any]]:
        """The functionResponse and, for models that take no media in it, the media as parts beside it."""
        name = self.calls.get(result.id)
        if name is None:
            if not self.own:
                param = f"{message_place(self.conversation, message.index)}.tool_call_id"
                raise InvalidRequest(
                    f"'{param}' answers no tool call of the messages before it.", param=param, code="invalid_value"
                )
            name = result.name
        response: dict[str, Any] = {"name": name, "response": _object(result), "id": result.id}
        media = [self._media(part, message) for part in result.parts or () if type(part) is Media]
        if given(result.cache):
            self.loss.drop_named("cache_control")
        if media and self.traits.wants_signature:  # Gemini 3 and later
            response["parts"] = media
            media = []
        return {"functionResponse": response}, media

    def _media(self, part: Media, message: Message) -> dict[str, Any]:
        if part.data is not None:
            return {"inlineData": {"mimeType": part.media_type, "data": part.data}}
        if part.text is not None:
            return {"inlineData": {"mimeType": "text/plain", "data": base64.b64encode(part.text.encode()).decode()}}
        address = part.url or part.file_id or ""
        google = address.startswith("gs://") or "generativelanguage.googleapis.com" in address
        if not (self.own or google or (part.url is not None and self.traits.image_urls)):
            raise refuse_part(
                self.conversation,
                message.index,
                part.index,
                "This provider does not fetch public URLs for this model: send the content as a data URL."
                if part.url is not None
                else "A file uploaded elsewhere cannot be passed on to this provider.",
            )
        data: dict[str, Any] = {"fileUri": address}
        if part.media_type:
            data["mimeType"] = part.media_type
        return {"fileData": data}


def _object(result: ToolResult) -> Any:
    """The result as the JSON object that Gemini wants (§2.3)."""
    if given(result.value):
        return result.value
    text = result.text
    if not text and result.parts:
        text = "".join(part.text for part in result.parts if type(part) is Text)
    if result.is_error:
        return {"error": text}
    return (as_object(text) if text[:1] == "{" else None) or {"output": text}
