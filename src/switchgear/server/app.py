"""The HTTP edge: an ASGI application that turns bytes into a call of `Gateway.handle` and renders what it raises.

It runs under any ASGI server; `cli/serve.py` runs it under granian. Decisions are the gateway's: here are paths, methods,
body caps, request ids, CORS, error envelopes and draining.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from switchgear.errors import (
    ClientDisconnected,
    GatewayError,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    RequestTimeout,
)
from switchgear.observability import logs
from switchgear.server import body as bodies
from switchgear.server import pages
from switchgear.server.cors import Cors
from switchgear.server.inflight import Exchange, InFlight, Receive
from switchgear.server.ids import RequestIds
from switchgear.server.render import error_answer
from switchgear.server.reply import AsgiReply, Send
from switchgear.server.routes import EXACT, UNSUPPORTED, find
from switchgear.server.worker import Worker
from switchgear.types import Endpoint, RequestContext

log = logs.get(__name__)

class Head:
    """What the edge reads of a request's headers, in one pass over them."""

    __slots__ = ("content_type", "forwarded", "length", "origin", "provider", "request_id", "token")

    def __init__(self, headers: list[tuple[bytes, bytes]], forward: frozenset[bytes]):
        self.token = self.content_type = self.length = self.request_id = self.origin = self.provider = b""
        self.forwarded: list[tuple[bytes, bytes]] = []
        api_key = b""
        for pair in headers:
            name = pair[0]
            if name == b"authorization":
                self.token = _bearer(pair[1])
            elif name == b"content-type":
                self.content_type = pair[1]
            elif name == b"content-length":
                self.length = pair[1]
            elif name == b"x-request-id":
                self.request_id = pair[1]
            elif name == b"origin":
                self.origin = pair[1]
            elif name == b"x-api-key" or name == b"api-key" or name == b"x-goog-api-key":
                api_key = pair[1].strip()
            elif name == b"x-switchgear-provider":
                self.provider = pair[1]
            elif name in forward:
                self.forwarded.append(pair)
        if not self.token:
            self.token = api_key


def _bearer(value: bytes) -> bytes:
    """The token of `Bearer token`; a bare token is taken too, as some clients send it."""
    scheme, _, token = value.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else value.strip() if not token else b""


class App:
    """The ASGI application of one worker. worker: what it serves, started and stopped by the lifespan."""

    def __init__(self, worker: Worker):
        self.worker = worker
        self.ids = RequestIds()
        self.cors = Cors(worker.config.server.cors)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "unsupported"})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.worker.start()
                except Exception as exc:  # whatever it is, the server must hear of it and stop
                    log.error("worker did not start", error=str(exc))
                    await send({"type": "lifespan.startup.failed", "message": str(exc)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.worker.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        worker = self.worker
        if not worker.started:  # a server without lifespan support
            await worker.start()
        head = Head(scope["headers"], worker.forwarded)
        request_id = self.ids.accept(head.request_id)
        extra = [(b"x-request-id", request_id)]
        if worker.draining:
            extra.append((b"connection", b"close"))
        if head.origin:
            extra += self.cors.headers(head.origin)
        reply = AsgiReply(send, extra, scope["method"] == "HEAD")
        exchange = worker.inflight.enter(receive)
        try:
            await self._serve(scope, head, request_id, exchange, reply)
        except GatewayError as error:
            await self._refuse(error, reply)
        except ClientDisconnected:
            pass
        except asyncio.CancelledError:
            if not exchange.reason:  # not ours: the server ends
                raise
            exchange.task.uncancel()
            if exchange.reason == "body_timeout":
                await self._refuse(RequestTimeout("The request body did not arrive in time."), reply)
        except Exception:
            log.exception("unexpected error", request_id=request_id.decode())
            await self._refuse(GatewayError("The gateway failed to handle the request.", code="internal_error"), reply)
        finally:
            worker.inflight.leave(exchange)

    async def _serve(
        self, scope: dict[str, Any], head: Head, request_id: bytes, exchange: Exchange, reply: AsgiReply
    ) -> None:
        method, path = scope["method"], scope["path"]
        methods = EXACT.get(path)
        endpoint = methods.get(method) if methods is not None else None
        if endpoint is None:
            path = normalised(path)
            if await pages.serve(self.worker, method, path, scope, head, exchange, reply):
                return
            endpoint, methods = find(method, path)
            if endpoint is None:
                await self._no_endpoint(method, path, methods, head, reply)
                return
        worker = self.worker
        if len(worker.inflight) > worker.config.server.max_in_flight:
            raise Overloaded("The gateway is handling too many requests.", retry_after_s=1)
        gateway = worker.gateway
        ctx = RequestContext(
            endpoint,
            request_id,
            exchange.since,
            method=method,
            path=endpoint.path or path[3:],
            query=scope["query_string"],
            client_headers=head.forwarded,
            token=head.token,
            content_type=head.content_type,
        )
        ctx.provider = head.provider.decode("latin-1") if head.provider else ""
        await self._read_body(ctx, head, exchange)
        await gateway.handle(ctx, reply)

    async def _read_body(self, ctx: RequestContext, head: Head, exchange: Exchange) -> None:
        kind, server = ctx.endpoint.body, self.worker.config.server
        length = bodies.declared_length(head.length)
        if kind == "json" or kind == "multipart":
            limit = server.upload_limit if b"multipart/" in ctx.content_type else server.body_limit
            ctx.body = await bodies.read_whole(exchange, length, limit)
        elif kind == "stream":
            ctx.content_length = length
            ctx.body = bodies.stream(exchange, length, server.upload_limit)
        else:
            ctx.body = await bodies.read_whole(exchange, length, server.body_limit)
            ctx.body = b""

    async def _no_endpoint(
        self, method: str, path: str, methods: dict[str, Endpoint] | None, head: Head, reply: AsgiReply
    ) -> None:
        """An unknown path or method, answered as OpenAI does (TRANSLATION §16.2)."""
        if method == "OPTIONS":
            await reply.whole(204, self.cors.preflight(head.origin, methods), b"")
        elif methods is not None:
            allow = ", ".join([*methods, "OPTIONS"])
            raise MethodNotAllowed(f"Not allowed to {method} on {path}.", allow=allow)
        elif UNSUPPORTED.match(path):
            raise NotFound(f"{path} is not served by this gateway.", status=501, code="unsupported_endpoint")
        else:
            raise NotFound(f"Unknown request URL: {method} {path[:200]}. Please check the URL for typos.", code="unknown_url")

    async def _refuse(self, error: GatewayError, reply: AsgiReply) -> None:
        """Render an error, if the answer has not begun; else nothing can be said any more and the body stays cut off."""
        if reply.started:
            raise error
        status, headers, body = error_answer(error)
        try:
            await reply.whole(status, headers, body)
        except ClientDisconnected:
            pass


_SLASHES = re.compile(r"/{2,}")


def normalised(path: str) -> str:
    """The path without doubled or trailing slashes, percent-decoded where the server did not."""
    path = _SLASHES.sub("/", path)
    return path.rstrip("/") or "/"
