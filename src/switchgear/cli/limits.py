"""`switchgear limits state`: what is used of every limit and budget that a configuration declares."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click
import orjson

from switchgear.config.load import load
from switchgear.config.schema import Config
from switchgear.errors import ConfigError
from switchgear.limits.declared import Declared
from switchgear.limits.model import NANO
from switchgear.limits.snapshot import FIELDS, rows
from switchgear.limits.talk import Seed
from switchgear.metering.build import seed_of
from switchgear.providers.registry import provider_types
from switchgear.state import open_store
from switchgear.state.store import StoreAway

_TIMEOUT_S = 5.0  # nobody's request waits for it


@click.group()
def command() -> None:
    """Limits and budgets."""


@command.command("state")
@click.option("--config", "file", type=click.Path(path_type=Path), required=True, help="The configuration.")
@click.option(
    "--format", "form", type=click.Choice(["jsonl", "table"]), default="table", help="One JSON object a line."
)
def state(file: Path, form: str) -> None:
    """What is used, reserved and leased of each limit and budget, as the shared state has it.

    used: spent. reserved: held by requests in flight. leased: held by workers and free. Cost is in nano-dollars in
    jsonl. With memory:// the counters are inside the gateway's process: `used` is then what the ledger knows.
    """
    try:
        config = load(file, provider_types())
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    try:
        asyncio.run(_print(config, form, seed_of(config) if config.ledger.enabled else None))
    except StoreAway as error:
        raise click.ClickException(f"state.url: {error}") from error


async def _print(config: Config, form: str, seed: Seed | None = None) -> None:
    store = open_store(config.state.url, _TIMEOUT_S)
    try:
        found = rows(store, Declared(config).all(), seed)
        if form == "jsonl":
            async for row in found:
                sys.stdout.buffer.write(orjson.dumps(row) + b"\n")
            sys.stdout.buffer.flush()
        else:
            click.echo(_table([row async for row in found]))
    finally:
        await store.close()


def _table(found: list[dict[str, Any]]) -> str:
    lines = [list(FIELDS), *([_cell(row, field) for field in FIELDS] for row in found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(FIELDS))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _cell(row: dict[str, Any], field: str) -> str:
    value = row[field]
    if field == "scope":
        return ", ".join(f"{name} {text}" for name, text in value.items()) or "all"
    if field in ("capacity", "used", "reserved", "leased") and row["resource"] == "cost":
        return f"${value / NANO:.2f}"
    return "-" if value is None else str(value)
