"""The life of a request, top to bottom. Start reading here.

`Gateway.handle` runs the stages in sequence: authenticate, understand, allow, route, admit, send, head, relay, settle.
Each is a method below, in that order, or the package it calls. A stage that refuses raises a `GatewayError`; settling
happens on every exit. `server/` turns bytes into a call of `handle` and renders what it raises; it decides nothing.

*admit* comes after *route*, not before it as DESIGN §4 has it: what a request may cost depends on its targets. Where
later stages stand: *guard* and *look up* before routing; output *guard* and *store* in the relay.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from switchgear.errors import (
    ClientDisconnected,
    GatewayError,
    InvalidRequest,
    LimitReached,
    NotFound,
    PermissionDenied,
    StateUnavailable,
    SwitchgearError,
    UpstreamError,
    UpstreamProtocolError,
)
from switchgear.hotpath._peek import PeekError, peek_request
from switchgear.hotpath._translate import Translator
from switchgear.providers.dialects.faults import error_event
from switchgear.routing.retry import Outcome
from switchgear.types import Headers, Reply, RequestContext, Usage
from switchgear.upstream import answers
from switchgear.upstream.answer import Answer, EventRelay
from switchgear.upstream.failover import Failover
from switchgear.wire.multipart import find_fields

if TYPE_CHECKING:
    from switchgear.auth.authenticator import Authenticator
    from switchgear.hotpath._peek import Request as Peeked
    from switchgear.hotpath._unary import Unary
    from switchgear.metering.metering import Metering
    from switchgear.observability.logs import AccessLog
    from switchgear.observability.metrics import Metrics
    from switchgear.routing.router import Route, Router
    from switchgear.upstream.lanes import Lanes
    from switchgear.upstream.upstream import Answered

_DONE = b"data: [DONE]\n\n"
_ARRAY, _NULL = ord("["), ord("n")
_UNBOUNDED = 1 << 62
_LATEST = ":latest"  # what some of Ollama's clients add to a name that has no tag
_LINGER_S = 0.25  # how long to wait for the end of a body after [DONE], to keep its connection


class Gateway:
    """The stages over one configuration. A reload makes a new one; requests in flight finish in theirs."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        authenticator: Authenticator,
        router: Router,
        providers: dict[str, Route],
        failover: Failover,
        metrics: Metrics,
        access_log: AccessLog,
        lanes: Lanes,
        metering: Metering,
    ):
        self.loop = loop
        self.authenticator = authenticator
        self.router = router
        self.providers = providers
        self.failover = failover
        self.metrics = metrics
        self.access_log = access_log
        self.lanes = lanes
        self.metering = metering

    async def handle(self, ctx: RequestContext, reply: Reply) -> None:
        """Serve one request into `reply`.

        Raises `GatewayError` for the edge to render, as long as the reply has not started; afterwards an error has
        already been told to the client in its stream. Raises `ClientDisconnected` or `CancelledError` when nobody reads
        any more.
        """
        try:
            principal = self.authenticator.authenticate(ctx.token)
            ctx.principal = principal or await self.authenticator.authenticate_slowly(ctx.token)
            self.understand(ctx)
            self.allow(ctx)
            route = self.route(ctx)
            await self.metering.admit(ctx, route)
            answer = await self.failover.send(ctx, route)
            await self.answer(ctx, answer, reply)
        except (SwitchgearError, asyncio.CancelledError) as error:
            ctx.error = ctx.error or error
            raise
        finally:
            self.settle(ctx)
        self.lanes.learn(ctx, route)

    async def take_over(self, ctx: RequestContext, call: Unary, reply: Reply) -> None:
        """As `handle`, from the send on: for what the compiled path began and cannot end."""
        self.adopt(ctx, call)
        try:
            answer = await self.failover.take_over(ctx, call)
            await self.answer(ctx, answer, reply)
        except (SwitchgearError, asyncio.CancelledError) as error:
            ctx.error = ctx.error or error
            raise
        finally:
            self.settle(ctx)

    def adopt(self, ctx: RequestContext, call: Unary) -> None:
        """What the compiled path knows of a request."""
        ctx.principal, ctx.peeked, ctx.target = call.principal, call.peeked, call.target
        ctx.model, ctx.usage, ctx.attempts = call.peeked.model or "", call.usage, 1
        ctx.credential_name, ctx.sent = call.credential.name, True
        if call.asked is not None:
            ctx.conversation, ctx.dropped = call.asked.conversation, call.asked.encoded.dropped or None
        self.metering.adopt(ctx, call)

    def told(self, ctx: RequestContext, call: Unary) -> None:
        """The access line of a request that the compiled path ended; it counts its metrics by itself."""
        self.adopt(ctx, call)
        ctx.status = call.response.status
        self.access_log.line(ctx, self.loop.time())

    def left(self, ctx: RequestContext, call: Unary, error: BaseException) -> None:
        """Settle a request whose client left while the compiled path waited."""
        self.adopt(ctx, call)
        ctx.error = error
        call.route.report(call.index, Outcome.CANCELLED, self.loop.time())
        self.settle(ctx)

    async def answer(self, ctx: RequestContext, answer: Answer, reply: Reply) -> None:
        """The answer, whole or as it comes."""
        headers = self.head(ctx, answer)
        if answer.body is not None:
            if ctx.usage is None and (ctx.endpoint.generates or ctx.endpoint.task == "embeddings"):
                made = len(answer.body) // 4 if ctx.endpoint.generates else 0
                ctx.usage = estimated(ctx, made)  # nobody counted; never free by silence
            if ctx.meter is not None:  # before the client can have it
                headers.append((b"x-switchgear-cost-nanousd", b"%d" % ctx.meter.settle()))
            await reply.whole(ctx.status, headers, answer.body)
            return
        try:
            if answer.rewriter is not None:
                await self.relay_events(ctx, answer, answer.rewriter, headers, reply)
            else:
                await self.relay_bytes(answer.response, answer.first, headers, reply)
        except BaseException as error:  # also before the first piece and after the last: the upstream may go on
            answer.response.close()
            if ctx.error is None:  # else the upstream failed, and then the client left as well
                ctx.error = error
            raise
        finally:
            self.failover.relayed(answer, ctx.error)

    def understand(self, ctx: RequestContext) -> None:
        """2. What is asked: model and streaming, found in the body's bytes without decoding it."""
        endpoint = ctx.endpoint
        if endpoint.body == "json" or (endpoint.body == "multipart" and b"json" in ctx.content_type.split(b";", 1)[0]):
            self._understand_json(ctx)
        elif endpoint.body == "multipart":
            assert isinstance(ctx.body, bytes)  # noqa: S101 - the edge reads these bodies whole
            ctx.form = find_fields(ctx.body, ctx.content_type)
            ctx.model, ctx.stream = ctx.form.model or "", ctx.form.stream
        if not ctx.model and endpoint.model == "required":
            raise InvalidRequest("you must provide a model parameter", param="model", code="missing_required_parameter")

    def _understand_json(self, ctx: RequestContext) -> None:
        assert isinstance(ctx.body, bytes)  # noqa: S101 - the edge reads these bodies whole
        try:
            peeked = peek_request(ctx.body)
        except PeekError as exc:
            raise InvalidRequest(exc.message, param=exc.param, code=exc.code) from None
        for name in ctx.endpoint.required:
            if not _present(peeked, name):
                raise InvalidRequest(
                    f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
                )
        ctx.peeked = peeked
        unsaid = ctx.endpoint.streams and peeked.stream_start < 0
        ctx.stream = ctx.stream or peeked.stream or unsaid  # Gemini: in the path
        if ctx.endpoint.model != "none":  # else a model in the body is the upstream's business, and no permission
            ctx.model = ctx.model or peeked.model or ""
        if ctx.endpoint.dialect == "ollama" and ctx.model.endswith(_LATEST) and self.router.route(ctx.model) is None:
            ctx.model = ctx.model.removesuffix(_LATEST)

    def allow(self, ctx: RequestContext) -> None:
        """3. May they: the models of the key. A request that names no model needs access to all."""
        principal = ctx.principal
        if principal is not None and not principal.may_use(ctx.model or "*"):
            what = f"model `{ctx.model[:256]}`" if ctx.model else f"endpoint {ctx.endpoint.name}"
            raise PermissionDenied(
                f"This key may not use the {what}.", code="model_not_allowed", param="model" if ctx.model else None
            )

    def route(self, ctx: RequestContext) -> Route:
        """5. Where to: the targets of the model; which of them is chosen at each attempt, by `Route.pick`."""
        if not ctx.model:
            return self._provider(ctx.provider)
        route = self.router.route(ctx.model)
        if route is None:
            raise NotFound(
                f"The model `{ctx.model[:256]}` does not exist or you do not have access to it.",
                code="model_not_found",
                param="model",
            )
        return route

    def _provider(self, name: str) -> Route:
        """Where a request goes that names no model: the provider asked for by header, else the default one."""
        route = self.providers.get(name)
        if route is None:
            raise InvalidRequest(
                f"There is no provider `{name[:64]}`.", param="x-switchgear-provider", code="unknown_provider"
            )
        return route

    def head(self, ctx: RequestContext, answer: Answer) -> Headers:
        """6. The answer's headers: the upstream's, and where it was served."""
        headers = answer.headers if answer.headers is not None else answers.client_headers(answer.response)
        target = ctx.target
        if target is not None:
            headers.append((b"x-switchgear-target", target.header))
        headers.append((b"x-switchgear-attempts", b"%d" % ctx.attempts))
        if ctx.bound:
            headers.append((b"x-switchgear-max-output-tokens", b"%d" % ctx.bound))
        ctx.status = answer.response.status
        if ctx.meter is not None:
            own = ctx.meter.headers()
            if own:  # the provider's limits are the gateway's affair, and would contradict the caller's own
                headers = [pair for pair in headers if b"ratelimit-" not in pair[0]] + own
        return headers

    async def relay_events(
        self, ctx: RequestContext, answer: Answer, rewriter: EventRelay, headers: Headers, reply: Reply
    ) -> None:
        """7. An event stream, as it arrives; closed with an error event where it breaks off."""
        response, out = answer.response, answer.first
        ctx.first_byte_at = self.loop.time()
        self.metrics.stream_opened()
        ceiling = ctx.meter.ceiling if ctx.meter is not None else _UNBOUNDED
        try:
            await reply.start(response.status, headers)
            while True:
                if rewriter.done or rewriter.error is not None:
                    if out:
                        await reply.send(_last(ctx, answer, rewriter, out))
                    break
                if out:
                    await reply.send(out)
                chunk = response.read_nowait()
                if chunk is None:
                    chunk = await response.read()
                if not chunk:
                    out = self._ending(ctx, rewriter)
                    if out:
                        await reply.send(_last(ctx, answer, rewriter, out))
                    break
                out = rewriter.feed(chunk)
                if rewriter.events > ceiling:
                    ceiling = await self._extend(ctx, rewriter.events)
        except (LimitReached, StateUnavailable) as error:
            await reply.send(out + self._broken(ctx, rewriter, error))
        except (UpstreamError, ValueError) as error:
            failure = (
                error
                if isinstance(error, UpstreamError)
                else UpstreamProtocolError("The upstream sent an event that is too large.")
            )
            await reply.send(_last(ctx, answer, rewriter, self._broken(ctx, rewriter, failure)))
        finally:
            self.metrics.stream_closed()
            self._count_stream(ctx, rewriter)
            if not rewriter.done:
                response.close()
        if ctx.meter is not None:
            ctx.meter.settle()
        await reply.end()
        if rewriter.done:
            await self._linger(response)

    def _ending(self, ctx: RequestContext, rewriter: EventRelay) -> bytes:
        """What follows the upstream's last byte: nothing, the [DONE] it forgot, or an error where
        it broke off (CASES 11)."""
        rest = rewriter.flush()
        if rewriter.done or rewriter.error is not None:
            return rest
        if ctx.endpoint.sse == "chat":
            if rewriter.finished:  # Perplexity, GPUStack end without [DONE] (TRANSLATION §10)
                return rest + _DONE
        elif ctx.endpoint.sse == "opaque":
            return rest
        return rest + self._stream_error(ctx, UpstreamProtocolError("The upstream's stream broke off before its end."))

    async def _extend(self, ctx: RequestContext, tokens: int) -> int:
        """Reserve more for a stream that outgrows what was reserved: its events so far stand for its tokens."""
        if ctx.meter is None:
            return _UNBOUNDED
        await ctx.meter.extend(tokens)
        return ctx.meter.ceiling

    def _stream_error(self, ctx: RequestContext, error: GatewayError) -> bytes:
        """An error after the first byte: an event in the endpoint's dialect, and no [DONE]
        (TRANSLATION §7.10, §15.3)."""
        ctx.error = error
        return error_event(ctx.endpoint.sse, error, ctx.request_id.decode("latin-1"))

    def _broken(self, ctx: RequestContext, rewriter: EventRelay, error: GatewayError) -> bytes:
        """The end of a stream whose upstream failed. A translator writes it: it knows what the client has seen."""
        if isinstance(rewriter, Translator) and (rest := rewriter.flush()):
            ctx.error = error
            return rest
        return self._stream_error(ctx, error)

    def _count_stream(self, ctx: RequestContext, rewriter: EventRelay) -> None:
        """The usage the stream told, else an estimate that is flagged as one (CASES 8)."""
        usage = rewriter.usage
        if usage is not None:
            ctx.usage = usage if isinstance(usage, Usage) else answers.read_usage(usage)
        if rewriter.error is not None and ctx.error is None:
            ctx.error = answers.embedded_error(rewriter.error)
        if ctx.usage is None and ctx.endpoint.sse != "opaque":
            ctx.usage = estimated(ctx, rewriter.events)

    async def _linger(self, response: Answered) -> None:
        """Wait briefly for the end of the body after [DONE], so that the connection can be used again."""
        try:
            rest = response.read_nowait()
            if rest is None:
                async with asyncio.timeout(_LINGER_S):
                    await response.read()
        except (UpstreamError, TimeoutError):
            pass
        response.close()

    async def relay_bytes(self, response: Answered, chunk: bytes, headers: Headers, reply: Reply) -> None:
        """7. A body that is not events: binary, or too large to be read whole. chunk: its first bytes.

        An error leaves it without its end: the server closes the connection, so that nobody takes it for whole.
        """
        if response.content_length >= 0:
            headers.append((b"content-length", b"%d" % response.content_length))
        await reply.start(response.status, headers)
        try:
            while chunk:
                await reply.send(chunk)
                chunk = await response.read()
        finally:
            response.close()
        await reply.end()

    def settle(self, ctx: RequestContext) -> None:
        """8. On every exit: limits and the ledger, metrics and the access line."""
        now = self.loop.time()
        if (
            ctx.usage is None
            and ctx.sent
            and ctx.model
            and isinstance(ctx.error, asyncio.CancelledError | ClientDisconnected)
        ):
            ctx.usage = estimated(ctx, 0)  # the client left before anything was told; the prompt was read all the same
        if ctx.meter is not None:
            ctx.meter.settle()
        self.metrics.settle(ctx, now)
        if self.access_log.enabled:
            self.access_log.line(ctx, now)


