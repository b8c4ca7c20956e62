"""What the compiled path may take: models whose every target it can reach, learnt from requests that went well."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from msgspec.json import encode as json_string

from switchgear.hotpath._client import Pool
from switchgear.hotpath._unary import FastPath, Hop, Lane
from switchgear.routing.retry import Outcome
from switchgear.routing.router import MAX_NAME_CHARS
from switchgear.upstream import answers
from switchgear.upstream.translated import TranslatedConversation
from switchgear.upstream.unary_codec import UnaryCodec

if TYPE_CHECKING:
    from switchgear.hotpath._unary import Accounts
    from switchgear.observability.metrics import Metrics
    from switchgear.routing.router import Route
    from switchgear.types import Principal, RequestContext, Target
    from switchgear.upstream.upstream import Upstream


class Lanes:
    """Teaches a `FastPath`. keys: SHA-256 digests of the virtual keys, as `KeyStore` has them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        keys: dict[bytes, tuple[bytes, Principal]],
        upstreams: Mapping[str, Upstream],
        metrics: Metrics,
        metering: Accounts,
        tags_of: Callable[[bytes, bytes], bytes],
    ):
        self._upstreams = upstreams
        self._metrics = metrics
        self.fast = FastPath(
            loop,
            keys,
            own=answers.OWN_HEADERS,
            answered=Outcome.ANSWERED,
            slab=metrics.slab,
            bounds=metrics.latency_bounds,
            read_usage=answers.read_usage,
            metering=metering,
            tags_of=tags_of,
            gather_bytes=answers.GATHER_MAX,
        )

    def learn(self, ctx: RequestContext, route: Route) -> None:
        """After a request that went well: the next of its kind may take the compiled path."""
        endpoint = ctx.endpoint
        if not 0 < len(ctx.model) <= MAX_NAME_CHARS:  # lanes are bounded in number, and so in size
            return
        if endpoint.fast and not ctx.stream and not self.fast.knows(endpoint.name, ctx.model):
            hops = [hop for target in route.targets if (hop := self._hop(ctx, route, target)) is not None]
            if len(hops) == len(route):
                lane = Lane(
                    route, hops, json_string(ctx.model), ctx.model, "messages" in endpoint.required, endpoint.generates
                )
                self.fast.learn(endpoint.name, ctx.model, lane)

    def _hop(self, ctx: RequestContext, route: Route, target: Target) -> Hop | None:
        upstream = self._upstreams[target.provider]
        passage = upstream.passages.get(ctx.endpoint.name, upstream.passage)
        if not isinstance(upstream.transport, Pool):
            return None
        slots = self._metrics.unary_slots(ctx.endpoint.name, ctx.model, target.name)
        if isinstance(passage, TranslatedConversation):
            codec = UnaryCodec(passage, upstream, target, ctx.model, route.strict)
            return Hop(target, upstream, upstream.transport, None, codec.start, slots, codec)
        if passage is not None:
            return None
        token = json_string(target.model) if target.model != ctx.model else None
        render = partial(upstream.start, "POST", upstream.path(ctx.endpoint.path, target.model))
        return Hop(target, upstream, upstream.transport, token, render, slots)
