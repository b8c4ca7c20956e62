"""Plain connections to the databases that a configuration may name, for what a worker does with them.

A worker reads and writes with the drivers themselves (sqlite3, asyncpg): SQLAlchemy, which the tables, the migrations
and the reports are written with, would cost each worker some 25 MB.

SQLite runs in WAL mode with `synchronous=FULL`: what was committed outlives the machine, which matters because the
journals behind it are deleted then. PostgreSQL is reached by asyncpg, which takes the URL as libpq does (`sslmode`,
`sslrootcert`, several hosts, a socket's folder as `?host=`).
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    import asyncpg

CONNECT_S = 10.0
BUSY_S = 30.0  # how long one SQLite writer waits for another
PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY")
_WAIT_S = 0.02
QUICK_S = 0.05


def is_sqlite(url: str) -> bool:
    """Whether a database URL is SQLite's, whatever driver it names (`sqlite+aiosqlite://`)."""
    return url.partition("://")[0].partition("+")[0] == "sqlite"


def sqlite_path(url: str) -> Path | None:
    """The file of `sqlite:///FILE`, relative to the working directory where it is; None for one in memory."""
    path = unquote(url.partition("://")[2].partition("?")[0][1:])
    return Path(path) if path and path != ":memory:" else None


def postgres_url(url: str) -> str:
    """The URL as asyncpg takes it. Raises ValueError for another scheme, with a message that does not hold the URL."""
    scheme, _, rest = url.partition("://")
    if scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ValueError("expected sqlite:///FILE or postgresql://USER@HOST/DATABASE")
    return f"postgresql://{rest}"


def connect_sqlite(url: str, *, busy_s: float = BUSY_S, any_thread: bool = False) -> sqlite3.Connection:
    """A connection that begins no transaction by itself. busy_s: how long a statement waits for another writer.
    any_thread: it may be used by several, one after the other."""
    path = sqlite_path(url) or ":memory:"
    connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None, check_same_thread=not any_thread)
    try:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


async def begin_immediate(connection: sqlite3.Connection) -> None:
    """Begin a write transaction. The event loop goes on while another writer has its turn.

    Nothing waits in the transaction itself: SQLite's one lock for writers is taken where it begins, so that it never
    fails half-way with a snapshot that is too old. connection: made with `busy_s=QUICK_S`, or each try keeps the thread
    for longer. Raises sqlite3.OperationalError when the lock is not free within `BUSY_S`.
    """
    until = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= until:
                raise
        else:
            return
        await asyncio.sleep(_WAIT_S * random.uniform(0.5, 1.5))  # noqa: S311 - so that two do not meet again


def is_busy(error: sqlite3.OperationalError) -> bool:
    """Whether another connection has the lock."""
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


async def connect_postgres(url: str, *, command_s: float) -> asyncpg.Connection:
    """command_s: after so many seconds without an answer a statement fails. Raises what asyncpg raises, ValueError."""
    import asyncpg  # only where it is used: with TLS it is 2 MB

    return await asyncpg.connect(
        postgres_url(url),
        timeout=CONNECT_S,
        command_timeout=command_s,
        server_settings={"application_name": "switchgear"},
    )
