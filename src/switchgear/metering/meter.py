"""One request's meter: what it reserved, the upstream requests it caused, and what they cost.

    admit      the request's limits, all or nothing, before anything is sent
    begin      before each attempt: its price, the limits on provider and credential, a slot in the ledger
    failed     after an attempt that brought nothing: its row
    extend     while a stream outgrows what was reserved for it
    settle     on every way out, once: the last attempt's row, and what was reserved against what was used

An attempt leaves a row exactly if the upstream was asked: a connection that could not be made, or a request that was
refused here, leaves none. What failed attempts used is not known and counts as nothing.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from switchgear.errors import (
    ClientDisconnected,
    GatewayError,
    LimitReached,
    UpstreamProtocolError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from switchgear.hotpath._leases import Reservation
from switchgear.limits.fitting import TOO_MUCH, Fitting, comes_back, firm
from switchgear.metering.lengths import images_of
from switchgear.metering.tags import tags_of
from switchgear.types import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from switchgear.accounting.price import Price
    from switchgear.hotpath._leases import LimitSet
    from switchgear.metering.lengths import Length
    from switchgear.metering.metering import Metering
    from switchgear.types import Headers, RequestContext, Target

_NONE = float("nan")
_UNBOUNDED = 1 << 62
_NOTHING = Usage()
FRAMING_EVENTS = 16
"""Events of a choice's stream that hold no token: its beginning, its end, the usage; most are Responses'."""
EXTENSION_TOKENS = 256
"""How much more is reserved at a time for a stream that outgrows its reservation: an answer of a page in two steps."""


class Meter:
    """Of one request. limits: what it counts against. input_tokens, output_tokens: what is reserved for it.

    longest: the output tokens that are reserved for it of firm limits (`limits.fitting`).
    """

    __slots__ = (
        "_attempted",
        "_began_at",
        "_cost_nanousd",
        "_dearest_nanousd",
        "_firm",
        "_held",
        "_held_by_attempt",
        "_input_tokens",
        "_metering",
        "_output_tokens",
        "_price",
        "_reserved_tokens",
        "_sent",
        "_slot",
        "_tags",
        "ceiling",
        "cost_nanousd",
        "ctx",
        "input_tokens",
        "length",
        "limits",
        "longest",
        "output_tokens",
        "raw",
        "settled",
    )

    def __init__(
        self, metering: Metering, ctx: RequestContext, limits: LimitSet, input_tokens: int, length: Length, raw: int
    ):
        self._metering = metering
        self.ctx = ctx
        self.raw = raw  # input tokens as estimated before calibration
        self.limits = limits
        self.input_tokens = input_tokens
        self.length = length
        self.output_tokens = length.expected
        self.longest = self._reserved_tokens = length.longest
        self.cost_nanousd = self._dearest_nanousd = 0  # reserved; of firm limits
        self._firm = firm(limits)
        self.ceiling = self._ceiling(limits)
        self.settled = False
        self._held: Reservation | None = None
        self._held_by_attempt: Reservation | None = None
        self._slot = -1
        self._attempted = False
        self._price: Price | None = None
        self._began_at = 0.0
        self._sent = False
        self._input_tokens = self._output_tokens = self._cost_nanousd = 0  # used by the attempts that ended
        self._tags: bytes | None = None

    async def admit(self, cost: Callable[[int], int]) -> None:
        """Reserve. cost: the most that so many output tokens cost, nano-dollars.

        Raises LimitReached or StateUnavailable.
        """
        if not len(self.limits):
            return
        fitting = self._fitting(cost)
        self._held = await self._metering.take(self.limits, fitting)
        self.output_tokens = min(self.output_tokens, fitting.tokens)
        self.longest = self._reserved_tokens = fitting.tokens
        self.cost_nanousd, self._dearest_nanousd = cost(self.output_tokens), cost(self.longest)
        self.ceiling = self._ceiling(self.limits)

    def _fitting(self, cost: Callable[[int], int], most: int | None = None) -> Fitting:
        length = self.length
        return Fitting(
            self.input_tokens,
            self.output_tokens,
            length.longest,
            length.choices,
            cost,
            open=not length.known,
            most=most,
        )

    def _ceiling(self, limits: LimitSet) -> int:
        """Output tokens up to which nothing need be added to what is reserved."""
        if comes_back(limits):
            return self.output_tokens + self._framing
        return self.longest + self._framing if firm(limits) else _UNBOUNDED

    @property
    def _framing(self) -> int:
        return FRAMING_EVENTS * self.length.choices

    def adopt(self, price: Price, held: Reservation | None, slot: int, began_at: float) -> None:
        """Go on with an attempt that the compiled path began."""
        self.cost_nanousd = price.upper(self.input_tokens, self.output_tokens)
        self._dearest_nanousd = price.upper(self.input_tokens, self.longest)
        self._price, self._held, self._slot, self._began_at = price, held, slot, began_at
        self._attempted = True

    async def begin(self, target: Target, credential: str) -> None:
        """An attempt is about to be sent.

        Raises PriceUnknown, LimitReached, StateUnavailable and LedgerFull. Nothing is held then.
        """
        metering, ctx = self._metering, self.ctx
        own = metering.limits_of_attempt(ctx, target, credential)
        price = metering.price(target, limited=metering.limits_money(self.limits) or metering.limits_money(own))
        images = images_of(ctx)

        def cost(tokens: int) -> int:
            return min(price.upper(self.input_tokens, tokens, images), TOO_MUCH)

        await self._reserve(cost)
        if len(own):
            fitting = self._fitting(cost, self.longest)
            self._held_by_attempt = await metering.take(own, fitting)
            self.longest = min(self.longest, fitting.tokens)
            self.ceiling = min(self.ceiling, self._ceiling(own))
        bounded = not self.length.known and self.longest < self.length.longest
        ctx.bound = self.longest // self.length.choices if bounded else 0
        made = self.longest if self._firm or firm(own) else self.output_tokens
        try:
            if metering.ledger is not None:
                if self._tags is None:
                    self._tags = tags_of(ctx.tags, ctx.body)
                self._slot = metering.ledger.open(
                    metering.label(ctx, target, credential, price),
                    ctx.request_id,
                    ctx.attempts,
                    stream=ctx.stream,
                    tags=self._tags,
                    input_tokens=self.input_tokens,
                    output_tokens=made,
                    cost_nanousd=cost(made),
                    unknown_price=price.flagged,
                )
        except BaseException:
            self._release_attempt()
            raise
        self._price = price
        self._began_at = metering.time()
        self._attempted = True

    async def _reserve(self, cost: Callable[[int], int]) -> None:
        """What the compiled path reserved for its target may be too little for a dearer one, or for another attempt.

        Where there is no more, and nothing but the gateway bounds the answer, it is bounded to what was reserved.
        """
        held, used = self._held, self._cost_nanousd
        self.longest = self._reserved_tokens
        if held is None:
            return
        more = max(0, used + cost(self.output_tokens) - self.cost_nanousd)
        dearer = max(0, used + cost(self.longest) - self._dearest_nanousd)
        if not more and not dearer:
            return
        try:
            if not held.extend(self._metering.time(), 0, more, 0, dearer):
                await self._metering.extend_slowly(held, 0, more, 0, dearer)
        except LimitReached:
            fitting = self._fitting(cost)
            tokens = min(self.longest, fitting.affordable(self._dearest_nanousd - used))
            if not dearer or self.length.known or tokens < fitting.least:
                raise
            self.longest = tokens
            return
        self.cost_nanousd += more
        self._dearest_nanousd += dearer

    def unsent(self) -> None:
        """The attempt never reached the upstream, and is made again."""
        if self._attempted:
            self._end(None, None, sent=False)

    def failed(self, error: Exception) -> None:
        """The attempt brought nothing for the client."""
        if self._attempted:
            self._end(error, None, happened(error))

    async def extend(self, output_tokens: int) -> None:
        """A stream has come to so many output tokens, beyond `ceiling`: reserve more.

        Raises LimitReached or StateUnavailable where there is no more: the stream ends there.
        """
        price, until = self._price, output_tokens + EXTENSION_TOKENS
        more, longer = max(0, until - self.output_tokens), max(0, until - self.longest)

        def dearer(made: int, by: int) -> int:
            """What so many more tokens cost, at the price of a prompt as long as this one."""
            if price is None or not by:
                return 0
            return price.upper(self.input_tokens, made + by) - price.upper(self.input_tokens, made)

        amounts = (more, dearer(self.output_tokens, more), longer, dearer(self.longest, longer))
        for held in (self._held, self._held_by_attempt):
            if held is not None and not held.extend(self._metering.time(), *amounts):
                await self._metering.extend_slowly(held, *amounts)
        self.output_tokens += more
        self.longest += longer
        self.ceiling = until + self._framing

    def believable(self, input_tokens: int, output_tokens: int) -> tuple[int, int]:
        """Estimates that go no further than the one that was reserved: of the input a finer one, and the answer is no
        longer than its bound. A stream that was is in `longest` by now (`extend`)."""
        if len(self.limits):
            input_tokens = min(input_tokens, self.input_tokens)
        if self.length.known or self.ctx.bound or self._firm:
            output_tokens = min(output_tokens, self.longest)
        return input_tokens, output_tokens

    def settle(self) -> int:
        """The request ends, or its answer is about to. Returns its cost in nano-dollars; again and again the same."""
        if self.settled:
            return self._cost_nanousd
        self.settled = True
        ctx = self.ctx
        if self._attempted:
            error = ctx.error
            unforeseen = error is not None and not isinstance(
                error, GatewayError | ClientDisconnected | asyncio.CancelledError
            )
            self._end(error, ctx.usage, ctx.sent or unforeseen or happened(error))
        held = self._held
        if held is not None:
            if self._sent or ctx.error is None:  # what was answered here is a request too
                held.settle(self._input_tokens, self._output_tokens, self._cost_nanousd)
            else:
                held.release()
        return self._cost_nanousd

    def headers(self) -> Headers:
        """What the answer tells of the request's limits, in the dialect of its endpoint."""
        return self._metering.headers(self.limits, self.ctx.endpoint.dialect)

    def _end(self, error: BaseException | None, usage: Usage | None, sent: bool) -> None:
        """The attempt ended: its row, if the upstream was asked, and its own limits."""
        self._attempted = False
        slot, self._slot = self._slot, -1
        ledger = self._metering.ledger
        if not sent:
            if slot >= 0 and ledger is not None:
                ledger.abandon(slot)
            self._release_attempt()
            return
        self._sent = True
        used = usage or _NOTHING  # of a success that counts no tokens, a price per request remains
        cost = self._price.cost(used) if self._price is not None and (usage is not None or error is None) else 0
        self._input_tokens += used.input_tokens
        self._output_tokens += used.output_tokens
        self._cost_nanousd += cost
        if slot >= 0 and ledger is not None:
            self._write(slot, error, usage, cost)
        held, self._held_by_attempt = self._held_by_attempt, None
        if held is not None:
            held.settle(used.input_tokens, used.output_tokens, cost)
        if usage is not None and self._price is not None:
            self._metering.learn(self, usage)

    def _write(self, slot: int, error: BaseException | None, usage: Usage | None, cost_nanousd: int) -> None:
        ctx, now = self.ctx, self._metering.time()
        status = error.status if isinstance(error, UpstreamRejected) else ctx.status
        first = ctx.first_byte_at or (now if error is None else 0.0)  # an answer in one piece is all there at once
        ledger = self._metering.ledger
        if ledger is not None:
            ledger.append(
                slot,
                status,
                usage,
                cost_nanousd,
                error_class(error),
                (first - self._began_at) * 1000 if first else _NONE,
                (now - self._began_at) * 1000,
            )

    def _release_attempt(self) -> None:
        held, self._held_by_attempt = self._held_by_attempt, None
        if held is not None:
            held.release()


def happened(error: BaseException | None) -> bool:
    """Whether the upstream may have read the request of an attempt that ended so."""
    if isinstance(error, UpstreamTimeout):
        return error.phase != "connect"
    if isinstance(error, UpstreamUnreachable):
        return error.sent
    return isinstance(error, UpstreamRejected | UpstreamProtocolError)


def error_class(error: BaseException | None) -> str:
    """The ledger's word for how an upstream request ended; "" for success."""
    if error is None:
        return ""
    if isinstance(error, ClientDisconnected | asyncio.CancelledError):
        return "client_disconnected"
    if isinstance(error, UpstreamTimeout):
        return f"timeout_{error.phase}"
    if isinstance(error, UpstreamRejected):
        return _REJECTIONS.get(error.status, "server_error" if error.status >= 500 else "invalid_request")
    if isinstance(error, GatewayError):
        return error.code or error.type
    return "internal_error"


_REJECTIONS = {
    401: "authentication",
    402: "insufficient_quota",
    403: "permission",
    404: "not_found",
    408: "timeout_upstream",
    413: "request_too_large",
    429: "rate_limited",
    529: "overloaded",
}


def unix_now() -> float:
    """Seconds; prices change by the calendar."""
    return time.time()