def estimated(ctx: RequestContext, output_tokens: int) -> Usage:
    """A usage nobody counted, flagged as such: four bytes of the request to a token, as English text has them."""
    input_tokens = len(ctx.body) // 4 if isinstance(ctx.body, bytes) else 0
    if ctx.meter is not None:
        input_tokens, output_tokens = ctx.meter.believable(input_tokens, output_tokens)
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, estimated=True)


def _last(ctx: RequestContext, answer: Answer, rewriter: EventRelay, out: bytes) -> bytes:
    """The last events of a stream: an error among them may quote the credential (so may `response.failed`)."""
    if answer.credential is not None and (rewriter.error is not None or ctx.endpoint.sse == "responses"):
        return answers.scrubbed(out, answer.credential)
    return out


def _present(peeked: Peeked, name: str) -> bool:
    """Whether a required field is there and, for messages, has elements. Raises `InvalidRequest` on a wrong type."""
    if name == "messages":
        if peeked.messages_kind not in (0, _ARRAY, _NULL):
            raise InvalidRequest(
                "Invalid type for 'messages': expected an array of objects, but got another type instead.",
                param="messages",
                code="invalid_type",
            )
        if peeked.messages_empty:
            raise InvalidRequest(
                "Invalid 'messages': empty array. Expected an array with minimum length 1, "
                "but got an empty array instead.",
                param="messages",
                code="empty_array",
            )
        return peeked.messages_kind == _ARRAY
    kind: int = peeked.input_kind if name == "input" else peeked.prompt_kind
    return kind not in (0, _NULL)
