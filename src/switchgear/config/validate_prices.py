"""Prices and the ledger: that prices are for something that is served, whole, and cannot become a silent zero."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from switchgear.config.document import Path, dotted
from switchgear.config.report import Report
from switchgear.config.schema import Config
from switchgear.config.schema_prices import Ledger, Price, PriceTier, Rates, UnknownPrice
from switchgear.config.suggest import did_you_mean
from switchgear.types import SERVICE_TIERS

MAX_PRICE_USD = 1_000_000.0
"""Of a million tokens, an image or a request: a dollar per token, which keeps every product within 64 bits."""
MIN_PRICE_USD = 0.000001
"""Of a million tokens: one pico-dollar per token. Less would be rounded to nothing."""
MIN_LEDGER_BYTES = 1024 * 1024


def validate_prices(config: Config, report: Report, known_types: Mapping[str, Any] | None = None) -> None:
    """Check `prices`, `unknown_price` and `ledger`. known_types: provider types by name, where they are known."""
    for key, entries in config.prices.items():
        path: Path = ("prices", key)
        _key(key, path, config, known_types, report)
        if isinstance(entries, Price):
            _price(entries, path, report)
        else:
            _dated(entries, path, report)
    if config.price_catalogue is not None:
        _catalogue(config.price_catalogue, report)
    if isinstance(config.unknown_price, UnknownPrice):
        _unknown(config.unknown_price, report)
    _ledger(config.ledger, report)


def starts_at(since: str) -> float:
    """The POSIX time in seconds at which `from: since` begins: midnight UTC of a date, UTC where no offset is given.

    Raises ValueError for anything but ISO 8601.
    """
    moment = datetime.fromisoformat(since)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _catalogue(path: str, report: Report) -> None:
    if not path.strip() or "\0" in path or os.path.isdir(path):
        report.error(("price_catalogue",), "expected the name of a file")
    elif not os.path.exists(path):
        report.warn(("price_catalogue",), "not there yet: run `switchgear prices update`; until then built-in prices")


def _key(key: str, path: Path, config: Config, known_types: Mapping[str, Any] | None, report: Report) -> None:
    provider, slash, model = key.partition("/")
    if not provider or not slash or not model:
        report.error(path, "expected a key `provider/model`, as in openai/gpt-4.1 or local/*")
        return
    if "*" in model.removesuffix("*"):
        report.error(path, "expected a '*' only at the end, where it stands for any ending")
    types = {entry.type for entry in config.providers.values()}
    if provider not in config.providers and provider not in types:
        if known_types is not None and provider in known_types:
            report.warn(path, f"no provider of this configuration is of type {provider}")
        else:
            report.warn(path, f"no provider has this name{did_you_mean(provider, [*config.providers, *sorted(types)])}")


def _dated(entries: list[Price], path: Path, report: Report) -> None:
    if not entries:
        report.error(path, "expected at least one entry")
    begun: dict[float | None, int] = {}
    for n, price in enumerate(entries):
        start = _price(price, (*path, n), report)
        first = begun.setdefault(start, n)
        if first != n:
            place = (*path, n, "from") if price.since is not None else (*path, n)
            report.error(place, f"expected each date once, {dotted((*path, first))} begins then too")


def _price(price: Price, path: Path, report: Report) -> float | None:
    """When it begins, None for an entry that always applied."""
    start = None
    if price.since is not None:
        try:
            start = starts_at(price.since)
        except (ValueError, OverflowError, OSError):
            report.error((*path, "from"), "expected a date such as 2026-01-31, or one with a time")
    _rates(price, path, report)
    flat = price.request is not None or price.image is not None
    for side in ("input", "output"):
        if getattr(price, side) is None and not flat:
            _side(price, side, path, report)
    for unit in ("request", "image"):
        _usd(getattr(price, unit), (*path, unit), report)
    _tiers(price.tiers, (*path, "tiers"), report)
    for tier in SERVICE_TIERS:
        rates = getattr(price, tier)
        if rates is not None:
            _some(rates, (*path, tier), report)
            _rates(rates, (*path, tier), report)
    return start


def _side(price: Price, side: str, path: Path, report: Report) -> None:
    if price.input is None and price.output is None:
        if side == "input":
            report.error(path, "expected at least one of input, output, request, image")
    elif side == "input":
        report.error(path, "expected the key 'input': without it input would cost nothing; write 0 if it does")
    else:
        report.warn(path, "no price of output: tokens that the model puts out cost nothing")


def _tiers(tiers: list[PriceTier], path: Path, report: Report) -> None:
    before = 0
    for n, tier in enumerate(tiers):
        if tier.above <= before:
            report.error((*path, n, "above"), f"expected more than the tier before it ({before}), got {tier.above}")
        before = max(before, tier.above)
        _some(tier, (*path, n), report)
        _rates(tier, (*path, n), report)


def _some(rates: Rates, path: Path, report: Report) -> None:
    if all(getattr(rates, name) is None for name in Rates.__struct_fields__):
        report.error(path, "expected at least one price, such as input or output")


def _rates(rates: Rates, path: Path, report: Report) -> None:
    for name in Rates.__struct_fields__:
        _usd(getattr(rates, name), (*path, name), report)


def _usd(price: float | None, path: Path, report: Report) -> None:
    if price is not None and price > MAX_PRICE_USD:
        report.error(path, f"expected at most {MAX_PRICE_USD:.0f} USD")
    elif price is not None and 0 < price < MIN_PRICE_USD:
        report.error(path, f"expected 0, or {MIN_PRICE_USD:f} USD or more")


def _unknown(price: UnknownPrice, report: Report) -> None:
    for side in ("input", "output"):
        _usd(getattr(price, side), ("unknown_price", side), report)
        if getattr(price, side) == 0:
            report.warn(("unknown_price", side), "models without a known price are billed at nothing")


def _ledger(ledger: Ledger, report: Report) -> None:
    if not ledger.path.strip() or "\0" in ledger.path:
        report.error(("ledger", "path"), "expected the name of a folder")
    elif os.path.exists(ledger.path) and not os.path.isdir(ledger.path):
        report.error(("ledger", "path"), "expected a folder, and there is a file of this name")
    if ledger.max_bytes < MIN_LEDGER_BYTES:
        report.error(("ledger", "max_bytes"), "expected 1MiB or more")
