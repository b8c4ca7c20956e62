"""The drain against SQLite and PostgreSQL: each row once, whatever is killed, stopped or raced."""

# The loop of these tests has nobody else to serve, and what they draw is no secret.
# ruff: noqa: ASYNC220, ASYNC240, S311

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from switchgear.accounting import journals
from switchgear.accounting.cursor import Cursor
from switchgear.accounting.drain import Drain
from switchgear.accounting.ledger import Ledger
from switchgear.config.values import Duration, Size
from switchgear.db.migrate import migrate
from switchgear.db.usage import Batch, Moved, open_store
from switchgear.errors import LedgerFull
from switchgear.hotpath._journal import Journal, label
from tests.accounting.ledgers import BASE_US, environment, left_behind, numbers, query, settings, write
from tests.support.databases import PostgresProcess

LABEL = label(*["x"] * 10)
Make = Callable[..., Drain]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
async def make(root: Path) -> AsyncIterator[Make]:
    drains: list[Drain] = []
    opened: list[Journal] = []

    def made(url: str, journal: Journal | None = None, **changes: object) -> Drain:
        drains.append(Drain(root, settings(root, **changes), url, journal))
        if journal is not None:
            opened.append(journal)
        return drains[-1]

    yield made
    for drain in drains:
        await drain.close()
    for journal in opened:
        journal.close()


def fill(ledger: Ledger) -> None:
    """Open requests until one is refused. `full` says so before: it reckons with the largest record."""
    while True:
        ledger.abandon(ledger.open(LABEL, b"x" * 200, 1, tags=b"y" * 900))
        ledger.journal.other_bytes += 100


async def everything(drain: Drain) -> int:
    rows = 0
    while moved := await drain.round():
        rows += moved
    return rows


async def test_rows_and_sums_arrive_and_segments_go(database_url: str, root: Path, make: Make) -> None:
    journal = journals.create(root, settings(root, max_bytes=Size(1 << 19)))
    drain = make(database_url, journal)
    write(journal, 0, 1000, time_us=BASE_US)
    write(journal, 1000, 500, key="other", time_us=BASE_US + 3_600_000_000, status=500)
    assert await everything(drain) == 1500
    assert await numbers(database_url) == list(range(1500))
    hours = 'SELECT start_s, "key", requests, errors, input_tokens, cost_nanousd FROM usage_hourly ORDER BY start_s'
    start = BASE_US // 1_000_000
    assert await query(database_url, hours) == [
        (start, "ci", 1000, 0, 10_000, 7000),
        (start + 3600, "other", 500, 500, 5000, 3500),
    ]
    days = 'SELECT start_s, "key", requests, output_tokens, total_ms FROM usage_daily ORDER BY "key"'
    assert await query(database_url, days) == [
        (start, "ci", 1000, 20_000, 2500.0),
        (start, "other", 500, 10_000, 1250.0),
    ]
    assert [path.name for path in sorted(Path(journal.folder).glob("*.log"))] == [f"{journal.position[0]:010d}.log"]
    assert journal.position[0] > 1


async def test_a_batch_is_stored_once(database_url: str, root: Path) -> None:
    """As when the answer to a commit is lost: the drain cannot know, the database does."""
    await migrate(database_url)
    journal = journals.create(root, settings(root))
    write(journal, 0, 10)
    store = open_store(database_url)
    at = await store.position(journal.id.hex())
    cursor = Cursor(journal, at.journal, at.segment, at.offset)
    batch = await cursor.read(5)
    assert batch is not None
    await store.add(batch)
    with pytest.raises(Moved):
        await store.add(batch)
    again = await store.position(journal.id.hex())
    assert (again.segment, again.offset) == batch.end
    await store.close()
    drain = Drain(root, settings(root), database_url, journal)
    await everything(drain)
    await drain.close()
    journal.close()
    assert await numbers(database_url) == list(range(10))


async def test_a_drain_that_lags_behind_finds_its_place(database_url: str, root: Path, make: Make) -> None:
    journal = journals.create(root, settings(root))
    drain = make(database_url, journal)
    write(journal, 0, 10)
    await drain.round()
    write(journal, 10, 10)
    other = open_store(database_url)
    at = await other.position(journal.id.hex())
    batch = await Cursor(journal, at.journal, at.segment, at.offset).read(100)
    assert batch is not None
    await other.add(batch)
    await other.close()
    await everything(drain)
    assert await numbers(database_url) == list(range(20))


