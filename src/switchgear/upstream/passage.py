"""How a request of one client endpoint travels to one kind of provider.

Most travel plainly: the body's bytes with the model's name spliced in, the answer's bytes back (`failover.attempt`).
What does not has a passage, looked up by the endpoint's name and chosen once per upstream:

    client endpoint       provider              passage
    chat, responses       of the same format    none; with quirks that show: `repaired.RepairedChat`
    conversation          of the same format    `native.NativeAnthropic`, `native.NativeGemini`, `native.NativeOllama`
    conversation          of another format     `translated.TranslatedConversation`; of an Ollama client:
                                                `translated_ollama.OllamaConversation`
    old completions       not OpenAI's surface  `translated.TranslatedConversation`
    embeddings            of another format     `embedding.TranslatedEmbeddings`
    counting tokens                             `counting.CountTokens`
    anything else         not OpenAI's surface  `Unserved`

A passage makes one attempt and raises as `failover.attempt` does; `InvalidRequest` for what a provider cannot be asked,
which is the client's answer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from switchgear.errors import NotFound, UpstreamRejected
from switchgear.providers.dialects import anthropic, chat, completions, gemini, ollama, ollama_generate, responses
from switchgear.providers.upstream_errors import read_fault
from switchgear.upstream import answers
from switchgear.upstream.coding import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from switchgear.routing.credentials import Credential
    from switchgear.routing.router import Route
    from switchgear.types import Headers, RequestContext, Target
    from switchgear.upstream.answer import Answer
    from switchgear.upstream.upstream import Answered, Upstream
    from switchgear.wire.conversation import Conversation

_DROPPED_MAX_BYTES = 1024
_REQUEST_IDS = frozenset((b"x-request-id", b"request-id"))


class Passage(Protocol):
    """One way of travelling. Holds no state of a request."""

    async def attempt(
        self, ctx: RequestContext, route: Route, target: Target, upstream: Upstream, credential: Credential
    ) -> Answer:
        """Send once. Raises `UpstreamError`, `Overloaded`, `InvalidRequest`."""


class Unserved:
    """An endpoint that a provider has nothing for."""

    async def attempt(
        self, ctx: RequestContext, route: Route, target: Target, upstream: Upstream, credential: Credential
    ) -> Answer:
        """Raises `NotFound`."""
        if ctx.endpoint.name.startswith("responses."):
            raise NotFound("This provider keeps no responses: there is none with this id.", code="response_not_found")
        raise NotFound(
            f"The provider that serves this request has no {ctx.endpoint.name} endpoint.",
            status=501,
            code="unsupported_endpoint",
        )


def conversation_of(ctx: RequestContext) -> Conversation:
    """The body as a conversation, decoded once per request. Raises `InvalidRequest`."""
    conversation: Conversation | None = ctx.conversation
    if conversation is None:
        assert isinstance(ctx.body, bytes)  # noqa: S101 - the edge reads these bodies whole
        wire = ctx.endpoint.wire
        if wire == "anthropic":
            conversation = anthropic.decode_request(
                ctx.body, ctx.model, need_max_tokens=ctx.endpoint.task == "conversation"
            )
        elif wire == "gemini":
            conversation = gemini.decode_request(ctx.body, ctx.model, stream=ctx.stream)
        elif wire == "responses":
            conversation = responses.decode_request(ctx.body, ctx.model)
        elif wire == "completions":
            conversation = completions.decode_request(ctx.body, ctx.model)
        elif wire == "ollama":
            conversation = ollama.decode_request(ctx.body, ctx.model)
        elif wire == "ollama-generate":
            conversation = ollama_generate.decode_request(ctx.body, ctx.model)
        else:
            conversation = chat.decode_request(ctx.body, ctx.model)
        ctx.conversation = conversation
    return conversation


async def send(
    ctx: RequestContext,
    route: Route,
    upstream: Upstream,
    head: bytes,
    body: bytes | AsyncIterator[bytes],
    gather_bytes: int = answers.GATHER_MAX,
) -> Answered:
    """One request with the route's timeouts; `ctx.sent` tells whether the upstream may have read it."""
    timeouts = route.timeouts
    try:
        response = await upstream.transport.send(
            head,
            body,
            gather_bytes=gather_bytes,
            connect_s=timeouts.connect,
            first_byte_s=timeouts.first_token,
            idle_s=timeouts.idle,
            deadline=ctx.started_at + timeouts.total,
        )
    except asyncio.CancelledError as left:
        ctx.sent = getattr(left, "sent", False)
        raise
    ctx.sent = True
    return response


async def rejection(response: Answered, upstream: Upstream) -> UpstreamRejected:
    """An error answer, with whose words it is in, and the wait that only its body tells (Gemini)."""
    error = await answers.rejection(response)
    error.wire = upstream.wire
    if error.retry_after_s is None:
        error.retry_after_s = read_fault(error.status, error.headers, error.body).retry_after_s
    return error


async def whole_body(response: Answered) -> bytes:
    """The body of a good answer, read whole and without content coding. Raises `UpstreamProtocolError`."""
    body = response.body if response.body is not None else await response.read_all(answers.GATHER_MAX)
    return await plain(response, body)


def client_headers(ctx: RequestContext, response: Answered, content_type: bytes) -> Headers:
    """The headers of an answer that was made anew."""
    return made_headers(response, content_type) + own_headers(ctx)


def made_headers(response: Answered, content_type: bytes) -> Headers:
    """Of the upstream's headers none but its request id."""
    headers: Headers = [(b"content-type", content_type)]
    for name, value in response.headers:
        if name in _REQUEST_IDS:
            headers.append((b"x-switchgear-upstream-request-id", value))
            break
    return headers


def own_headers(ctx: RequestContext) -> Headers:
    """What the client's dialect, and a translation, add to an answer's headers."""
    headers: Headers = []
    if ctx.endpoint.dialect == "anthropic":
        headers.append((b"request-id", ctx.request_id))
    if ctx.dropped:
        headers.append((b"x-switchgear-dropped", dropped_header(ctx.dropped)))
    return headers


def dropped_header(names: list[str]) -> bytes:
    """Names of fields as a header value; what a client made up is escaped, and the list is cut at a whole name."""
    value = b""
    for name in names:
        item = quote(name[:128], safe="[].:*/$@_- ").encode()
        if len(value) + len(item) + 2 > _DROPPED_MAX_BYTES:
            return value + b", ..."
        value += b", " + item if value else item
    return value
