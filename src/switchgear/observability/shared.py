"""The metric files of all workers in one directory: who writes what, how the dead are kept, how all are summed.

Files, in `run_dir` (which only this gateway's processes may write)
    worker-ID-TOKEN.layout  JSON lines. The first: fingerprint of the metric table and number of slots. Then one per
                            label set, `[metric, first slot, [label values]]`, appended before the slots are used.
    worker-ID-TOKEN.slab    the slots (hotpath._metrics.Slab).
    dead.json               sums of the counters and histograms of workers that are gone.
    lock                    held while reading everything or changing dead.json.

Theory of operation
    A worker holds a lock (flock) on its layout file as long as it lives; the kernel releases it however the process
    ends, and it says more than a process id, which may be somebody else's by now. The file gets its final name only
    when it is locked, so whoever can lock a layout file has found a dead worker.

    Whoever reads folds the dead: their counters go into dead.json, which is replaced in one rename together with the
    list of files it has taken in; then these are deleted. A fold that is killed between the two leaves files that are
    already on the list, and they are only deleted the next time. So each count is in the sum exactly once, counters
    never decrease, and the number of files is bounded by the number of workers. Gauges of the dead are dropped.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import orjson

from switchgear.hotpath._metrics import Slab
from switchgear.observability.definitions import BY_NAME, FINGERPRINT, Definition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Labels = tuple[str, ...]
Sums = dict[str, dict[Labels, list[float]]]

LOCK_WAIT_S = 2.0
DRAFT_S = 60.0
"""No worker takes so long to make its files."""
OTHER = "_other"


class Own:
    """This worker's pair of files. Raises `OSError` when they cannot be made."""

    def __init__(self, run_dir: Path, worker_id: str, slots: int):
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        stem = f"worker-{worker_id}-{os.urandom(6).hex()}"
        self.path = run_dir / f"{stem}.layout"
        self.slab = Slab(str(run_dir / f"{stem}.slab"), slots)
        draft = run_dir / f"{stem}.draft"
        self._fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._torn = False
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        os.write(self._fd, orjson.dumps({"fingerprint": FINGERPRINT, "slots": slots}) + b"\n")
        draft.rename(self.path)

    def append(self, metric: str, first: int, labels: Labels) -> None:
        """Say what the slots from `first` on are. One write: a reader sees the whole line or a part without its end.

        On a full file system the set is not shown to other workers: better than a request that fails.
        """
        line = orjson.dumps([metric, first, labels]) + b"\n"
        if self.closed or self._torn:
            return
        try:
            self._torn = os.write(self._fd, line) < len(line)
        except OSError:
            self._torn = True

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._fd < 0

    def close(self) -> None:
        """Leave the counts to whoever reads next. Idempotent.

        The slab stays mapped: a request that ends later may still add to it, which then means nothing.
        """
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _Peer:
    """Another worker's files, read. `sets` grows with its layout.

    Raises `OSError`, `ValueError`, `KeyError` or `TypeError` when they are gone or make no sense.
    """

    def __init__(self, path: Path):
        self.sets: list[tuple[Definition, int, Labels]] = []
        self._path = path
        self._offset = 0
        self._slab: Slab | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read what was appended since."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            fresh = file.read()
        lines = fresh[: fresh.rfind(b"\n") + 1]
        self._offset += len(lines)
        for line in lines.splitlines():
            record = orjson.loads(line)
            if self._slab is None:
                if record["fingerprint"] != FINGERPRINT:
                    raise ValueError("written by a version with other metrics")
                self._slab = Slab(str(self._path.with_suffix(".slab")), record["slots"], writable=False)
            else:
                metric, first, labels = record
                self.sets.append((BY_NAME[metric], first, tuple(labels)))

    def add_to(self, sums: Sums, counters_only: bool = False) -> None:
        """Add what is in the slots."""
        for definition, first, labels in self.sets:
            if self._slab is not None and not (counters_only and definition.kind == "gauge"):
                add(sums, definition, labels, self._slab.read(first, definition.width))

    def close(self) -> None:
        if self._slab is not None:
            self._slab.close()


