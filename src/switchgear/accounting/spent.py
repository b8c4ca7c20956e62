"""What was used in a window: what a limit's counter is rebuilt from after the shared state was lost.

Whole hours come from the sums by hour, the rest of the window from its rows (both exact), and what no database has
yet from the journals of this machine. All of them count upstream requests. A limit that knows no provider counts those
of clients, so the attempts that were not the first of their request are looked for among the rows and taken off: a row
with a number above 1 whose request has a row with a lower one. (The first row of a request need not be number 1: an
attempt that found no connection leaves none.) Of hours whose rows have expired they are not known and stay counted.
"""

from __future__ import annotations

import asyncio
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
_OF_ATTEMPTS = frozenset(("provider", "credential", "served_model"))
"""Names that belong to an attempt, not to its request."""
_FOLLOWED = (
    "SELECT count(*) FROM usage AS later WHERE attempt > 1 AND EXISTS (SELECT 1 FROM usage AS earlier"
    " WHERE earlier.request_id = later.request_id AND earlier.attempt < later.attempt) AND "
)
_FIRST = "SELECT request_id, min(attempt) FROM usage WHERE request_id IN (%s) GROUP BY request_id"
_IDS_AT_ONCE = 500
_REQUEST_ID, _ATTEMPT = COLUMNS.index("request_id"), COLUMNS.index("attempt")
_SUMMED = tuple(COLUMNS.index(name) for name in _SUMS)


class _Table(NamedTuple):
    """time: the column, in units of `unit_us`. requests: how many there were."""

    name: str
    time: str
    unit_us: int
    requests: str


_ROWS = _Table("usage", "time_us", 1, "count(*)")
_HOURS = _Table("usage_hourly", "start_s", 1_000_000, "sum(requests)")


class Spent(Struct):
    """Requests, tokens and nano-dollars."""

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
    """What requests with these names (`db.names.DIMENSIONS`; {} for all) used from `since_us` to before `until_us`.

    Requests are the clients', and those sent to upstreams where the names hold a provider, a credential or a model
    of theirs, as limits count them. url: of a database that is migrated. root: the folder of the journals. Raises what
    the database's driver raises.
    """
    filters = Filters(since_us, until_us, {name: (value,) for name, value in names.items()})
    found = Spent()
    with ExitStack() as stack:
        tail = Tail(root, stack)  # before the snapshot: what is drained later can still be read here
        async with open_snapshot(url) as snapshot:
            drained = {name: (segment, offset) for name, segment, offset in await snapshot.all(_POSITIONS)}
            for table, part in _parts(filters):
                await _add_table(snapshot, table, part, found)
            later = await asyncio.to_thread(_add_tail, tail, drained, filters, found)
            if not _OF_ATTEMPTS & names.keys():
                found.requests -= await _followed(snapshot, filters)
                found.requests -= await _followed_in_tail(snapshot, tail, drained, later)
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


async def _add_table(snapshot: Snapshot, table: _Table, filters: Filters, found: Spent) -> None:
    sums = ", ".join((table.requests, *(f"sum({name})" for name in _SUMS)))
    condition, values = filters.condition(table.time, table.unit_us)
    query = f"SELECT {sums} FROM {table.name} WHERE {condition}"  # noqa: S608 - ours; the values are apart
    for row in await snapshot.all(query, values):
        found.add(*map(_whole, row))


def _add_tail(tail: Tail, drained: dict[str, tuple[int, int]], filters: Filters, found: Spent) -> list[tuple[str, int]]:
    """Count what no database has. Returns the (request, attempt) that may not be the first of their request."""
    later = []
    for row in tail.rows(drained):
        if filters.accepts(row):
            found.add(1, *(_whole(row[place]) for place in _SUMMED))
            if (one := _attempt_of(row))[1] > 1:
                later.append(one)
    return later


async def _followed(snapshot: Snapshot, filters: Filters) -> int:
    """Attempts in the database that followed another of their request."""
    condition, values = filters.condition(_ROWS.time, _ROWS.unit_us)
    ((count,),) = await snapshot.all(_FOLLOWED + condition, values)
    return _whole(count)


async def _followed_in_tail(
    snapshot: Snapshot, tail: Tail, drained: dict[str, tuple[int, int]], later: list[tuple[str, int]]
) -> int:
    """The same of attempts in the journals; what they followed may be drained."""
    if not later:
        return 0
    first = await asyncio.to_thread(_first_in_tail, tail, drained, {request_id for request_id, _ in later})
    ids = list(first)
    for start in range(0, len(ids), _IDS_AT_ONCE):
        some = ids[start : start + _IDS_AT_ONCE]
        for request_id, attempt in await snapshot.all(_FIRST % ", ".join("?" * len(some)), some):
            first[request_id] = min(first[request_id], attempt)
    return sum(attempt > first[request_id] for request_id, attempt in later)


def _first_in_tail(tail: Tail, drained: dict[str, tuple[int, int]], ids: set[str]) -> dict[str, int]:
    """The lowest attempt of each of these requests."""
    first: dict[str, int] = {}
    for row in tail.rows(drained):
        request_id, attempt = _attempt_of(row)
        if request_id in ids:
            first[request_id] = min(first.get(request_id, attempt), attempt)
    return first


def _attempt_of(row: Any) -> tuple[str, int]:
    return row[_REQUEST_ID], row[_ATTEMPT]


def _whole(number: Any) -> int:
    """A sum as the driver gives it: PostgreSQL's of bigint is numeric, one of no rows is null."""
    return int(number or 0)
