"""A translated conversation as the compiled path takes it: what is made of the request, and of its answer.

The path calls `encode` before anything is reserved or sent and `decode` once the answer is there (`hotpath._unary`).
Both do what `translated.TranslatedConversation` does, for one target: what is the same for all its requests is looked
up once, and texts take the short way (`providers.text_requests`, `providers.text_replies`). An error is nobody's here:
the request, or the answer, is handed to the gateway's stages, which meet it again and know what to do about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from switchgear.errors import GatewayError
from switchgear.providers import text_replies, text_requests
from switchgear.providers.formats import gemini
from switchgear.providers.model_traits import target_model
from switchgear.upstream.passage import dropped_header, made_headers
from switchgear.upstream.translated import ANTHROPIC_VERSION, DIALECTS, FORMATS, JSON
from switchgear.upstream.usage import usage_of
from switchgear.wire.conversation import Conversation, Encoded, ReplyContext

if TYPE_CHECKING:
    from switchgear.routing.credentials import Credential
    from switchgear.types import Headers, RequestContext, Target, Usage
    from switchgear.upstream.answer import Answer
    from switchgear.upstream.translated import TranslatedConversation
    from switchgear.upstream.upstream import Answered, Upstream


# What the long way may know of a request that took the short one: no tools, no legacy functions.
_TEXTS = Conversation(source="chat", model="", messages=[])
_NO_CONTEXT = ReplyContext()


class Asked(Struct):
    """One request. body: as it goes upstream, JSON. conversation: None where it took the short way."""

    body: bytes
    conversation: Conversation | None
    encoded: Encoded


class UnaryCodec:
    """Of one model's requests to one target. model: the client's name for it. strict: refuse what would be dropped."""

    def __init__(self, passage: TranslatedConversation, upstream: Upstream, target: Target, model: str, strict: bool):
        self._passage = passage
        self._upstream = upstream
        self._model = model
        self._target = target_model(target.model, upstream.row.quirks, strict)
        self._short_write = text_requests.WRITERS.get(passage.fmt) if passage.client == "chat" else None
        self._short_read = text_replies.READERS.get(passage.fmt) if passage.client == "chat" else None
        self._read = DIALECTS[passage.client].decode_request
        self._write = FORMATS[passage.fmt].encode_request
        path = gemini.path(target.model, False) if passage.fmt == "gemini" else FORMATS[passage.fmt].PATH
        self._path = upstream.path(path.removeprefix("/v1") if upstream.wire == "anthropic" else path, target.model)

    def start(self, credential: Credential) -> bytes:
        """The request's head up to what differs between requests."""
        head = self._upstream.start("POST", self._path, credential)
        return head + b"%b: %b\r\n" % ANTHROPIC_VERSION if self._upstream.wire == "anthropic" else head

    def encode(self, body: bytes) -> Asked | None:
        """The client's body for the target; None where it must be refused."""
        if self._short_write is not None and (texts := text_requests.read(body)) is not None:
            short = self._short_write(texts, self._target)
            if short is not None:
                return Asked(short, None, Encoded(self._path, short, [], _NO_CONTEXT))
        try:
            conversation: Conversation = self._read(body, self._model)
            encoded: Encoded = self._write(conversation, self._target)
        except GatewayError:
            return None
        return Asked(encoded.body, conversation, encoded)

    def decode(self, asked: Asked, response: Answered) -> tuple[bytes, Usage | None, Headers] | None:
        """The client's answer, its usage and its headers; None where the answer is none, or is compressed."""
        body = response.body
        if body is None or response.header(b"content-encoding") is not None:
            return None
        try:
            out, usage = self._answer(asked, body)
        except GatewayError:
            return None
        headers = made_headers(response, JSON)
        if asked.encoded.dropped:
            headers.append((b"x-switchgear-dropped", dropped_header(asked.encoded.dropped)))
        return out, usage, headers

    def _answer(self, asked: Asked, body: bytes) -> tuple[bytes, Usage | None]:
        """Raises `UpstreamError`."""
        if self._short_read is not None and (short := self._short_read(body, self._model)) is not None:
            out, usage, tier = short
            return out, usage_of(usage, tier)
        conversation = asked.conversation or _TEXTS
        return self._passage.translate(body, conversation, asked.encoded, self._model)

    async def judged(self, ctx: RequestContext, response: Answered, asked: Asked) -> Answer:
        """An answer that was handed over. Raises `UpstreamError`."""
        return await self._passage.judged(ctx, self._upstream, response, asked.encoded)
