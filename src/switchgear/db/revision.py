"""Whether a database has this version's schema, and bringing it there without loading what migrates it.

A worker asks with one query. Only where the answer is no does it start a process (`python -m switchgear.db`) that loads
SQLAlchemy and Alembic, migrates behind the lock of `migrate`, and is gone with its memory.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import orjson

from switchgear.db.connection import connect_postgres, connect_sqlite, is_sqlite, sqlite_path
from switchgear.errors import DatabaseError

HEAD = "0002"
COMMAND_S = 30.0
MIGRATION_S = 3600.0
_LOOK_S = 0.02
_END_S = 5.0


async def ensure_head(url: str) -> None:
    """Bring the database to the head, where it is not. Several may do so at once.

    Raises DatabaseError where the migration failed and for a database of a later version, TimeoutError after
    `MIGRATION_S`, and what the driver raises when the database cannot be reached.
    """
    if await revision(url) != HEAD:
        await _migrate_apart(url)


async def revision(url: str) -> str:
    """The revision that the database has; "" before the first migration."""
    if is_sqlite(url):
        return _of_sqlite(url)
    connection = await connect_postgres(url, command_s=COMMAND_S)
    try:
        if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
            return ""
        return await connection.fetchval("SELECT version_num FROM alembic_version") or ""
    finally:
        await connection.close(timeout=_END_S)


def _of_sqlite(url: str) -> str:
    path = sqlite_path(url)
    if path is None or not path.exists():
        return ""
    with closing(connect_sqlite(url)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return ""
            raise
    return row[0] if row is not None else ""


async def _migrate_apart(url: str) -> None:
    child = subprocess.Popen(  # noqa: ASYNC220 - the loop may be any thread's, where asyncio cannot wait for a child
        [sys.executable, "-m", "switchgear.db"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdin is not None  # noqa: S101 - PIPE was asked for
    assert child.stdout is not None  # noqa: S101 - likewise
    try:
        child.stdin.write(url.encode())  # not as an argument: it may hold a password
        child.stdin.close()
        until = time.monotonic() + MIGRATION_S
        while child.poll() is None:
            if time.monotonic() > until:
                raise TimeoutError
            await asyncio.sleep(_LOOK_S)
        if child.returncode:
            raise DatabaseError(_reason(child.stdout.read()))
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait(_END_S)
        child.stdout.close()


def _reason(answer: bytes) -> str:
    """What the process said; a line of JSON, unless it was killed."""
    try:
        return str(orjson.loads(answer)["error"])
    except (orjson.JSONDecodeError, KeyError):
        return "the process that migrates the database ended early"
