"""The files that keep what workers hold, and the finding of those whose worker is dead.

`DIRECTORY/worker-ID.leases`: a page with a head (magic, the worker's name, whether the store ever answered it), then
slots (`hotpath._leases.Slots`). A worker holds a lock (flock) on its file as long as it lives; the kernel lets it go
however the process ends. The file gets its final name only when it is locked, so whoever can lock one has found a dead
worker. Who has told the store what the dead one had spent deletes the file; killed before that, it leaves the same file
to the next: what is told says how things are, not what changed, so that telling it twice does no harm.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from switchgear.hotpath._leases import KEY_BYTES, SLOT_BYTES, Slots
from switchgear.state.store import Ask, Kind

_MAGIC = b"SGLEASE1"
_PAGE = 65_536  # a multiple of every page size in use
_HEARD_AT = len(_MAGIC) + 64
_COUNTERS = struct.Struct("=8q")
_DRAFT_S = 60.0
"""No worker takes so long to make its file."""


class LeaseFile:
    """This worker's file. worker: its name, ASCII, at most 64 characters. Raises `OSError` when it cannot be made."""

    def __init__(self, directory: Path, worker: str, count: int):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = directory / f"worker-{worker}.leases"
        draft = self.path.with_suffix(".draft")
        self._fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            os.write(self._fd, _MAGIC + worker.encode("ascii").ljust(64, b"\0"))
            self.slots = Slots(count, self._fd, _PAGE)
            draft.rename(self.path)
        except BaseException:
            os.close(self._fd)
            draft.unlink(missing_ok=True)
            raise

    def heard(self) -> None:
        """The store answered: from now on it knows this worker, or has lost what it knew."""
        os.pwrite(self._fd, b"\1", _HEARD_AT)

    def close(self, *, told: bool) -> None:
        """The worker ends. told: the store knows everything, so that there is nothing to adopt. Idempotent."""
        if self._fd >= 0:
            if told:
                self.path.unlink(missing_ok=True)
            fcntl.flock(self._fd, fcntl.LOCK_UN)  # the mapping would keep the lock as long as it lives
            os.close(self._fd)
            self._fd = -1


class Orphan(Struct):
    """What a dead worker left. fd: holds the lock."""

    worker: str
    asks: list[Ask]
    path: Path
    fd: int

    def close(self, *, told: bool) -> None:
        """As `LeaseFile.close`."""
        if told:
            self.path.unlink(missing_ok=True)
        os.close(self.fd)


def orphans(directory: Path, own: Path | None) -> Iterator[Orphan]:
    """Files of dead workers, locked. The caller closes each."""
    for path in sorted(directory.glob("worker-*.leases")):
        if path == own:
            continue
        fd = _locked(path)
        if fd < 0:
            continue
        try:
            if not _is_same(fd, path):  # adopted by another one between opening and locking
                os.close(fd)
                continue
            worker, asks = _read(fd)
        except (OSError, ValueError):
            # Of another version, or damaged: nobody can adopt it. What it held stays counted as spent.
            path.unlink(missing_ok=True)
            os.close(fd)
            continue
        yield Orphan(worker, asks, path, fd)
    for draft in directory.glob("worker-*.draft"):
        with suppress(OSError):
            if time.time() - draft.stat().st_mtime > _DRAFT_S:
                draft.unlink()


def _locked(path: Path) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return -1
    return fd


def _is_same(fd: int, path: Path) -> bool:
    try:
        return os.fstat(fd).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _read(fd: int) -> tuple[str, list[Ask]]:
    head = os.pread(fd, _HEARD_AT + 1, 0)
    if head[: len(_MAGIC)] != _MAGIC:
        raise ValueError("not a file of leases of this version")
    worker = head[len(_MAGIC) : _HEARD_AT].rstrip(b"\0").decode("ascii")
    heard = head[_HEARD_AT:] == b"\1"
    asks = []
    offset, size = _PAGE, os.fstat(fd).st_size
    while offset < size:
        block = os.pread(fd, SLOT_BYTES * 256, offset)
        for at in range(0, len(block) - SLOT_BYTES + 1, SLOT_BYTES):
            ask = _ask(block[at : at + SLOT_BYTES], heard)
            if ask is not None:
                asks.append(ask)
        offset += SLOT_BYTES * 256
    return worker, asks


def _ask(slot: bytes, heard: bool) -> Ask | None:
    """What there is to tell of a slot: what was reserved when the worker died counts as spent, for it may have reached
    an upstream; the rest, which is not told of, goes back. Slots of concurrency are free.

    A store that does not know the worker has lost what it knew, and asks the ledger what was spent. Of a worker that
    it never answered, begun and killed while it was away, it was told nothing: all of it is told.
    """
    _, reserved, spent, seq, kind, length, base, _ = _COUNTERS.unpack_from(slot)
    if not 0 < length <= KEY_BYTES or seq == 0:
        return None
    key = slot[_COUNTERS.size : _COUNTERS.size + length].decode("utf-8")
    if kind != Kind.SLOTS:
        spent += reserved
    return Ask(key, Kind(kind), 0, seq=seq + 1, base=base, acked=spent if heard else base, spent=spent)
