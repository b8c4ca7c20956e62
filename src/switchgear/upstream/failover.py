"""One request, some attempts: pick a target, send, judge; on failure pick another, under one attempt and time budget.

Everything here happens before the first byte reaches the client. A failed attempt is reported to the route, which
holds targets back (breaker) and credentials (429); what waits and what gives up is arithmetic in `routing.retry`.
"""

from __future__ import annotations

import asyncio
from random import random
from typing import TYPE_CHECKING

from switchgear.errors import (
    GatewayError,
    LimitReached,
    Overloaded,
    PriceUnknown,
    StateUnavailable,
    UpstreamError,
    UpstreamRejected,
)
from switchgear.routing.retry import Outcome, RetryPlan, classify, most_useful
from switchgear.types import RequestContext, Target
from switchgear.upstream import answers
from switchgear.upstream.answer import Answer
from switchgear.upstream.native import foreign
from switchgear.upstream.passage import send
from switchgear.upstream.passages import equip
from switchgear.upstream.plain import asks_usage, judged, outgoing

if TYPE_CHECKING:
    from switchgear.hotpath._unary import Unary
    from switchgear.observability.metrics import Metrics
    from switchgear.routing.credentials import Credential
    from switchgear.routing.router import Route
    from switchgear.upstream.upstream import Upstream


REFUSED_HERE = (LimitReached, StateUnavailable, PriceUnknown)
"""A limit on provider or credential, or a target without a price: another target may do."""
FAILURES = (UpstreamError, Overloaded, *REFUSED_HERE)
"""How an attempt may fail so that another one is worth a thought."""


class Failover:
    """Sends requests to the targets of a route. upstreams: by provider name."""

    def __init__(self, loop: asyncio.AbstractEventLoop, upstreams: dict[str, Upstream], metrics: Metrics):
        self.loop = loop
        self.upstreams = upstreams
        self.metrics = metrics
        for upstream in upstreams.values():
            equip(upstream)

    async def send(self, ctx: RequestContext, route: Route) -> Answer:
        """The first good answer.

        Raises the most useful of the errors when every attempt failed, with the smallest Retry-After of them all.
        """
        now = self.loop.time()
        index = route.pick(now, random())  # noqa: S311 - a load balancer's draw, not a secret
        target = ctx.target = route.targets[index]
        upstream = self.upstreams[target.provider]
        credential = upstream.credentials.pick(now)
        ctx.attempts = 1
        try:
            answer = await attempt(ctx, route, target, upstream, credential)
        except FAILURES as error:
            failed = self._report(ctx, error, route, index, upstream, credential)
            return await self._again(ctx, route, index, error, failed)
        except BaseException:
            route.report(index, Outcome.CANCELLED, now)
            raise
        self._answered(answer, route, index, credential)
        if upstream.credentials.troubled and credential is not None:
            upstream.credentials.succeeded(credential)
        return answer

    async def take_over(self, ctx: RequestContext, call: Unary) -> Answer:
        """As `send`, where the compiled path made the first attempt and its answer is not of the common kind."""
        route, index = call.route, call.index
        target = ctx.target = call.target
        if call.stale:  # the kept connection was already gone: nothing was answered, nobody is to blame
            route.report(index, Outcome.CANCELLED, self.loop.time())
            if ctx.meter is not None:
                ctx.meter.unsent()
            ctx.sent = False
            return await self.send(ctx, route)
        ctx.attempts, ctx.sent = 1, True
        ctx.credential_name = call.credential.name
        try:
            if call.error is not None:
                raise call.error
            if call.asked is None:
                answer = await judged(ctx, target.model, call.response, False)
            else:
                answer = await call.codec.judged(ctx, call.response, call.asked)
        except FAILURES as error:
            failed = self._report(ctx, error, route, index, call.upstream, call.credential)
            return await self._again(ctx, route, index, error, failed)
        except BaseException:
            route.report(index, Outcome.CANCELLED, self.loop.time())
            raise
        self._answered(answer, route, index, call.credential)
        return answer

    async def _again(
        self, ctx: RequestContext, route: Route, index: int, error: GatewayError, outcome: Outcome
    ) -> Answer:
        """Every attempt after the first, under the request's plan."""
        plan = RetryPlan(route.retries, ctx.started_at)
        plan.begin()
        failures = [error]
        tried = bytearray(len(route))
        refused: dict[str, set[str]] = {}  # by provider: credentials that this request was refused with
        if not isinstance(ctx.body, bytes):  # a body that was relayed as it came is gone
            raise error
        while True:
            ctx.sent = False  # what failed costs nothing
            target = route.targets[index]
            upstream = self.upstreams[target.provider]
            now = self.loop.time()
            names = refused.setdefault(target.provider, set())
            if outcome.refused or outcome.throttled or outcome is Outcome.LIMITED:
                names.add(ctx.credential_name)
                tried[index] = not upstream.credentials.spare(now, names)
            else:
                tried[index] = 1
            fresh = not tried[index] or route.fresh(now, tried)
            step = plan.after(outcome, now, random(), fresh=fresh, held_s=route.wait_s(now))  # noqa: S311 - jitter
            if not step.again:
                raise most_useful(failures)
            self.metrics.retried(target.name)
            if not fresh:
                tried = bytearray(len(route))
                await asyncio.sleep(step.wait_s)
            now = self.loop.time()
            index = route.pick(now, random(), tried)  # noqa: S311 - as above
            target = ctx.target = route.targets[index]
            upstream = self.upstreams[target.provider]
            pool = upstream.credentials
            credential = pool.pick(now, refused.get(target.provider, ())) or pool.pick(now)
            ctx.attempts = plan.begin()
            try:
                answer = await attempt(ctx, route, target, upstream, credential)
            except FAILURES as another:
                failures.append(another)
                outcome = self._report(ctx, another, route, index, upstream, credential)
            except BaseException:
                route.report(index, Outcome.CANCELLED, now)
                raise
            else:
                self._answered(answer, route, index, credential)
                if credential is not None:
                    upstream.credentials.succeeded(credential)
                return answer

    def _answered(self, answer: Answer, route: Route, index: int, credential: Credential | None) -> None:
        """A good answer that is whole is a success; of one that is relayed only its end tells (`relayed`)."""
        if answer.body is None:
            answer.attempted, answer.credential = (route, index), credential
        else:
            route.report(index, Outcome.ANSWERED, self.loop.time())

    def relayed(self, answer: Answer, error: BaseException | None) -> None:
        """The relay of `answer` is over. error: what ended it, None for its own end."""
        if answer.attempted is None:
            return
        route, index = answer.attempted
        answer.attempted = None
        if isinstance(error, UpstreamError):
            outcome = outcome_of(error)
            if outcome.unhealthy:
                outcome = Outcome.BROKEN
            self.metrics.upstream_failed(route.targets[index].name, outcome.label)
        else:
            outcome = Outcome.ANSWERED if error is None else Outcome.CANCELLED
        route.report(index, outcome, self.loop.time())

    def _report(
        self,
        ctx: RequestContext,
        error: GatewayError,
        route: Route,
        index: int,
        upstream: Upstream,
        credential: Credential | None,
    ) -> Outcome:
        """Tell route, credential and metrics how an attempt failed."""
        now = self.loop.time()
        outcome = outcome_of(error)
        if ctx.meter is not None:
            ctx.meter.failed(error)
        if credential is not None:
            if isinstance(error, UpstreamRejected):
                answers.scrub(error, credential)
            if outcome.throttled:
                upstream.credentials.throttle(credential, now, error.retry_after_s)
            if outcome.refused:
                upstream.credentials.refused(credential, now)
        held: float | None
        if outcome.throttled or outcome.refused:
            held = upstream.credentials.wait_s(now)
        else:  # a 503 with Retry-After speaks for the target, whatever the credential
            held = error.retry_after_s if isinstance(error, UpstreamRejected) else None
        route.report(index, outcome, now, held)
        self.metrics.upstream_failed(route.targets[index].name, outcome.label)
        return outcome


