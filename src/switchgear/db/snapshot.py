"""Reading the ledger's tables with plain SQL, all queries of one snapshot."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from switchgear.db.connection import connect_postgres, connect_sqlite, is_sqlite
from switchgear.db.statements import numbered

if TYPE_CHECKING:
    import sqlite3

    import asyncpg

QUERY_S = 3600.0
_CLOSE_S = 5.0


class Snapshot(ABC):
    """Made by `open_snapshot`."""

    @abstractmethod
    async def all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """A query's whole result, rows as sequences. It has a `?` for each of `values`."""


@asynccontextmanager
async def open_snapshot(url: str) -> AsyncIterator[Snapshot]:
    """Of a database that is migrated. The event loop goes on while it answers. Raises what the driver raises."""
    if is_sqlite(url):
        sqlite = await asyncio.to_thread(connect_sqlite, url, any_thread=True)
        try:
            await asyncio.to_thread(sqlite.execute, "BEGIN")
            yield _Sqlite(sqlite)
        finally:
            await asyncio.to_thread(sqlite.close)
        return
    postgres = await connect_postgres(url, command_s=QUERY_S)
    try:
        async with postgres.transaction(isolation="repeatable_read", readonly=True):
            yield _Postgres(postgres)
    finally:
        await postgres.close(timeout=_CLOSE_S)


class _Sqlite(Snapshot):
    def __init__(self, connection: sqlite3.Connection):
        self._connection = connection

    async def all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        work = asyncio.ensure_future(asyncio.to_thread(lambda: self._connection.execute(query, values).fetchall()))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            self._connection.interrupt()  # nobody may close it while a thread is in it
            await asyncio.gather(work, return_exceptions=True)
            raise


class _Postgres(Snapshot):
    def __init__(self, connection: asyncpg.Connection):
        self._connection = connection

    async def all(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        return list(await self._connection.fetch(numbered(query), *values))
