"""Ollama's /api/generate in front of providers that chat: the prompt is one user message.

What continues a text or speaks the model's own template (`suffix`, `raw`, `context`) is refused by name: a chat has
none of them, and left out they would give another answer. An empty prompt without images is no question: the client
wants the model loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from switchgear.errors import InvalidRequest
from switchgear.providers.dialects import ollama_reply
from switchgear.providers.dialects.ollama_settings import read_images, read_settings
from switchgear.providers.reading import read_request, unknown_fields
from switchgear.wire.conversation import Conversation, Message, Text
from switchgear.wire.ollama import GenerateRequest

if TYPE_CHECKING:
    from switchgear.wire.conversation import Answer, Part

_decoder = msgspec.json.Decoder(GenerateRequest)
_KNOWN = frozenset(GenerateRequest.__struct_fields__)
_encode = msgspec.json.Encoder().encode


def decode_request(body: bytes, model: str = "") -> Conversation:
    """Read a request; one that asks nothing has no messages. Raises `InvalidRequest` with `param` set."""
    request = read_request(_decoder, body)
    _refuse(request)
    conversation = Conversation(source="ollama", model=model or request.model, messages=[])
    parts: list[Part] = [*read_images(request.images, "images")]
    if request.prompt:
        parts.append(Text(request.prompt))
    if parts:
        if request.system:
            conversation.messages.append(Message("system", [Text(request.system)]))
        conversation.messages.append(Message("user", parts, 0))
    read_settings(request, conversation, unknown_fields(body, _KNOWN))
    return conversation


def _refuse(request: GenerateRequest) -> None:
    for name, asked in (("suffix", request.suffix), ("raw", request.raw), ("context", request.context)):
        if asked:
            raise InvalidRequest(
                f"'{name}' cannot be expressed for the provider that serves this model: it answers in a chat.",
                param=name,
                code="unsupported_parameter",
            )


def encode_response(answer: Answer, conversation: Conversation, model: str = "", elapsed_ns: int = 0) -> bytes:
    """The answer as one line of /api/generate. elapsed_ns: since the request came."""
    choice = answer.choices[0]
    body: dict[str, Any] = {
        **ollama_reply.head(answer, model),
        "response": ollama_reply.text_of(choice.parts),
        **ollama_reply.ending(choice),
        **ollama_reply.figures(answer.usage, elapsed_ns),
    }
    thinking = ollama_reply.thoughts_of(choice.parts)
    if thinking:
        body["thinking"] = thinking
    images = ollama_reply.images_of(choice.parts)
    if images:
        body["image"] = images[0]
    return _encode(body)


def encode_loaded(model: str, created: int, *, unloads: bool = False) -> bytes:
    """The answer where nothing was asked. created: unix seconds. unloads: the client asked with a `keep_alive` of 0."""
    reason = "unload" if unloads else "load"
    created_at = ollama_reply.stamp(created)
    return _encode({"model": model, "created_at": created_at, "response": "", "done": True, "done_reason": reason})
