"""What changes in bytes that pass as they are: the model's name, the question for a stream's usage, close to the edge
of a budget the longest answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from msgspec.json import encode as json_string

from switchgear.errors import UpstreamProtocolError
from switchgear.hotpath._peek import PeekError, peek_reply, prepare, splice
from switchgear.hotpath._sse import CHAT, OPAQUE, RESPONSES, Rewriter
from switchgear.types import Usage
from switchgear.upstream import answers
from switchgear.upstream.answer import Answer
from switchgear.upstream.answers import client_name
from switchgear.upstream.bounds import bounded
from switchgear.upstream.coding import plain
from switchgear.upstream.usage import images_made

if TYPE_CHECKING:
    from switchgear.types import Headers, RequestContext
    from switchgear.upstream.upstream import Answered, Upstream

_MAKES_IMAGES = frozenset(("images.generations", "images.edits", "images.variations"))
_NO_OBJECT = "The upstream's answer is not a JSON object."
_DIALECTS = {"chat": CHAT, "responses": RESPONSES, "opaque": OPAQUE}


def asks_usage(ctx: RequestContext, upstream: Upstream) -> bool:
    """Whether the gateway asks for a stream's usage where the client did not (CASES 8)."""
    peeked = ctx.peeked
    return (
        ctx.stream
        and peeked is not None
        and ctx.endpoint.asks_usage
        and upstream.row.ask_usage
        and not peeked.include_usage
    )


def outgoing(ctx: RequestContext, model: str, ask_usage: bool, quirks: frozenset[str]) -> bytes | AsyncIterator[bytes]:
    """The request body for a target: the client's, with the target's model name and the question
    for usage spliced in, and the bound of the answer. quirks: of the target's provider."""
    body = ctx.body
    renamed = model != ctx.model and bool(ctx.model)
    if not isinstance(body, bytes) or not (renamed or ask_usage or ctx.bound):
        return body
    if ctx.peeked is not None:
        ready = prepare(body, ctx.peeked, json_string(model) if renamed else None, ask_usage)
        return bounded(ctx, ready, model, quirks)
    if ctx.form is not None:
        return splice(body, ctx.form.model_start, ctx.form.model_end, model.encode())
    return body


async def judged(ctx: RequestContext, model: str, response: Answered, hide_usage: bool) -> Answer:
    """An answer for the client, or the error that it is. `model` is the name the upstream was asked for."""
    try:
        if response.status < 300 and response.body is not None and not response.event_stream:
            return Answer(response, await whole(ctx, model, response, response.body))
        return await begun(ctx, model, response, hide_usage)
    except BaseException:
        response.close()
        raise


async def begun(ctx: RequestContext, model: str, response: Answered, hide_usage: bool) -> Answer:
    """An answer that is relayed, or the error that it is. `model` is the name the upstream was asked for."""
    if response.status >= 300:
        raise await answers.rejection(response)
    if not response.event_stream:
        return await unread(ctx, response)
    if (response.header(b"content-encoding") or b"identity") != b"identity":
        raise UpstreamProtocolError("The upstream compressed an event stream, which was not asked for.")
    rewriter = Rewriter(_DIALECTS[ctx.endpoint.sse], model=client_name(ctx, model), hide_usage=hide_usage)
    return Answer(response, None, rewriter, await answers.first_events(response, rewriter))


async def unread(ctx: RequestContext, response: Answered, headers: Headers | None = None) -> Answer:
    """A good answer that is relayed as it comes (binary, or too large to be read whole), once its first bytes are here.

    Raises `UpstreamError`.
    """
    if ctx.endpoint.answers == "object" and not answers.is_json(response):
        raise UpstreamProtocolError(_NO_OBJECT)
    first = await response.read()
    return Answer(response, None if first else b"", first=first, headers=headers)


async def whole(ctx: RequestContext, model: str, response: Answered, body: bytes) -> bytes:
    """The body of an answer that was read whole: checked, its usage read, the client's model name put back."""
    body = await plain(response, body)
    if ctx.endpoint.answers == "object" or (body and answers.is_json(response)):
        return _whole_json(ctx, body, client_name(ctx, model))
    return body


def _whole_json(ctx: RequestContext, body: bytes, renamed: bytes | None) -> bytes:
    try:
        found = peek_reply(body)
    except PeekError as exc:
        if ctx.endpoint.answers == "object":  # whatever the status and the content type say
            raise UpstreamProtocolError(_NO_OBJECT) from exc
        if body.lstrip()[:1] == b"[":  # a list is valid on the routes that only pass on
            return body
        raise UpstreamProtocolError("The upstream's answer is not valid JSON.") from exc
    if found.error_start >= 0 and found.choices_start < 0 and ctx.endpoint.sse == "chat":
        raise answers.embedded_error(body)
    if found.usage_start >= 0:
        tier = body[found.tier_start : found.tier_end] if found.tier_start >= 0 else b""
        ctx.usage = answers.read_usage(body[found.usage_start : found.usage_end], tier)
    if ctx.endpoint.name in _MAKES_IMAGES and (images := images_made(body)):
        ctx.usage = ctx.usage or Usage()
        ctx.usage.images = images
    if renamed is not None and found.model_start >= 0:
        return splice(body, found.model_start, found.model_end, renamed)
    return body
