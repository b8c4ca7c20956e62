"""The directory in which the workers of one `serve` share their metrics.

It goes with the process. One that was killed leaves it behind: whose lock is free has no owner any more, and the next
start removes it. What else lies beside it under such a name, without a lock in it, is not ours to remove.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "switchgear-"
_LOCK = "owner.lock"


@contextmanager
def run_directory() -> Iterator[Path]:
    """A directory of this process, only it may read (0700). Removes those of processes that were killed.

    Raises `OSError` when it cannot be made.
    """
    remove_stale(Path(tempfile.gettempdir()))
    path = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = _locked(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def remove_stale(parent: Path) -> None:
    """Remove the run directories below `parent` that nobody owns any more. What cannot be removed stays."""
    for path in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if path.is_symlink() or path.stat().st_uid != os.getuid():
                continue
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where its owner lives
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)


def _locked(path: Path) -> int:
    """Lock the directory for as long as this process and its forks live; the open file."""
    draft = path / f"{_LOCK}.draft"
    lock = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    draft.rename(path / _LOCK)  # nobody ever finds it there without its owner
    return lock
