"""Embeddings asked for in one format and made in another: batches split and joined, base64 and floats (§19)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from switchgear.errors import InvalidRequest
from switchgear.providers import embeddings, ollama_embeddings
from switchgear.types import Usage
from switchgear.upstream.answer import Answer, Local
from switchgear.upstream.passage import client_headers, rejection, send, whole_body
from switchgear.upstream.translated import native_headers
from switchgear.upstream.translated_ollama import elapsed_ns

if TYPE_CHECKING:
    from switchgear.providers.embeddings import EmbeddingBatch, EmbeddingFormat, EmbeddingReply, EmbeddingRequest
    from switchgear.routing.credentials import Credential
    from switchgear.routing.router import Route
    from switchgear.types import RequestContext, Target
    from switchgear.upstream.upstream import Answered, Upstream

_AT_ONCE = 4  # batches of one request that are on their way at a time


class TranslatedEmbeddings:
    """From a client's dialect to a provider's format."""

    def __init__(self, fmt: EmbeddingFormat):
        self.fmt: EmbeddingFormat = fmt

    async def attempt(
        self, ctx: RequestContext, route: Route, target: Target, upstream: Upstream, credential: Credential
    ) -> Answer:
        """Send every batch. Raises `UpstreamError`, `Overloaded`, `InvalidRequest`; one that fails fails them all."""
        request = read(ctx)
        batches, dropped = embeddings.encode_requests(request, self.fmt, target.model)
        if dropped and (ctx.strict or route.strict):
            raise _inexpressible(dropped[0])
        ctx.dropped = dropped or None
        gate = asyncio.Semaphore(_AT_ONCE)
        tasks = [
            asyncio.ensure_future(self._batch(ctx, route, target, upstream, credential, batch, gate))
            for batch in batches
        ]
        try:
            results = [await task for task in tasks]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        reply = embeddings.join([found for found, _ in results])
        ctx.usage = Usage(
            input_tokens=reply.tokens if reply.tokens is not None else embeddings.estimate_input_tokens(request),
            estimated=reply.tokens is None,
        )
        if ctx.endpoint.wire == "gemini":
            body = embeddings.encode_gemini_response(reply, request)
        elif ctx.endpoint.wire == "ollama":
            body = ollama_embeddings.encode_response(reply, request, ctx.model, elapsed_ns(ctx))
        else:
            body = embeddings.encode_openai_response(reply, request, ctx.model)
        return Answer(Local(), body, headers=client_headers(ctx, results[0][1], b"application/json"))

    async def _batch(
        self,
        ctx: RequestContext,
        route: Route,
        target: Target,
        upstream: Upstream,
        credential: Credential,
        batch: EmbeddingBatch,
        gate: asyncio.Semaphore,
    ) -> tuple[EmbeddingReply, Answered]:
        async with gate:
            head = upstream.native_head(
                ctx, credential, batch.path, target.model, len(batch.body), native_headers(ctx, upstream)
            )
            response = await send(ctx, route, upstream, head, batch.body)
            try:
                if response.status >= 300:
                    raise await rejection(response, upstream)
                return embeddings.decode_reply(await whole_body(response), self.fmt, batch.count), response
            except BaseException:
                response.close()
                raise


def read(ctx: RequestContext) -> EmbeddingRequest:
    """The body in the one form of all dialects. Raises `InvalidRequest`."""
    assert isinstance(ctx.body, bytes)  # noqa: S101 - the edge reads these bodies whole
    if ctx.endpoint.wire == "gemini":
        return embeddings.decode_gemini_request(ctx.body, ctx.model, batch=ctx.endpoint.path == ":batchEmbedContents")
    if ctx.endpoint.wire == "ollama":
        return ollama_embeddings.decode_request(ctx.body, ctx.model, single=ctx.endpoint.path == "/api/embeddings")
    return embeddings.decode_openai_request(ctx.body)


def _inexpressible(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"'{name}' cannot be expressed for the provider that serves this model.",
        param=name,
        code="unsupported_parameter",
    )
