"""A chat client at an OpenAI-like provider with quirks: bytes pass where they can, and are repaired where they must be.

The request passes as it is, unless the provider refuses fields that it does not know (Mistral), or the history holds
reasoning of another vendor; then it is encoded for the provider. An answer is repaired as the row's quirks say
(`providers.repairs`, TRANSLATION §10); a stream goes through a `Translator` only where a quirk shows in streams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchgear.errors import UpstreamProtocolError
from switchgear.hotpath._sse import CHAT, Rewriter
from switchgear.hotpath._translate import Translator
from switchgear.providers.repairs import repair_reply
from switchgear.upstream import answers
from switchgear.upstream.answer import Answer
from switchgear.upstream.answers import client_name
from switchgear.upstream.coding import plain
from switchgear.upstream.native import FOREIGN
from switchgear.upstream.passage import conversation_of, own_headers, rejection, send
from switchgear.upstream.plain import asks_usage, judged, outgoing, unread, whole
from switchgear.upstream.translated import ask, encode, first_events

if TYPE_CHECKING:
    from switchgear.routing.credentials import Credential
    from switchgear.routing.router import Route
    from switchgear.types import Headers, RequestContext, Target
    from switchgear.upstream.upstream import Answered, Upstream

# Seen in events of a stream; the other quirks of answers are of whole ones, or `Rewriter` copes with them.
STREAM_QUIRKS = frozenset(
    ("content_list", "object_arguments", "missing_tool_id", "finish_words", "usage_excludes_reasoning")
)
# A provider with one of these takes no body that was not made for it.
STRICT_QUIRKS = frozenset(("forbids_unknown",))


class ForeignResponses:
    """A Responses client at a provider of Responses: another vendor's signature in its input does not go along."""

    async def attempt(
        self, ctx: RequestContext, route: Route, target: Target, upstream: Upstream, credential: Credential
    ) -> Answer:
        """Send once. Raises `UpstreamError`, `Overloaded`, `InvalidRequest`."""
        assert isinstance(ctx.body, bytes)  # noqa: S101 - the edge reads these bodies whole
        body = outgoing(ctx, target.model, False, upstream.row.quirks)
        if FOREIGN in ctx.body:
            body = encode(ctx, route, target, upstream, "responses").body
        assert isinstance(body, bytes)  # noqa: S101 - it was bytes before
        head = upstream.head(ctx, credential, target.model, len(body))
        response = await send(ctx, route, upstream, head, body)
        return await judged(ctx, target.model, response, False)


class RepairedChat:
    """Chat to chat. quirks: of the provider's row."""

    def __init__(self, quirks: frozenset[str]):
        self.quirks = quirks
        self._streams = bool(quirks & STREAM_QUIRKS)
        self._encodes = bool(quirks & STRICT_QUIRKS)

    async def attempt(
        self, ctx: RequestContext, route: Route, target: Target, upstream: Upstream, credential: Credential
    ) -> Answer:
        """Send once. Raises `UpstreamError`, `Overloaded`, `InvalidRequest`."""
        assert isinstance(ctx.body, bytes)  # noqa: S101 - the edge reads these bodies whole
        hide_usage = asks_usage(ctx, upstream)
        if self._encodes or (ctx.peeked is not None and ctx.peeked.signed):
            encoded = encode(ctx, route, target, upstream, "chat")
            hide_usage = ctx.stream and not conversation_of(ctx).include_usage
            response = await ask(ctx, route, target, upstream, credential, encoded)
        else:
            body = outgoing(ctx, target.model, hide_usage, self.quirks)
            assert isinstance(body, bytes)  # noqa: S101 - it was bytes before
            head = upstream.head(ctx, credential, target.model, len(body))
            response = await send(ctx, route, upstream, head, body)
        try:
            if response.status >= 300:
                raise await rejection(response, upstream)
            if response.event_stream:
                return await self._streamed(ctx, response, target.model, hide_usage)
            return await self._whole(ctx, response, target.model)
        except BaseException:
            response.close()
            raise

    async def _whole(self, ctx: RequestContext, response: Answered, model: str) -> Answer:
        if response.body is None:  # too large to be read whole
            return await unread(ctx, response, self._headers(ctx, response))
        body = await plain(response, response.body)
        if answers.is_json(response):
            body = repair_reply(body, self.quirks)
        return Answer(response, await whole(ctx, model, response, body), headers=self._headers(ctx, response))

    async def _streamed(self, ctx: RequestContext, response: Answered, model: str, hide_usage: bool) -> Answer:
        if (response.header(b"content-encoding") or b"identity") != b"identity":
            raise UpstreamProtocolError("The upstream compressed an event stream, which was not asked for.")
        headers = self._headers(ctx, response)
        if not self._streams:
            rewriter = Rewriter(CHAT, model=client_name(ctx, model), hide_usage=hide_usage)
            return Answer(response, None, rewriter, await answers.first_events(response, rewriter), headers)
        translator = Translator(
            "chat",
            "chat",
            model=ctx.model if ctx.model != model else "",
            include_usage=not hide_usage,
            quirks=("keep_reasoning",),
        )
        return Answer(response, None, translator, await first_events(response, translator), headers)

    def _headers(self, ctx: RequestContext, response: Answered) -> Headers | None:
        return answers.client_headers(response) + own_headers(ctx) if ctx.dropped else None
