"""SQLAlchemy's engines for the databases that a configuration may name: migrations and reports, not a worker's.

They connect as `connection` does. Writers on SQLite begin with `BEGIN IMMEDIATE` (execution option `immediate`), so
that two of them wait for each other at the beginning and never fail half-way with a snapshot that is too old.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from switchgear.db.connection import BUSY_S, PRAGMAS, connect_postgres, is_sqlite, postgres_url, sqlite_path

COMMAND_S = 60.0


def open_engine(url: str, *, command_s: float = COMMAND_S) -> AsyncEngine:
    """An engine for `sqlite:///FILE` or `postgresql://…` (also `postgres://`). It connects when it is used.

    command_s: after so many seconds without an answer a statement fails (PostgreSQL). Raises ValueError for another
    scheme. No message of it holds the URL.
    """
    if is_sqlite(url):
        return _sqlite(url)
    postgres_url(url)
    connect = partial(connect_postgres, url, command_s=command_s)
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
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
