"""How much a request may use: the facade of this package.

    limits = Limits(loop, config, store)
    await limits.start()
    applying = limits.plan(principal, model)               # cached; empty where nothing is declared
    held = applying.take(loop.time(), 1, 900, 4096, cost)  # in memory, all or nothing
    if held is None:
        held = await limits.take_slowly(applying, 1, 900, 4096, cost)   # asks the store, or raises
    try: …
    finally: held.settle(input_tokens, output_tokens, cost)             # or held.release(), nothing was sent

A request waits for a store that is away, or whose counters are being rebuilt, until `WAIT_S` after that began, or
after the request did where that is sooner: later ones do not wait. Then each limit that lacks something does as it
declares: open, the request passes and what it uses is counted here and told later; closed, it is refused with 503.
Where a bucket is empty while other workers hold of it and do not use it, a request waits for what they give back:
`PATIENCE_S`, or `LONG_PATIENCE_S` where the window is long.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from switchgear.errors import StateUnavailable
from switchgear.hotpath._leases import Bucket, LimitSet, Reservation
from switchgear.limits import headers as told
from switchgear.limits import refusals
from switchgear.limits.buckets import held_of, limit_of
from switchgear.limits.declared import Declared
from switchgear.limits.events import Counters, Events, OnPassed
from switchgear.limits.held import KEEP_S
from switchgear.limits.leases import Leases
from switchgear.limits.snapshot import rows
from switchgear.limits.talk import TTL_S, Seed
from switchgear.state.store import Status, Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from switchgear.config.schema import Config
    from switchgear.limits.fitting import Amounts, Fitting
    from switchgear.limits.model import Limit
    from switchgear.types import Dialect, Headers, Principal

WAIT_S = 0.25
"""Declared in docs/limits.md: how long a request waits before its limits do as `fail` says."""
PATIENCE_S = 0.15
LONG_PATIENCE_S = KEEP_S + 0.2
"""Of windows of an hour and longer: whoever is refused there does not come back soon, and what nobody uses is given
back within `KEEP_S`."""
PATIENT_ROUNDS = 6
"""And not before it has asked so often: on a late loop the time is over before others could give anything back."""
LONGEST_S = 2.0
"""A request that is overtaken again and again, by others that want less, ends after this."""
RETRY_S = 0.02
STATE_RETRY_AFTER_S = 1.0
MAX_SETS = 8_192


class Limits:
    """The limits of one configuration in one worker.

    store: of `state`; closed by `stop`. directory: as in `Leases`. seed: `seed(limit, since_s) -> used`, what the
    ledger knows to have been spent of a limit since that Unix time (0: ever), in the limit's units. It has to include
    everything settled before it was called. counters, on_passed: as in `Events`.
    previous: the limits of the configuration before a reload: its leases and counters go on here.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        config: Config,
        store: Store | None = None,
        *,
        directory: Path | None = None,
        seed: Seed | None = None,
        counters: Counters | None = None,
        on_passed: OnPassed | None = None,
        ttl_s: float = TTL_S,
        previous: Limits | None = None,
    ):
        self.declared = Declared(config)
        self._loop = loop
        self._sets: dict[tuple[str, ...], LimitSet] = {}
        self.leases: Leases
        self.events: Events
        if previous is not None:
            self.leases, self.events = previous.leases, previous.events
            for limit in self.declared.all():
                self.leases.buckets.redeclare(limit)
        else:
            if store is None:
                raise ValueError("limits need a store, or those of before")
            self.events = Events(counters, on_passed)
            self.leases = Leases(
                loop, store, directory=directory, seed=seed, on_told=self.events.told, ttl_s=ttl_s,
                on_exchange=self.events.exchanged,
            )  # fmt: skip  # the store and what concerns it
        self.of_attempts = self.declared.of_attempts
        """Whether `plan_attempt` can find anything."""

    async def start(self) -> None:
        """Begin to talk with the store. Returns when a new store grants leases, after about 2 seconds, or at once."""
        await self.leases.start()

    async def stop(self) -> None:
        """Give every lease back. Not for limits whose leases went on in others after a reload."""
        await self.leases.stop()

    def plan(self, principal: Principal, model: str) -> LimitSet:
        """What a request counts against whatever serves it; of length 0 where nothing applies."""
        known = model if model in self.declared.models else ""
        key = (principal.name, principal.kind, principal.organization, principal.project, principal.user, known)
        found = self._sets.get(key)
        if found is None:
            found = self._new_set(key, self.declared.of_request(self.declared.scope(principal, model)))
        return found

    def plan_attempt(self, principal: Principal, model: str, provider: str, credential: str) -> LimitSet:
        """What an attempt counts against beside `plan`: limits on the provider or credential and products of them."""
        known = model if model in self.declared.models else ""
        who = (principal.name, principal.kind, principal.organization, principal.project, principal.user)
        key = (*who, known, provider, credential)
        found = self._sets.get(key)
        if found is None:
            scope = self.declared.scope(principal, model, provider, credential)
            found = self._new_set(key, self.declared.of_attempt(scope))
        return found

    async def take_slowly(
        self,
        limits: LimitSet,
        requests: int,
        input_tokens: int,
        output_tokens: int,
        cost_nanousd: int,
        longest: int = -1,
        dearest: int = -1,
    ) -> Reservation:
        """What `limits.take` could not: with new leases, or by what `fail` says.

        Raises RateLimited, BudgetExhausted, RequestTooLarge or StateUnavailable.
        """
        amounts = (requests, input_tokens, output_tokens, cost_nanousd, longest, dearest)
        return await self._take(limits, lambda _: amounts)

    async def take_fitting(self, limits: LimitSet, fitting: Fitting) -> Reservation:
        """Reserve for an answer of unknown length; `fitting` then tells how much. Raises as `take_slowly`."""
        return await self._take(limits, lambda now: fitting.amounts(limits, now))

    async def _take(self, limits: LimitSet, amounts_at: Callable[[float], Amounts]) -> Reservation:
        began, rounds = self._loop.time(), 0
        while True:
            now = self._loop.time()
            self._renew(limits, now)
            amounts = amounts_at(now)
            taken = limits.take(now, *amounts)
            if taken is not None:
                return taken
            short = limits.short(now, *amounts)
            rounds += 1
            if not await self._get(short, limits.buckets, began, now, rounds):
                return self._without_store(limits, short, amounts)

    async def extend_slowly(
        self, held: Reservation, output_tokens: int, cost_nanousd: int, longest: int = -1, dearest: int = -1
    ) -> None:
        """What `held.extend` could not. Raises as `take_slowly`; nothing is added then."""
        amounts = (output_tokens, cost_nanousd, longest, dearest)
        began, rounds = self._loop.time(), 0
        while not held.done:
            now = self._loop.time()
            if held.extend(now, *amounts):
                return
            # What it reserved in a window that is over is charged there: more of it is not to be had, nor needed.
            short = [item for item in held.short(now, *amounts) if item[0].ends_at > now]
            if not short:
                return
            rounds += 1
            if not await self._get(short, held.sets, began, now, rounds):
                self._must_be_open(short)
                return

    def headers(self, limits: LimitSet, dialect: Dialect) -> Headers:
        """What a successful answer tells of its tightest limits."""
        return told.headers(limits, dialect, self.leases.buckets.now_s())

    def snapshot(self) -> AsyncIterator[dict[str, Any]]:
        """Every declared limit as the store has it, as `switchgear limits state` prints it. Raises `StoreAway`."""
        return rows(self.leases.store, self.declared.all(), self.leases.seed)

    async def _get(
        self, short: list[tuple[Bucket, int]], around: tuple[Bucket, ...], began: float, now: float, rounds: int
    ) -> bool:
        """Ask the store for what is short. Whether to try again; False when the store gives nothing in time."""
        for bucket, amount in short:
            if amount > limit_of(bucket).capacity:
                self.events.refused(limit_of(bucket))
                raise refusals.too_large(bucket, amount)
        if self.leases.away:
            since = min(began, self.leases.away_since or began)
            if now - since >= WAIT_S or all(limit_of(bucket).fail_open for bucket, _ in short):
                return False
            await asyncio.sleep(RETRY_S)  # it may be back before this request has to be refused
            return True
        empty = [(bucket, amount) for bucket, amount in short if held_of(bucket).dry(now, amount - bucket.available)]
        if empty:
            hopeless = any(not held_of(bucket).idle_elsewhere for bucket, _ in empty)
            if hopeless or (rounds >= PATIENT_ROUNDS and now - began >= _patience_s(empty)):
                error = refusals.refusal(empty, around, self.leases.buckets.now_s())
                self.events.refused(limit_of(empty[0][0]))
                raise error
            await asyncio.sleep(RETRY_S)
            for bucket, _ in empty:
                held_of(bucket).dry_until = 0.0
        elif any(held_of(bucket).status not in (Status.OK, Status.STALE) for bucket, _ in short):
            # The store is there, and its counters are being rebuilt.
            since = min([began, *(at for bucket, _ in short if (at := held_of(bucket).unsure_since) is not None)])
            if now - since >= WAIT_S:
                return False
            await asyncio.sleep(RETRY_S)
        elif now - began >= LONGEST_S:
            raise refusals.refusal(short, around, self.leases.buckets.now_s())
        await self.leases.refill(short)
        return True

    def _without_store(self, limits: LimitSet, short: list[tuple[Bucket, int]], amounts: Amounts) -> Reservation:
        self._must_be_open(short)
        for bucket, _ in short:
            bucket.bypass = True
        try:
            taken = limits.take(self._loop.time(), *amounts)
        finally:
            for bucket, _ in short:
                bucket.bypass = False
        if taken is None:  # a lease or a window has ended since the last look
            raise StateUnavailable(_AWAY, retry_after_s=STATE_RETRY_AFTER_S)
        return taken

    def _must_be_open(self, short: list[tuple[Bucket, int]]) -> None:
        for bucket, _ in short:
            if not limit_of(bucket).fail_open:
                raise StateUnavailable(_AWAY, retry_after_s=STATE_RETRY_AFTER_S)
        for bucket, _ in short:
            self.events.unaccounted(limit_of(bucket))

    def _renew(self, limits: LimitSet, now: float) -> None:
        """Buckets of windows that are over, or that were put away, are replaced by those of now."""
        if any(now >= bucket.ends_at for bucket in limits.buckets):
            limits.replace(tuple(self.leases.buckets.of(limit_of(bucket)) for bucket in limits.buckets))

    def _new_set(self, key: tuple[str, ...], limits: list[Limit]) -> LimitSet:
        if len(self._sets) >= MAX_SETS:
            for old in list(self._sets)[: MAX_SETS // 8]:
                del self._sets[old]
        buckets = tuple(self.leases.buckets.of(limit) for limit in limits)
        for bucket, limit in zip(buckets, limits, strict=True):
            bucket.limit = limit  # a request of before a reload may have opened it with the limit of then
        made = LimitSet(self.leases.clock, buckets)
        self._sets[key] = made
        return made


def _patience_s(empty: list[tuple[Bucket, int]]) -> float:
    """How long to wait for what other workers hold and do not use."""
    long = all(limit_of(bucket).window.is_long for bucket, _ in empty)
    return LONG_PATIENCE_S if long else PATIENCE_S


_AWAY = "The limits of this request cannot be checked at the moment. Please try again."
