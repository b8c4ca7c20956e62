"""A conversation at a provider that speaks the client's own format: nothing is re-encoded but what has to change.

The model's name is spliced into the body (Anthropic) or stands in the path (Gemini), and is put back in the answer.
Only a body that carries another vendor's reasoning signature is encoded anew, without it: the provider would refuse it
(`providers.signatures`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from msgspec import Raw
from msgspec.json import encode as json_string

from switchgear.errors import UpstreamProtocolError
from switchgear.hotpath._peek import PeekError, peek_reply, prepare, splice
from switchgear.hotpath._translate import Translator
from switchgear.providers.formats.gemini_reply import decode_usage
from switchgear.types import Usage
from switchgear.upstream import answers
from switchgear.upstream.answer import Answer
from switchgear.upstream.answers import client_name
from switchgear.upstream.anthropic_relay import AnthropicRelay, read_counts
from switchgear.upstream.bounds import bounded
from switchgear.upstream.passage import own_headers, rejection, send, whole_body
from switchgear.upstream.translated import encode, first_events, native_headers
from switchgear.upstream.usage import usage_of
from switchgear.wire.conversation import Encoded, ReplyContext
from switchgear.wire.gemini import UsageMetadata

if TYPE_CHECKING:
    from switchgear.routing.credentials import Credential
    from switchgear.routing.router import Route
    from switchgear.types import Headers, RequestContext, Target
    from switchgear.upstream.upstream import Answered, Upstream

# How a signature that `providers.signatures` marked as another vendor's begins, as a JSON string.
FOREIGN = b'"swg.'
FOREIGN_GEMINI = b'"c3dnL'
# A thought of a vendor that signs none: an Anthropic client keeps it as a block with an empty signature.
_UNSIGNED = re.compile(rb'"signature"\s*:\s*""')
_members = msgspec.json.Decoder(dict[str, Raw])
_usage = msgspec.json.Decoder(UsageMetadata)
_encode = msgspec.json.Encoder().encode


def foreign(body: object) -> bool:
    """Whether a body carries reasoning that is marked as another vendor's, which only a translation leaves out."""
    return isinstance(body, bytes) and FOREIGN in body


class NativeAnthropic:
    """An Anthropic client at Anthropic."""

    async def attempt(
        self, ctx: RequestContext, route: Route, target: Target, upstream: Upstream, credential: Credential
    ) -> Answer:
        """Send once. Raises `UpstreamError`, `Overloaded`."""
        body = self._body(ctx, route, target, upstream)
        head = upstream.native_head(
            ctx, credential, ctx.endpoint.path, target.model, len(body), native_headers(ctx, upstream), ctx.query
        )
        response = await send(ctx, route, upstream, head, body)
        try:
            if response.status >= 300:
                raise await rejection(response, upstream)
            renamed = client_name(ctx, target.model)
            if response.event_stream:
                relay = AnthropicRelay(renamed)
                first = await answers.first_events(response, relay)
                return Answer(response, None, relay, first, self._headers(ctx, response))
            whole = _anthropic_message(ctx, await whole_body(response), renamed)
            return Answer(response, whole, headers=self._headers(ctx, response))
        except BaseException:
            response.close()
            raise

    def _body(self, ctx: RequestContext, route: Route, target: Target, upstream: Upstream) -> bytes:
        body = ctx.body
        assert isinstance(body, bytes)  # noqa: S101 - the edge reads these bodies whole
        if FOREIGN in body or (b'"thinking"' in body and _UNSIGNED.search(body)):
            return encode(ctx, route, target, upstream, "anthropic").body
        if ctx.peeked is not None and target.model != ctx.model:
            body = prepare(body, ctx.peeked, json_string(target.model), False)
        return bounded(ctx, body, target.model)

    def _headers(self, ctx: RequestContext, response: Answered) -> Headers:
        headers = answers.client_headers(response)
        return [_upstreams_id(pair) for pair in headers] + own_headers(ctx)