def outcome_of(error: GatewayError) -> Outcome:
    """What a failed attempt says about target, credential and another attempt."""
    if isinstance(error, UpstreamRejected):
        return classify(error.status, authentication=answers.blames_credential(error))
    if isinstance(error, REFUSED_HERE):
        return Outcome.LIMITED
    if isinstance(error, Overloaded):
        return Outcome.BUSY  # our own pool is full: no word about the upstream's health
    return Outcome.FAILED


async def attempt(
    ctx: RequestContext, route: Route, target: Target, upstream: Upstream, credential: Credential | None
) -> Answer:
    """Send once. Raises `UpstreamError` or `Overloaded`; the connection is then closed or back in its pool."""
    if credential is None:
        raise UpstreamRejected(401, [], b"", message="No credential of this provider is valid.")
    ctx.credential_name = credential.name
    if ctx.meter is not None:
        await ctx.meter.begin(target, credential.name)
    passage = upstream.passages.get(ctx.endpoint.name, upstream.passage)
    if passage is None and ctx.peeked is not None and ctx.peeked.signed and _foreign_history(ctx, upstream):
        passage = upstream.histories.get(ctx.endpoint.name)
    if passage is not None:
        return await passage.attempt(ctx, route, target, upstream, credential)
    ask_usage = asks_usage(ctx, upstream)
    body = outgoing(ctx, target.model, ask_usage, upstream.row.quirks)
    length = len(body) if isinstance(body, bytes) else ctx.content_length
    head = upstream.head(ctx, credential, target.model, length)
    gather_bytes = answers.GATHER_MAX if ctx.endpoint.gather else 0
    response = await send(ctx, route, upstream, head, body, gather_bytes)
    return await judged(ctx, target.model, response, ask_usage)


def _foreign_history(ctx: RequestContext, upstream: Upstream) -> bool:
    """Whether a history that holds signatures holds some that mean nothing to this provider."""
    return foreign(ctx.body) or (upstream.proofless and ctx.endpoint.name == "chat.completions")
