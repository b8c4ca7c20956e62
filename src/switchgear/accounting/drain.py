"""Journals into the database and the sinks: a thread of its own in each worker, with an event loop of its own.

The folder is looked after, beside the rounds and before each, for a round may wait for the database:
1. what the disk did not take is written again;
2. what all journals of the machine hold is counted against the quota (each second);
3. journals whose process ended are adopted: opening one writes the rows of its open requests (each two seconds).

One round, five times a second, or once a second while many rows come: a transaction costs as much as hundreds of them.
In each:
1. each journal held here is read on, a segment at a time, into the database and into each sink;
2. segments that all of them have are deleted; an adopted journal that is done, whole;
3. rows older than the retention are removed (each hour).

A database that stalls or is away keeps the rounds waiting and nothing else: it is tried again after 0.25 s, doubled up
to 5 s, and the journals are synced to the disk meanwhile. Whoever holds a journal's lock is the only one that drains
it.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from switchgear.accounting import journals
from switchgear.accounting.cursor import Cursor
from switchgear.accounting.feeds import Feed
from switchgear.accounting.sinks import make_sinks
from switchgear.config.schema_prices import Ledger as LedgerSettings
from switchgear.db.revision import ensure_head
from switchgear.db.usage import Batch, Moved, open_store
from switchgear.errors import DatabaseError
from switchgear.hotpath._journal import Journal
from switchgear.observability import logs

log = logs.get(__name__)

POLL_S = 0.2
BUSY_POLL_S, BUSY_ROWS = 1.0, 50
COUNT_S = 1.0
ADOPT_S = 2.0
EXPIRE_S = 3600.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 5.0
BATCH_ROWS = 1000  # in memory at a time
TRANSACTIONS_A_ROUND = 5  # each of a segment at most; then the other journals have their turn
CLOSE_S = 5.0  # to close connections that answer nothing
STORE_S = 60.0  # for one transaction, whatever the driver waits for
SAY_AGAIN_S = 60.0


class DrainState(Struct):
    """What the drain tells the gateway's thread; each field is replaced, never changed in place. dropped_rows: of
    adopted journals, for want of room."""

    drained_rows: int = 0
    adopted_journals: int = 0
    recovered_rows: int = 0
    dropped_rows: int = 0
    backlog_bytes: int = 0
    failures: int = 0
    reachable: bool = True
    drained_at: float = 0.0  # time.time() of the last batch, or of finding nothing to drain


class Drain:
    """Drains `journal` and what is left of others below `root` into the database at `url`.

    Runs until `stop`; `journal` is left open. In tests a round is awaited directly: `await drain.round()`.
    """

    def __init__(self, root: Path, settings: LedgerSettings, url: str, journal: Journal | None):
        self.root = root
        self.settings = settings
        self.state = DrainState()
        self._url = url
        self._store = open_store(url)
        self._sinks = make_sinks(settings.sinks)
        self._own = journal
        self._held: dict[str, _Held] = {}
        self._due: dict[str, float] = {}
        self._migrated = False
        self._said_at = 0.0
        self._deadline = 0.0
        self._rows = 0  # of the last round
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._main, name="ledger-drain", daemon=True)
        if journal is not None:
            self._hold(journal)

    # ---- the thread -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread. Once only."""
        self._thread.start()

    def stop(self, within_s: float) -> None:
        """Drain what is there, for at most `within_s`, and end. Blocks; call it off the event loop."""
        self._deadline = time.monotonic() + within_s
        self._stopping = True
        self._call(self._end, within_s)
        if self._thread.ident is not None:
            self._thread.join(within_s + CLOSE_S)

    def _end(self, within_s: float) -> None:
        assert self._loop is not None  # noqa: S101 - it runs this
        assert self._wake is not None  # noqa: S101 - made with it
        self._wake.set()
        if self._task is not None:
            self._loop.call_later(within_s, self._task.cancel)

    def _call(self, work: Callable[..., object], *arguments: object) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(work, *arguments)

    def _main(self) -> None:
        with suppress(asyncio.CancelledError):  # the time that `stop` gave is over
            asyncio.run(self._run())

    async def _run(self) -> None:
        self._wake, self._task = asyncio.Event(), asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        wait = FIRST_WAIT_S
        looking = asyncio.create_task(self._look_after_always())
        try:
            while not self._stopping:
                wait = FIRST_WAIT_S if await self._try(self.round) else min(wait * 2, LONGEST_WAIT_S)
                await self._pause(self._rest_s() if self.state.reachable else wait)
            await self._try(self._last_rounds)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            await self.close()

    async def _look_after_always(self) -> None:
        while True:
            await asyncio.sleep(COUNT_S)
            try:
                await self._look_after()
            except Exception as error:  # the rounds go on without it; the next look may go well
                log.error("ledger: the journals' folder cannot be looked after", error=type(error).__name__)

    def _rest_s(self) -> float:
        return BUSY_POLL_S if self._rows >= BUSY_ROWS else POLL_S

    async def _pause(self, seconds: float) -> None:
        assert self._wake is not None  # noqa: S101 - set where the loop began
        if self._stopping:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)
        self._wake.clear()

    async def _try(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Whether it went well. The thread outlives anything that goes wrong: the journal grows until it goes well."""
        try:
            await work()
        except Exception as error:
            self._failed(error)
            return False
        self.state.reachable = True
        return True

    def _failed(self, error: Exception) -> None:
        self.state.failures += 1
        self.state.reachable = False
        if "no such table" in str(error):
            self._migrated = False  # the file was replaced by another
        for held in list(self._held.values()):
            held.sync()
        now = time.monotonic()
        if now >= self._said_at:
            self._said_at = now + SAY_AGAIN_S
            # Of a driver's error only the kind: its text may hold the statement and what was bound to it.
            reason = str(error) if isinstance(error, DatabaseError) else type(error).__name__
            log.error("ledger: rows wait in the journal, the database takes none", error=reason)

    async def _last_rounds(self) -> None:
        async with asyncio.timeout(max(self._deadline - time.monotonic(), 0.1)):
            while await self.round():
                pass

    async def close(self) -> None:
        """Give up adopted journals, close the database and the sinks. `journal` stays open."""
        for held in list(self._held.values()):
            if held.journal is not self._own:
                held.journal.close()
        self._held.clear()
        for sink in self._sinks.values():
            await sink.close()
        await self._store.close()

    async def catch_up(self) -> None:
        """Without a thread: take over what was left behind and drain it. Raises what the database raises."""
        await asyncio.to_thread(self._adopt)
        for name, held in list(self._held.items()):
            while await self._drain(held):
                pass
            await held.feed_all(self._half())
            await self._tidy(name, held)

    # ---- a round ----------------------------------------------------------------------------------------------

    async def round(self) -> int:
        """One round; how many rows went into the database. Raises what the database raises."""
        await self._look_after()
        if not self._migrated:
            await ensure_head(self._url)
            self._migrated = True
        rows = 0
        for name, held in list(self._held.items()):
            rows += await self._drain(held)
            await held.feed_all(self._half())
            await self._tidy(name, held)
        if self.settings.retention and self._is_due("expire", EXPIRE_S):
            await self._expire()
        if not rows:
            self.state.drained_at = time.time()
        self._rows = rows
        return rows

    async def _look_after(self) -> None:
        """What needs no database. Raises OSError."""
        if self._own is not None:
            self._own.retry()
        if self._is_due("count", COUNT_S):
            self._count()
        if self._is_due("adopt", ADOPT_S):
            await asyncio.to_thread(self._adopt)

    def _is_due(self, what: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every_s
        return True

    def _half(self) -> int:
        return self.settings.max_bytes // 2

    def _count(self) -> None:
        """What other journals hold, under the one quota of the machine."""
        other = sum(
            journals.size_of(path)
            for path in journals.folders(self.root)
            if self._own is None or path.name != self._own.id.hex()
        )
        own = self._own.held_bytes if self._own is not None else 0
        if self.settings.when_full == "drop_oldest" and own + other > self.settings.max_bytes:
            for held in list(self._held.values()):
                if held.journal is not self._own:
                    before = held.journal.dropped
                    held.journal.drop_one()
                    self.state.dropped_rows += held.journal.dropped - before
        if self._own is not None:
            self._own.other_bytes = other
        self.state.backlog_bytes = own + other

    def _adopt(self) -> None:
        for journal in journals.adopt(self.root, self.settings, set(self._held)):
            self._hold(journal)
            self.state.adopted_journals += 1
            self.state.recovered_rows += journal.recovered
            log.info("ledger: adopted a journal", journal=journal.id.hex(), killed_requests=journal.recovered)

    def _hold(self, journal: Journal) -> None:
        feeds = [Feed(journal, name, sink) for name, sink in self._sinks.items()]
        self._held[journal.id.hex()] = _Held(journal, feeds)

    async def _drain(self, held: _Held) -> int:
        rows = 0
        for _ in range(TRANSACTIONS_A_ROUND):
            cursor = held.cursor or await self._find(held)
            batch = await cursor.read(BATCH_ROWS)
            if batch is None:
                break
            try:
                async with asyncio.timeout(STORE_S):
                    stored = await self._store.add(batch, _following(cursor, batch))
            except Moved:  # stored already: the answer to its commit was lost
                held.cursor = None
                continue
            except BaseException:
                held.cursor = None  # it may have been stored all the same: the database knows
                raise
            cursor.advance(stored.end)
            held.journal.count_drained(stored.end[0], stored.rows)
            rows += stored.rows
            self.state.drained_rows += stored.rows
            self.state.drained_at = time.time()
        return rows

    async def _find(self, held: _Held) -> Cursor:
        async with asyncio.timeout(STORE_S):
            at = await self._store.position(held.journal.id.hex())
        held.cursor = Cursor(held.journal, at.journal, at.segment, at.offset)
        return held.cursor

    async def _tidy(self, name: str, held: _Held) -> None:
        """Delete what the database and all sinks have."""
        cursor = held.cursor
        if cursor is None:
            return
        for path in held.journal.release(min([cursor.passed, *(feed.segment for feed in held.feeds)])):
            await asyncio.to_thread(_unlink, path)
        if held.journal is not self._own and await cursor.read(1) is None and all([await f.done() for f in held.feeds]):
            del self._held[name]
            await asyncio.to_thread(journals.remove, held.journal)

    async def _expire(self) -> None:
        assert self.settings.retention is not None  # noqa: S101 - the caller asked
        removed = await self._store.expire(int((time.time() - self.settings.retention) * 1_000_000))
        if removed:
            log.info("ledger: removed rows older than the retention", rows=removed)


def _following(cursor: Cursor, batch: Batch) -> Callable[[], Awaitable[Batch | None]]:
    """What goes into the transaction of `batch` besides: the rest of its segment."""
    last = batch

    async def read() -> Batch | None:
        nonlocal last
        following = await cursor.read_on(last, BATCH_ROWS)
        if following is not None:
            last = following
        return following

    return read


class _Held:
    """A journal whose lock this process has: its place in the database, and in each sink."""

    def __init__(self, journal: Journal, feeds: list[Feed]):
        self.journal = journal
        self.feeds = feeds
        self.cursor: Cursor | None = None
        self._synced: tuple[int, int] = (0, 0)

    async def feed_all(self, most_bytes: int) -> None:
        for feed in self.feeds:
            await feed.advance(most_bytes)

    def sync(self) -> None:
        """To the disk with what waits for the database: the page cache outlives the process, not the machine."""
        number, offset = position = self.journal.position
        if position == self._synced:
            return
        try:
            descriptor = os.open(Path(self.journal.folder, f"{number:010d}.log"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            os.fdatasync(descriptor)
            self._synced = (number, offset)
        finally:
            os.close(descriptor)


def _unlink(path: str) -> None:
    Path(path).unlink(missing_ok=True)
