"""The ledger's tables in SQLite, written in the thread that calls: only waiting for another writer gives it up."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from switchgear.db.connection import begin_immediate
from switchgear.db.statements import ADVANCE, FIND, FORGET, REGISTER, SQLITE_INSERT, SQLITE_UPSERTS, rows_of
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

_DELETED_AT_ONCE = 5000
_DELETE = "DELETE FROM usage WHERE rowid IN (SELECT rowid FROM usage WHERE time_us < ? LIMIT ?)"


class SqliteStore(UsageStore):
    """A connection for each transaction: a file that was replaced is not written to any more."""

    def __init__(self, url: str):
        self._url = url

    async def close(self) -> None:
        """Nothing is open."""

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
            connection.executemany(SQLITE_INSERT, batch.rows)
            rows, last, sums = len(batch.rows), batch, batch.totals
            while len(sums) < MOST_SUMS and (following := await more()) is not None:
                connection.executemany(SQLITE_INSERT, following.rows)
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
        """Closing a connection rolls back what was not committed."""
        connection = await begin_immediate(self._url)
        try:
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()
