"""Ollama's pages about models, made here: `/api/tags`, `/api/show`, `/api/ps`, `/api/version`.

Of a model the gateway knows its name: sizes and formats are empty, and what it can do is what the gateway can pass on.
Nothing is in memory here, so `/api/ps` lists nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from switchgear.errors import InvalidRequest, MethodNotAllowed, NotFound
from switchgear.providers.model_lists import encode_ollama_running, encode_ollama_show, encode_ollama_tags
from switchgear.providers.reading import read_request
from switchgear.server import body as bodies
from switchgear.server.listing import listed, models_for

if TYPE_CHECKING:
    from switchgear.hotpath._head import Exchange, Head
    from switchgear.server.reply import AsgiReply
    from switchgear.server.worker import Worker

METHODS = {"/api/tags": "GET", "/api/ps": "GET", "/api/version": "GET", "/api/show": "POST"}
API_VERSION = "0.12.11"
"""Of Ollama, whose API this is: the first with log probabilities in its answers. Clients go by it."""
_JSON = (b"content-type", b"application/json; charset=utf-8")
_LATEST = ":latest"


class _Show(Struct):
    """name: what older clients say."""

    model: str | None = None
    name: str | None = None


_show = msgspec.json.Decoder(_Show)


async def serve(worker: Worker, method: str, path: str, head: Head, exchange: Exchange, reply: AsgiReply) -> bool:
    """Answer one of `METHODS`; False for a preflight.

    Raises `AuthenticationFailed`, `MethodNotAllowed`, `NotFound`, `InvalidRequest`.
    """
    if method == "OPTIONS":
        return False
    wanted = METHODS[path]
    if method != wanted and not (method == "HEAD" and wanted == "GET"):
        allow = "GET, HEAD, OPTIONS" if wanted == "GET" else "POST, OPTIONS"
        raise MethodNotAllowed(f"Not allowed to {method} on {path}.", allow=allow)
    body = await bodies.read_whole(exchange, bodies.declared_length(head.length), worker.config.server.body_limit)
    if path == "/api/version":
        await reply.whole(200, [_JSON], msgspec.json.encode({"version": API_VERSION}))
        return True
    entries = await models_for(worker, head.token)
    if path == "/api/tags":
        answer = encode_ollama_tags([listed(entry) for entry in entries])
    elif path == "/api/ps":
        answer = encode_ollama_running()
    else:
        named = _named(body)
        name = named if any(entry.id == named for entry in entries) else named.removesuffix(_LATEST)
        found = next((entry for entry in entries if entry.id == name), None)
        if found is None:
            raise NotFound(f"model '{named[:200]}' not found", code="model_not_found", param="model")
        answer = encode_ollama_show(listed(found))
    await reply.whole(200, [_JSON], answer)
    return True


def _named(body: bytes) -> str:
    request = read_request(_show, body)
    name = request.model or request.name
    if not name:
        raise InvalidRequest("model is required", param="model", code="missing_required_parameter")
    return name
