"""A worker's metering from its configuration, and what of it goes on over a reload.

The ledger, the leases of limits and what was learnt about lengths live as long as the worker; prices and declared
limits are those of one configuration.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from switchgear.accounting.ledger import Ledger
from switchgear.accounting.prices import Prices
from switchgear.limits.estimates import Estimates
from switchgear.limits.limits import Limits
from switchgear.metering.metering import Metering
from switchgear.observability import logs
from switchgear.state import open_store
from switchgear.state.memory import MemoryStore

if TYPE_CHECKING:
    import asyncio

    from switchgear.config.schema import Config
    from switchgear.limits.events import Counters
    from switchgear.limits.leases import Seed
    from switchgear.limits.model import Limit

log = logs.get(__name__)

_FIELDS = ("organization", "project", "user", "key", "model", "provider", "credential")


async def build(
    loop: asyncio.AbstractEventLoop, config: Config, counters: Counters, previous: Metering | None
) -> Metering:
    """The metering of a configuration. previous: that of the one before a reload, which goes on in this one.

    Raises ConfigError for prices and sinks that cannot be used, OSError when the ledger's folder cannot be written.
    """
    prices = Prices.from_config(config)
    types = {name: provider.type for name, provider in config.providers.items()}
    if previous is not None:
        ledger = previous.ledger
        if ledger is not None and not ledger.reload(config.ledger):
            log.warning("the ledger's folder and sinks change with a restart only")
        limits = Limits(loop, config, previous=previous.limits)
        return Metering(loop, limits, prices, ledger, previous.estimates, types)
    ledger = Ledger(config.ledger, config.database.url) if config.ledger.enabled else None
    store = open_store(config.state.url)
    shared = not isinstance(store, MemoryStore)
    limits = Limits(
        loop,
        config,
        store,
        directory=Path(config.ledger.path) / "leases" if shared and ledger is not None else None,
        seed=seed_of(config) if ledger is not None else None,
        counters=counters,
    )
    if ledger is not None:
        ledger.start()
    await limits.start()
    return Metering(loop, limits, prices, ledger, Estimates(), types)


async def stop(metering: Metering) -> None:
    """Give leases back, drain what is there."""
    await metering.limits.stop()
    if metering.ledger is not None:
        await metering.ledger.stop()


def seed_of(config: Config) -> Seed:
    """What the ledger knows to have been spent of a limit: how its counter is rebuilt."""
    url, root = config.database.url, Path(config.ledger.path)
    migrated = False

    async def seed(limit: Limit, since_s: int) -> int:
        nonlocal migrated
        from switchgear.accounting.spent import spent  # with SQLAlchemy, which is slow to import
        from switchgear.db.migrate import migrate

        if not migrated:
            await migrate(url)
            migrated = True
        names = {field: value for field in _FIELDS if (value := getattr(limit.scope, field))}
        found = await spent(url, root, names, since_s * 1_000_000 if since_s else None)
        if limit.resource == "cost":
            return found.cost_nanousd
        if limit.resource == "tokens":
            return found.input_tokens + found.output_tokens
        used: int = getattr(found, limit.resource)
        return used

    return seed
