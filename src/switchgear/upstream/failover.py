"""One request, some attempts: pick a target, send, judge; on failure pick another, under one attempt and time budget.

Everything here happens before the first byte reaches the client. A failed attempt is reported to the route, which
holds targets back (breaker) and credentials (429); what waits and what gives up is arithmetic in `routing.retry`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import random
from typing import TYPE_CHECKING

from msgspec.json import encode as json_string

from switchgear.errors import Overloaded, UpstreamError, UpstreamProtocolError, UpstreamRejected
from switchgear.hotpath._peek import PeekError, peek_reply, prepare, splice
from switchgear.hotpath._sse import CHAT, OPAQUE, RESPONSES, Rewriter
from switchgear.routing.retry import Outcome, RetryPlan, classify, classify_error, most_useful
from switchgear.types import RequestContext, Target
from switchgear.upstream import answers

if TYPE_CHECKING:
    from switchgear.config.schema import Model
    from switchgear.hotpath._client import Response
    from switchgear.observability.metrics import Metrics
    from switchgear.routing.credentials import Credential
    from switchgear.routing.router import Route
    from switchgear.upstream.upstream import Upstream

_DIALECTS = {"chat": CHAT, "responses": RESPONSES, "opaque": OPAQUE}


class Answer:
    """An answer worth giving to the client.

    body: the whole of it, or None where it is to be relayed from `response`. first: what of a relayed one can go out at
    once. rewriter: set for an event stream.
    """

    __slots__ = ("body", "first", "response", "rewriter")

    def __init__(self, response: Response, body: bytes | None, rewriter: Rewriter | None = None, first: bytes = b""):
        self.response = response
        self.body = body
        self.rewriter = rewriter
        self.first = first


class Failover:
    """Sends requests to the targets of a route. upstreams: by provider name."""

    def __init__(self, loop: asyncio.AbstractEventLoop, upstreams: dict[str, Upstream], metrics: Metrics):
        self.loop = loop
        self.upstreams = upstreams
        self.metrics = metrics

    async def send(self, ctx: RequestContext, route: Route) -> Answer:
        """The first good answer.

        Raises the most useful of the errors when every attempt failed, with the smallest Retry-After of them all.
        """
        plan = RetryPlan(route.model.retries, ctx.started_at)
        tried = bytearray(len(route.targets))
        failures: list[UpstreamError | Overloaded] = []
        while True:
            now = self.loop.time()
            index = route.pick(now, random(), tried)  # noqa: S311 - a load balancer's draw, not a secret
            target = ctx.target = route.targets[index]
            upstream = self.upstreams[target.provider]
            credential = upstream.credentials.pick(now)
            ctx.credential_name = credential.name
            ctx.attempts += 1
            try:
                answer = await attempt(ctx, route.model, target, upstream, credential)
            except (UpstreamError, Overloaded) as error:
                failures.append(error)
                outcome = self._report(error, route, index, upstream, credential)
            else:
                route.succeeded(index)
                return answer
            if not outcome.retryable or not isinstance(ctx.body, bytes):
                raise most_useful(failures)
            if not outcome.credential or upstream.credentials.available(self.loop.time()) == 0:
                tried[index] = 1
            if all(tried):
                tried = bytearray(len(tried))
                wait = plan.wait_s(self.loop.time(), ctx.attempts, failures[-1].retry_after_s)
            else:
                wait = plan.next_s(self.loop.time(), ctx.attempts)
            if wait is None:
                raise most_useful(failures)
            if wait > 0:
                await asyncio.sleep(wait)
            self.metrics.retried(target.name)

    def _report(
        self, error: UpstreamError | Overloaded, route: Route, index: int, upstream: Upstream, credential: Credential
    ) -> Outcome:
        now = self.loop.time()
        outcome = classify(error.status) if isinstance(error, UpstreamRejected) else classify_error(error)
        if outcome.unhealthy:
            route.failed(index, now)
        if outcome.throttled:
            upstream.credentials.throttle(credential, now, error.retry_after_s)
        if outcome.invalid:
            upstream.credentials.invalidate(credential, now)
        self.metrics.upstream_failed(route.targets[index].name, outcome.name)
        return outcome


async def attempt(ctx: RequestContext, model: Model, target: Target, upstream: Upstream, credential: Credential) -> Answer:
    """Send once. Raises `UpstreamError` or `Overloaded`; the connection is then closed or back in its pool."""
    ask_usage = asks_usage(ctx, upstream)
    body = outgoing(ctx, target.model, ask_usage)
    length = len(body) if isinstance(body, bytes) else ctx.content_length
    timeouts = model.timeouts
    response = await upstream.transport.send(
        upstream.head(ctx, credential, target.model, length),
        body,
        gather_bytes=answers.GATHER_MAX if ctx.endpoint.gather else 0,
        connect_s=timeouts.connect,
        first_byte_s=timeouts.first_token,
        idle_s=timeouts.idle,
        deadline=ctx.started_at + timeouts.total,
    )
    try:
        if response.status < 300 and response.body is not None and not response.event_stream:
            return Answer(response, whole(ctx, target.model, response, response.body))
        return await begun(ctx, target.model, response, ask_usage)
    except BaseException:
        response.close()
        raise


def asks_usage(ctx: RequestContext, upstream: Upstream) -> bool:
    """Whether the gateway asks for a stream's usage where the client did not (CASES 8)."""
    peeked = ctx.peeked
    return (
        ctx.stream and peeked is not None and ctx.endpoint.asks_usage and upstream.row.ask_usage and not peeked.include_usage
    )


