"""`switchgear migrate`: bring the database to a version of the schema."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import click
from sqlalchemy.exc import SQLAlchemyError

from switchgear.config.environment import from_environment
from switchgear.config.load import load
from switchgear.db.migrate import migrate
from switchgear.errors import ConfigError, DatabaseError
from switchgear.providers.registry import provider_types


@click.command()
@click.option("--config", "path", type=click.Path(path_type=Path, dir_okay=False), help="YAML or TOML file.")
@click.option("--revision", default="head", show_default=True, help="Go up to this revision.")
@click.option("--downgrade", metavar="REVISION", help="Go down to this revision; `base` removes every table.")
def command(path: Path | None, revision: str, downgrade: str | None) -> None:
    """Migrate the database of the configuration.

    The gateway does this by itself when it starts. Several at once wait for each other. A downgrade deletes what the
    earlier schema has no place for.
    """
    try:
        config = load(path, known_types=provider_types()) if path else from_environment()
        work = migrate(config.database.url, downgrade, "down") if downgrade else migrate(config.database.url, revision)
        reached = asyncio.run(work)
    except (ConfigError, DatabaseError) as error:
        raise click.ClickException(str(error)) from None
    except (SQLAlchemyError, asyncpg.PostgresError, OSError, TimeoutError) as error:
        reason = str(getattr(error, "orig", None) or error) or type(error).__name__
        raise click.ClickException(f"the database cannot be migrated: {reason}") from None
    click.echo(f"the database is at revision {reached}" if reached else "the database is empty")
