"""The ledger's tables in SQLite, written in the thread that calls: only waiting for another writer gives it up."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain
from typing import TYPE_CHECKING

from switchgear.db.connection import BUSY_S, QUICK_S, begin_immediate, connect_sqlite, is_busy, sqlite_path
from switchgear.db.statements import ADVANCE, FIND, FORGET, REGISTER, SQLITE_UPSERTS, rows_of, sqlite_insert
from switchgear.db.usage import (
    KEPT_US,
    MOST_SUMS,
    Batch,
    More,
    Moved,
    Position,
    Stored,
    UsageStore,
    merge,
    nothing_more,
    now_us,
)

if TYPE_CHECKING:
    from switchgear.hotpath._journal import Row

# Each statement gives up the GIL and has to get it back from the thread of the requests.
_ROWS_AT_ONCE = 32
_INSERT_ONE, _INSERT_MANY = sqlite_insert(1), sqlite_insert(_ROWS_AT_ONCE)
_DELETED_AT_ONCE = 5000
_DELETE = "DELETE FROM usage WHERE rowid IN (SELECT rowid FROM usage WHERE time_us < ? LIMIT ?)"


class SqliteStore(UsageStore):
    """One connection, kept: to close SQLite's last one costs a checkpoint. A file that was replaced is not written to
    any more."""

    def __init__(self, url: str):
        self._url = url
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    async def close(self) -> None:
        """Give the connection up; the next call makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def position(self, name: str) -> Position:
        async with self._transaction() as connection:
            row = connection.execute(FIND, (name,)).fetchone()
            if row is None:
                connection.execute(REGISTER, (name, now_us()))
                row = connection.execute(FIND, (name,)).fetchone()
        return Position(*row)

    async def add(self, batch: Batch, more: More = nothing_more) -> Stored:
        async with self._transaction() as connection:
            if connection.execute(ADVANCE, batch.place(batch.start, len(batch.rows))).rowcount != 1:
                raise Moved
            _insert(connection, batch.rows)
            rows, last, sums = len(batch.rows), batch, batch.totals
            while len(sums) < MOST_SUMS and (following := await more()) is not None:
                _insert(connection, following.rows)
                merge(sums, following.totals)
                rows, last = rows + len(following.rows), following
            for table, values in rows_of(sums).items():
                connection.executemany(SQLITE_UPSERTS[table], values)
            if last is not batch:
                connection.execute(ADVANCE, last.place(batch.end, rows - len(batch.rows)))
        return Stored(rows, last.end)

    async def expire(self, before_us: int) -> int:
        async with self._transaction() as connection:
            connection.execute(FORGET, (before_us - KEPT_US,))
        # A few at a time: each transaction keeps the other writers waiting.
        removed, count = 0, _DELETED_AT_ONCE
        while count == _DELETED_AT_ONCE:
            async with self._transaction() as connection:
                count = connection.execute(_DELETE, (before_us, _DELETED_AT_ONCE)).rowcount
            removed += count
        return removed

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[sqlite3.Connection]:
        """A write transaction. After anything that went wrong the connection is given up, which rolls back."""
        if self._connection is not None and self._file != _identity(self._url):
            await self.close()
        try:
            connection = await self._begin()
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            await self.close()
            raise

    async def _begin(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = await self._connect()
            self._file = _identity(self._url)
        await begin_immediate(self._connection)
        return self._connection

    async def _connect(self) -> sqlite3.Connection:
        """To change the journal's mode, as the first connection does, takes the lock too."""
        until = time.monotonic() + BUSY_S
        while True:
            try:
                return connect_sqlite(self._url, busy_s=QUICK_S)
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() >= until:
                    raise
            await asyncio.sleep(QUICK_S)


def _insert(connection: sqlite3.Connection, rows: list[Row]) -> None:
    whole = len(rows) - len(rows) % _ROWS_AT_ONCE
    for at in range(0, whole, _ROWS_AT_ONCE):
        connection.execute(_INSERT_MANY, list(chain.from_iterable(rows[at : at + _ROWS_AT_ONCE])))
    connection.executemany(_INSERT_ONE, rows[whole:])


def _identity(url: str) -> tuple[int, int] | None:
    """Of the file that the URL names now."""
    path = sqlite_path(url)
    if path is None:
        return None
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
