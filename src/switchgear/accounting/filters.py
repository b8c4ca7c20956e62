"""Which rows somebody asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from switchgear.accounting.row import COLUMNS
from switchgear.db.names import DIMENSIONS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table

NAMES = (*DIMENSIONS, "request_id")
_PLACE = {name: COLUMNS.index(name) for name in (*NAMES, "time_us")}


class Filters(Struct, frozen=True):
    """Rows from `since_us` on and before `until_us` (microseconds since 1970, None: open), with one of the names given
    for each dimension in `names` (`db.tables.DIMENSIONS`, `request_id`)."""

    since_us: int | None = None
    until_us: int | None = None
    names: Mapping[str, tuple[str, ...]] = {}

    def accepts(self, row: Any) -> bool:
        """Whether a row of a journal is asked for."""
        time_us = row[_PLACE["time_us"]]
        if self.since_us is not None and time_us < self.since_us:
            return False
        if self.until_us is not None and time_us >= self.until_us:
            return False
        return all(row[_PLACE[name]] in wanted for name, wanted in self.names.items())

    def where(self, table: Table) -> list[ColumnElement[bool]]:
        """The same for a table: `usage` by its time, the sums by the beginning of their hour or day."""
        column, unit = (table.c.time_us, 1) if "time_us" in table.c else (table.c.start_s, 1_000_000)
        found: list[ColumnElement[bool]] = [table.c[name].in_(wanted) for name, wanted in self.names.items()]
        if self.since_us is not None:
            found.append(column >= self.since_us // unit)
        if self.until_us is not None:
            found.append(column < self.until_us // unit)
        return found

    def condition(self, time: str, unit_us: int) -> tuple[str, list[Any]]:
        """The same as plain SQL with a `?` for each of the values beside it. time: the column, in units of
        `unit_us`."""
        parts = ["1 = 1"]
        values: list[Any] = []
        for name, wanted in self.names.items():
            parts.append(f'"{name}" IN ({", ".join("?" * len(wanted))})')
            values += wanted
        for sign, bound in ((">=", self.since_us), ("<", self.until_us)):
            if bound is not None:
                parts.append(f"{time} {sign} ?")
                values.append(bound // unit_us)
        return " AND ".join(parts), values

    def between(self, since_us: int | None, until_us: int | None) -> Filters:
        """The same names in another time."""
        return Filters(since_us, until_us, self.names)