async def test_batches_of_one_transaction_share_their_sums(
    database_url: str, root: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("switchgear.accounting.drain.BATCH_ROWS", 7)
    journal = journals.create(root, settings(root))
    for n in range(5):
        write(journal, n * 20, 20, key=f"key-{n % 2}", time_us=BASE_US)
    assert await everything(make(database_url, journal)) == 100
    assert await numbers(database_url) == list(range(100))
    statement = 'SELECT "key", requests, output_tokens FROM usage_hourly ORDER BY "key"'
    assert await query(database_url, statement) == [("key-0", 60, 1200), ("key-1", 40, 800)]
    positions = 'SELECT segment, "offset", "rows" FROM journals'
    assert await query(database_url, positions) == [(*journal.position, 100)]


async def test_a_new_month_in_the_middle_of_a_transaction(
    database_url: str, root: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL its partition is made between two transactions."""
    monkeypatch.setattr("switchgear.accounting.drain.BATCH_ROWS", 7)
    journal = journals.create(root, settings(root))
    write(journal, 0, 30, time_us=BASE_US - 1)
    write(journal, 30, 30, time_us=BASE_US)
    assert await everything(make(database_url, journal)) == 60
    assert await numbers(database_url) == list(range(60))
    statement = "SELECT start_s, requests FROM usage_daily ORDER BY start_s"
    start = BASE_US // 1_000_000
    assert await query(database_url, statement) == [(start - 86400, 30), (start, 30)]
    assert await query(database_url, 'SELECT "rows" FROM journals') == [(60,)]


async def test_a_transaction_that_fails_half_way_leaves_nothing(database_url: str, root: Path) -> None:
    await migrate(database_url)
    journal = journals.create(root, settings(root))
    write(journal, 0, 20, time_us=BASE_US)
    store = open_store(database_url)
    at = await store.position(journal.id.hex())
    cursor = Cursor(journal, at.journal, at.segment, at.offset)
    batch = await cursor.read(5)
    assert batch is not None
    given = [await cursor.read_on(batch, 5)]

    async def more() -> Batch | None:
        if given:
            return given.pop()
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await store.add(batch, more)
    again = await store.position(journal.id.hex())
    assert (again.segment, again.offset) == (0, 0)
    assert await numbers(database_url) == []
    assert await query(database_url, "SELECT count(*) FROM usage_hourly") == [(0,)]
    await store.close()
    journal.close()


async def test_orphans_are_adopted_with_their_open_requests(database_url: str, root: Path, make: Make) -> None:
    left_behind(root, 0, 30, opened=3)
    left_behind(root, 33, 5)
    drain = make(database_url)
    assert await everything(drain) == 38
    assert await numbers(database_url) == list(range(38))
    killed = "SELECT status, input_tokens, output_tokens, cost_nanousd FROM usage WHERE error_class = 'killed'"
    assert await query(database_url, killed) == [(0, 1, 2, 3)] * 3
    assert list(root.iterdir()) == []
    assert (drain.state.adopted_journals, drain.state.recovered_rows) == (2, 3)


async def test_a_journal_in_use_is_not_adopted(database_url: str, root: Path, make: Make) -> None:
    journal = journals.create(root, settings(root))
    write(journal, 0, 1)
    assert await everything(make(database_url)) == 0
    journal.close()
    assert await everything(make(database_url)) == 1


async def test_drains_that_race_store_each_row_once(database_url: str, root: Path, make: Make) -> None:
    for n in range(6):
        left_behind(root, n * 50, 50)
    drains = [make(database_url) for _ in range(3)]
    await migrate(database_url)
    moved = await asyncio.gather(*(everything(drain) for drain in drains))
    assert sum(moved) == 300
    assert await numbers(database_url) == list(range(300))
    assert await query(database_url, "SELECT sum(requests) FROM usage_hourly") == [(300,)]


async def test_torn_and_damaged_records_are_passed_over(database_url: str, root: Path, make: Make) -> None:
    left_behind(root, 0, 10)
    (segment,) = root.glob("*/*1.log")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF  # one of the ten
    segment.write_bytes(bytes(data) + data[32:100])  # and half a record more
    drain = make(database_url)
    assert await everything(drain) == 9
    assert len(set(await numbers(database_url))) == 9
    assert list(root.iterdir()) == []


async def test_a_database_that_is_away_comes_back(postgres: PostgresProcess, root: Path) -> None:
    url = await postgres.create()
    ledger = Ledger(settings(root), url)
    ledger.start()
    write(ledger.journal, 0, 10)
    await _until(lambda: ledger.state.drained_rows == 10)
    postgres.stop()
    write(ledger.journal, 10, 500)
    await _until(lambda: ledger.state.failures > 0)
    assert not ledger.state.reachable
    assert not ledger.full
    postgres.start()
    await _until(lambda: ledger.state.drained_rows >= 510)
    await ledger.stop()
    assert await numbers(url) == list(range(510))


async def test_a_stalled_database_does_not_hold_up_requests(postgres: PostgresProcess, root: Path) -> None:
    url = await postgres.create()
    ledger = Ledger(settings(root), url)
    ledger.start()
    write(ledger.journal, 0, 10)
    await _until(lambda: ledger.state.drained_rows == 10)
    postgres.signal(signal.SIGSTOP)
    try:
        for n in range(10, 1010):
            write(ledger.journal, n, 1)
            await asyncio.sleep(0)  # the event loop of the requests goes on
        assert (ledger.journal.rows, ledger.state.drained_rows, ledger.full) == (1010, 10, False)
    finally:
        postgres.signal(signal.SIGCONT)
    await _until(lambda: ledger.state.drained_rows == 1010)
    await ledger.stop()
    assert await numbers(url) == list(range(1010))


async def test_a_full_ledger_refuses_until_it_is_drained(database_url: str, root: Path) -> None:
    ledger = Ledger(settings(root, max_bytes=Size(64 << 10)), database_url)
    admitted = 0
    while not ledger.full:
        ledger.append(ledger.open(LABEL, b"%d" % admitted, 1), 200)
        admitted += 1
    with pytest.raises(LedgerFull) as refused:
        fill(ledger)
    assert (refused.value.status, refused.value.code, refused.value.retry_after_s) == (503, "ledger_full", 5.0)
    assert ledger.full
    ledger.start()
    await _until(lambda: not ledger.full)
    ledger.append(ledger.open(LABEL, b"%d" % admitted, 1), 200)
    await ledger.stop()
    assert await numbers(database_url) == list(range(admitted + 1))


async def test_other_journals_count_against_the_quota(database_url: str, root: Path, make: Make) -> None:
    limits = settings(root, max_bytes=Size(64 << 10))
    other = journals.create(root, limits)
    write(other, 0, 200)
    journal = journals.create(root, limits)
    drain = make(database_url, journal, max_bytes=Size(64 << 10))
    await drain.round()
    assert journal.other_bytes == other.held_bytes > 32 << 10
    other.close()


async def test_the_oldest_rows_go_when_the_disk_may_hold_no_more(database_url: str, root: Path) -> None:
    await migrate(database_url)  # not within the time that `stop` gives
    ledger = Ledger(settings(root, max_bytes=Size(64 << 10), when_full="drop_oldest"), database_url)
    write(ledger.journal, 0, 1000)
    dropped = ledger.journal.dropped
    assert dropped > 0
    ledger.start()
    await ledger.stop()
    assert await numbers(database_url) == list(range(dropped, 1000))


async def test_other_journals_are_counted_and_adopted_while_the_database_stalls(
    postgres: PostgresProcess, root: Path
) -> None:
    ledger = Ledger(settings(root), await postgres.create())
    ledger.start()
    write(ledger.journal, 0, 10)
    await _until(lambda: ledger.state.drained_rows == 10)
    other = journals.create(root, settings(root))
    postgres.signal(signal.SIGSTOP)
    try:
        write(ledger.journal, 10, 10)  # a round waits for the database from here on
        write(other, 20, 10)
        await _until(lambda: ledger.journal.other_bytes == other.held_bytes)
        other.close()
        await _until(lambda: ledger.state.adopted_journals == 1)
        assert ledger.state.drained_rows == 10
    finally:
        postgres.signal(signal.SIGCONT)
    await _until(lambda: ledger.state.drained_rows == 30)
    await ledger.stop()


async def test_last_segments_do_not_keep_the_ledger_full(database_url: str, root: Path) -> None:
    ledgers = [Ledger(settings(root), database_url) for _ in range(2)]
    for number, ledger in enumerate(ledgers):
        write(ledger.journal, number * 200, 200)
        assert ledger.reload(settings(root, max_bytes=Size(64 << 10)))
        ledger.start()
    await _until(lambda: sum(ledger.state.drained_rows for ledger in ledgers) == 400)
    await _until(lambda: all(ledger.full for ledger in ledgers))  # of what is drained
    for ledger in ledgers:
        ledger.relieve()
    await _until(lambda: not any(ledger.full for ledger in ledgers))
    for ledger in ledgers:
        await ledger.stop()
    assert await numbers(database_url) == list(range(400))


async def test_rows_dropped_of_adopted_journals_are_counted(database_url: str, root: Path, make: Make) -> None:
    small = {"max_bytes": Size(64 << 10), "when_full": "drop_oldest"}
    left = journals.create(root, settings(root, max_bytes=Size(64 << 10)))
    write(left, 0, 300)
    left.close()
    ledger = Ledger(settings(root, **small), "postgresql://nobody@/nothing?host=/nonexistent")
    write(ledger.journal, 300, 300)
    own = ledger.journal.dropped
    ledger.start()
    await _until(
        lambda: ledger.state.dropped_rows > 0 and ledger.journal.held_bytes + ledger.journal.other_bytes < 64 << 10
    )
    await ledger.stop()
    await everything(make(database_url, **small))
    assert len(await numbers(database_url)) == 600 - ledger.dropped_rows
    assert ledger.dropped_rows > own


async def test_a_reload_changes_the_quota(database_url: str, root: Path) -> None:
    ledger = Ledger(settings(root, max_bytes=Size(4000)), database_url)
    assert ledger.full
    assert ledger.reload(settings(root, max_bytes=Size(1 << 20)))
    assert not ledger.full
    assert not ledger.reload(settings(root / "elsewhere"))
    await ledger.stop()


async def test_old_rows_expire_and_sums_stay(database_url: str, root: Path, make: Make) -> None:
    journal = journals.create(root, settings(root))
    now_us = time.time_ns() // 1000
    day_us = 86_400_000_000
    for n, age in enumerate((0, 5, 20, 40, 100, 800)):
        write(journal, n, 1, time_us=now_us - age * day_us)
    drain = make(database_url, journal, retention=Duration(30 * 86400))
    await everything(drain)
    assert await numbers(database_url) == [0, 1, 2]
    assert await query(database_url, "SELECT sum(requests) FROM usage_daily") == [(6,)]
    write(journal, 6, 1, time_us=now_us - 800 * day_us)  # its partition is made again
    await everything(drain)
    assert await numbers(database_url) == [0, 1, 2, 6]


async def test_rows_lie_in_partitions_by_month(postgres: PostgresProcess, root: Path, make: Make) -> None:
    url = await postgres.create()
    journal = journals.create(root, settings(root))
    write(journal, 0, 1, time_us=BASE_US - 1)
    write(journal, 1, 1, time_us=BASE_US)
    await everything(make(url, journal))
    found = await query(url, "SELECT tableoid::regclass::text, request_id FROM usage ORDER BY time_us")
    assert found == [("usage_2025_12", "0"), ("usage_2026_01", "1")]


async def test_names_no_database_would_take_are_stored(database_url: str, root: Path, make: Make) -> None:
    journal = journals.create(root, settings(root))
    odd = label("a\0b", "\ud800", "é" * 200, "'; --", '"', "\\N", "\t\n", "", "x" * 300, "v")
    journal.append(journal.open(odd, b"0", tags=b'{"a":"\\u0000"}'), 200)
    await everything(make(database_url, journal))
    statement = 'SELECT endpoint, organization, project, "user", "key", model, served_model, credential FROM usage'
    assert await query(database_url, statement) == [
        ("a?b", "?", "é" * 128, "'; --", '"', "\\N", "\t\n", "x" * 256),
    ]


WORKER = """
import asyncio, os, sys, threading
from pathlib import Path
from switchgear.accounting.ledger import Ledger
from switchgear.config.schema_prices import Ledger as Settings
from switchgear.config.values import Size
from switchgear.hotpath._journal import label
root, url, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
ledger = Ledger(Settings(path=root, max_bytes=Size(1 << 18)), url)
ledger.start()
name, n = label(*["x"] * 10), first
while True:
    if ledger.full:
        continue
    slot = ledger.open(name, b"%d" % n, 1)
    os.write(1, b"%d\\n" % n)
    ledger.append(slot, 200)
    n += 1
"""


async def test_killed_workers_lose_no_row_and_store_none_twice(database_url: str, root: Path) -> None:
    """Workers write and drain at full speed and are killed at random; each adopts what the one before left."""
    await migrate(database_url)
    last, draw = 0, random.Random(4)
    opened: set[int] = set()
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(root), database_url, str(last)],
            stdout=subprocess.PIPE,
            env=environment(),
        )
        assert child.stdout is not None
        wanted, seen = draw.randrange(500, 4000), b""
        while seen.count(b"\n") < wanted:
            seen += await asyncio.to_thread(os.read, child.stdout.fileno(), 1 << 16)
        child.send_signal(signal.SIGKILL)
        seen += child.communicate()[0]
        opened |= set(map(int, seen.split()))
        last = max(opened) + 1000
    drain = Drain(root, settings(root), database_url, None)
    await drain.catch_up()
    await drain.close()
    found = await numbers(database_url)
    assert len(found) == len(set(found))
    assert opened <= set(found)
    assert len(set(found) - opened) <= 4  # opened, and killed before it was said
    assert list(root.iterdir()) == []
    assert await query(database_url, "SELECT sum(requests) FROM usage_daily") == [(len(found),)]


async def _until(happened: Callable[[], bool], within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not happened():
            await asyncio.sleep(0.02)
