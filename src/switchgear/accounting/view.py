"""All rows of this machine's ledger at one moment, in the database or still in a journal, each once.

The journals' files are opened first, then the database is asked for one snapshot: its rows, and how far each journal is
drained in it. What is drained later, and deleted, can still be read from the open files, from that place on. Rows
that are written after the view was opened may be missing, none is there twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from switchgear.accounting.filters import Filters
from switchgear.accounting.row import COLUMNS
from switchgear.accounting.tail import ROWS_AT_ONCE, Tail
from switchgear.db.connection import is_sqlite
from switchgear.db.engine import open_engine
from switchgear.db.tables import journals, usage
from switchgear.hotpath._journal import Row


class View:
    """A snapshot; made by `open_view`."""

    def __init__(self, connection: AsyncConnection, tail: Tail, drained: dict[str, tuple[int, int]]):
        self.connection = connection
        self._tail = tail
        self._drained = drained

    async def rows(self, filters: Filters) -> AsyncIterator[Any]:
        """Rows as tuples that begin with `accounting.row.COLUMNS`: those of the database by time, then those of the
        journals as they were written."""
        columns = [usage.c[name] for name in COLUMNS]
        query = select(*columns).where(*filters.where(usage))
        query = query.order_by(usage.c.time_us, usage.c.journal, usage.c.position)
        async for row in self.stream(query):
            yield row
        for row in self.undrained(filters):
            yield row

    async def stream(self, query: Select[Any]) -> AsyncIterator[Any]:
        """A query's rows, a thousand at a time."""
        result = await self.connection.stream(query, execution_options={"yield_per": ROWS_AT_ONCE})
        async for row in result:
            yield row

    def undrained(self, filters: Filters) -> Iterator[Row]:
        """Rows that are in no snapshot of the database yet."""
        return (row for row in self._tail.rows(self._drained) if filters.accepts(row))

    async def all(self, table_columns: list[Any], where: list[ColumnElement[bool]], group: list[Any]) -> list[Any]:
        """A grouped query's whole result."""
        return list(await self.connection.execute(select(*table_columns).where(*where).group_by(*group)))


@asynccontextmanager
async def open_view(url: str, root: Path) -> AsyncIterator[View]:
    """The rows in the database at `url`, which is migrated, and in the journals below `root`, which may be missing.

    Raises what the database's driver raises where it cannot be read.
    """
    with ExitStack() as stack:
        tail = Tail(root, stack)
        engine = open_engine(url, command_s=3600.0)
        try:
            async with engine.connect() as connection:
                if not is_sqlite(url):
                    await connection.execution_options(isolation_level="REPEATABLE READ")
                found = await connection.execute(select(journals.c.name, journals.c.segment, journals.c.offset))
                yield View(connection, tail, {name: (segment, offset) for name, segment, offset in found})
        finally:
            await engine.dispose()
