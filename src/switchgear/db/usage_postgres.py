"""The ledger's tables in PostgreSQL: rows by COPY, sums by one upsert of arrays a table, partitions by month."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from switchgear.db.connection import connect_postgres, postgres_url
from switchgear.db.names import USAGE
from switchgear.db.statements import (
    ADVANCE,
    FIND,
    FORGET,
    POSTGRES_UPSERTS,
    REGISTER,
    month_of,
    numbered,
    partition_of,
    rows_of,
)
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

CLOSE_S = 5.0
_PARTITION_LOCK = 0x5317C46EA3
_RETENTION_LOCK = 0x5317C46EA4
_PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'usage'::regclass"


class PostgresStore(UsageStore):
    """One connection, made again after anything went wrong in it."""

    def __init__(self, url: str, *, command_s: float):
        postgres_url(url)
        self._url = url
        self._command_s = command_s
        self._connection: asyncpg.Connection | None = None
        self._partitions: set[tuple[int, int]] = set()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            try:
                await connection.close(timeout=CLOSE_S)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                connection.terminate()

    async def position(self, name: str) -> Position:
        async with self._transaction() as connection:
            row = await connection.fetchrow(numbered(FIND), name)
            if row is None:
                await connection.execute(numbered(REGISTER), name, now_us())
                row = await connection.fetchrow(numbered(FIND), name)
        return Position(*row)

    async def add(self, batch: Batch, more: More = nothing_more) -> Stored:
        await self._make_partitions(self._missing(batch))
        async with self._transaction() as connection:
            moved = await connection.execute(numbered(ADVANCE), *batch.place(batch.start, len(batch.rows)))
            if moved != "UPDATE 1":
                raise Moved
            await connection.copy_records_to_table("usage", records=batch.rows, columns=USAGE)
            rows, last, sums = len(batch.rows), batch, batch.totals
            while len(sums) < MOST_SUMS and (following := await more()) is not None:
                if self._missing(following):  # a partition is not made while rows of others are being written here
                    break
                await connection.copy_records_to_table("usage", records=following.rows, columns=USAGE)
                merge(sums, following.totals)
                rows, last = rows + len(following.rows), following
            for table, values in rows_of(sums).items():
                await connection.execute(POSTGRES_UPSERTS[table], *map(list, zip(*values, strict=True)))
            if last is not batch:
                await connection.execute(numbered(ADVANCE), *last.place(batch.end, rows - len(batch.rows)))
        return Stored(rows, last.end)

    def _missing(self, batch: Batch) -> set[tuple[int, int]]:
        return {month_of(start) for start in {start for start, _ in batch.totals}} - self._partitions

    async def _make_partitions(self, months: set[tuple[int, int]]) -> None:
        for name, low, high in sorted(map(partition_of, months)):
            async with self._transaction() as connection:
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _PARTITION_LOCK)
                bounds = f"FOR VALUES FROM ({low}) TO ({high})"
                await connection.execute(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF usage {bounds}")
        self._partitions |= months

    async def expire(self, before_us: int) -> int:
        async with self._transaction() as connection:
            await connection.execute(numbered(FORGET), before_us - KEPT_US)
        async with self._transaction() as connection:
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _RETENTION_LOCK):
                return 0
            removed = await self._drop_partitions(connection, before_us)
            rest = await connection.execute("DELETE FROM usage WHERE time_us < $1", before_us)
            return removed + int(rest.split()[-1])

    async def _drop_partitions(self, connection: asyncpg.Connection, before_us: int) -> int:
        removed = 0
        for name in sorted(row[0] for row in await connection.fetch(_PARTITIONS)):
            year, month = (int(part) for part in name.strip('"').split("_")[1:])
            if partition_of((year, month))[2] <= before_us:
                removed += await connection.fetchval(f"SELECT count(*) FROM {name}")  # noqa: S608 - from the catalogue
                await connection.execute(f"DROP TABLE {name}")
                self._partitions.discard((year, month))
        return removed

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[asyncpg.Connection]:
        connection = self._connection
        if connection is None or connection.is_closed():
            connection = self._connection = await connect_postgres(self._url, command_s=self._command_s)
        try:
            await connection.execute("BEGIN")
            yield connection
            await connection.execute("COMMIT")
        except BaseException:
            # Whatever state it is in, the server rolls back when it is gone; a rollback might wait for an answer again.
            self._connection = None
            self._partitions.clear()  # one may have been dropped: another process may have removed old rows
            connection.terminate()
            raise
