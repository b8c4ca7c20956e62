"""The statements that the drain writes the ledger with, in each database's dialect, and what it binds to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from switchgear.db.names import DIMENSIONS, SUMMED_MS, SUMS, USAGE

if TYPE_CHECKING:
    from switchgear.hotpath._journal import Totals

    Sums = dict[tuple[int, tuple[str, ...]], Totals]
    """Totals by the hour's beginning, in seconds since 1970, and the names of its rows (`names.DIMENSIONS`)."""

DAY_S = 86400
SUM_TABLES = ("usage_hourly", "usage_daily")
_KEYS = ("start_s", *DIMENSIONS)
_SUMMED = (*SUMS, *SUMMED_MS)
_TYPES = ["bigint", *["text"] * len(DIMENSIONS), *["bigint"] * len(SUMS), *["double precision"] * len(SUMMED_MS)]


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _upsert(table: str, values: str) -> str:
    added = ", ".join(f'"{name}" = {table}."{name}" + excluded."{name}"' for name in _SUMMED)
    return (
        f"INSERT INTO {table} ({_quoted((*_KEYS, *_SUMMED))}) {values} "
        f"ON CONFLICT ({_quoted(_KEYS)}) DO UPDATE SET {added}"
    )


def numbered(statement: str) -> str:
    """PostgreSQL's `$1`, `$2` in place of `?`. The statement has no other question mark."""
    first, *rest = statement.split("?")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, 1))


FIND = 'SELECT id, segment, "offset" FROM journals WHERE name = ?'
REGISTER = (
    'INSERT INTO journals (name, segment, "offset", "rows", drained_us) VALUES (?, 0, 0, 0, ?) '
    "ON CONFLICT (name) DO NOTHING"
)
# Bound: end segment, end offset, rows, microseconds since 1970, journal, start segment, start offset.
ADVANCE = (
    'UPDATE journals SET segment = ?, "offset" = ?, "rows" = "rows" + ?, drained_us = ? '
    'WHERE id = ? AND segment = ? AND "offset" = ?'
)
FORGET = "DELETE FROM journals WHERE drained_us < ?"

_PARAMETERS = ", ".join("?" * (len(_KEYS) + len(_SUMMED)))
_ARRAYS = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(_TYPES, 1))
SQLITE_UPSERTS = {name: _upsert(name, f"VALUES ({_PARAMETERS})") for name in SUM_TABLES}
POSTGRES_UPSERTS = {
    name: _upsert(name, f"SELECT * FROM unnest({_ARRAYS})")  # noqa: S608 - types of our own tables
    for name in SUM_TABLES
}
_ROW = f"({', '.join('?' * len(USAGE))})"


def sqlite_insert(rows: int) -> str:
    """To insert so many rows, whose values are bound one after the other."""
    return f"INSERT INTO usage ({_quoted(USAGE)}) VALUES {', '.join([_ROW] * rows)}"  # noqa: S608 - columns of ours


def rows_of(totals: Sums) -> dict[str, list[tuple[Any, ...]]]:
    """The rows to add to each table of sums, sorted: two drains lock those that they share in one order."""
    hourly = [(start, *names, *sums.values()) for (start, names), sums in sorted(totals.items(), key=_key)]
    return dict(zip(SUM_TABLES, (hourly, _by_day(hourly)), strict=True))


def _key(item: tuple[tuple[int, tuple[str, ...]], Totals]) -> tuple[int, tuple[str, ...]]:
    return item[0]


def _by_day(hourly: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    days: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in hourly:
        key, values = (row[0] // DAY_S * DAY_S, *row[1 : len(_KEYS)]), row[len(_KEYS) :]
        known = days.get(key)
        days[key] = values if known is None else tuple(a + b for a, b in zip(known, values, strict=True))
    return [(*key, *values) for key, values in sorted(days.items())]


def month_of(time_s: int) -> tuple[int, int]:
    """Year and month of a time in seconds since 1970, UTC."""
    day = datetime.fromtimestamp(time_s, UTC)
    return day.year, day.month


def partition_of(month: tuple[int, int]) -> tuple[str, int, int]:
    """Name and bounds in microseconds of a month's partition on PostgreSQL."""
    year, number = month
    following = (year + number // 12, number % 12 + 1)
    low, high = (int(datetime(*one, 1, tzinfo=UTC).timestamp()) * 1_000_000 for one in (month, following))
    return f"usage_{year:04d}_{number:02d}", low, high
