"""`switchgear prices`: fetch a newer price catalogue; show what a model costs here."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import orjson

from switchgear.accounting.price import Price
from switchgear.accounting.prices import Prices
from switchgear.accounting.rates import CLASSES
from switchgear.accounting.update import default_url, update
from switchgear.config.load import load
from switchgear.config.schema import Config
from switchgear.config.validate_prices import starts_at
from switchgear.errors import ConfigError
from switchgear.providers.registry import provider_types

_CONFIG = click.option(
    "--config", "file", type=click.Path(path_type=Path), required=True, help="The configuration file."
)


@click.group()
def command() -> None:
    """Fetch public prices, and show what a model costs."""


@command.command("update")
@_CONFIG
@click.option("--url", default=None, help="Where to fetch from; by default where genai-prices publishes.")
def fetch(file: Path, url: str | None) -> None:
    """Fetch the catalogue into the file that `price_catalogue` of the configuration names.

    A gateway that runs takes it over at its next reload (SIGHUP).
    """
    path = _loaded(file).price_catalogue
    if path is None:
        raise click.ClickException("the configuration names no file: add price_catalogue: prices.json")
    try:
        catalogue = update(Path(path), url or default_url())
    except (OSError, ValueError) as error:
        raise click.ClickException(f"nothing was changed: {error}") from error
    click.echo(f"{path}: {len(catalogue)} models, {catalogue.source}")


@command.command("show")
@_CONFIG
@click.argument("target", metavar="PROVIDER/MODEL")
@click.option("--at", "moment", default=None, help="A date, or a date with a time; by default now.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to write it.")
def show(file: Path, target: str, moment: str | None, form: str) -> None:
    """Show the price of a configured provider's model, in USD per million tokens.

    Exits with 1 when it is not known.
    """
    config = _loaded(file)
    name, _, model = target.partition("/")
    if name not in config.providers or not model:
        raise click.ClickException("expected the name of a configured provider, a slash and a model")
    try:
        time_s = starts_at(moment) if moment is not None else time.time()
    except ValueError as error:
        raise click.ClickException("--at: expected a date such as 2026-01-31, or one with a time") from error
    try:
        price = Prices.from_config(config).at(name, config.providers[name].type, model, time_s)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    if price is None:
        raise click.ClickException(f"{target}: the price is not known")
    click.echo(_json(target, price) if form == "json" else _text(target, price))


def _loaded(file: Path) -> Config:
    try:
        return load(file, provider_types())
    except ConfigError as error:
        raise click.ClickException(str(error)) from error


def _rows(price: Price) -> list[tuple[str, dict[str, float]]]:
    """USD per million tokens of every class, for each service tier and length of context."""
    rows = []
    for tier, bands in price.to_json()["tiers"].items():
        for above, *rates in bands:
            length = f"above {above} input tokens" if above >= 0 else ""
            name = ", ".join(part for part in (tier, length) if part) or "usual"
            rows.append((name, {which: rate / 1_000_000 for which, rate in zip(CLASSES, rates, strict=True)}))
    return rows


def _text(target: str, price: Price) -> str:
    lines = [f"{target}  {price.version}{'  (the declared cap)' if price.flagged else ''}"]
    for name, rates in _rows(price):
        lines += ["", name, *(f"  {which:<14}  {usd:.6f}" for which, usd in rates.items())]
    extra = price.to_json()
    lines += [f"\n{unit}  {extra[unit] / 1e12:.6f} USD" for unit in ("image", "request") if extra[unit]]
    return "\n".join(lines)


def _json(target: str, price: Price) -> str:
    document: dict[str, Any] = {
        "target": target,
        "price_version": price.version,
        "flagged": price.flagged,
        "usd_per_million": dict(_rows(price)),
    }
    extra = price.to_json()
    document |= {f"usd_per_{unit}": extra[unit] / 1e12 for unit in ("image", "request")}
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()
