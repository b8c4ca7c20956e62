"""Writing the ledger's tables: a batch of rows, its sums and the journal's position in one transaction.

Why no row is lost or stored twice: the transaction begins by moving the journal's position from where the batch begins
to where it ends. That fails when the position is not the beginning: a batch whose commit was not answered is not stored
again, nor is one that a second drain has stored; the caller asks for the position and goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from switchgear.db.engine import is_sqlite, open_engine
from switchgear.db.tables import DIMENSIONS, SUMMED_MS, SUMS, journals, usage

if TYPE_CHECKING:
    from switchgear.hotpath._journal import Row, Totals

_USAGE = tuple(column.name for column in usage.columns)
_KEYS = ("start_s", *DIMENSIONS)
_SUMMED = (*SUMS, *SUMMED_MS)
_TYPES = ["bigint", *["text"] * len(DIMENSIONS), *["bigint"] * len(SUMS), *["double precision"] * len(SUMMED_MS)]
_DAY_S = 86400
_PARTITION_LOCK = 0x5317C46EA3
_RETENTION_LOCK = 0x5317C46EA4
_DELETED_AT_ONCE = 5000
_POSITION_US = 30 * _DAY_S * 1_000_000  # how much longer than its rows a journal's position is kept


@dataclass(slots=True)
class Position:
    """How far a journal is drained. journal: its number in the database."""

    journal: int
    segment: int
    offset: int


@dataclass(slots=True)
class Batch:
    """Rows of one journal that follow each other. start, end: positions in the journal, as (segment, offset)."""

    journal: int
    start: tuple[int, int]
    end: tuple[int, int]
    rows: list[Row]
    totals: dict[tuple[int, tuple[str, ...]], Totals] = field(default_factory=dict)


class Moved(Exception):
    """The journal's position in the database is not where the batch begins: somebody stored it already."""


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _upsert(table: str, values: str) -> str:
    added = ", ".join(f'"{name}" = {table}."{name}" + excluded."{name}"' for name in _SUMMED)
    return (
        f"INSERT INTO {table} ({_quoted((*_KEYS, *_SUMMED))}) {values} "
        f"ON CONFLICT ({_quoted(_KEYS)}) DO UPDATE SET {added}"
    )


_PARAMETERS = ", ".join("?" * (len(_KEYS) + len(_SUMMED)))
_ARRAYS = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(_TYPES, 1))
_SQLITE_UPSERTS = {name: _upsert(name, f"VALUES ({_PARAMETERS})") for name in ("usage_hourly", "usage_daily")}
_POSTGRES_UPSERTS = {
    name: _upsert(name, f"SELECT * FROM unnest({_ARRAYS})")  # noqa: S608 - types of our own tables
    for name in ("usage_hourly", "usage_daily")
}
_SQLITE_INSERT = f"INSERT INTO usage ({_quoted(_USAGE)}) VALUES ({', '.join('?' * len(_USAGE))})"  # noqa: S608 - ours


