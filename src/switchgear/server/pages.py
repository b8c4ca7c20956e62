"""The gateway's own pages: `/health`, `/ready`, `/metrics`, and the list of models."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from switchgear import __version__
from switchgear.errors import MethodNotAllowed, NotFound
from switchgear.hotpath._head import Exchange
from switchgear.server import body as bodies
from switchgear.server.reply import AsgiReply
from switchgear.server.routes import MODELS
from switchgear.types import Principal
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
        await _models(worker, path, head, reply)
    return True


async def _ready(worker: Worker, reply: AsgiReply) -> None:
    ready = worker.started and not worker.draining
    state = {
        "status": "ready" if ready else "draining",
        "providers": sorted(worker.upstreams),
        "in_flight": len(worker.inflight),
    }
    await reply.whole(200 if ready else 503, [_JSON], _encode(state))


class _ModelList(msgspec.Struct):
    data: list[ModelEntry]
    object: str = "list"


async def _models(worker: Worker, path: str, head: Head, reply: AsgiReply) -> None:
    """`GET /v1/models` merged over providers, `GET /v1/models/{id}`: those that the caller may use."""
    authenticator = worker.gateway.authenticator
    principal: Principal | None = authenticator.authenticate(head.token)
    if principal is None:
        principal = await authenticator.authenticate_slowly(head.token)
    entries = [entry for entry in await worker.catalogue.entries() if principal.may_use(entry.id)]
    if path == MODELS:
        await reply.whole(200, [_JSON], _encode(_ModelList(entries)))
        return
    wanted = path[len(MODELS) + 1 :]
    for entry in entries:
        if entry.id == wanted:
            await reply.whole(200, [_JSON], _encode(entry))
            return
    raise NotFound(
        f"The model `{wanted[:200]}` does not exist or you do not have access to it.",
        code="model_not_found",
        param="model",
    )
