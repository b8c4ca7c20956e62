"""Reading a journal, batch by batch, from a position on.

A frame that is not valid ends a segment that another process wrote: it was torn when that was killed. Should valid
frames follow (a damaged disk), they are found and read, and what lies between is logged.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from switchgear.db.usage import Batch
from switchgear.hotpath._journal import (
    MAX_FRAME_BYTES,
    SEGMENT_HEAD_BYTES,
    Journal,
    Row,
    Segment,
    Totals,
    decode,
    next_frame,
)
from switchgear.observability import logs

log = logs.get(__name__)

READ_BYTES = 1 << 20
ROWS_AT_ONCE = 100  # decoded before the event loop of the requests gets its turn: a few tenths of a millisecond


class Cursor:
    """A place in an open journal. number: the journal's in the database, 0 where that does not matter.

    pinned: keep what is being read from being dropped to make room.
    """

    def __init__(self, journal: Journal, number: int, segment: int, offset: int, *, pinned: bool = True):
        self.journal = journal
        self.number = number
        self.segment = segment
        self.offset = offset
        self._looked = (segment, offset)  # up to here there is nothing more, however often one looks
        self._pinned = pinned

    @property
    def passed(self) -> int:
        """All segments before this one are stored: of those behind its place nothing more was found."""
        return self._looked[0]

    async def read(self, max_rows: int) -> Batch | None:
        """The next rows, None where all that was written is read. The cursor stays where it is: see `advance`."""
        for segment in list(self.journal.segments):
            if segment.number < self._looked[0]:
                continue
            if self._pinned:
                self.journal.pin(segment.number)
            if (batch := await self._read(segment, max_rows)) is not None:
                return batch
        self._unpin()
        return None

    async def read_on(self, batch: Batch, max_rows: int) -> Batch | None:
        """The rows behind `batch` in its segment, which stays pinned; `batch` is to be stored with them."""
        self._looked = self.segment, self.offset = batch.end
        segment = next((each for each in self.journal.segments if each.number == self.segment), None)
        return await self._read(segment, max_rows) if segment is not None else None

    async def _read(self, segment: Segment, max_rows: int) -> Batch | None:
        offset = self._looked[1] if segment.number == self._looked[0] else 0
        piece = _Piece(self, segment.number, max(offset, SEGMENT_HEAD_BYTES))
        await piece.read(segment.size, max_rows)
        self._looked = (segment.number, piece.offset)
        if not piece.rows:
            return None
        start = (self.segment, self.offset)
        self._looked = start  # until it is stored
        return Batch(self.number, start, (segment.number, piece.offset), piece.rows, piece.totals)

    def advance(self, end: tuple[int, int]) -> None:
        """What was read is stored, up to `end`."""
        self._looked = self.segment, self.offset = end
        self._unpin()

    def _unpin(self) -> None:
        if self._pinned:
            self.journal.pin(-1)


class _Piece:
    """Rows of one segment from `offset` on, which moves behind them."""

    def __init__(self, cursor: Cursor, segment: int, offset: int):
        self.journal = cursor.journal
        self.number = cursor.number
        self.segment = segment
        self.offset = offset
        self.rows: list[Row] = []
        self.totals: dict[tuple[int, tuple[str, ...]], Totals] = {}

    async def read(self, size: int, max_rows: int) -> None:
        path = Path(self.journal.folder, f"{self.segment:010d}.log")
        while self.offset < size and not self.rows:
            data = _read(path, self.offset, min(size - self.offset, READ_BYTES))
            if not data:  # dropped meanwhile
                return
            used = await self._decode(memoryview(data), max_rows)
            self.offset += used or self._skip(data, self.offset + len(data) == size)

    async def _decode(self, data: memoryview, max_rows: int) -> int:
        """Decode whole frames; how many bytes they were."""
        at = 0
        while len(self.rows) < max_rows:
            count = min(ROWS_AT_ONCE, max_rows - len(self.rows))
            rows, used = decode(data[at:], self.offset + at, self.segment, self.number, count, self.totals)
            self.rows += rows
            at += used
            if len(rows) < count:
                break
            await asyncio.sleep(0)  # gives up the GIL
        return at

    def _skip(self, data: bytes, last: bool) -> int:
        """How many bytes to pass over: no valid frame begins where `data` does."""
        following = next_frame(data, 1)
        if following < 0:  # a frame that this piece ends in is read whole the next time
            following = len(data) if last else len(data) - MAX_FRAME_BYTES + 1
        log.warning(
            "ledger: passed over what is no whole record",
            journal=self.journal.folder,
            segment=self.segment,
            offset=self.offset,
            bytes=following,
        )
        return following


def _read(path: Path, offset: int, size: int) -> bytes:
    """A part of a segment; nothing where it was dropped meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(descriptor, size, offset)
    finally:
        os.close(descriptor)
