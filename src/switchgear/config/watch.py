"""Reload: notice that the configuration file changed, load it, hand it on; keep the old one when it is wrong.

The file is polled, not watched by the kernel: inotify sees neither network file systems nor, reliably, the symbolic
links that Kubernetes swaps when a ConfigMap changes. A poll compares the resolved path, device, inode, size and
modification time. A change is taken up when the file has been still for `settle_s`, so that an editor's half-written
file, which may well be valid YAML, is not.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping

from msgspec import structs

from switchgear.config.load import load
from switchgear.config.schema import Config
from switchgear.config.validate import ProviderRow
from switchgear.errors import ConfigError

# What a running process cannot change: what it is bound to, and how many of it there are.
NEEDS_RESTART = (
    "server.host",
    "server.port",
    "server.workers",
    "server.tls",
    "server.backlog",
    "server.drain",
)

log = logging.getLogger(__name__)

Fingerprint = tuple[str, int, int, int, int] | None
OnChange = Callable[[Config], Awaitable[None]]
OnError = Callable[[Exception], None]


def needs_restart(old: Config, new: Config) -> list[str]:
    """The changed settings that only a restart takes up."""
    return [path for path in NEEDS_RESTART if _setting(old, path) != _setting(new, path)]


def _setting(config: Config, path: str) -> object:
    value: object = config
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _log_error(error: Exception) -> None:
    for one in error.errors if isinstance(error, ConfigError) else (error,):
        log.error("configuration not reloaded, the old one stays: %s", one)


class ConfigWatcher:
    """Watches one file. Make it, `start()` it in a running loop, `stop()` it.

    path: the file. on_change: awaited with each new configuration, one at a time; when it raises, the old one counts as
    current. on_error: called with the ConfigError, or with what `on_change` raised; by default it is logged.
    current: what the process runs on. If the file already says something else outside `server` (which the command line
    may override), as for a worker that was started anew, that is a change. known_types: as for `config.load.load`.
    interval_s: between polls. settle_s: how long the file must be still.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        on_change: OnChange,
        *,
        current: Config | None = None,
        known_types: Mapping[str, ProviderRow] | None = None,
        on_error: OnError = _log_error,
        interval_s: float = 1.0,
        settle_s: float = 0.1,
    ):
        self._path = os.fspath(path)
        self._on_change, self._on_error = on_change, on_error
        self._current, self._known_types = current, known_types
        self._interval_s, self._settle_s = interval_s, settle_s
        self._seen: Fingerprint = None
        self._loaded: Config | None = None
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch, in the running loop."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="config-watcher")

    async def stop(self) -> None:
        """End it. A change that is being taken up is cancelled where it waits."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def reload(self) -> None:
        """Load and hand on, changed or not. Returns at once; for SIGHUP."""
        self._asked.set()

    async def _run(self) -> None:
        await self._begin()
        while True:
            asked = await self._next()
            fingerprint = await self._settled()
            if not asked and fingerprint == self._seen:
                continue
            self._seen = fingerprint
            if (config := await self._load()) is not None:
                await self._take(config, asked)

    async def _begin(self) -> None:
        """The state of the file to compare with; what differs from `current` already is taken up."""
        self._seen = await self._settled()
        config = await self._load()
        current, self._current = self._current, None
        if current is None or config is None:
            self._loaded = config
        elif config == (same := structs.replace(current, server=config.server)):
            self._loaded = same  # not what was just read: the keys of two configurations are twice as many objects
        else:
            await self._take(config, asked=False)

    async def _next(self) -> bool:
        """Wait for the next poll or the next `reload()`; tells which."""
        try:
            async with asyncio.timeout(self._interval_s):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _settled(self) -> Fingerprint:
        """The file's fingerprint; where it is a new one, once it is the same before and after `settle_s`."""
        while True:
            before = await asyncio.to_thread(_fingerprint, self._path)
            if before == self._seen:
                return before
            await asyncio.sleep(self._settle_s)
            if before == await asyncio.to_thread(_fingerprint, self._path):
                return before

    async def _load(self) -> Config | None:
        """In a thread: a large file takes longer to read than a request may wait."""
        try:
            return await asyncio.to_thread(load, self._path, self._known_types)
        except ConfigError as error:
            self._on_error(error)
            return None

    async def _take(self, config: Config, asked: bool) -> None:
        if config == self._loaded and not asked:
            return
        try:
            await self._on_change(config)
        except Exception as error:  # whatever keeps the new configuration from being built, the old one serves on
            self._on_error(error)
            return
        for name in needs_restart(self._loaded, config) if self._loaded else ():
            log.warning("configuration reloaded, but %s takes effect only after a restart", name)
        self._loaded = config


def _fingerprint(path: str) -> Fingerprint:
    """None when the file is not there."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return os.path.realpath(path), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
