"""What the tests of the ledger share: rows written, and the database read with plain SQL."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from switchgear.accounting import journals
from switchgear.config.schema_prices import Ledger as Settings
from switchgear.config.values import Size
from switchgear.db.engine import open_engine
from switchgear.hotpath._journal import Journal, label
from switchgear.types import Usage

BASE_US = 1_767_225_600_000_000  # 2026-01-01


def settings(root: Path, **changes: Any) -> Settings:
    changes.setdefault("max_bytes", Size(1 << 26))
    return Settings(path=str(root), **changes)


def write(journal: Journal, first: int, count: int, *, key: str = "ci", time_us: int = 0, status: int = 200) -> None:
    """Rows named by numbers, 10 and 20 tokens and 7 nano-dollars each."""
    name = label("chat.completions", "acme", "search", "ada", key, "smart", "gpt-4.1", "openai", "main", "v1")
    for n in range(first, first + count):
        slot = journal.open(name, b"%d" % n, time_us=time_us)
        journal.append(slot, status, Usage(input_tokens=10, output_tokens=20), 7, "", 1.5, 2.5)


def left_behind(root: Path, first: int, count: int, opened: int = 0) -> None:
    """A journal as a killed worker leaves it: `count` rows, and `opened` requests more."""
    journal = journals.create(root, settings(root))
    write(journal, first, count)
    for n in range(first + count, first + count + opened):
        journal.open(label(*["x"] * 10), b"%d" % n, input_tokens=1, output_tokens=2, cost_nanousd=3)
    journal.close()


@asynccontextmanager
async def database(url: str) -> AsyncIterator[AsyncConnection]:
    engine = open_engine(url)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


async def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    async with database(url) as connection:
        return [tuple(row) for row in await connection.execute(text(statement))]


async def numbers(url: str) -> list[int]:
    """The rows that `write` named, sorted."""
    return sorted(int(row[0]) for row in await query(url, "SELECT request_id FROM usage"))


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
