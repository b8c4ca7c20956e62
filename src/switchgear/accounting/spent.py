"""What was used in a window: what a limit's counter is rebuilt from after the shared state was lost.

Whole hours come from the sums by hour, the rest of the window from its rows (both exact), and what no database has
yet from the journals of this machine.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from switchgear.accounting.filters import Filters
from switchgear.accounting.row import COLUMNS
from switchgear.accounting.tail import Tail
from switchgear.db.snapshot import Snapshot, open_snapshot

_HOUR_US = 3_600_000_000
_SUMS = ("input_tokens", "output_tokens", "cost_nanousd")
_POSITIONS = 'SELECT name, segment, "offset" FROM journals'


class _Table(NamedTuple):
    """time: the column, in units of `unit_us`. requests: how many there were."""

    name: str
    time: str
    unit_us: int
    requests: str


_ROWS = _Table("usage", "time_us", 1, "count(*)")
_HOURS = _Table("usage_hourly", "start_s", 1_000_000, "sum(requests)")


class Spent(Struct):
    """Upstream requests, tokens and nano-dollars."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanousd: int = 0

    def add(self, requests: int, input_tokens: int, output_tokens: int, cost_nanousd: int) -> None:
        self.requests += requests
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        self.cost_nanousd += cost_nanousd


async def spent(
    url: str, root: Path, names: dict[str, str], since_us: int | None = None, until_us: int | None = None
) -> Spent:
    """What requests with these names (`db.tables.DIMENSIONS`; {} for all) used from `since_us` to before `until_us`.

    url: of a database that is migrated. root: the folder of the journals. Raises what the database's driver raises.
    """
    filters = Filters(since_us, until_us, {name: (value,) for name, value in names.items()})
    return (await spent_by(url, root, (), filters)).get((), Spent())


async def spent_by(url: str, root: Path, by: tuple[str, ...], filters: Filters) -> dict[tuple[str, ...], Spent]:
    """The same for all names of some dimensions at once, `by=("key",)` for every key: one query for many limits."""
    found: dict[tuple[str, ...], Spent] = {}
    with ExitStack() as stack:
        tail = Tail(root, stack)  # before the snapshot: what is drained later can still be read here
        async with open_snapshot(url) as snapshot:
            drained = {name: (segment, offset) for name, segment, offset in await snapshot.all(_POSITIONS)}
            for table, part in _parts(filters):
                await _add_table(snapshot, table, part, by, found)
        places = [COLUMNS.index(name) for name in (*by, *_SUMS)]
        for row in tail.rows(drained):
            if filters.accepts(row):
                *names, tokens_in, tokens_out, cost = (row[place] for place in places)
                found.setdefault(tuple(map(str, names)), Spent()).add(1, *map(_whole, (tokens_in, tokens_out, cost)))
    return found


def _parts(filters: Filters) -> list[tuple[_Table, Filters]]:
    """The window as whole hours and what is left of it at either end."""
    since, until = filters.since_us, filters.until_us
    first = None if since is None else -(-since // _HOUR_US) * _HOUR_US
    last = None if until is None else until // _HOUR_US * _HOUR_US
    if first is not None and last is not None and first >= last:
        return [(_ROWS, filters)]
    parts = [(_HOURS, filters.between(first, last))]
    if first != since:
        parts.append((_ROWS, filters.between(since, first)))
    if last != until:
        parts.append((_ROWS, filters.between(last, until)))
    return parts


async def _add_table(
    snapshot: Snapshot, table: _Table, filters: Filters, by: tuple[str, ...], found: dict[tuple[str, ...], Spent]
) -> None:
    group = ", ".join(f'"{name}"' for name in by)
    sums = ", ".join((table.requests, *(f"sum({name})" for name in _SUMS)))
    condition, values = filters.condition(table.time, table.unit_us)
    query = f"SELECT {', '.join(filter(None, (group, sums)))} FROM {table.name} WHERE {condition}"  # noqa: S608 - ours
    for row in await snapshot.all(f"{query} GROUP BY {group}" if group else query, values):
        *names, count, tokens_in, tokens_out, cost = row
        if count:
            found.setdefault(tuple(names), Spent()).add(*map(_whole, (count, tokens_in, tokens_out, cost)))


def _whole(number: Any) -> int:
    """A sum as the driver gives it: PostgreSQL's of bigint is numeric."""
    return int(number or 0)
