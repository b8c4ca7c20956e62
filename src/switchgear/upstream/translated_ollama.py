"""An Ollama client's conversation at a provider of another format.

Its stream is lines of JSON, its last line tells how long things took, and a request that asks nothing (no message, no
prompt) means that the model is to be loaded: answered here, for nobody else has such a request.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from switchgear.providers.dialects import ollama, ollama_generate
from switchgear.providers.reading import plain
from switchgear.types import Usage
from switchgear.upstream.answer import Answer, Local
from switchgear.upstream.passage import conversation_of, own_headers
from switchgear.upstream.translated import TranslatedConversation

if TYPE_CHECKING:
    from collections.abc import Callable

    from switchgear.routing.credentials import Credential
    from switchgear.routing.router import Route
    from switchgear.types import RequestContext, Target
    from switchgear.upstream.upstream import Upstream
    from switchgear.wire.conversation import Answer as Reply
    from switchgear.wire.conversation import Conversation

_UNLOAD = (0, "0", "0s")  # `keep_alive`
_JSON = (b"content-type", b"application/json; charset=utf-8")


class OllamaConversation(TranslatedConversation):
    """From /api/chat or /api/generate to a provider's format and back."""

    event_stream = b"application/x-ndjson"

    async def attempt(
        self, ctx: RequestContext, route: Route, target: Target, upstream: Upstream, credential: Credential
    ) -> Answer:
        """Send once. Raises `UpstreamError`, `Overloaded`, `InvalidRequest`."""
        conversation = conversation_of(ctx)
        if conversation.messages:
            return await super().attempt(ctx, route, target, upstream, credential)
        return self._loaded(ctx, conversation)

    def _loaded(self, ctx: RequestContext, conversation: Conversation) -> Answer:
        ctx.usage = Usage()
        keep_alive = (conversation.extensions or {}).get("keep_alive")
        unloads = keep_alive is not None and plain(keep_alive) in _UNLOAD
        encode = ollama.encode_loaded if self.client == "ollama" else ollama_generate.encode_loaded
        body = encode(ctx.model, int(time.time()), unloads=unloads)
        return Answer(Local(), body, headers=[_JSON, *own_headers(ctx)])

    def written(self, ctx: RequestContext, reply: Reply, conversation: Conversation) -> bytes:
        """An answer as the client's body."""
        encode = ollama.encode_response if self.client == "ollama" else ollama_generate.encode_response
        return encode(reply, conversation, ctx.model, elapsed_ns(ctx))

    def clock(self, ctx: RequestContext) -> Callable[[], int]:
        """Nanoseconds since the request came."""
        return lambda: elapsed_ns(ctx)


def elapsed_ns(ctx: RequestContext) -> int:
    """Since the request came, on the loop's clock."""
    return int((asyncio.get_running_loop().time() - ctx.started_at) * 1e9)
