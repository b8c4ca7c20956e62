"""What the journals of this machine hold behind where the database has them: open files of every segment there is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from switchgear.accounting import journals as folders
from switchgear.hotpath._journal import SEGMENT_HEAD_BYTES, Row, decode, next_frame

READ_BYTES = 1 << 20
ROWS_AT_ONCE = 1000


class Tail:
    """root: the folder of the journals, which may be missing. stack: closes the files."""

    def __init__(self, root: Path, stack: ExitStack):
        self._segments: list[tuple[str, int, int]] = []  # journal, number, descriptor
        for folder in folders.folders(root):
            for path in sorted(folder.glob("*.log")):
                try:
                    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                except FileNotFoundError:
                    continue
                stack.callback(os.close, descriptor)
                self._segments.append((folder.name, int(path.stem), descriptor))

    def rows(self, drained: dict[str, tuple[int, int]]) -> Iterator[Row]:
        """Rows behind the positions in `drained`: segment and offset by the journal's name."""
        for journal, number, descriptor in self._segments:
            segment, offset = drained.get(journal, (0, 0))
            if number >= segment:
                yield from _read(descriptor, number, max(offset if number == segment else 0, SEGMENT_HEAD_BYTES))


def _read(descriptor: int, number: int, offset: int) -> Iterator[Row]:
    """Rows of a segment from `offset` to its end as it is now."""
    size = os.fstat(descriptor).st_size
    while offset < size:
        data = memoryview(os.pread(descriptor, min(READ_BYTES, size - offset), offset))
        at, used = 0, 1
        while used:
            rows, used = decode(data[at:], offset + at, number, 0, ROWS_AT_ONCE)
            yield from rows
            at += used
        if not at:  # torn, or being written just now
            at = next_frame(data, 1) if len(data) > 1 else -1
            if at < 0:
                return
        offset += at
