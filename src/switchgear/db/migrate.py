"""Bring a database to a version of the schema, one process at a time.

The lock is an advisory one on PostgreSQL and flock(2) on `FILE.lock` beside an SQLite file: of several workers that
start at once one migrates, and the others find it done. A migration is one transaction: it happens whole or not at all.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from switchgear.db.connection import is_sqlite, sqlite_path
from switchgear.db.engine import open_engine
from switchgear.db.revision import HEAD
from switchgear.errors import DatabaseError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x5317C46EA2  # of PostgreSQL's advisory locks; any number that nobody else uses
_MIGRATION_S = 3600.0


async def migrate(
    url: str, revision: str = "head", direction: Literal["up", "down"] = "up", *, wait_s: float = _MIGRATION_S
) -> str:
    """Migrate the database to `revision` and return the revision it has then, "" for an empty one.

    Going up to the head costs one query where it is there already. Raises DatabaseError for an unknown revision and for
    a database of a later version, TimeoutError when the lock is not free within `wait_s`, and what the driver raises
    when the database cannot be reached.
    """
    engine = open_engine(url, command_s=_MIGRATION_S)
    try:
        async with asyncio.timeout(wait_s):
            if direction == "up" and revision in ("head", HEAD) and await current(engine, url) == HEAD:
                return HEAD
            async with _locked(engine, url):
                async with engine.execution_options(immediate=True).begin() as connection:
                    await connection.run_sync(_run, revision, direction)
                return await current(engine, url)
    finally:
        await engine.dispose()


async def current(engine: AsyncEngine, url: str) -> str:
    """The revision that the database has, "" before the first migration."""
    path = sqlite_path(url) if is_sqlite(url) else None
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    async with engine.connect() as connection:
        return await connection.run_sync(_current)


def _current(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def alembic_config() -> Config:
    """Alembic's settings, which stand in no file."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _run(connection: Connection, revision: str, direction: Literal["up", "down"]) -> None:
    from alembic import command  # loaded only where there is something to do: it takes a quarter of a second
    from alembic.util import CommandError

    config = alembic_config()
    config.attributes["connection"] = connection
    run = command.upgrade if direction == "up" else command.downgrade
    try:
        run(config, revision)
    except CommandError as error:
        raise DatabaseError(
            f"the database cannot be migrated to {revision!r}: {error}. It may have been written by a later version of "
            "Switchgear."
        ) from error


@asynccontextmanager
async def _locked(engine: AsyncEngine, url: str) -> AsyncIterator[None]:
    if not is_sqlite(url):
        async with engine.connect() as connection, _advisory(connection):
            yield
        return
    path = sqlite_path(url)
    if path is None:
        yield
        return
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _take(lock):  # noqa: ASYNC110 - another process frees it, which is no event here
            await asyncio.sleep(0.05)
        yield
    finally:
        os.close(lock)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@asynccontextmanager
async def _advisory(connection: AsyncConnection) -> AsyncIterator[None]:
    await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
    await connection.commit()  # the lock is the session's; nothing else may stay open while it is held
    try:
        yield
    finally:
        await connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
        await connection.commit()
