"""The watcher on real files: each test awaits what it expects, under one generous timeout."""

# ruff: noqa: ASYNC240 - a test may block its own loop for a small file

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from switchgear.config.load import load
from switchgear.config.schema import Config
from switchgear.config.watch import ConfigWatcher, needs_restart
from switchgear.errors import ConfigError

TIMEOUT_S = 10


def text(level: str = "info", **server: int) -> str:
    return f"""
server: {server or "{}"}
providers: {{openai: {{credentials: [abc]}}}}
keys: [{{name: me, value: "0123456789abcdef"}}]
logging: {{level: {level}}}
"""


class Seen:
    """Takes what the watcher reports."""

    def __init__(self) -> None:
        self.configs: asyncio.Queue[Config] = asyncio.Queue()
        self.errors: asyncio.Queue[Exception] = asyncio.Queue()
        self.refuse = False

    async def change(self, config: Config) -> None:
        if self.refuse:
            raise RuntimeError("cannot be built")
        await self.configs.put(config)

    async def config(self) -> Config:
        return await asyncio.wait_for(self.configs.get(), TIMEOUT_S)

    async def error(self) -> Exception:
        return await asyncio.wait_for(self.errors.get(), TIMEOUT_S)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "switchgear.yaml"
    file.write_text(text())
    return file


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def watcher(path: Path, seen: Seen) -> AsyncIterator[ConfigWatcher]:
    watcher = ConfigWatcher(
        path, seen.change, current=load(path), on_error=seen.errors.put_nowait, interval_s=0.01, settle_s=0.01
    )
    watcher.start()
    watcher.reload()
    assert (await seen.config()).logging.level == "info"  # it has taken its first look
    yield watcher
    await watcher.stop()


async def test_a_change_is_handed_on_once(watcher: ConfigWatcher, path: Path, seen: Seen) -> None:
    path.write_text(text("debug"))
    assert (await seen.config()).logging.level == "debug"
    path.write_text(text("debug") + "# only a comment\n")
    path.write_text(text("error"))
    assert (await seen.config()).logging.level == "error"
    assert seen.configs.empty()


async def test_a_replaced_file_of_the_same_size_and_time_is_seen(
    watcher: ConfigWatcher, path: Path, seen: Seen
) -> None:
    path.write_text(text("debug"))
    assert (await seen.config()).logging.level == "debug"
    other = path.with_suffix(".new")
    other.write_text(text("error"))
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert (await seen.config()).logging.level == "error"


async def test_a_swapped_link_is_seen_as_kubernetes_does_it(tmp_path: Path, seen: Seen) -> None:
    for version, level in (("v1", "info"), ("v2", "debug")):
        (tmp_path / version).mkdir()
        (tmp_path / version / "c.yaml").write_text(text(level))
    (tmp_path / "data").symlink_to("v1")
    (tmp_path / "c.yaml").symlink_to("data/c.yaml")
    watcher = ConfigWatcher(tmp_path / "c.yaml", seen.change, interval_s=0.01, settle_s=0.01)
    watcher.start()
    watcher.reload()
    assert (await seen.config()).logging.level == "info"
    (tmp_path / "data.new").symlink_to("v2")
    (tmp_path / "data.new").rename(tmp_path / "data")
    assert (await seen.config()).logging.level == "debug"
    await watcher.stop()


async def test_a_broken_file_is_told_and_the_old_one_stays(watcher: ConfigWatcher, path: Path, seen: Seen) -> None:
    path.write_text("logging: {level: loud}")
    error = await seen.error()
    assert isinstance(error, ConfigError)
    assert (error.line, error.key) == (1, "logging.level")
    path.unlink()
    assert "cannot be read" in str(await seen.error())
    path.write_text(text("debug"))
    assert (await seen.config()).logging.level == "debug"


async def test_what_cannot_be_built_is_told_and_tried_again_on_request(
    watcher: ConfigWatcher, path: Path, seen: Seen
) -> None:
    seen.refuse = True
    path.write_text(text("debug"))
    assert str(await seen.error()) == "cannot be built"
    seen.refuse = False
    watcher.reload()
    assert (await seen.config()).logging.level == "debug"


async def test_reload_hands_on_an_unchanged_file(watcher: ConfigWatcher, seen: Seen) -> None:
    watcher.reload()
    assert (await seen.config()).logging.level == "info"


async def test_a_process_started_on_an_older_file_catches_up(path: Path, seen: Seen) -> None:
    older = load(path)
    path.write_text(text("debug", port=9000))
    watcher = ConfigWatcher(path, seen.change, current=older, interval_s=0.01, settle_s=0.01)
    watcher.start()
    assert (await seen.config()).logging.level == "debug"
    await watcher.stop()


async def test_what_the_command_line_overrides_is_no_change(path: Path, seen: Seen) -> None:
    current = load(path)
    path.write_text(text(port=9000))
    watcher = ConfigWatcher(path, seen.change, current=current, interval_s=0.01, settle_s=0.01)
    watcher.start()
    path.write_text(text("error", port=9000))
    assert (await seen.config()).logging.level == "error"
    assert seen.configs.empty()
    await watcher.stop()


async def test_settings_that_need_a_restart_are_logged(
    watcher: ConfigWatcher, path: Path, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(text("debug", port=9000, backlog=10))
    await seen.config()
    path.write_text(text("error", port=9000, backlog=10))
    await seen.config()
    assert [record.getMessage() for record in caplog.records] == [
        "configuration reloaded, but server.port takes effect only after a restart",
        "configuration reloaded, but server.backlog takes effect only after a restart",
    ]


async def test_stop_twice_and_before_start(path: Path, seen: Seen) -> None:
    watcher = ConfigWatcher(path, seen.change)
    await watcher.stop()
    watcher.start()
    await watcher.stop()
    await watcher.stop()


def test_needs_restart(path: Path) -> None:
    old = load(path)
    path.write_text(text(port=1, workers=1, body_limit=5))
    assert needs_restart(old, load(path)) == ["server.port"]
