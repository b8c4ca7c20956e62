"""A worker's metering from its configuration, and what of it goes on over a reload.

The ledger, the leases of limits and what was learnt about lengths live as long as the worker; prices and declared
limits are those of one configuration.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from switchgear.accounting import journals
from switchgear.accounting.ledger import Ledger
from switchgear.accounting.prices import Prices
from switchgear.accounting.spent import spent
from switchgear.db.revision import HEAD, ensure_head, revision
from switchgear.limits import tokenizers
from switchgear.limits.limits import Limits
from switchgear.metering.metering import Metering
from switchgear.observability import logs
from switchgear.state import open_store
from switchgear.state.memory import MemoryStore

if TYPE_CHECKING:
    from switchgear.config.schema import Config
    from switchgear.limits.events import Counters
    from switchgear.limits.model import Limit
    from switchgear.limits.talk import Seed

log = logs.get(__name__)

REACH_S = 5.0
"""For the database to say which schema it has: a worker that starts while it stalls serves after that."""
PREPARE_S = 20.0
"""A first migration of SQLite takes about a second, on a machine that is busy several."""

_FIELDS = ("organization", "project", "user", "key", "model", "provider", "credential")


async def build(
    loop: asyncio.AbstractEventLoop, config: Config, counters: Counters, previous: Metering | None
) -> Metering:
    """The metering of a configuration. previous: that of the one before a reload, which goes on in this one.

    Raises ConfigError for prices, sinks and tokenizers that cannot be used, OSError when the ledger's folder cannot be
    written.
    """
    prices = Prices.from_config(config)
    types = {name: provider.type for name, provider in config.providers.items()}
    if previous is not None:
        ledger = previous.ledger
        if ledger is not None and not ledger.reload(config.ledger):
            log.warning("the ledger's folder and sinks change with a restart only")
        if not tokenizers.reload(previous.estimates, config):
            log.warning("what `estimates` says changes with a restart only")
        limits = Limits(loop, config, previous=previous.limits)
        return Metering(loop, limits, prices, ledger, previous.estimates, types)
    estimates = await asyncio.to_thread(tokenizers.open_estimates, config)
    ledger = Ledger(config.ledger, config.database.url) if config.ledger.enabled else None
    store = open_store(config.state.url)
    shared = not isinstance(store, MemoryStore)
    limits = Limits(
        loop,
        config,
        store,
        directory=Path(config.ledger.path) / "leases" if shared and ledger is not None else None,
        seed=seed_of(config, recover=True) if ledger is not None else None,
        counters=counters,
    )
    if ledger is not None:
        if any(True for _ in limits.declared.all()):
            await _prepare(config.database.url)
        ledger.start()
    await limits.start()
    return Metering(loop, limits, prices, ledger, estimates, types)


async def _prepare(url: str) -> None:
    """The schema is there before the first request: else limits could not ask what was spent, and their requests would
    wait or pass unaccounted meanwhile. A database that is away must not keep the gateway from starting."""
    try:
        async with asyncio.timeout(REACH_S):
            ready = await revision(url) == HEAD
        if not ready:
            async with asyncio.timeout(PREPARE_S):
                await ensure_head(url)
    except Exception as error:  # whatever a driver raises: the drain tries again and tells
        reason = str(error) or type(error).__name__
        log.warning("the database is not ready; limits begin without what was spent before", error=reason)


async def stop(metering: Metering) -> None:
    """Give leases back, drain what is there."""
    await metering.limits.stop()
    if metering.ledger is not None:
        await metering.ledger.stop()


def seed_of(config: Config, *, recover: bool = False) -> Seed:
    """What the ledger knows to have been spent of a limit: how its counter is rebuilt. recover: first write the rows of
    requests that were open in a process when it was killed: nobody else tells a store that is new of them."""
    url, root = config.database.url, Path(config.ledger.path)
    migrated = False

    async def seed(limit: Limit, since_s: int) -> int:
        nonlocal migrated
        if not migrated:
            await ensure_head(url)
            migrated = True
        if recover:
            await asyncio.to_thread(journals.recover, root, config.ledger)
        names = {field: value for field in _FIELDS if (value := getattr(limit.scope, field))}
        found = await spent(url, root, names, since_s * 1_000_000 if since_s else None)
        if limit.resource == "cost":
            return found.cost_nanousd
        if limit.resource == "tokens":
            return found.input_tokens + found.output_tokens
        used: int = getattr(found, limit.resource)
        return used

    return seed
