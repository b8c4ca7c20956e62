"""One journal on its way into one sink."""

from __future__ import annotations

import asyncio
import time

from switchgear.accounting.cursor import Cursor
from switchgear.accounting.sinks import Sink, SinkProgress
from switchgear.db.usage import Batch
from switchgear.hotpath._journal import Journal
from switchgear.observability import logs

log = logs.get(__name__)

BATCH_ROWS = 5000
BATCHES_A_ROUND = 20
SEND_S = 60.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0


class Feed:
    """A sink's place in a journal. It fails alone: what it raises is logged, and tried again later."""

    def __init__(self, journal: Journal, name: str, sink: Sink):
        self.journal = journal
        self.name = name
        self.sink = sink
        self.progress = SinkProgress.load(journal.folder, name)
        self._cursor = Cursor(journal, 0, *self.progress.done, pinned=False)
        self._started = False
        self._again_at = 0.0
        self._wait = FIRST_WAIT_S

    @property
    def segment(self) -> int:
        """What lies before it the sink has."""
        return self._cursor.passed

    async def done(self) -> bool:
        """Whether the sink has all that was written."""
        return await self._cursor.read(1) is None

    async def advance(self, most_bytes: int) -> None:
        """Send what there is. Passes over the oldest segments while more than `most_bytes` wait."""
        self._give_up(most_bytes)
        if time.monotonic() < self._again_at:
            return
        try:
            async with asyncio.timeout(SEND_S):
                await self._send_all()
        except Exception as error:
            self._again_at = time.monotonic() + self._wait
            self._wait = min(self._wait * 2, LONGEST_WAIT_S)
            log.error("ledger: a sink takes no rows", sink=self.name, error=type(error).__name__)
        else:
            self._wait = FIRST_WAIT_S

    async def _send_all(self) -> None:
        if not self._started:
            await self.sink.start()
            self._started = True
        for _ in range(BATCHES_A_ROUND):
            batch = await self._next()
            if batch is None:
                return
            await self.sink.send(batch.rows, self._token(batch))
            self._cursor.advance(batch.end)
            self.progress.done, self.progress.sending = batch.end, None

    async def _next(self) -> Batch | None:
        """The batch that was being sent when something went wrong, exactly that, or the next one."""
        batch = await self._cursor.read(BATCH_ROWS)
        if batch is None:
            return None
        end = self.progress.sending
        if end is None:
            self.progress.sending = batch.end
            self.progress.save(self.journal.folder, self.name)
        elif batch.end != end and batch.end[0] == end[0]:
            # Rows were added since: of those that follow, the batch is what stands before the end.
            last = end[0] << 40 | end[1]
            batch = Batch(0, batch.start, end, [row for row in batch.rows if _position(row) < last])
        return batch

    def _token(self, batch: Batch) -> str:
        return f"{self.journal.id.hex()}-{batch.start[0]}-{batch.start[1]}-{batch.end[0]}-{batch.end[1]}"

    def _give_up(self, most_bytes: int) -> None:
        waiting = [segment for segment in self.journal.segments if segment.number >= self._cursor.segment]
        total = sum(segment.size for segment in waiting)
        lost = [segment.number for segment in waiting[:-1]]
        upto = 0
        while total > most_bytes and lost:
            upto = lost.pop(0) + 1
            total -= next(segment.size for segment in waiting if segment.number == upto - 1)
        if upto:
            log.error("ledger: a sink was away for too long and loses rows", sink=self.name, before_segment=upto)
            self.progress = SinkProgress(done=(upto, 0))
            self.progress.save(self.journal.folder, self.name)
            self._cursor = Cursor(self.journal, 0, upto, 0, pinned=False)


def _position(row: tuple[object, ...]) -> int:
    position = row[-1]
    assert isinstance(position, int)  # noqa: S101 - the last column
    return position
