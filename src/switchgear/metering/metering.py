"""What is the same for all requests of one worker under one configuration: limits, prices, the ledger, estimates."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from switchgear.errors import PriceUnknown
from switchgear.hotpath._journal import label
from switchgear.hotpath._leases import LimitSet
from switchgear.hotpath._unary import Account
from switchgear.limits.fitting import Fitting, firm
from switchgear.metering.lengths import FORM_BYTES, FORM_TOKENS, Length, images_of, length_of
from switchgear.metering.meter import Meter, unix_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from switchgear.accounting.ledger import Ledger
    from switchgear.accounting.price import Price
    from switchgear.accounting.prices import Prices
    from switchgear.hotpath._estimate import Estimates
    from switchgear.hotpath._leases import Reservation
    from switchgear.hotpath._unary import Unary
    from switchgear.limits.limits import Limits
    from switchgear.routing.router import Route
    from switchgear.types import Dialect, Headers, Principal, RequestContext, Target, Usage

_COST = 5  # of `hotpath._leases`
MAX_LABELS = 8192
ACCOUNT_S = 30.0
"""How long the compiled path uses a price before it looks again: prices change by the calendar."""


class Metering:
    """provider_types: by provider name. ledger: None where it is turned off."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        prices: Prices,
        ledger: Ledger | None,
        estimates: Estimates,
        provider_types: Mapping[str, str],
    ):
        self.time = loop.time
        self.limits = limits
        self.prices = prices
        self.ledger = ledger
        self.estimates = estimates
        self.take_slowly = limits.take_slowly
        self.take_fitting = limits.take_fitting
        self.extend_slowly = limits.extend_slowly
        self._types = dict(provider_types)
        self._unlimited = LimitSet(limits.leases.clock, ())
        self._labels: dict[tuple[str, ...], bytes] = {}

    async def admit(self, ctx: RequestContext, route: Route) -> None:
        """Reserve what a request may use, and give it its meter.

        Raises LimitReached, StateUnavailable, or PriceUnknown where a limit on money applies to a request none of
        whose targets has a price.
        """
        principal = ctx.principal
        if principal is None:
            return
        limits = self.limits.plan(principal, ctx.model)
        raw, input_tokens = self.estimate(ctx)
        length = length_of(ctx, self.estimates, route.max_output_tokens)
        meter = ctx.meter = Meter(self, ctx, limits, input_tokens, length, raw)
        await meter.admit(self.costs(ctx, route, input_tokens) if ctx.model and self.limits_money(limits) else _free)

    def estimate(self, ctx: RequestContext) -> tuple[int, int]:
        """Input tokens before calibration, and those to reserve."""
        if not isinstance(ctx.body, bytes):
            return 0, 0
        if ctx.peeked is None:
            return 0, FORM_TOKENS + len(ctx.body) // FORM_BYTES if ctx.model and ctx.body else 0
        return self.estimates.prompt(ctx.model, ctx.body)

    def costs(self, ctx: RequestContext, route: Route, input_tokens: int) -> Callable[[int], int]:
        """The most that so many output tokens can cost. Raises PriceUnknown where no target has a price."""
        prices = self.known_prices(route)
        images = images_of(ctx)
        return lambda tokens: max(price.upper(input_tokens, tokens, images) for price in prices)

    def adopt(self, ctx: RequestContext, call: Unary) -> None:
        """The meter of a request that the compiled path began; None where that has ended it."""
        account = call.account
        if account is None or call.settled:
            return
        limits = account.limits if account.limits is not None else self._unlimited
        length = Length(call.output_tokens, call.longest, max(1, call.peeked.n), call.peeked.max_tokens >= 0)
        meter = ctx.meter = Meter(self, ctx, limits, call.input_tokens, length, call.raw)
        meter.adopt(account.price, call.held, call.slot, ctx.started_at)

    def account(
        self, principal: Principal, endpoint: str, model: str, target: Target, credential: str
    ) -> Account | None:
        """What the compiled path needs for a key's requests to a target; None where it must not take them."""
        if self.limits.of_attempts:
            return None
        limits = self.limits.plan(principal, model)
        try:
            price = self.price(target, limited=self.limits_money(limits))
        except PriceUnknown:
            return None
        names = self._label(principal, endpoint, model, target, credential, price)
        return Account(limits if len(limits) else None, price, names, self.time() + ACCOUNT_S, firm(limits))

    def known_prices(self, route: Route) -> list[Price]:
        """Of the targets that have one. Raises PriceUnknown where none has."""
        found, missing = [], None
        for target in route.targets:
            try:
                found.append(self.price(target, limited=True))
            except PriceUnknown as error:
                missing = error
        if not found and missing is not None:
            raise missing
        return found

    def price(self, target: Target, *, limited: bool) -> Price:
        """The price of a target now. limited: money is. Raises PriceUnknown."""
        return self.prices.require(
            target.provider,
            self._types[target.provider],
            target.model,
            unix_now(),
            limited=limited and bool(target.model),
        )

    def limits_money(self, limits: LimitSet) -> bool:
        """Whether a limit on cost is among them that can refuse."""
        return any(bucket.resource == _COST and bucket.hard for bucket in limits.buckets)

    def limits_of_attempt(self, ctx: RequestContext, target: Target, credential: str) -> LimitSet:
        """What an attempt counts against beside its request."""
        if not self.limits.of_attempts or ctx.principal is None:
            return self._unlimited
        return self.limits.plan_attempt(ctx.principal, ctx.model, target.provider, credential)

    async def take(self, limits: LimitSet, fitting: Fitting) -> Reservation | None:
        """Reserve what fits. Raises as `Limits.take_slowly`."""
        if not len(limits):
            return None
        now = self.time()
        held = limits.take(now, *fitting.amounts(limits, now))
        return held if held is not None else await self.take_fitting(limits, fitting)

    def label(self, ctx: RequestContext, target: Target, credential: str, price: Price) -> bytes:
        """The ten names of a ledger row, encoded once for all requests that share them."""
        if ctx.principal is None:
            raise ValueError("a request without a principal has no row")
        return self._label(ctx.principal, ctx.endpoint.name, ctx.model, target, credential, price)

    def _label(self, who: Principal, endpoint: str, model: str, target: Target, credential: str, price: Price) -> bytes:
        names = (
            *(endpoint, who.organization, who.project, who.user, who.name),
            *(model, target.model, target.provider, credential, price.version),
        )
        found = self._labels.get(names)
        if found is None:
            while len(self._labels) >= MAX_LABELS:
                self._labels.pop(next(iter(self._labels)))
            found = self._labels[names] = label(*names)
        return found

    def headers(self, limits: LimitSet, dialect: Dialect) -> Headers:
        """What an answer tells of its limits."""
        return self.limits.headers(limits, dialect) if len(limits) else []

    def learn(self, meter: Meter, usage: Usage) -> None:
        """Hold an estimate against what the upstream counted."""
        peeked = meter.ctx.peeked
        if peeked is not None and meter.raw and not usage.estimated:
            self.estimates.observe(meter.ctx.model, meter.raw, usage.input_tokens, usage.output_tokens, peeked.n)


def _free(tokens: int) -> int:
    """What output tokens cost where no limit on money applies."""
    return 0
