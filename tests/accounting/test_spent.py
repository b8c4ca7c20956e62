"""What limits count of a ledger: the requests of clients, however often each was tried, drained or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from switchgear.accounting import journals
from switchgear.accounting.drain import Drain
from switchgear.accounting.spent import Spent, spent
from switchgear.db.migrate import migrate
from switchgear.hotpath._journal import Journal, label
from switchgear.types import Usage
from tests.accounting.ledgers import BASE_US, query, settings

HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000


def attempt(journal: Journal, request_id: bytes, number: int, at_us: int, provider: str = "openai") -> None:
    """One row, of 1 and 2 tokens and 3 nano-dollars."""
    name = label("chat.completions", "acme", "search", "ada", "ci", "smart", "gpt-4.1", provider, "main", "v1")
    slot = journal.open(name, request_id, number, time_us=at_us)
    journal.append(slot, 200, Usage(input_tokens=1, output_tokens=2), 3, "", 1.5, 2.5)


async def drain_all(root: Path, url: str, journal: Journal) -> None:
    drain = Drain(root, settings(root), url, journal)
    while await drain.round():
        pass
    await drain.close()


def of(requests: int, rows: int) -> Spent:
    return Spent(requests, rows, 2 * rows, 3 * rows)


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path) -> tuple[str, Path]:
    """Drained: `once`, `thrice`, `late`, whose first attempt found no connection, and the first attempt of `split`.
    In a journal: the second of `split`, both of `both`, and `alone`, a third attempt without others."""
    root = tmp_path / "ledger"
    await migrate(database_url)
    journal = journals.create(root, settings(root))
    attempt(journal, b"once", 1, BASE_US)
    for number in (1, 2, 3):
        attempt(journal, b"thrice", number, BASE_US + number * HOUR_US // 2, "azure" if number == 3 else "openai")
    attempt(journal, b"late", 2, BASE_US + 2 * HOUR_US + MINUTE_US)
    attempt(journal, b"split", 1, BASE_US + 3 * HOUR_US)
    await drain_all(root, database_url, journal)
    attempt(journal, b"split", 2, BASE_US + 3 * HOUR_US + 1)
    attempt(journal, b"both", 1, BASE_US + 3 * HOUR_US + 2)
    attempt(journal, b"both", 2, BASE_US + 3 * HOUR_US + 3)
    attempt(journal, b"alone", 3, BASE_US + 3 * HOUR_US + 4)
    journal.close()
    return database_url, root


async def test_each_client_request_counts_once(ledger: tuple[str, Path]) -> None:
    url, root = ledger
    assert await query(url, "SELECT count(*) FROM usage") == [(6,)]
    assert await spent(url, root, {}) == of(6, 10)
    assert await spent(url, root, {"key": "ci", "model": "smart"}) == of(6, 10)
    assert await spent(url, root, {"key": "another"}) == Spent()


async def test_a_request_counts_where_it_began(ledger: tuple[str, Path]) -> None:
    """Of `thrice` two attempts were made in a later window."""
    url, root = ledger
    assert await spent(url, root, {}, BASE_US + HOUR_US) == of(4, 8)
    assert await spent(url, root, {}, BASE_US, BASE_US + HOUR_US) == of(2, 2)
    assert await spent(url, root, {}, BASE_US + HOUR_US, BASE_US + 2 * HOUR_US) == of(0, 2)
    assert await spent(url, root, {}, BASE_US + 3 * HOUR_US + 1) == of(2, 4)


async def test_limits_on_providers_count_attempts(ledger: tuple[str, Path]) -> None:
    url, root = ledger
    assert await spent(url, root, {"provider": "openai"}) == of(9, 9)
    assert await spent(url, root, {"provider": "azure"}) == of(1, 1)
    assert await spent(url, root, {"credential": "main", "key": "ci"}) == of(10, 10)


async def test_ids_that_a_client_uses_again(database_url: str, tmp_path: Path) -> None:
    root = tmp_path / "ledger"
    await migrate(database_url)
    journal = journals.create(root, settings(root))
    for n in range(3):
        attempt(journal, b"mine", 1, BASE_US + n)
    await drain_all(root, database_url, journal)
    for n in range(3):
        attempt(journal, b"mine", 1, BASE_US + 3 + n)
    attempt(journal, b"mine", 2, BASE_US + 9)
    journal.close()
    assert await spent(database_url, root, {}) == of(6, 7)