def _upstreams_id(pair: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    return (b"x-switchgear-upstream-request-id", pair[1]) if pair[0] == b"request-id" else pair


def _anthropic_message(ctx: RequestContext, body: bytes, renamed: bytes | None) -> bytes:
    try:
        found = peek_reply(body)
    except PeekError as exc:
        raise UpstreamProtocolError("The upstream's answer is not valid JSON.") from exc
    if found.usage_start >= 0:
        ctx.usage = read_counts(body[found.usage_start : found.usage_end])
    if renamed is not None and found.model_start >= 0:
        return splice(body, found.model_start, found.model_end, renamed)
    return body


class NativeGemini:
    """A Gemini client at Gemini. Its stream always comes as events; a client that asked for an array gets one."""

    async def attempt(
        self, ctx: RequestContext, route: Route, target: Target, upstream: Upstream, credential: Credential
    ) -> Answer:
        """Send once. Raises `UpstreamError`, `Overloaded`."""
        encoded = self._encoded(ctx, route, target, upstream)
        path, _, query = encoded.path.partition("?")
        head = upstream.native_head(
            ctx,
            credential,
            path,
            target.model,
            len(encoded.body),
            native_headers(ctx, upstream),
            query.encode(),
        )
        gather = 0 if ctx.stream else answers.GATHER_MAX
        response = await send(ctx, route, upstream, head, encoded.body, gather)
        try:
            if response.status >= 300:
                raise await rejection(response, upstream)
            headers = answers.client_headers(response) + own_headers(ctx)
            renamed = ctx.model if target.model != ctx.model else ""
            if ctx.stream:
                form = "gemini-array" if ctx.array else "gemini"
                reframe = Translator("gemini", form, model=renamed)
                first = await first_events(response, reframe)
                if ctx.array:
                    headers = [pair for pair in headers if pair[0] != b"content-type"]
                    headers.append((b"content-type", b"application/json; charset=UTF-8"))
                return Answer(response, None, reframe, first, headers)
            body = await whole_body(response)
            if ctx.endpoint.task == "conversation":
                body = _gemini_answer(ctx, body, renamed)
            return Answer(response, body, headers=headers)
        except BaseException:
            response.close()
            raise

    def _encoded(self, ctx: RequestContext, route: Route, target: Target, upstream: Upstream) -> Encoded:
        body = ctx.body
        assert isinstance(body, bytes)  # noqa: S101 - the edge reads these bodies whole
        if FOREIGN_GEMINI in body and ctx.endpoint.task == "conversation":
            return encode(ctx, route, target, upstream, "gemini")
        path = f"/models/{quote(target.model, safe='')}{ctx.endpoint.path}"
        if ctx.stream:
            path += "?alt=sse"
        if target.model != ctx.model and b'"model"' in body:
            body = _renamed(body, target.model)
        return Encoded(path, bounded(ctx, body, target.model), [], ReplyContext())


def _renamed(body: bytes, model: str) -> bytes:
    """A body that names the model besides the path: of :countTokens and of embeddings, in each of its requests."""
    fields = _members.decode(body)
    name = Raw(json_string(f"models/{model}"))
    if "model" in fields:
        fields["model"] = name
    if "generateContentRequest" in fields:
        inner = _members.decode(fields["generateContentRequest"])
        if "model" in inner:
            inner["model"] = name
        fields["generateContentRequest"] = Raw(_encode(inner))
    if "requests" in fields:
        items = msgspec.json.decode(fields["requests"], type=list[dict[str, Raw]])
        for item in items:
            if "model" in item:
                item["model"] = name
        fields["requests"] = Raw(_encode(items))
    return _encode(fields)


def _gemini_answer(ctx: RequestContext, body: bytes, renamed: str) -> bytes:
    try:
        fields = _members.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise UpstreamProtocolError("The upstream's answer is not valid JSON.") from exc
    if "error" in fields and "candidates" not in fields:
        raise answers.embedded_error(body)
    ctx.usage = _gemini_usage(fields.get("usageMetadata"))
    if renamed and "modelVersion" in fields:
        fields["modelVersion"] = Raw(json_string(renamed))
        return _encode(fields)
    return body


def _gemini_usage(token: Raw | None) -> Usage | None:
    if token is None:
        return None
    try:
        return usage_of(decode_usage(_usage.decode(token)))
    except msgspec.MsgspecError:
        return None