def outgoing(ctx: RequestContext, model: str, ask_usage: bool) -> bytes | AsyncIterator[bytes]:
    """The request body for a target: the client's, with the target's model name and the question for usage spliced in."""
    body = ctx.body
    renamed = model != ctx.model and bool(ctx.model)
    if not isinstance(body, bytes) or not (renamed or ask_usage):
        return body
    if ctx.peeked is not None:
        return prepare(body, ctx.peeked, json_string(model) if renamed else None, ask_usage)
    if ctx.form is not None:
        return splice(body, ctx.form.model_start, ctx.form.model_end, model.encode())
    return body


async def begun(ctx: RequestContext, model: str, response: Response, hide_usage: bool) -> Answer:
    """An answer that is relayed, or the error that it is. `model` is the name the upstream was asked for."""
    if response.status >= 300:
        raise await answers.rejection(response)
    if not response.event_stream:
        return Answer(response, None)
    if (response.header(b"content-encoding") or b"identity") != b"identity":
        raise UpstreamProtocolError("The upstream compressed an event stream, which was not asked for.")
    rewriter = Rewriter(_DIALECTS[ctx.endpoint.sse], model=client_name(ctx, model), hide_usage=hide_usage)
    return Answer(response, None, rewriter, await answers.first_events(response, rewriter))


def client_name(ctx: RequestContext, model: str) -> bytes | None:
    """The model's name to put back, as a JSON string: only where the upstream was asked by another name than the client's."""
    return json_string(ctx.model) if ctx.model and model != ctx.model else None


def whole(ctx: RequestContext, model: str, response: Response, body: bytes) -> bytes:
    """The body of an answer that was read whole: checked, its usage read, the client's model name put back."""
    body = answers.plain(response, body)
    return _whole_json(ctx, body, client_name(ctx, model)) if body and answers.is_json(response) else body


def _whole_json(ctx: RequestContext, body: bytes, renamed: bytes | None) -> bytes:
    try:
        found = peek_reply(body)
    except PeekError as exc:
        if body.lstrip()[:1] == b"[":  # a list is no answer of a model, but valid on the routes that only pass on
            return body
        raise UpstreamProtocolError("The upstream's answer is not valid JSON.") from exc
    if found.error_start >= 0 and found.choices_start < 0 and ctx.endpoint.sse == "chat":
        raise answers.embedded_error(body)
    if found.usage_start >= 0:
        ctx.usage = answers.read_usage(body[found.usage_start : found.usage_end])
    if renamed is not None and found.model_start >= 0:
        return splice(body, found.model_start, found.model_end, renamed)
    return body
