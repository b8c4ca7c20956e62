"""Views, reports and what was spent, against sums made by hand, on rows that are drained and rows that are not."""

# The loop of these tests has nobody else to serve, and what they draw is no secret.
# ruff: noqa: ASYNC240, S311

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, tzinfo
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from switchgear.accounting import journals
from switchgear.accounting.drain import Drain
from switchgear.accounting.filters import Filters
from switchgear.accounting.reports import report
from switchgear.accounting.row import UsageRow, iso_time, shown
from switchgear.accounting.spent import Spent, spent
from switchgear.accounting.view import open_view
from switchgear.db.migrate import migrate
from switchgear.hotpath._journal import Journal, label
from switchgear.types import Usage
from tests.accounting.ledgers import BASE_US, settings, write

HOUR_US = 3_600_000_000
KEYS, MODELS = ("ci", "web", "batch"), ("smart", "fast")


class Sample:
    """300 rows of three days, half of them drained; the other half in two journals."""

    def __init__(self, root: Path, url: str):
        self.root, self.url = root, url
        self.rows: list[UsageRow] = []
        self.journals: list[Journal] = []

    def write(self, journal: Journal, draw: random.Random, count: int) -> None:
        for n in range(count):
            key, model = draw.choice(KEYS), draw.choice(MODELS)
            usage = Usage(
                input_tokens=draw.randrange(1000), output_tokens=draw.randrange(1000), estimated=draw.random() < 0.2
            )
            at, cost, status = (
                BASE_US + draw.randrange(72 * HOUR_US),
                draw.randrange(10**9),
                draw.choice((200, 200, 429)),
            )
            name = label("chat", "acme", "search", "ada", key, model, "served", "openai", "main", "v1")
            slot = journal.open(name, b"%d" % n, time_us=at)
            first = draw.choice((5.0, float("nan")))
            total = draw.choice((10.0, float("nan")))
            journal.append(slot, status, usage, cost, "" if status == 200 else "rate_limited", first, total)

    async def build(self) -> Sample:
        draw = random.Random(7)
        await migrate(self.url)
        self.journals = [journals.create(self.root, settings(self.root)) for _ in range(2)]
        self.write(self.journals[0], draw, 150)
        drain = Drain(self.root, settings(self.root), self.url, self.journals[0])
        while await drain.round():
            pass
        await drain.close()
        for journal in self.journals:
            self.write(journal, draw, 75)
        async with open_view(self.url, self.root) as view:
            self.rows = [UsageRow.of(row) async for row in view.rows(Filters())]
        return self


@pytest.fixture
async def sample(database_url: str, tmp_path: Path) -> Any:
    found = await Sample(tmp_path / "ledger", database_url).build()
    yield found
    for journal in found.journals:
        journal.close()


def by_hand(rows: list[UsageRow], key: Any) -> dict[tuple[Any, ...], list[int]]:
    sums: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in rows:
        one = sums[key(row)]
        for n, value in enumerate((1, row.input_tokens, row.output_tokens, row.cost_nanousd)):
            one[n] += value
    return dict(sums)


async def test_a_view_has_each_row_once(sample: Sample) -> None:
    assert len(sample.rows) == 300
    assert [row.time_us for row in sample.rows[:150]] == sorted(row.time_us for row in sample.rows[:150])


async def test_rows_drained_after_the_view_was_opened_are_there_once(database_url: str, tmp_path: Path) -> None:
    root = tmp_path / "ledger"
    await migrate(database_url)
    journal = journals.create(root, settings(root, max_bytes=1 << 15))
    write(journal, 0, 60)
    async with open_view(database_url, root) as view:
        drain = Drain(root, settings(root), database_url, journal)
        while await drain.round():
            pass
        await drain.close()
        assert len(list(Path(journal.folder).glob("*.log"))) == 1  # the others are deleted
        found = sorted(int(row[0]) for row in [row async for row in view.rows(Filters())])
    journal.close()
    assert found == list(range(60))


NAMES: list[dict[str, str]] = [{}, {"key": "ci"}, {"key": "web", "model": "fast"}, {"key": "nobody"}]
WINDOWS = [(None, None), (5, 50), (5.5, 50.25), (7.1, 7.9), (None, 10.5), (60.2, None)]  # in hours


async def test_spent(sample: Sample) -> None:
    for names, window in product(NAMES, WINDOWS):
        since, until = (None if edge is None else BASE_US + int(edge * HOUR_US) for edge in window)
        wanted = [
            row
            for row in sample.rows
            if all(getattr(row, name) == value for name, value in names.items())
            and (since is None or row.time_us >= since)
            and (until is None or row.time_us < until)
        ]
        expected = by_hand(wanted, lambda row: ()).get((), [0, 0, 0, 0])
        assert await spent(sample.url, sample.root, names, since, until) == Spent(*expected)


async def test_reports_by_day_and_key(sample: Sample) -> None:
    zones = (UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu"))
    for zone, since in product(zones, (None, BASE_US + HOUR_US, BASE_US + HOUR_US + 17)):
        async with open_view(sample.url, sample.root) as view:
            found = await report(view, ("day", "key"), Filters(since_us=since), zone)
        wanted = [row for row in sample.rows if since is None or row.time_us >= since]
        expected = by_hand(wanted, partial(_day_and_key, zone))
        sums = ("requests", "input_tokens", "output_tokens", "cost_nanousd")
        assert {(one["day"], one["key"]): [one[name] for name in sums] for one in found} == expected


def _day_and_key(zone: tzinfo, row: UsageRow) -> tuple[str, str]:
    return datetime.fromtimestamp(row.time_us / 1e6, zone).strftime("%Y-%m-%d"), row.key


async def test_reports_count_errors_estimates_and_means(sample: Sample) -> None:
    for group in (("model",), ("status", "error_class"), ("price_version",)):
        async with open_view(sample.url, sample.root) as view:
            found = await report(view, group, Filters())
        for one in found:
            rows = [row for row in sample.rows if all(getattr(row, name) == one[name] for name in group)]
            firsts = [row.first_token_ms for row in rows if row.first_token_ms is not None]
            assert one["requests"] == len(rows)
            assert one["errors"] == sum(row.status != 200 for row in rows)
            assert one["estimated"] == sum(row.estimated for row in rows)
            assert one["first_token_ms"] == (5.0 if firsts else None)
            assert one["total_ms"] == 10.0
        assert sum(one["requests"] for one in found) == 300


async def test_an_empty_ledger_has_no_groups(database_url: str, tmp_path: Path) -> None:
    await migrate(database_url)
    async with open_view(database_url, tmp_path / "missing") as view:
        assert await report(view, ("key",), Filters()) == []
        assert await report(view, ("key", "hour"), Filters(since_us=1)) == []
        assert [row async for row in view.rows(Filters())] == []


def test_times_are_written_in_their_zone() -> None:
    assert iso_time(BASE_US + 1) == "2026-01-01T00:00:00.000001Z"
    assert iso_time(BASE_US, ZoneInfo("Asia/Kathmandu")) == "2026-01-01T05:45:00.000000+05:45"


def test_a_shown_row_has_a_mapping_of_tags_and_booleans() -> None:
    values = ["r", 1, BASE_US, *["n"] * 9, 200, "", 1, 0, 0, 0, *[0] * 9, "", 5, "v", None, 1.0, '{"a":"b"}', 1, 2]
    row = shown(values)
    assert (row["tags"], row["stream"], row["from_cache"], row["first_token_ms"]) == ({"a": "b"}, True, False, None)
    assert list(row)[:4] == ["request_id", "attempt", "time", "organization"]
