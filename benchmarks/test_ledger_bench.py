"""The ledger: opening and appending a record, the write included; reading records; draining into the databases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from tests.support.databases import PostgresProcess

from switchgear.accounting import journals
from switchgear.accounting.drain import Drain
from switchgear.config.schema_prices import Ledger as Settings
from switchgear.hotpath._journal import SEGMENT_HEAD_BYTES, Journal, decode, label
from switchgear.types import Usage

LABEL = label("chat.completions", "acme", "search", "ada", "ci", "smart", "gpt-4.1", "openai", "main", "2026-01-01")
USAGE = Usage(input_tokens=1200, cached_tokens=1024, output_tokens=350)
ROWS = 20_000


def write(journal: Journal, count: int) -> None:
    for _ in range(count):
        slot = journal.open(LABEL, b"req-0123456789abcdef0123", 1, input_tokens=1300, output_tokens=4096)
        journal.append(slot, 200, USAGE, 5_312_000, "", 212.5, 1893.25)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    folder = tmp_path / uuid4().hex
    folder.mkdir()
    opened = Journal(str(folder), max_bytes=1 << 26, drop_oldest=True)
    yield opened
    opened.close()


def test_open_and_append_a_record(benchmark: BenchmarkFixture, journal: Journal) -> None:
    benchmark(write, journal, 1)


def test_read_a_hundred_records(benchmark: BenchmarkFixture, journal: Journal) -> None:
    write(journal, 100)
    data = Path(journal.folder, "0000000001.log").read_bytes()[SEGMENT_HEAD_BYTES:]
    rows, _ = benchmark(lambda: decode(data, SEGMENT_HEAD_BYTES, 1, totals={}))
    assert len(rows) == 100


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresProcess]:
    """Without fsync, which a batch of 5,000 rows would wait for once."""
    server = PostgresProcess()
    yield server
    server.close()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_drain_20_000_rows(
    benchmark: BenchmarkFixture, tmp_path: Path, request: pytest.FixtureRequest, database: str
) -> None:
    """Each round into an empty database. The PostgreSQL server is a process of its own, on whatever core is free."""
    made: list[Journal] = []
    with asyncio.Runner() as runner:  # a driver's connections belong to one loop

        async def fresh(root: Path) -> str:
            if database == "sqlite":
                return f"sqlite:///{root}/switchgear.db"
            server: PostgresProcess = request.getfixturevalue("postgres")
            return await server.create()

        def setup() -> tuple[tuple[Any, ...], dict[str, Any]]:
            root = tmp_path / uuid4().hex
            settings = Settings(path=str(root))
            made.append(journals.create(root, settings))
            drain = Drain(root, settings, runner.run(fresh(root)), made[-1])
            runner.run(drain.round())  # migrates
            write(made[-1], ROWS)
            return (drain,), {}

        assert benchmark.pedantic(lambda drain: runner.run(everything(drain)), setup=setup, rounds=3) == ROWS
    benchmark.extra_info["rows"] = ROWS
    for journal in made:
        journal.close()


async def everything(drain: Drain) -> int:
    rows = 0
    while moved := await drain.round():
        rows += moved
    await drain.close()
    return rows
