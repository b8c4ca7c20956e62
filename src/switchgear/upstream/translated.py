"""A conversation asked in one format and answered in another (TRANSLATION §1-§15).

1. The body is decoded once per request (`passage.conversation_of`); each attempt encodes it for its own target.
2. An answer read whole is decoded and encoded; a stream goes through a `Translator`, event by event.
3. Errors are the provider's own, marked with their format: the edge puts them into the client's words.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from switchgear.errors import UpstreamProtocolError
from switchgear.hotpath._translate import Translator
from switchgear.providers.dialects import anthropic as anthropic_dialect
from switchgear.providers.dialects import chat as chat_dialect
from switchgear.providers.dialects import completions as completions_dialect
from switchgear.providers.dialects import gemini as gemini_dialect
from switchgear.providers.dialects import ollama as ollama_dialect
from switchgear.providers.dialects import ollama_generate as ollama_generate_dialect
from switchgear.providers.dialects import responses as responses_dialect
from switchgear.providers.dialects.responses_reply import envelope
from switchgear.providers.formats import anthropic, gemini, ollama, openai_chat, openai_responses
from switchgear.providers.model_traits import target_model
from switchgear.upstream import answers
from switchgear.upstream.answer import Answer
from switchgear.upstream.passage import client_headers, conversation_of, rejection, send, whole_body
from switchgear.upstream.usage import usage_of
from switchgear.wire.conversation import Reasoning, ToolCall

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from switchgear.routing.credentials import Credential
    from switchgear.routing.router import Route
    from switchgear.types import Headers, RequestContext, Target, Usage
    from switchgear.upstream.upstream import Answered, Upstream
    from switchgear.wire.conversation import Answer as Reply
    from switchgear.wire.conversation import Conversation, Encoded, Message, Part

DIALECTS: dict[str, ModuleType] = {
    "chat": chat_dialect,
    "responses": responses_dialect,
    "anthropic": anthropic_dialect,
    "gemini": gemini_dialect,
    "completions": completions_dialect,
    "ollama": ollama_dialect,
    "ollama-generate": ollama_generate_dialect,
}
FORMATS: dict[str, ModuleType] = {
    "chat": openai_chat,
    "responses": openai_responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "ollama": ollama,
}
ANTHROPIC_VERSION = (b"anthropic-version", b"2023-06-01")
_EVENT_STREAM = b"text/event-stream; charset=utf-8"
JSON = b"application/json"
_encode = msgspec.json.Encoder().encode
# Members of a chat message that hold a provider's own reasoning (TRANSLATION §2.4).
_PROOFS = frozenset(("reasoning_details", "thinking_blocks"))
# What a Responses stream writes itself; the rest of the envelope is the request, said back.
_OWN = frozenset(
    (
        "id",
        "object",
        "created_at",
        "status",
        "error",
        "incomplete_details",
        "model",
        "output",
        "usage",
    )
)


class TranslatedConversation:
    """From a client's dialect to a provider's format and back. client, fmt: as the `Translator` names them."""

    event_stream = _EVENT_STREAM  # the content type of a stream

    def __init__(self, client: str, fmt: str):
        self.client = client
        self.fmt = fmt

    async def attempt(
        self, ctx: RequestContext, route: Route, target: Target, upstream: Upstream, credential: Credential
    ) -> Answer:
        """Send once. Raises `UpstreamError`, `Overloaded`, `InvalidRequest`."""
        encoded = encode(ctx, route, target, upstream, self.fmt)
        response = await ask(ctx, route, target, upstream, credential, encoded)
        return await self.judged(ctx, upstream, response, encoded)

    async def judged(self, ctx: RequestContext, upstream: Upstream, response: Answered, encoded: Encoded) -> Answer:
        """The answer for the client, or the error that it is. Raises `UpstreamError`."""
        conversation = conversation_of(ctx)
        try:
            if response.status >= 300:
                raise await rejection(response, upstream)
            if ctx.stream:
                return await self._streamed(ctx, response, conversation, encoded)
            reply = self._read(await whole_body(response), encoded)
            ctx.usage = usage_of(reply.usage, reply.service_tier)
            return Answer(response, self.written(ctx, reply, conversation), headers=client_headers(ctx, response, JSON))
        except BaseException:
            response.close()
            raise

    def translate(
        self, body: bytes, conversation: Conversation, encoded: Encoded, model: str
    ) -> tuple[bytes, Usage | None]:
        """A good answer read whole, as the client gets it, and its usage. model: the name to show.

        Raises `UpstreamRejected`, `UpstreamProtocolError`.
        """
        reply = self._read(body, encoded)
        out: bytes = DIALECTS[self.client].encode_response(reply, conversation, model)
        return out, usage_of(reply.usage, reply.service_tier)

    def _read(self, body: bytes, encoded: Encoded) -> Reply:
        reply: Reply = FORMATS[self.fmt].decode_response(body, encoded.context)
        if not reply.choices:
            raise UpstreamProtocolError("The upstream's answer has no choice.")
        return reply

    def written(self, ctx: RequestContext, reply: Reply, conversation: Conversation) -> bytes:
        """An answer as the client's body."""
        out: bytes = DIALECTS[self.client].encode_response(reply, conversation, ctx.model)
        return out

    def clock(self, ctx: RequestContext) -> Callable[[], int] | None:
        """Nanoseconds since the request came, where the client is told of them."""
        return None

    async def _streamed(
        self, ctx: RequestContext, response: Answered, conversation: Conversation, encoded: Encoded
    ) -> Answer:
        if not response.event_stream and self.fmt != "ollama":
            await self._no_stream(response, encoded)
        translator = self.translator(ctx, conversation, encoded)
        first = await first_events(response, translator)
        kind = JSON if ctx.array else self.event_stream
        headers: Headers = [*client_headers(ctx, response, kind), (b"cache-control", b"no-cache")]
        return Answer(response, None, translator, first, headers)

    async def _no_stream(self, response: Answered, encoded: Encoded) -> None:
        """A stream was asked for and something else came: the error that it is (TRANSLATION §20)."""
        FORMATS[self.fmt].decode_response(await whole_body(response), encoded.context)
        raise UpstreamProtocolError("The upstream sent no event stream where one was asked for.")

    def translator(self, ctx: RequestContext, conversation: Conversation, encoded: Encoded) -> Translator:
        """For one answer's stream."""
        context = encoded.context
        return Translator(
            self.fmt,
            "gemini-array" if ctx.array else self.client,
            model=ctx.model,
            include_usage=conversation.include_usage,
            created=int(time.time()),
            json_tool=context.json_tool,
            tool_names=context.tool_names,
            single_call=context.single_call,
            legacy_functions=conversation.legacy_functions,
            echo=echo_of(conversation) if self.client == "responses" else None,
            clock=self.clock(ctx),
        )


