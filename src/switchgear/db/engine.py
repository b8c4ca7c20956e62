"""Engines for the databases that a configuration may name.

SQLite runs in WAL mode with `synchronous=FULL`: what was committed outlives the machine, which matters because the
journals behind it are deleted then. Writers begin with `BEGIN IMMEDIATE` (execution option `immediate`), so that two of
them wait for each other at the beginning and never fail half-way with a snapshot that is too old.

PostgreSQL is reached by asyncpg, which takes the URL as libpq does (`sslmode`, `sslrootcert`, several hosts, a socket's
folder as `?host=`).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import asyncpg
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

CONNECT_S = 10.0
COMMAND_S = 60.0
BUSY_S = 30.0  # how long one SQLite writer waits for another


def is_sqlite(url: str) -> bool:
    return url.partition("://")[0].partition("+")[0] == "sqlite"


def sqlite_path(url: str) -> Path | None:
    """The file of `sqlite:///FILE`, relative to the working directory where it is; None for one in memory."""
    path = unquote(url.partition("://")[2].partition("?")[0][1:])
    return Path(path) if path and path != ":memory:" else None


def open_engine(url: str, *, command_s: float = COMMAND_S) -> AsyncEngine:
    """An engine for `sqlite:///FILE` or `postgresql://…` (also `postgres://`). It connects when it is used.

    command_s: after so many seconds without an answer a statement fails (PostgreSQL). Raises ValueError for another
    scheme. No message of it holds the URL.
    """
    if is_sqlite(url):
        return _sqlite(url)
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ValueError("expected sqlite:///FILE or postgresql://USER@HOST/DATABASE")
    connect = partial(
        asyncpg.connect,
        f"postgresql://{rest}",
        timeout=CONNECT_S,
        command_timeout=command_s,
        server_settings={"application_name": "switchgear"},
    )
    # One connection at a time is what every user of it needs, for long; a broken one must not come back.
    return create_async_engine("postgresql+asyncpg://", async_creator=connect, pool_size=2, pool_pre_ping=False)


def _sqlite(url: str) -> AsyncEngine:
    path = sqlite_path(url)
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path or ':memory:'}",
        connect_args={"timeout": BUSY_S},
        **({"poolclass": NullPool} if path else {}),
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins no transaction by itself: `_begin_sqlite` does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
