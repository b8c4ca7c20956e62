"""`switchgear usage`: the ledger's rows, or sums over them; `switchgear usage receipt` explains a request's cost."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import asyncpg
import click
import orjson
from sqlalchemy.exc import SQLAlchemyError

from switchgear.accounting.drain import Drain
from switchgear.accounting.filters import Filters
from switchgear.accounting.reports import AVERAGED, GROUPS, SUMMED, report
from switchgear.accounting.row import SHOWN, UsageRow, shown
from switchgear.accounting.view import View, open_view
from switchgear.cli.usage_formats import FORMATS, writer
from switchgear.config.environment import from_environment
from switchgear.config.load import load
from switchgear.config.schema import Config, Logging
from switchgear.db.migrate import migrate
from switchgear.db.names import DIMENSIONS
from switchgear.errors import ConfigError, DatabaseError
from switchgear.observability import logs
from switchgear.providers.registry import provider_types

_CONFIG = click.option(
    "--config", "path", type=click.Path(path_type=Path, dir_okay=False), help="YAML or TOML file of the gateway."
)


def _dimensions(command: Callable[..., None]) -> Callable[..., None]:
    for name in reversed(DIMENSIONS):
        option = f"--{name.replace('_', '-')}"
        command = click.option(option, name, multiple=True, help="Only rows with this; may be given again.")(command)
    return command


@click.group(invoke_without_command=True)
@_CONFIG
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file.")
@click.option("--since", help="From this time on: 2026-01-31, 2026-01-31T12:00, or with an offset; else in --timezone.")
@click.option("--until", help="Before this time.")
@click.option("--timezone", "zone_name", default="UTC", show_default=True, help="IANA name, or `local`.")
@click.option("--group-by", help=f"Sums over these, separated by commas: {', '.join(GROUPS)}.")
@_dimensions
@click.pass_context
def command(
    ctx: click.Context,
    /,
    path: Path | None,
    form: str,
    output: Path | None,
    since: str | None,
    until: str | None,
    zone_name: str,
    group_by: str | None,
    **names: tuple[str, ...],
) -> None:
    """Show the usage ledger: one row per upstream request, or sums with --group-by.

    Rows of the database come by time; those that no database has yet follow. Reads the journals of this machine too,
    and takes over those that a process left behind.
    """
    ctx.obj = path
    if ctx.invoked_subcommand is not None:
        return
    zone = _zone(zone_name)
    group = _groups(group_by)
    filters = Filters(
        _time(since, zone), _time(until, zone), {name: values for name, values in names.items() if values}
    )
    config = _config(path)
    with _output(output, form) as out:
        _run(_sums(config, filters, group, zone, form, out) if group else _rows(config, filters, zone, form, out))


@command.command("receipt")
@click.argument("request_id")
@_CONFIG
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def receipt(ctx: click.Context, request_id: str, path: Path | None, form: str) -> None:
    """Show how the cost of a client's request came about: for each upstream request its tokens, the prices used and
    their product, computed again from the prices that were in force at that time."""
    from switchgear.cli.usage_receipt import as_text, receipts

    config = _config(path or ctx.obj)
    rows: list[UsageRow] = []
    _run(_collect(config, Filters(names={"request_id": (request_id,)}), rows))
    if not rows:
        raise click.ClickException(f"no upstream request belongs to {request_id!r}")
    found = receipts(sorted(rows, key=lambda row: (row.attempt, row.time_us)), config)
    click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2) if form == "json" else as_text(found))


# ---- rows and sums ------------------------------------------------------------------------------------------------


async def _rows(config: Config, filters: Filters, zone: tzinfo, form: str, out: BinaryIO) -> None:
    target = writer(form, out, SHOWN)
    async with _view(config) as view:
        async for row in view.rows(filters):
            target.write(shown(row, zone))
    target.close()


async def _sums(
    config: Config, filters: Filters, group: tuple[str, ...], zone: tzinfo, form: str, out: BinaryIO
) -> None:
    target = writer(form, out, (*group, *SUMMED, *AVERAGED))
    async with _view(config) as view:
        for row in await report(view, group, filters, zone):
            target.write(row)
    target.close()


async def _collect(config: Config, filters: Filters, rows: list[UsageRow]) -> None:
    async with _view(config) as view:
        async for row in view.rows(filters):
            rows.append(UsageRow.of(row))


@asynccontextmanager
async def _view(config: Config) -> AsyncIterator[View]:
    root = Path(config.ledger.path)
    await migrate(config.database.url)
    await _take_over(config, root)
    async with open_view(config.database.url, root) as view:
        yield view


async def _take_over(config: Config, root: Path) -> None:
    drain = Drain(root, config.ledger, config.database.url, None)
    try:
        await drain.catch_up()
    finally:
        await drain.close()


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except BrokenPipeError:
        # What reads the output has enough, as `head` does. Python would complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # as if SIGPIPE had ended it
    except (SQLAlchemyError, asyncpg.PostgresError, OSError, TimeoutError) as error:
        raise click.ClickException(f"the database cannot be read: {_reason(error)}") from None
    except (DatabaseError, ConfigError) as error:
        raise click.ClickException(str(error)) from None


def _reason(error: BaseException) -> str:
    """The driver's own words, without the statement that SQLAlchemy adds."""
    return str(getattr(error, "orig", None) or error) or type(error).__name__


# ---- options ------------------------------------------------------------------------------------------------------


def _config(path: Path | None) -> Config:
    logs.configure(Logging(level="warning", format="console"))  # to stderr: stdout is for rows
    try:
        return load(path, known_types=provider_types()) if path else from_environment()
    except ConfigError as error:
        raise click.ClickException(str(error)) from None


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    if name == "local":
        zone = datetime.now().astimezone().tzinfo
        return zone if zone is not None else UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter(f"no time zone {name!r}", param_hint="--timezone") from None


def _time(text: str | None, zone: tzinfo) -> int | None:
    """Microseconds since 1970. Raises click.BadParameter."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"expected a time such as 2026-01-31T12:00:00Z, got {text!r}") from None
    at = at if at.tzinfo is not None else at.replace(tzinfo=zone)
    return int(at.timestamp()) * 1_000_000 + at.microsecond


def _groups(text: str | None) -> tuple[str, ...]:
    names = tuple(name.strip().replace("-", "_") for name in text.split(",")) if text is not None else ()
    for name in names:
        if name not in GROUPS or names.count(name) > 1:
            raise click.BadParameter(f"expected some of {', '.join(GROUPS)}, got {name!r}", param_hint="--group-by")
    return names


@contextmanager
def _output(path: Path | None, form: str) -> Iterator[BinaryIO]:
    if path is None:
        if form == "parquet" and sys.stdout.isatty():
            raise click.ClickException("Parquet is binary: write it to a file with --output")
        yield sys.stdout.buffer
        return
    try:
        with open(path, "wb") as file:
            yield file
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
