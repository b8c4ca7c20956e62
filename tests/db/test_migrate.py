"""Migrations, up and down, alone and several at once, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import multiprocessing
from pathlib import Path

import pytest
from sqlalchemy import Connection, inspect, text

from switchgear.db import management
from switchgear.db.engine import open_engine
from switchgear.db.migrate import alembic_config, current, migrate
from switchgear.db.revision import HEAD
from switchgear.db.tables import metadata
from switchgear.errors import DatabaseError

assert management.keys.metadata is metadata


async def _tables(url: str) -> set[str]:
    engine = open_engine(url)
    try:
        async with engine.connect() as connection:
            return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
    finally:
        await engine.dispose()


async def test_up_makes_every_table_and_down_removes_all(database_url: str) -> None:
    assert await migrate(database_url) == HEAD
    assert await _tables(database_url) == {*metadata.tables, "alembic_version"}
    assert await migrate(database_url) == HEAD
    assert await migrate(database_url, "base", "down") == ""
    assert await _tables(database_url) == {"alembic_version"}
    assert await migrate(database_url, HEAD) == HEAD


async def test_the_migrations_make_what_the_tables_say(database_url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))

    await migrate(database_url)
    engine = open_engine(database_url)
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await engine.dispose()


def test_the_head_is_the_last_migration() -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


async def test_an_unknown_revision_is_refused(database_url: str) -> None:
    with pytest.raises(DatabaseError, match="cannot be migrated to '9999'"):
        await migrate(database_url, "9999")


async def test_a_database_of_a_later_version_is_refused(database_url: str) -> None:
    await migrate(database_url)
    engine = open_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await engine.dispose()
    with pytest.raises(DatabaseError, match="later version"):
        await migrate(database_url)


async def test_a_migration_that_fails_leaves_nothing(database_url: str) -> None:
    engine = open_engine(database_url)
    async with engine.begin() as connection:  # in the way of the last table of the migration
        await connection.execute(text("CREATE TABLE price_overrides (id INTEGER)"))
    await engine.dispose()
    with pytest.raises(Exception, match="price_overrides"):
        await migrate(database_url)
    assert await _tables(database_url) <= {"price_overrides", "alembic_version"}


def _migrate_in_a_process(url: str) -> str:
    return asyncio.run(migrate(url))


async def test_several_workers_migrate_at_once(database_url: str) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        found = await asyncio.to_thread(pool.map, _migrate_in_a_process, [database_url] * 3)
    assert found == [HEAD] * 3


async def test_an_unmigrated_database_has_no_revision(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'below' / 'new.db'}"
    engine = open_engine(url)
    assert await current(engine, url) == ""
    await engine.dispose()
