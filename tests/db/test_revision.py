"""What a worker does about the schema: one query, and a process that migrates where the answer is not the head."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from switchgear.db.migrate import migrate
from switchgear.db.revision import HEAD, ensure_head, revision
from switchgear.errors import DatabaseError
from tests.accounting.ledgers import database, environment, query


async def test_a_new_database_is_migrated(database_url: str) -> None:
    assert await revision(database_url) == ""
    await ensure_head(database_url)
    assert await revision(database_url) == HEAD
    assert await query(database_url, "SELECT count(*) FROM usage") == [(0,)]


async def test_several_at_once(database_url: str) -> None:
    await asyncio.gather(*(ensure_head(database_url) for _ in range(3)))
    assert await revision(database_url) == HEAD


async def test_a_database_at_the_head_starts_no_process(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await migrate(database_url)
    monkeypatch.setattr(sys, "executable", "/nowhere")
    await ensure_head(database_url)


async def test_an_empty_database_after_a_downgrade_has_no_revision(database_url: str) -> None:
    await migrate(database_url)
    await migrate(database_url, "base", "down")
    assert await revision(database_url) == ""


async def test_a_later_version_is_refused_with_its_reason(database_url: str) -> None:
    from sqlalchemy import text

    await migrate(database_url)
    async with database(database_url) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        await connection.commit()
    with pytest.raises(DatabaseError, match="later version"):
        await ensure_head(database_url)


async def test_what_fails_is_told_by_its_kind_and_without_the_url(tmp_path: Path) -> None:
    path = tmp_path / "secret" / "file.db"
    path.parent.mkdir()
    path.parent.joinpath("file.db.lock").mkdir()  # the lock cannot be opened
    with pytest.raises(DatabaseError) as failed:
        await ensure_head(f"sqlite:///{path}")
    assert str(failed.value) == "the database cannot be migrated: IsADirectoryError"


def test_the_process_ends_with_a_status_and_a_reason(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "switchgear.db"],
        input="mysql://user:password@host/db",
        capture_output=True,
        text=True,
        env=environment(),
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == '{"error":"the database cannot be migrated: ValueError"}'
