"""The HTTP edge: an ASGI application that turns bytes into a call of `Gateway.handle` and renders what it raises.

It runs under any ASGI server; `cli/serve.py` runs it under granian. Decisions are the gateway's: here are paths,
methods,
body caps, request ids, CORS, error envelopes and draining.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from switchgear.hotpath._head import Head
from switchgear.observability import logs
from switchgear.server import body as bodies
from switchgear.server import pages
from switchgear.server.cors import Cors
from switchgear.server.ids import RequestIds
from switchgear.server.inflight import Exchange, Receive
from switchgear.server.render import error_answer
from switchgear.server.reply import AsgiReply, Send
from switchgear.server.routes import EXACT, UNSUPPORTED, find
from switchgear.server.worker import Worker
from switchgear.types import Endpoint, Headers, RequestContext

log = logs.get(__name__)


class App:
    """The ASGI application of one worker. worker: what it serves, started and stopped by the lifespan."""

    def __init__(self, worker: Worker):
        self.worker = worker
        self.ids = RequestIds()
        self._cors_settings = worker.config.server.cors
        self._cors = Cors(self._cors_settings)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._not_http(scope, receive, send)
            return
        worker = self.worker
        if not worker.started:  # a server without lifespan support
            await worker.start()
        head = Head(scope["headers"], worker.forwarded)
        request_id = self.ids.accept(head.request_id)
        reply = AsgiReply(
            send, self._extra(request_id, head) if worker.draining or head.origin else [(b"x-request-id", request_id)]
        )
        exchange = worker.inflight.enter(receive)
        exchange.reply = reply
        try:
            methods = EXACT.get(scope["path"])
            endpoint = methods.get(scope["method"]) if methods is not None else None
            if endpoint is None:
                await self._other_path(scope, head, request_id, exchange, reply)
            elif endpoint.fast and 0 < head.length <= worker.config.server.body_limit and not scope["query_string"]:
                message = await receive()
                body = message.get("body", b"")
                if len(body) == head.length:  # all of it: do not ask again
                    exchange.reading = False
                else:
                    body = await bodies.read_on(exchange, message, head.length, worker.config.server.body_limit)
                self._admit()
                gateway = worker.gateway
                call = gateway.lanes.fast.begin(endpoint.name, head, body, request_id, exchange.since)
                if call is None:
                    ctx = self._context(scope, endpoint, endpoint.path, head, request_id, exchange)
                    ctx.body = body
                    await gateway.handle(ctx, reply)
                    return
                try:
                    if call.waiter is not None:
                        await call.waiter
                    good = call.finish(reply.extra)
                except BaseException as error:
                    call.abandon()
                    gateway.left(self._context(scope, endpoint, endpoint.path, head, request_id, exchange), call, error)
                    raise
                if good:
                    reply.started = True
                    await send({"type": "http.response.start", "status": 200, "headers": call.headers})
                    await send({"type": "http.response.body", "body": call.body})
                    if gateway.access_log.enabled:
                        ctx = self._context(scope, endpoint, endpoint.path, head, request_id, exchange)
                        gateway.told(ctx, call)
                else:
                    ctx = self._context(scope, endpoint, endpoint.path, head, request_id, exchange)
                    ctx.body = body
                    await gateway.take_over(ctx, call, reply)
            else:
                self._admit()
                ctx = self._context(scope, endpoint, endpoint.path, head, request_id, exchange)
                await self._read_body(ctx, head, exchange)
                await worker.gateway.handle(ctx, reply)
        except BaseException as error:
            await self._failed(error, request_id, exchange, reply)
        finally:
            worker.inflight.leave(exchange)

    @property
    def cors(self) -> Cors:
        """By the configuration of now: a reload may have changed it."""
        settings = self.worker.config.server.cors
        if settings is not self._cors_settings:
            self._cors_settings, self._cors = settings, Cors(settings)
        return self._cors

    async def _not_http(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "unsupported"})

    def _extra(self, request_id: bytes, head: Head) -> Headers:
        """Headers that the edge adds to every answer of this request."""
        extra = [(b"x-request-id", request_id)]
        if self.worker.draining:
            extra.append((b"connection", b"close"))
        if head.origin:
            extra += self.cors.headers(head.origin)
        return extra

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

    async def _other_path(
        self, scope: dict[str, Any], head: Head, request_id: bytes, exchange: Exchange, reply: AsgiReply
    ) -> None:
        """Everything but an exact endpoint: our own pages, paths with an identifier, odd spellings, unknown ones."""
        method, path = scope["method"], normalised(scope["path"])
        reply.head_request = method == "HEAD"
        if await pages.serve(self.worker, method, path, scope, head, exchange, reply):
            return
        endpoint, methods = find(method, path)
        if endpoint is None:
            await self._no_endpoint(method, path, methods, head, reply)
            return
        self._admit()
        ctx = self._context(scope, endpoint, endpoint.path or path[len("/v1") :], head, request_id, exchange)
        await self._read_body(ctx, head, exchange)
        await self.worker.gateway.handle(ctx, reply)

    def _admit(self) -> None:
        """Raises `Overloaded` above the cap on requests in flight; our own pages answer all the same."""
        worker = self.worker
        if len(worker.inflight) > worker.config.server.max_in_flight:
            raise Overloaded("The gateway is handling too many requests.", retry_after_s=1)

    def _context(
        self, scope: dict[str, Any], endpoint: Endpoint, path: str, head: Head, request_id: bytes, exchange: Exchange
    ) -> RequestContext:
        ctx = RequestContext(
            endpoint,
            request_id,
            exchange.since,
            method=scope["method"],
            path=path,
            query=scope["query_string"],
            client_headers=head.forwarded,
            token=head.token,
            content_type=head.content_type,
        )
        if head.provider:
            ctx.provider = head.provider.decode("latin-1")
        return ctx

    async def _failed(self, error: BaseException, request_id: bytes, exchange: Exchange, reply: AsgiReply) -> None:
        """Tell the client what went wrong, where somebody still listens. Raises what is not ours to handle."""
        if isinstance(error, GatewayError):
            await self._refuse(error, reply)
        elif isinstance(error, ClientDisconnected):
            pass
        elif isinstance(error, asyncio.CancelledError):
            if not exchange.reason:  # not ours: the server ends
                raise error
            exchange.task.uncancel()
            if exchange.reason == "body_timeout":
                await self._refuse(RequestTimeout("The request body did not arrive in time."), reply)
        elif isinstance(error, Exception):
            log.error("unexpected error", request_id=request_id.decode(), exc_info=error)
            await self._refuse(GatewayError("The gateway failed to handle the request.", code="internal_error"), reply)
        else:
            raise error

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
            await bodies.read_whole(exchange, length, server.body_limit)

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
            raise NotFound(
                f"Unknown request URL: {method} {path[:200]}. Please check the URL for typos.", code="unknown_url"
            )

    async def _refuse(self, error: GatewayError, reply: AsgiReply) -> None:
        """Render an error, if the answer has not begun; else nothing can be said any more and the body stays cut
        off."""
        if reply.started:
            raise error
        status, headers, body = error_answer(error)
        with contextlib.suppress(ClientDisconnected):
            await reply.whole(status, headers, body)


_SLASHES = re.compile(r"/{2,}")


def normalised(path: str) -> str:
    """The path without doubled or trailing slashes, percent-decoded where the server did not."""
    path = _SLASHES.sub("/", path)
    return path.rstrip("/") or "/"