def encode(ctx: RequestContext, route: Route, target: Target, upstream: Upstream, fmt: str) -> Encoded:
    """The conversation in a provider's format; what is lost is noted for the client. Raises `InvalidRequest`."""
    conversation = conversation_of(ctx)
    if fmt == "chat" and conversation.source == "chat" and "replays_reasoning_details" not in upstream.row.quirks:
        conversation = without_proofs(conversation, upstream.row.quirks)
    if ctx.bound:
        conversation = replace(conversation, max_tokens=ctx.bound)
    wanted = target_model(target.model, upstream.row.quirks, ctx.strict or route.strict)
    encoded: Encoded = FORMATS[fmt].encode_request(conversation, wanted)
    ctx.dropped = encoded.dropped or None
    return encoded


def without_proofs(conversation: Conversation, quirks: frozenset[str]) -> Conversation:
    """A chat history as a provider takes it that knows nothing of signatures: thoughts as text, or not at all."""
    takes_text = bool(quirks & {"replays_reasoning_content", "replays_reasoning"})
    return replace(conversation, messages=[_without_proofs(message, takes_text) for message in conversation.messages])


def _without_proofs(message: Message, takes_text: bool) -> Message:
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, Reasoning):
            if takes_text and part.text:
                parts.append(Reasoning(part.text))
        elif isinstance(part, ToolCall) and part.signature is not None:
            parts.append(replace(part, signature=None))
        else:
            parts.append(part)
    extensions = {name: raw for name, raw in (message.extensions or {}).items() if name not in _PROOFS}
    return replace(message, parts=parts, extensions=extensions or None)


async def ask(
    ctx: RequestContext, route: Route, target: Target, upstream: Upstream, credential: Credential, encoded: Encoded
) -> Answered:
    """Send an encoded request to the provider's own path."""
    path, _, query = encoded.path.partition("?")
    if upstream.wire == "anthropic":
        path = path.removeprefix("/v1")
    head = upstream.native_head(
        ctx,
        credential,
        path,
        target.model,
        len(encoded.body),
        native_headers(ctx, upstream),
        query.encode(),
    )
    return await send(ctx, route, upstream, head, encoded.body, 0 if ctx.stream else answers.GATHER_MAX)


def native_headers(ctx: RequestContext, upstream: Upstream) -> Headers:
    """The client's headers that mean something to this provider: another vendor's are left out."""
    if upstream.wire == "anthropic":
        headers = [pair for pair in ctx.client_headers if not pair[0].startswith(b"openai-")]
        if not any(name == b"anthropic-version" for name, _ in headers):
            headers.append(ANTHROPIC_VERSION)
        return headers
    foreign: tuple[bytes, ...] = (b"anthropic-", b"openai-") if ctx.endpoint.dialect != "openai" else (b"anthropic-",)
    return [pair for pair in ctx.client_headers if not pair[0].startswith(foreign)]


async def first_events(response: Answered, translator: Translator) -> bytes:
    """What can be sent up to and including the first event of the answer; an error before it is an error answer.

    Raises `UpstreamRejected`, `UpstreamProtocolError`, `UpstreamTimeout`.
    """
    parts = []
    while True:
        chunk = await response.read()
        out = translator.feed(chunk) if chunk else translator.flush()
        if out:  # comments and pings make none, and there is no end to how many of them may come
            parts.append(out)
        if translator.error is not None and not translator.started:
            if translator.truncated:
                raise UpstreamProtocolError("The upstream's stream ended before its first event.")
            status = translator.error_status
            raise answers.rejected(status if status >= 400 else 502, [], translator.error)
        if translator.started or translator.done:
            return b"".join(parts)
        if not chunk:
            raise UpstreamProtocolError("The upstream's stream ended before its first event.")


def echo_of(conversation: Conversation) -> dict[str, Any]:
    """Fields of the request that a streamed response object repeats, as plain JSON values."""
    fields = {name: value for name, value in envelope(conversation, "", "", 0).items() if name not in _OWN}
    echoed: dict[str, Any] = msgspec.json.decode(_encode(fields))
    return echoed
