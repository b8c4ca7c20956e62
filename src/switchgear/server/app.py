"""The HTTP edge: an ASGI application that turns bytes into a call of `Gateway.handle` and renders what it raises.

It runs under any ASGI server; `cli/serve.py` runs it under granian. Decisions are the gateway's: here are paths,
methods, body caps, request ids, CORS, error envelopes and draining.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Any

from switchgear.errors import (
    ClientDisconnected,
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    RequestTimeout,
)
from switchgear.hotpath._head import Exchange, Head, RequestIds
from switchgear.observability import logs
from switchgear.server import body as bodies
from switchgear.server import pages
from switchgear.server.dialects import dialect_of, gemini_call, split_query
from switchgear.server.inflight import Receive
from switchgear.server.render import error_answer
from switchgear.server.reply import AsgiReply, Send
from switchgear.server.routes import EXACT, UNSUPPORTED, find
from switchgear.server.worker import Worker
from switchgear.types import Endpoint, Headers, RequestContext

_BROKEN_BODY = "The request body broke off, or its chunks are not valid."

log = logs.get(__name__)


class App:
    """The ASGI application of one worker. worker: what it serves, started and stopped by the lifespan."""

    def __init__(self, worker: Worker):
        self.worker = worker
        self.ids = RequestIds()

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
            elif (
                endpoint.fast
                and 0 < head.length <= worker.config.server.body_limit
                and not scope["query_string"]
                and not head.coding
            ):
                message = await receive()
                body = message.get("body", b"")
                if len(body) == head.length:  # all of it: do not ask again
                    exchange.reading = False
                else:
                    body = await bodies.read_on(exchange, message, head.length, worker.config.server.body_limit)
                await self._whole_body(scope, endpoint, head, request_id, exchange, body, reply, send)
            else:
                self._admit()
                ctx = self._context(scope, endpoint, head, request_id, exchange)
                await self._read_body(ctx, head, exchange)
                await worker.gateway.handle(ctx, reply)
        except BaseException as error:
            await self._failed(error, scope, request_id, exchange, reply)
        finally:
            worker.inflight.leave(exchange)

    async def _whole_body(
        self,
        scope: dict[str, Any],
        endpoint: Endpoint,
        head: Head,
        request_id: bytes,
        exchange: Exchange,
        body: bytes,
        reply: AsgiReply,
        send: Send,
    ) -> None:
        """A request that is all there: by the compiled path if it is of the common kind, else by
        the gateway's stages."""
        self._admit()
        gateway = self.worker.gateway
        call = gateway.lanes.fast.begin(endpoint.name, head, body, request_id, exchange.since)
        if call is not None:
            try:
                if call.waiter is not None:
                    await call.waiter
                if call.finish(reply.extra):
                    reply.started = True
                    await send({"type": "http.response.start", "status": 200, "headers": call.headers})
                    await send({"type": "http.response.body", "body": call.body})
                    if gateway.access_log.enabled:
                        gateway.told(self._context(scope, endpoint, head, request_id, exchange, body), call)
                    return
            except BaseException as error:
                if not reply.started:
                    call.abandon()
                    gateway.left(self._context(scope, endpoint, head, request_id, exchange, body), call, error)
                raise
        ctx = self._context(scope, endpoint, head, request_id, exchange, body)
        if call is None:
            await gateway.handle(ctx, reply)
        else:
            await gateway.take_over(ctx, call, reply)

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
            extra += self.worker.cors.headers(head.origin)
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
        call = gemini_call(method, path, scope["query_string"])
        if call is not None:
            path = f"/models/{call.model}{call.endpoint.path}"
            self._admit()
            ctx = self._context(scope, call.endpoint, head, request_id, exchange)
            ctx.path = path
            ctx.model, ctx.query, ctx.stream, ctx.array = call.model, call.query, call.stream, call.array
            ctx.token = head.token or call.key
            await self._read_body(ctx, head, exchange)
            await self.worker.gateway.handle(ctx, reply)
            return
        if await pages.serve(self.worker, method, path, scope, head, exchange, reply):
            return
        endpoint, methods = find(method, path)
        if endpoint is None:
            await self._no_endpoint(method, path, methods, head, reply)
            return
        self._admit()
        ctx = self._context(scope, endpoint, head, request_id, exchange)
        ctx.path = endpoint.path or path[len("/v1") :]
        await self._read_body(ctx, head, exchange)
        await self.worker.gateway.handle(ctx, reply)

    def _admit(self) -> None:
        """Raises `Overloaded` above the cap on requests in flight; our own pages answer all the same."""
        worker = self.worker
        if worker.inflight.count > worker.config.server.max_in_flight:
            raise Overloaded("The gateway is handling too many requests.", retry_after_s=1)

    def _context(
        self,
        scope: dict[str, Any],
        endpoint: Endpoint,
        head: Head,
        request_id: bytes,
        exchange: Exchange,
        body: bytes = b"",
    ) -> RequestContext:
        ctx = RequestContext(
            endpoint,
            request_id,
            exchange.since,
            method=scope["method"],
            path=endpoint.path,
            query=scope["query_string"],
            client_headers=head.forwarded,
            token=head.token,
            content_type=head.content_type,
            body=body,
        )
        ctx.tags = head.tags
        if head.strict:
            ctx.strict = head.strict.lower() in (b"true", b"1")
        if head.provider:
            ctx.provider = head.provider.decode("latin-1")
        return ctx

    async def _failed(
        self, error: BaseException, scope: dict[str, Any], request_id: bytes, exchange: Exchange, reply: AsgiReply
    ) -> None:
        """Tell the client what went wrong, where somebody still listens. Raises what is not ours to handle."""
        if isinstance(error, GatewayError):
            try:
                if exchange.reading and not reply.started and bodies.worth_discarding(scope["headers"]):
                    await bodies.discard(exchange)
                await self._refuse(error, reply, scope)
            except ClientDisconnected:
                pass
        elif isinstance(error, ClientDisconnected):
            if exchange.reading and not reply.started:  # gone, or still there with a body that is no valid HTTP
                await self._refuse(InvalidRequest(_BROKEN_BODY, code="invalid_body"), reply, scope)
        elif isinstance(error, asyncio.CancelledError):
            if not exchange.reason:  # not ours: the server ends
                raise error
            exchange.task.uncancel()
            if exchange.reason == "body_timeout":
                await self._refuse(RequestTimeout("The request body did not arrive in time."), reply, scope)
        elif isinstance(error, Exception):
            log.error("unexpected error", request_id=request_id.decode(), exc_info=error)
            failure = GatewayError("The gateway failed to handle the request.", code="internal_error")
            await self._refuse(failure, reply, scope)
        else:
            raise error

    async def _read_body(self, ctx: RequestContext, head: Head, exchange: Exchange) -> None:
        kind, server = ctx.endpoint.body, self.worker.config.server
        if head.coding:
            bodies.require_plain(head.coding)
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
            await reply.whole(204, self.worker.cors.preflight(head.origin, methods), b"")
        elif methods is not None:
            allow = ", ".join([*methods, "OPTIONS"])
            raise MethodNotAllowed(f"Not allowed to {method} on {path}.", allow=allow)
        elif UNSUPPORTED.match(path):
            raise NotFound(f"{path} is not served by this gateway.", status=501, code="unsupported_endpoint")
        else:
            raise NotFound(
                f"Unknown request URL: {method} {path[:200]}. Please check the URL for typos.", code="unknown_url"
            )

    async def _refuse(self, error: GatewayError, reply: AsgiReply, scope: dict[str, Any]) -> None:
        """Render an error in the path's dialect, if the answer has not begun; else nothing can be said any more and
        the body stays cut off."""
        if reply.started:
            raise error
        path = normalised(scope["path"])
        dialect = dialect_of(path, any(name == b"anthropic-version" for name, _ in scope["headers"]))
        request_id = next((value for name, value in reply.extra if name == b"x-request-id"), b"")
        status, headers, body = error_answer(error, dialect, request_id.decode("latin-1"))
        if path.endswith(":streamGenerateContent") and split_query(scope["query_string"])[2] != "sse":
            body = b"[%b]" % body  # as Gemini does (TRANSLATION §16.1)
        with contextlib.suppress(ClientDisconnected):
            await reply.whole(status, headers, body)


_SLASHES = re.compile(r"/{2,}")


def normalised(path: str) -> str:
    """The path without doubled or trailing slashes, percent-decoded where the server did not."""
    path = _SLASHES.sub("/", path)
    return path.rstrip("/") or "/"
