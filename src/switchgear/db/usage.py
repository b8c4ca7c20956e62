"""Writing the ledger's tables: rows of a journal, their sums and the journal's position in one transaction.

Why no row is lost or stored twice: the transaction begins by moving the journal's position from where the rows begin
to where they end. That fails when the position is not the beginning: rows whose commit was not answered are not stored
again, nor are those that a second drain has stored; the caller asks for the position and goes on from there.

Sums cost more than rows where there are many names: they are added up over all batches of a transaction and written
once, at its end.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from switchgear.db.connection import is_sqlite

if TYPE_CHECKING:
    from switchgear.db.statements import Sums
    from switchgear.hotpath._journal import Row

MOST_SUMS = 10_000
"""After so many sums a transaction takes no further batch: each is a kilobyte in memory."""
KEPT_US = 30 * 86_400_000_000
"""How much longer than its rows a journal's position is kept."""


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
    totals: Sums = field(default_factory=dict)

    def place(self, start: tuple[int, int], rows: int) -> tuple[int, ...]:
        """What `statements.ADVANCE` takes, to move the journal from `start` behind this batch."""
        return (*self.end, rows, now_us(), self.journal, *start)


@dataclass(slots=True)
class Stored:
    """What one transaction stored: so many rows, up to a position."""

    rows: int
    end: tuple[int, int]


More = Callable[[], Awaitable[Batch | None]]
"""The batch behind the one before, None where there is none."""


class Moved(Exception):
    """The journal's position in the database is not where the batch begins: somebody stored it already."""


async def nothing_more() -> None:
    """For a transaction of one batch."""


class UsageStore(ABC):
    """One database as the drain writes it; see `open_store`. Not shared between event loops. Call `close` at the end.

    Every method raises what the driver raises (`sqlite3.Error`, `asyncpg.PostgresError`, `asyncpg.InterfaceError`,
    `OSError`, `TimeoutError`) while the database is away.
    """

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def position(self, name: str) -> Position:
        """How far the journal `name` is drained; a new one is at (0, 0)."""

    @abstractmethod
    async def add(self, batch: Batch, more: More = nothing_more) -> Stored:
        """Store a batch, and those that `more` gives, in one transaction.

        A batch that `more` gave and that is not part of what is returned was left for the next transaction. Raises
        Moved when `batch` is not the next one of its journal.
        """

    @abstractmethod
    async def expire(self, before_us: int) -> int:
        """Remove rows older than `before_us`, and positions of journals long gone; sums stay. Returns how many rows,
        counting those of whole partitions, or 0 where another process is at it."""


def open_store(url: str, *, command_s: float = 30.0) -> UsageStore:
    """The store of `sqlite:///FILE` or `postgresql://…`; it connects when it is used.

    command_s: after so many seconds without an answer a statement fails (PostgreSQL). Raises ValueError for another
    scheme.
    """
    if is_sqlite(url):
        from switchgear.db.usage_sqlite import SqliteStore

        return SqliteStore(url)
    from switchgear.db.usage_postgres import PostgresStore

    return PostgresStore(url, command_s=command_s)


def merge(sums: Sums, totals: Sums) -> None:
    """Add the totals of a batch to those of its transaction."""
    for key, found in totals.items():
        known = sums.get(key)
        if known is None:
            sums[key] = found
        else:
            known.add(found)


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000
