"""What was used in a window: what a limit's counter is rebuilt from after the shared state was lost.

Whole hours come from the sums by hour, the rest of the window from its rows (both exact), and what no database has
yet from the journals of this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import func

from switchgear.accounting.filters import Filters
from switchgear.accounting.row import COLUMNS
from switchgear.accounting.view import View, open_view
from switchgear.db.tables import usage, usage_hourly

_HOUR_US = 3_600_000_000
_SUMS = ("input_tokens", "output_tokens", "cost_nanousd")


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
    async with open_view(url, root) as view:
        for table, part in _parts(filters):
            await _add_table(view, table, part, by, found)
        places = [COLUMNS.index(name) for name in (*by, *_SUMS)]
        for row in view.undrained(filters):
            *names, tokens_in, tokens_out, cost = (row[place] for place in places)
            found.setdefault(tuple(map(str, names)), Spent()).add(1, *map(_whole, (tokens_in, tokens_out, cost)))
    return found


def _parts(filters: Filters) -> list[tuple[Any, Filters]]:
    """The window as whole hours and what is left of it at either end."""
    since, until = filters.since_us, filters.until_us
    first = None if since is None else -(-since // _HOUR_US) * _HOUR_US
    last = None if until is None else until // _HOUR_US * _HOUR_US
    if first is not None and last is not None and first >= last:
        return [(usage, filters)]
    parts: list[tuple[Any, Filters]] = [(usage_hourly, filters.between(first, last))]
    if first != since:
        parts.append((usage, filters.between(since, first)))
    if last != until:
        parts.append((usage, filters.between(last, until)))
    return parts


async def _add_table(
    view: View, table: Any, filters: Filters, by: tuple[str, ...], found: dict[tuple[str, ...], Spent]
) -> None:
    group = [table.c[name] for name in by]
    requests = func.sum(table.c.requests) if "requests" in table.c else func.count()
    sums = [requests, *(func.sum(table.c[name]) for name in _SUMS)]
    for row in await view.all([*group, *sums], filters.where(table), group):
        *names, count, tokens_in, tokens_out, cost = row
        if count:
            found.setdefault(tuple(names), Spent()).add(*map(_whole, (count, tokens_in, tokens_out, cost)))


def _whole(number: Any) -> int:
    """A sum as the driver gives it: PostgreSQL's of bigint is numeric."""
    return int(number or 0)