class UsageStore:
    """One database as the drain writes it. Not shared between event loops. Call `close` at the end.

    Every method raises what the driver raises (`sqlalchemy.exc.SQLAlchemyError`, `OSError`, `TimeoutError`, asyncpg's
    own errors) while the database is away.
    """

    def __init__(self, url: str, *, command_s: float = 30.0):
        self.url = url
        self.sqlite = is_sqlite(url)
        self.engine: AsyncEngine = open_engine(url, command_s=command_s).execution_options(immediate=True)
        self._partitions: set[tuple[int, int]] = set()

    async def close(self) -> None:
        await self.engine.dispose()

    async def position(self, name: str) -> Position:
        """How far the journal `name` is drained; a new one is at (0, 0)."""
        query = select(journals.c.id, journals.c.segment, journals.c.offset).where(journals.c.name == name)
        async with self.engine.begin() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            row = await self._register(name, query)
        return Position(*row)

    async def _register(self, name: str, query: Any) -> Any:
        values = {"name": name, "segment": 0, "offset": 0, "rows": 0, "drained_us": _now_us()}
        try:
            async with self.engine.begin() as connection:
                await connection.execute(insert(journals).values(values))
                return (await connection.execute(query)).one()
        except IntegrityError:  # another process did it at the same time
            async with self.engine.begin() as connection:
                return (await connection.execute(query)).one()

    async def add(self, batch: Batch) -> None:
        """Store a batch. Raises Moved when it is not the next one of its journal."""
        if not self.sqlite:
            await self._ensure_partitions(batch)
        async with self.engine.begin() as connection:
            await self._advance(connection, batch)
            driver = (await connection.get_raw_connection()).driver_connection
            hourly = [(start, *names, *sums.values()) for (start, names), sums in sorted(batch.totals.items())]
            sums = {"usage_hourly": hourly, "usage_daily": _by_day(batch.totals)}
            await (self._add_sqlite if self.sqlite else self._add_postgres)(driver, batch.rows, sums)

    async def _advance(self, connection: AsyncConnection, batch: Batch) -> None:
        moved = await connection.execute(
            update(journals)
            .where(
                journals.c.id == batch.journal,
                journals.c.segment == batch.start[0],
                journals.c.offset == batch.start[1],
            )
            .values(
                segment=batch.end[0],
                offset=batch.end[1],
                rows=journals.c.rows + len(batch.rows),
                drained_us=_now_us(),
            )
        )
        if moved.rowcount != 1:
            raise Moved

    async def _add_sqlite(self, driver: Any, rows: list[Row], sums: dict[str, list[Any]]) -> None:
        await driver.executemany(_SQLITE_INSERT, rows)
        for table, values in sums.items():
            await driver.executemany(_SQLITE_UPSERTS[table], values)

    async def _add_postgres(self, driver: Any, rows: list[Row], sums: dict[str, list[Any]]) -> None:
        await driver.copy_records_to_table("usage", records=rows, columns=_USAGE)
        for table, values in sums.items():
            # Sorted by `add`: two drains lock the rows that they share in one order.
            await driver.execute(_POSTGRES_UPSERTS[table], *(list(column) for column in zip(*values, strict=True)))

    async def _ensure_partitions(self, batch: Batch) -> None:
        """The months that the batch's rows fall into have a partition each."""
        months = {_month(start) for start, _ in batch.totals} - self._partitions
        for name, low, high in sorted(_partition(month) for month in months):
            async with self.engine.begin() as connection:
                await connection.execute(select(func.pg_advisory_xact_lock(_PARTITION_LOCK)))
                bounds = f"FOR VALUES FROM ({low}) TO ({high})"
                await connection.execute(text(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF usage {bounds}"))
        self._partitions |= months

    async def expire(self, before_us: int) -> int:
        """Remove rows older than `before_us`, and positions of journals long gone; sums stay. Returns how many rows,
        counting those of whole partitions, or 0 where another process is at it."""
        async with self.engine.begin() as connection:
            await connection.execute(delete(journals).where(journals.c.drained_us < before_us - _POSITION_US))
        return await (self._expire_sqlite if self.sqlite else self._expire_postgres)(before_us)

    async def _expire_sqlite(self, before_us: int) -> int:
        # A few at a time: each transaction keeps the other writers waiting.
        doomed = "SELECT rowid FROM usage WHERE time_us < :before LIMIT :count"
        statement = text(f"DELETE FROM usage WHERE rowid IN ({doomed})")  # noqa: S608 - no input in it
        removed, count = 0, _DELETED_AT_ONCE
        while count == _DELETED_AT_ONCE:
            async with self.engine.begin() as connection:
                count = (await connection.execute(statement, {"before": before_us, "count": _DELETED_AT_ONCE})).rowcount
            removed += count
        return removed

    async def _expire_postgres(self, before_us: int) -> int:
        async with self.engine.begin() as connection:
            if not (await connection.execute(select(func.pg_try_advisory_xact_lock(_RETENTION_LOCK)))).scalar():
                return 0
            removed = await self._drop_partitions(connection, before_us)
            rest = await connection.execute(delete(usage).where(usage.c.time_us < before_us))
            return removed + rest.rowcount

    async def _drop_partitions(self, connection: AsyncConnection, before_us: int) -> int:
        names = await connection.execute(
            text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'usage'::regclass")
        )
        removed = 0
        for name in sorted(names.scalars()):
            year, month = (int(part) for part in name.strip('"').split("_")[1:])
            if _partition((year, month))[2] <= before_us:
                count = await connection.execute(text(f"SELECT count(*) FROM {name}"))  # noqa: S608 - from the catalogue
                removed += count.scalar_one()
                await connection.execute(text(f"DROP TABLE {name}"))
                self._partitions.discard((year, month))
        return removed


def _by_day(totals: dict[tuple[int, tuple[str, ...]], Totals]) -> list[tuple[Any, ...]]:
    """The sums of a batch by day, sorted."""
    days: dict[tuple[int, tuple[str, ...]], Any] = {}
    for (start, names), sums in totals.items():
        key = (start // _DAY_S * _DAY_S, names)
        values = sums.values()
        known = days.get(key)
        days[key] = values if known is None else tuple(a + b for a, b in zip(known, values, strict=True))
    return [(start, *names, *values) for (start, names), values in sorted(days.items())]


def _month(time_s: int) -> tuple[int, int]:
    day = datetime.fromtimestamp(time_s, UTC)
    return day.year, day.month


def _partition(month: tuple[int, int]) -> tuple[str, int, int]:
    """Name and bounds in microseconds of a month's partition."""
    year, number = month
    following = (year + number // 12, number % 12 + 1)
    low, high = (int(datetime(*one, 1, tzinfo=UTC).timestamp()) * 1_000_000 for one in (month, following))
    return f"usage_{year:04d}_{number:02d}", low, high


def _now_us() -> int:
    return time.time_ns() // 1000
