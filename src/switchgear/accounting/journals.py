"""The folder of a machine's journals: making one, finding those of processes that ended, counting what waits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from switchgear.config.schema_prices import Ledger as LedgerSettings
from switchgear.hotpath._journal import Journal, JournalTaken

_NEW = ".new-"


def create(root: Path, settings: LedgerSettings) -> Journal:
    """A new journal below `root`. Raises OSError when it cannot be written there."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = root / uuid4().hex
    # A folder without its journal's lock in it would be taken for one that was left behind.
    hidden = root / f"{_NEW}{folder.name}" / folder.name
    hidden.mkdir(parents=True, mode=0o700)
    journal = _open(hidden, settings)
    hidden.rename(folder)
    journal.moved(str(folder))
    hidden.parent.rmdir()
    return journal


def segment_bytes(max_bytes: int) -> int:
    """How long a segment gets: an eighth of the quota, at most 8 MiB."""
    return min(8 << 20, max(4096, max_bytes // 8))


def _open(folder: Path, settings: LedgerSettings) -> Journal:
    return Journal(
        str(folder),
        max_bytes=settings.max_bytes,
        segment_bytes=segment_bytes(settings.max_bytes),
        drop_oldest=settings.when_full == "drop_oldest",
    )


def folders(root: Path) -> list[Path]:
    """Every journal's folder, whoever holds it."""
    try:
        return sorted(path for path in root.iterdir() if len(path.name) == 32 and path.is_dir())
    except FileNotFoundError:
        return []


def adopt(root: Path, settings: LedgerSettings, mine: set[str]) -> Iterator[Journal]:
    """Take the journals that nobody holds, except those in `mine`, ids as hexadecimal digits. Opening one writes the
    rows of the requests that its process left open. One that cannot be opened now is left for the next time."""
    for path in folders(root):
        if path.name in mine:
            continue
        try:
            yield _open(path, settings)
        except (JournalTaken, OSError):
            continue


def recover(root: Path, settings: LedgerSettings) -> None:
    """Write the rows of requests that ended processes left open. Their journals stay for whoever adopts them."""
    for journal in adopt(root, settings, set()):
        journal.close()


def remove(journal: Journal) -> None:
    """Delete a journal that is drained. Its lock is held until nothing of it is left."""
    shutil.rmtree(journal.folder, ignore_errors=True)
    journal.close()


def size_of(folder: Path) -> int:
    """Bytes of a journal's segments; 0 where it is gone."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".log"):
                    total += entry.stat().st_size
    except FileNotFoundError:
        pass
    return total
