"""Sums over rows by names and by hours, days or months of a time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import case, func

from switchgear.accounting.filters import Filters
from switchgear.accounting.row import COLUMNS
from switchgear.accounting.view import View
from switchgear.db.names import DIMENSIONS, TOKEN_CLASSES
from switchgear.db.tables import usage, usage_hourly

PERIODS = ("hour", "day", "month")
GROUPS = (*DIMENSIONS, "status", "error_class", "price_version", *PERIODS)
SUMMED = ("requests", "errors", "estimated", *TOKEN_CLASSES, "cost_nanousd")
AVERAGED = ("first_token_ms", "total_ms")

_HOUR_S = 3600
_QUARTER_S = 900  # time zones are this far from each other, where they are not by whole hours
_SUMMED_COLUMNS = ("cost_nanousd", *TOKEN_CLASSES)
_AT = {name: n for n, name in enumerate(COLUMNS)}


async def report(view: View, group: tuple[str, ...], filters: Filters, zone: tzinfo = UTC) -> list[dict[str, Any]]:
    """A mapping for each group, sorted: the group's names and periods, `SUMMED`, and the means `AVERAGED` (None where
    no row has one). group: some of `GROUPS`.

    The sums by hour answer where they can: only names that they keep, a window and a zone of whole hours.
    """
    names = tuple(name for name in group if name not in PERIODS)
    periods = tuple(name for name in group if name in PERIODS)
    found: dict[tuple[Any, ...], list[Any]] = {}
    if _hours_suffice(names, filters, zone, bool(periods)):
        columns, buckets = _of_sums(names, bool(periods))
        table, step_s = usage_hourly, _HOUR_S
    else:
        columns, buckets = _of_rows(names, bool(periods))
        table, step_s = usage, _QUARTER_S
    for row in await view.all(columns, filters.where(table), buckets):
        *found_names, bucket = row[: len(names) + 1]
        key = (*found_names, *_periods((bucket or 0) * step_s, periods, zone))
        _add(found, key, row[len(names) + 1 :])
    for undrained in view.undrained(filters):
        time_s = undrained[_AT["time_us"]] // 1_000_000  # type: ignore[operator]  # a row is a plain tuple
        key = (*(undrained[_AT[name]] for name in names), *_periods(time_s, periods, zone))
        _add(found, key, _values(undrained))
    order = [*names, *periods]
    return [_shown(group, dict(zip(order, key, strict=True)), found[key]) for key in sorted(found)]


def _hours_suffice(names: tuple[str, ...], filters: Filters, zone: tzinfo, periods: bool) -> bool:
    edges = (filters.since_us, filters.until_us)
    if any(edge is not None and edge % (_HOUR_S * 1_000_000) for edge in edges):
        return False
    if periods and zone is not UTC and _offset_of(zone) % timedelta(hours=1):
        return False
    return set(names) <= set(DIMENSIONS) and set(filters.names) <= set(DIMENSIONS)


def _offset_of(zone: tzinfo) -> timedelta:
    return datetime.now(zone).utcoffset() or timedelta()


def _of_sums(names: tuple[str, ...], by_time: bool) -> tuple[list[Any], list[Any]]:
    table = usage_hourly.c
    bucket = [table.start_s // _HOUR_S] if by_time else []
    group = [*(table[name] for name in names), *bucket]
    sums = (table.requests, table.errors, table.estimated, *(table[name] for name in _SUMMED_COLUMNS))
    timed = (table.first_tokens, table.first_token_ms, table.timed, table.total_ms)
    return [*group, *_no_bucket(by_time), *(func.sum(column) for column in (*sums, *timed))], group


def _of_rows(names: tuple[str, ...], by_time: bool) -> tuple[list[Any], list[Any]]:
    table = usage.c
    bucket = [table.time_us // (_QUARTER_S * 1_000_000)] if by_time else []
    group = [*(table[name] for name in names), *bucket]
    counts = [
        func.count(),
        func.sum(case((table.status.between(200, 299), 0), else_=1)),
        func.sum(case((table.estimated, 1), else_=0)),
    ]
    sums = [func.sum(table[name]) for name in _SUMMED_COLUMNS]
    timed = [f(column) for column in (table.first_token_ms, table.total_ms) for f in (func.count, func.sum)]
    return [*group, *_no_bucket(by_time), *counts, *sums, *timed], group


def _no_bucket(by_time: bool) -> list[Any]:
    return [] if by_time else [func.min(0)]


def _values(row: Any) -> tuple[Any, ...]:
    """The sums of a single row, as the queries give them."""
    first, total = row[_AT["first_token_ms"]], row[_AT["total_ms"]]
    return (
        1,
        not 200 <= row[_AT["status"]] < 300,
        row[_AT["estimated"]],
        *(row[_AT[name]] for name in _SUMMED_COLUMNS),
        first is not None,
        first or 0.0,
        total is not None,
        total or 0.0,
    )


def _add(found: dict[tuple[Any, ...], list[Any]], key: tuple[Any, ...], values: Any) -> None:
    if not values[0]:  # the sum over no row at all
        return
    known = found.setdefault(key, [0] * len(values))
    for n, value in enumerate(values):
        known[n] += float(value or 0) if isinstance(value, float) else int(value or 0)


def _periods(time_s: int, periods: tuple[str, ...], zone: tzinfo) -> tuple[str, ...]:
    if not periods:
        return ()
    at = datetime.fromtimestamp(time_s, zone)
    forms = {"hour": at.strftime("%Y-%m-%dT%H:00") + _zone_suffix(at), "day": f"{at:%Y-%m-%d}", "month": f"{at:%Y-%m}"}
    return tuple(forms[period] for period in periods)


def _zone_suffix(at: datetime) -> str:
    offset = at.strftime("%z")
    return "Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:]}"


def _shown(group: tuple[str, ...], key: dict[str, Any], values: list[Any]) -> dict[str, Any]:
    requests, errors, estimated, cost, *rest = values
    tokens = rest[: len(TOKEN_CLASSES)]
    first_tokens, first_ms, timed, total_ms = rest[len(TOKEN_CLASSES) :]
    return {
        **{name: key[name] for name in group},
        "requests": requests,
        "errors": errors,
        "estimated": estimated,
        **dict(zip(TOKEN_CLASSES, tokens, strict=True)),
        "cost_nanousd": cost,
        "first_token_ms": round(first_ms / first_tokens, 3) if first_tokens else None,
        "total_ms": round(total_ms / timed, 3) if timed else None,
    }
