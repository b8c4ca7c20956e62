"""The gateway's own pages: `/health`, `/ready`, `/metrics`, and the list of models."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from switchgear import __version__
from switchgear.errors import MethodNotAllowed, NotFound
from switchgear.hotpath._head import Exchange
from switchgear.providers.model_lists import (
    encode_gemini_list,
    encode_gemini_model,
    encode_union_list,
    encode_union_model,
)
from switchgear.server import body as bodies
from switchgear.server import ollama_pages
from switchgear.server.dialects import split_query
from switchgear.server.listing import listed, models_for
from switchgear.server.reply import AsgiReply
from switchgear.server.routes import MODELS
from switchgear.upstream.catalogue import ModelEntry

if TYPE_CHECKING:
    from switchgear.hotpath._head import Head
    from switchgear.server.worker import Worker

_JSON = (b"content-type", b"application/json")
_encode = msgspec.json.Encoder().encode


async def serve(
    worker: Worker, method: str, path: str, scope: dict[str, Any], head: Head, exchange: Exchange, reply: AsgiReply
) -> bool:
    """Answer if `path` is one of these pages; False if it is not."""
    if path in ollama_pages.METHODS:
        return await ollama_pages.serve(worker, method, path, head, exchange, reply)
    if path.startswith("/v1beta/models"):
        path = path.replace("/v1beta", "/v1", 1)
        gemini = True
    else:
        gemini = False
    if path == MODELS or path.startswith(MODELS + "/"):
        if method == "OPTIONS" or (method == "POST" and ":" in path):  # preflight; Gemini's generateContent
            return False
    elif path not in ("/health", "/ready", "/metrics", "/"):
        return False
    if method not in ("GET", "HEAD"):
        if method == "OPTIONS":
            return False
        raise MethodNotAllowed(f"Not allowed to {method} on {path}.", allow="GET, HEAD, OPTIONS")
    await bodies.read_whole(exchange, bodies.declared_length(head.length), worker.config.server.body_limit)
    if path == "/health":
        await reply.whole(200, [_JSON], b'{"status":"ok"}')
    elif path == "/ready":
        await _ready(worker, reply)
    elif path == "/metrics":
        accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
        content_type, text = await asyncio.to_thread(worker.metrics.render, accept.decode("latin-1"))
        await reply.whole(200, [(b"content-type", content_type.encode())], text)
    elif path == "/":
        await reply.whole(200, [_JSON], _encode({"service": "switchgear", "version": __version__, "api": "/v1"}))
    else:
        await _models(worker, path, scope, head, reply, gemini=gemini)
    return True


async def _ready(worker: Worker, reply: AsgiReply) -> None:
    """Whether requests are wanted here. Not while draining, nor when the ledger is full and therefore refuses them.

    Shared state and database are told of, and no reason not to be ready: requests go on without them, but for limits
    that fail closed, and to take every worker out of service at once would make an outage of it.
    """
    ledger = worker.gateway.metering.ledger
    full = ledger is not None and ledger.full
    status = "draining" if worker.draining else "ledger full" if full else "ready"
    ready = worker.started and status == "ready"
    state = {
        "status": status,
        "providers": sorted(worker.upstreams),
        "in_flight": len(worker.inflight),
        "state": "away" if worker.gateway.metering.limits.leases.away else "ok",
        "database": "off" if ledger is None else "ok" if ledger.state.reachable else "away",
    }
    await reply.whole(200 if ready else 503, [_JSON], _encode(state))


class _ModelList(msgspec.Struct):
    data: list[ModelEntry]
    object: str = "list"


async def _models(
    worker: Worker, path: str, scope: dict[str, Any], head: Head, reply: AsgiReply, *, gemini: bool
) -> None:
    """`GET /v1/models` merged over providers, `GET /v1/models/{id}`: those that the caller may use.

    In the shape of the client's dialect: Anthropic's clients send `anthropic-version`, Gemini's ask below /v1beta or
    with their own header (TRANSLATION §18).
    """
    token = head.token
    names = {name for name, _ in scope["headers"]}
    gemini = gemini or (b"x-goog-api-key" in names and b"authorization" not in names)
    anthropic = b"anthropic-version" in names
    if gemini and not token:
        token = split_query(scope["query_string"])[0]
    entries = await models_for(worker, token)
    if path == MODELS:
        models = [listed(entry) for entry in entries] if gemini or anthropic else []
        body = (
            encode_gemini_list(models)
            if gemini
            else encode_union_list(models)
            if anthropic
            else _encode(_ModelList(entries))
        )
        await reply.whole(200, [_JSON], body)
        return
    wanted = path[len(MODELS) + 1 :]
    for entry in entries:
        if entry.id == wanted:
            body = (
                encode_gemini_model(listed(entry))
                if gemini
                else encode_union_model(listed(entry))
                if anthropic
                else _encode(entry)
            )
            await reply.whole(200, [_JSON], body)
            return
    raise NotFound(
        f"The model `{wanted[:200]}` does not exist or you do not have access to it.",
        code="model_not_found",
        param="model",
    )
