"""Sinks: each row once at the other end, whatever fails on the way; and never in the way of a request."""

# The loop of these tests has nobody else to serve, and what they draw is no secret.
# ruff: noqa: ASYNC240

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from switchgear.accounting import feeds, journals
from switchgear.accounting.drain import Drain
from switchgear.accounting.feeds import Feed
from switchgear.accounting.row import COLUMNS
from switchgear.accounting.sinks import make_sinks, sink_types
from switchgear.config.schema_prices import Sink as Settings
from switchgear.config.values import Secret, Size
from switchgear.errors import ConfigError
from switchgear.hotpath._journal import Journal
from tests.accounting.ledgers import left_behind, numbers, settings, write
from tests.support.clickhouse import ClickHouseServer, clickhouse


@pytest.fixture
def server() -> Iterator[ClickHouseServer]:
    with clickhouse() as started:
        yield started


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'switchgear.db'}"


@pytest.fixture
def journal(root: Path) -> Iterator[Journal]:
    made = journals.create(root, settings(root))
    yield made
    made.close()


def to(server: ClickHouseServer) -> Settings:
    return Settings(
        type="clickhouse",
        url=server.url,
        user="ledger",
        password=Secret("s3cret"),
        options={"database": "llm", "table": "rows"},
    )


def stored(server: ClickHouseServer) -> list[int]:
    return [int(row["request_id"]) for row in server.rows]


async def feed(server: ClickHouseServer, journal: Journal) -> Feed:
    return Feed(journal, "clickhouse", make_sinks([to(server)])["clickhouse"])


async def again(found: Feed) -> None:
    """Try without waiting for the pause after a failure."""
    found._again_at = 0.0
    await found.advance(1 << 30)


async def test_rows_arrive_as_json_lines(server: ClickHouseServer, journal: Journal) -> None:
    write(journal, 0, 3, time_us=1_767_225_600_000_000)
    found = await feed(server, journal)
    await found.advance(1 << 30)
    await found.sink.close()
    assert stored(server) == [0, 1, 2]
    assert tuple(server.rows[0]) == COLUMNS
    assert server.rows[0]["cost_nanousd"] == 7
    (create, _, _), (insert, token, headers) = server.calls
    assert create.startswith("CREATE TABLE IF NOT EXISTS `llm`.`rows` (`request_id` String,")
    assert insert == "INSERT INTO `llm`.`rows` FORMAT JSONEachRow"
    assert token == f"{journal.id.hex()}-0-0-1-{journal.position[1]}"
    assert (headers["X-ClickHouse-User"], headers["X-ClickHouse-Key"]) == ("ledger", "s3cret")


@pytest.mark.parametrize("fault", ["before", "after", "drop"])
async def test_a_batch_that_failed_is_sent_again_as_it_was(
    server: ClickHouseServer, journal: Journal, fault: str
) -> None:
    found = await feed(server, journal)
    await found.advance(1 << 30)
    write(journal, 0, 3)
    await again(found)
    write(journal, 3, 4)
    server.fail = [fault, fault]
    await again(found)
    write(journal, 7, 5)  # since the batch was sent: not part of it
    await again(found)
    assert not await found.done()
    await again(found)
    assert stored(server) == list(range(12))
    assert await found.done()
    tokens = [token for query, token, _ in server.calls if query.startswith("INSERT")]
    assert tokens[1] == tokens[2] == tokens[3]
    assert len(set(tokens)) == 3
    await found.sink.close()


async def test_another_process_sends_the_same_again(server: ClickHouseServer, root: Path, journal: Journal) -> None:
    write(journal, 0, 3)
    first = await feed(server, journal)
    server.fail = ["", "drop"]
    await first.advance(1 << 30)
    await first.sink.close()
    write(journal, 3, 2)
    second = await feed(server, journal)  # reads how far the first one came
    await second.advance(1 << 30)
    await second.sink.close()
    assert stored(server) == list(range(5))


async def test_an_orphan_stays_until_the_sink_has_it(
    server: ClickHouseServer, root: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "FIRST_WAIT_S", 0.0)
    monkeypatch.setattr(feeds, "LONGEST_WAIT_S", 0.0)
    left_behind(root, 0, 20, opened=1)
    drain = Drain(root, settings(root, sinks=[to(server)]), url, None)
    server.fail = ["before"] * 3
    await drain.round()
    assert await numbers(url) == list(range(21))
    assert len(list(root.iterdir())) == 1
    assert server.rows == []
    while list(root.iterdir()):
        await drain.round()
    assert stored(server) == list(range(21))
    await drain.close()


async def test_a_sink_that_is_away_loses_its_oldest_and_nobody_else_does(
    server: ClickHouseServer, root: Path, url: str
) -> None:
    quota = Size(64 << 10)
    journal = journals.create(root, settings(root, max_bytes=quota))
    drain = Drain(root, settings(root, max_bytes=quota, sinks=[to(server)]), url, journal)
    server.fail = ["before"]
    for n in range(10):
        write(journal, n * 100, 100)
        await drain.round()
        assert not journal.full
    assert await numbers(url) == list(range(1000))
    held = drain._held[journal.id.hex()]
    while not await held.feeds[0].done():
        await again(held.feeds[0])
    kept = stored(server)
    assert kept == list(range(1000 - len(kept), 1000))
    assert 0 < len(kept) < 1000
    await drain.close()
    journal.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type": "kafka"}, r"ledger.sinks\[0\].type: expected one of clickhouse"),
        ({"url": "ftp://host"}, r"ledger.sinks\[0\]: expected a url such as"),
        ({"options": {"tabel": "x"}}, r"expected no options but database and table, got tabel"),
        ({"options": {"table": "a`; DROP"}}, r"letters, digits and '_'"),
        ({"name": "../x"}, r"ledger.sinks\[0\].name: expected a name"),
    ],
)
def test_what_cannot_be_a_sink_is_refused(changes: dict[str, object], message: str) -> None:
    entry = {"type": "clickhouse", "url": "http://127.0.0.1:1", **changes}
    with pytest.raises(ConfigError, match=message):
        make_sinks([Settings(**entry)])  # type: ignore[arg-type]  # one field at a time is wrong


def test_a_name_is_used_once() -> None:
    one = Settings(type="clickhouse", url="http://127.0.0.1:1")
    with pytest.raises(ConfigError, match="each once"):
        make_sinks([one, one])


def test_an_installed_package_adds_a_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "acme_sink-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-sink\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[switchgear.sinks]\nacme = acme_sink:Sink\n")
    (tmp_path / "acme_sink.py").write_text("class Sink: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert set(sink_types()) == {"clickhouse", "acme"}
