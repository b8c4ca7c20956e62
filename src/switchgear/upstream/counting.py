"""Counting tokens: asked of the provider where it counts, else estimated here (`providers.tokens`).

Anthropic and Gemini count whatever is encoded for them. Others have no such endpoint: the answer is an estimate, made
without asking anybody, and says so in `x-switchgear-estimated`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from switchgear.errors import UpstreamProtocolError
from switchgear.providers import tokens
from switchgear.providers.dialects import gemini as gemini_dialect
from switchgear.upstream.answer import Answer, Local
from switchgear.upstream.passage import client_headers, conversation_of, own_headers, rejection, send, whole_body
from switchgear.upstream.translated import encode, native_headers

if TYPE_CHECKING:
    from switchgear.routing.credentials import Credential
    from switchgear.routing.router import Route
    from switchgear.types import Dialect, RequestContext, Target
    from switchgear.upstream.upstream import Upstream
    from switchgear.wire.conversation import Dialect as ClientDialect

_JSON = b"application/json"
# What Anthropic's count_tokens takes; it refuses every other field of a message request.
_COUNTED = ("model", "messages", "system", "tools", "tool_choice", "thinking", "mcp_servers", "output_config")
_members = msgspec.json.Decoder(dict[str, Raw])
_encode = msgspec.json.Encoder().encode
_SHAPES: dict[Dialect, ClientDialect] = {"openai": "responses", "anthropic": "anthropic", "gemini": "gemini"}


class CountTokens:
    """Input tokens of a conversation, in the client's shape."""

    async def attempt(
        self, ctx: RequestContext, route: Route, target: Target, upstream: Upstream, credential: Credential
    ) -> Answer:
        """Ask or estimate. Raises `UpstreamError`, `Overloaded`, `InvalidRequest`."""
        _read(ctx)
        shape = _SHAPES[ctx.endpoint.dialect]
        if upstream.wire not in ("anthropic", "gemini"):
            count = tokens.estimate_tokens(conversation_of(ctx))
            headers = [(b"content-type", _JSON), (b"x-switchgear-estimated", b"true"), *own_headers(ctx)]
            return Answer(Local(), tokens.encode_count(shape, count), headers=headers)
        path, body = _question(ctx, route, target, upstream)
        head = upstream.native_head(ctx, credential, path, target.model, len(body), native_headers(ctx, upstream))
        response = await send(ctx, route, upstream, head, body)
        try:
            if response.status >= 300:
                raise await rejection(response, upstream)
            found = tokens.decode_count(await whole_body(response))
            if found is None:
                raise UpstreamProtocolError("The upstream's answer has no count of tokens.")
            headers = client_headers(ctx, response, _JSON)
            return Answer(response, tokens.encode_count(shape, found), headers=headers)
        except BaseException:
            response.close()
            raise


def _read(ctx: RequestContext) -> None:
    """A Gemini client may wrap the request whose tokens it wants counted."""
    if ctx.conversation is None and ctx.endpoint.wire == "gemini":
        assert isinstance(ctx.body, bytes)  # noqa: S101 - the edge reads these bodies whole
        ctx.conversation = gemini_dialect.decode_request(tokens.gemini_count_body(ctx.body), ctx.model)


def _question(ctx: RequestContext, route: Route, target: Target, upstream: Upstream) -> tuple[str, bytes]:
    """(path, body) of the provider's own counting endpoint."""
    encoded = encode(ctx, route, target, upstream, upstream.wire)
    fields: dict[str, Any] = dict(_members.decode(encoded.body))
    if upstream.wire == "anthropic":
        return "/messages/count_tokens", _encode({name: fields[name] for name in _COUNTED if name in fields})
    path = encoded.path.partition(":")[0]
    fields["model"] = f"models/{target.model}"
    return f"{path}:countTokens", _encode({"generateContentRequest": fields})
