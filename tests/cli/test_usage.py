"""`switchgear usage` and `switchgear migrate` as a person runs them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from pyarrow import parquet

from switchgear.accounting import journals
from switchgear.cli import main
from switchgear.config.schema import Logging
from switchgear.db.revision import HEAD
from switchgear.observability import logs
from tests.accounting.ledgers import BASE_US, environment, left_behind, settings, write

CONTRACT = (  # what is promised of a line
    *("request_id", "attempt", "time", "organization", "project", "user", "key", "model", "served_model", "provider"),
    *("credential", "status", "error_class", "stream", "input_tokens", "cached_tokens", "cache_write_tokens"),
    *("output_tokens", "reasoning_tokens", "cost_nanousd", "price_version", "estimated", "first_token_ms", "total_ms"),
    "tags",
)
Run = Callable[..., Result]


def config_file(folder: Path, url: str) -> Path:
    path = folder / "switchgear.yaml"
    content = {
        "providers": {"openai": {"type": "openai", "credentials": ["sk-test-0000000000000000"]}},
        "keys": [{"name": "ci", "value": "sk-switchgear-000000000000"}],
        "database": {"url": url},
        "ledger": {"path": str(folder / "ledger")},
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def run(tmp_path: Path, database_url: str) -> Iterator[Run]:
    """Runs a command on three rows of `ci` left behind by a dead worker and two of `web` in a living one's journal."""
    root = tmp_path / "ledger"
    left_behind(root, 0, 2, opened=1)
    journal = journals.create(root, settings(root))
    write(journal, 3, 2, key="web", time_us=BASE_US)
    path = config_file(tmp_path, database_url)

    def invoke(*arguments: str, command: str = "usage") -> Result:
        return CliRunner().invoke(main, [command, "--config", str(path), *arguments])

    yield invoke
    journal.close()
    logs.configure(Logging())


def test_rows_as_json_lines(run: Run) -> None:
    result = run("--format", "jsonl")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted(row["request_id"] for row in rows) == ["0", "1", "2", "3", "4"]
    assert all(set(CONTRACT) <= set(row) for row in rows)
    row = next(row for row in rows if row["request_id"] == "3")
    assert row["time"] == "2026-01-01T00:00:00.000000Z"
    assert (row["organization"], row["key"], row["cost_nanousd"], row["tags"]) == ("acme", "web", 7, {})
    killed = next(row for row in rows if row["request_id"] == "2")
    assert (killed["status"], killed["error_class"], killed["estimated"]) == (0, "killed", True)
    assert run("--format", "jsonl").stdout == result.stdout  # to look changes nothing


def test_rows_in_the_other_formats(run: Run, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in run("--format", "jsonl").stdout.splitlines()]
    assert json.loads(run("--format", "json").stdout) == lines
    table = list(csv.DictReader(io.StringIO(run("--format", "csv").stdout)))
    assert [row["request_id"] for row in table] == [row["request_id"] for row in lines]
    assert table[0]["stream"] == "false"
    run("--format", "parquet", "--output", str(tmp_path / "rows.parquet"))
    read = parquet.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [{**row, "tags": dict(row["tags"])} for row in read] == lines
    text = run().stdout.splitlines()
    assert text[0].split()[:4] == ["time", "request_id", "attempt", "key"]
    assert len(text) == 6


def test_filters_and_an_empty_answer(run: Run) -> None:
    def ids(*arguments: str) -> list[str]:
        return sorted(
            json.loads(line)["request_id"] for line in run("--format", "jsonl", *arguments).stdout.splitlines()
        )

    assert ids("--key", "web") == ["3", "4"]
    assert ids("--key", "web", "--key", "ci") == ["0", "1", "3", "4"]
    assert ids("--until", "2026-01-01T00:00:01") == ["3", "4"]
    assert ids("--since", "2026-01-01T02:00:00+02:00", "--provider", "openai", "--until", "2026-01-02") == ["3", "4"]
    assert ids("--since", "2026-01-01", "--timezone", "America/New_York", "--key", "web") == []
    assert run("--format", "json", "--key", "nobody").stdout == "[]\n"
    assert run("--key", "nobody").stdout.startswith("time  request_id")


def test_sums(run: Run) -> None:
    result = run("--format", "jsonl", "--group-by", "key,day", "--key", "web", "--timezone", "America/New_York")
    (row,) = map(json.loads, result.stdout.splitlines())
    assert (row["key"], row["day"], row["requests"], row["input_tokens"]) == ("web", "2025-12-31", 2, 20)
    assert (row["cost_nanousd"], row["first_token_ms"], row["total_ms"]) == (14, 1.5, 2.5)
    table = run("--group-by", "model", "--key", "web").stdout.splitlines()
    assert table[1].split()[:2] == ["smart", "2"]
    assert "0.000000014" in table[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--group-by", "colour"], "expected some of endpoint, organization"),
        (["--since", "yesterday"], "expected a time such as 2026-01-31T12:00:00Z"),
        (["--timezone", "Mars/Base"], "no time zone 'Mars/Base'"),
        (["--output", "/nowhere/file"], "No such file or directory"),
    ],
)
def test_mistakes_are_told(run: Run, arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code != 0
    assert message in result.output


def test_parquet_without_pyarrow_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run("--format", "parquet")
    assert result.exit_code == 1
    assert "pip install 'switchgear[parquet]'" in result.output


def test_a_database_that_cannot_be_read(tmp_path: Path) -> None:
    path = config_file(tmp_path, "postgresql://nobody:s3cret@127.0.0.1:1/nothing")
    result = CliRunner().invoke(main, ["usage", "--config", str(path)])
    assert result.exit_code == 1
    assert "the database cannot be read" in result.output
    assert "s3cret" not in result.output
    logs.configure(Logging())


def test_a_reader_that_has_enough_ends_it_quietly(tmp_path: Path) -> None:
    left_behind(tmp_path / "ledger", 0, 20_000)
    path = config_file(tmp_path, f"sqlite:///{tmp_path / 'switchgear.db'}")
    command = [sys.executable, "-m", "switchgear", "usage", "--config", str(path), "--format", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert json.loads(child.stdout.readline())["request_id"] == "0"
        child.stdout.close()
        assert child.wait(30) == 141
        assert child.stderr.read() == b""


def test_migrate_up_and_down(run: Run) -> None:
    assert run(command="migrate").output == f"the database is at revision {HEAD}\n"
    assert run("--downgrade", "base", command="migrate").output == "the database is empty\n"
    assert run("--revision", HEAD, command="migrate").output == f"the database is at revision {HEAD}\n"
    failed = run("--revision", "9999", command="migrate")
    assert failed.exit_code == 1
    assert "cannot be migrated to '9999'" in failed.output