class Directory:
    """All workers of one `run_dir`, as one of them sees them. max_sets: label sets per metric kept for the dead."""

    def __init__(self, run_dir: Path, own: Path, max_sets: int):
        self._run_dir = run_dir
        self._own = own
        self._max_sets = max_sets
        self._peers: dict[str, _Peer] = {}

    def sums(self) -> Sums:
        """Everything but this worker's own counts, of the living and the dead. Folds the dead."""
        with self._lock() as locked:
            sums, folded = self._read_dead()
            living, dead = self._look_around(folded, locked)
            for peer in dead.values():
                peer.add_to(sums, counters_only=True)
            if dead:
                self._bound(sums)
                self._write_dead(sums, [name for name in {*folded, *dead} if (self._run_dir / name).exists()])
            for name in {*dead, *folded}:
                self._forget(name)
            for peer in living:
                peer.add_to(sums)
        self._clear_drafts()
        return sums

    def close(self) -> None:
        """Let go of the other workers' files. Idempotent; `sums` opens them again."""
        for peer in self._peers.values():
            peer.close()
        self._peers.clear()

    @contextmanager
    def _lock(self) -> Iterator[bool]:
        """Whether the directory is locked; not when a process stands still with the lock: then nothing is folded."""
        self._run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # something may have cleaned /tmp
        fd = os.open(self._run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield _flock(fd, LOCK_WAIT_S)
        finally:
            os.close(fd)

    def _look_around(self, folded: list[str], locked: bool) -> tuple[list[_Peer], dict[str, _Peer]]:
        living: list[_Peer] = []
        dead: dict[str, _Peer] = {}
        present = [path for path in self._run_dir.glob("worker-*.layout") if path != self._own]
        for name in self._peers.keys() - {path.name for path in present}:
            self._peers.pop(name).close()
        for path in present:
            if path.name in folded:
                continue
            gone = locked and _is_dead(path)
            peer = self._peer(path)
            if peer is None:
                if gone:
                    self._forget(path.name)
            elif gone:
                dead[path.name] = peer
            else:
                living.append(peer)
        return living, dead

    def _peer(self, path: Path) -> _Peer | None:
        try:
            peer = self._peers.get(path.name)
            if peer is None:
                peer = self._peers[path.name] = _Peer(path)
            else:
                peer.refresh()
        except (OSError, ValueError, KeyError, TypeError):
            # Deleted meanwhile, of another version, or damaged: not to be counted, and no reason to fail a scrape.
            return None
        return peer

    def _read_dead(self) -> tuple[Sums, list[str]]:
        sums: Sums = {}
        try:
            stored = orjson.loads((self._run_dir / "dead.json").read_bytes())
            if stored["fingerprint"] != FINGERPRINT:
                return {}, stored["folded"]
            for metric, labels, values in stored["sums"]:
                add(sums, BY_NAME[metric], tuple(labels), values)
        except FileNotFoundError:
            return {}, []
        except (ValueError, KeyError, TypeError):
            return {}, []
        return sums, stored["folded"]

    def _write_dead(self, sums: Sums, folded: list[str]) -> None:
        rows = [[metric, labels, values] for metric, sets in sums.items() for labels, values in sets.items()]
        draft = self._run_dir / "dead.draft"
        draft.write_bytes(orjson.dumps({"fingerprint": FINGERPRINT, "folded": folded, "sums": rows}))
        draft.replace(self._run_dir / "dead.json")

    def _forget(self, name: str) -> None:
        """Delete a dead worker's files, the layout last: as long as it is there, the slab is found too."""
        peer = self._peers.pop(name, None)
        if peer is not None:
            peer.close()
        path = self._run_dir / name
        with suppress(OSError):
            path.with_suffix(".slab").unlink(missing_ok=True)
            path.unlink(missing_ok=True)

    def _clear_drafts(self) -> None:
        """Delete what a worker left that was killed while it made its files."""
        for draft in self._run_dir.glob("worker-*.draft"):
            with suppress(OSError):
                if time.time() - draft.stat().st_mtime > DRAFT_S:
                    draft.with_suffix(".slab").unlink(missing_ok=True)
                    draft.unlink(missing_ok=True)

    def _bound(self, sums: Sums) -> None:
        for metric, sets in sums.items():
            definition = BY_NAME[metric]
            for labels in list(sets)[self._max_sets :]:
                values = sets.pop(labels)
                add(sums, definition, (OTHER,) * len(definition.labels), values)


def add(sums: Sums, definition: Definition, labels: Labels, values: list[float]) -> None:
    """Add one label set's slots to the sums."""
    sets = sums.setdefault(definition.name, {})
    before = sets.get(labels)
    if before is None:
        sets[labels] = values
    elif definition.merge == "max":
        sets[labels] = [max(before[0], values[0])]
    else:
        sets[labels] = [one + other for one, other in zip(before, values, strict=True)]


def _flock(fd: int, wait_s: float) -> bool:
    give_up_at = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.002)
        else:
            return True


def _is_dead(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True
