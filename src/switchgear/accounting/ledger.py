"""The ledger of one worker, as the gateway calls it: `open` before an upstream request is sent, `append` after it.

Both touch memory and the page cache only (hotpath._journal); a thread drains the journal into the database (`drain`).
Each slot that was opened is appended or abandoned exactly once, on every way out of a request.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from switchgear.accounting import journals
from switchgear.accounting.drain import Drain, DrainState
from switchgear.config.schema_prices import Ledger as LedgerSettings
from switchgear.errors import LedgerFull
from switchgear.hotpath._journal import SEGMENT_HEAD_BYTES, Journal, JournalFull
from switchgear.types import Usage

RETRY_AFTER_S = 5.0
NONE = float("nan")


class Ledger:
    """settings: the section `ledger`. database_url: of the section `database`.

    Making it creates this worker's journal. Raises OSError when the folder cannot be written, ConfigError for sinks
    that cannot be made. `start` begins to drain; without it rows stay in the journal until another process adopts it.
    """

    def __init__(self, settings: LedgerSettings, database_url: str):
        self.settings = settings
        self.database_url = database_url
        self.root = Path(settings.path)
        self.journal: Journal = journals.create(self.root, settings)
        self._drain = Drain(self.root, settings, database_url, self.journal)

    def start(self) -> None:
        """Begin to drain, in a thread of its own."""
        self._drain.start()

    async def stop(self, within_s: float = 5.0) -> None:
        """Drain what is there, for at most `within_s`, and close the journal. What is left is adopted by others."""
        await asyncio.to_thread(self._drain.stop, within_s)
        self.journal.close()

    def reload(self, settings: LedgerSettings) -> bool:
        """Take over a changed section, as far as it can be changed while running: `max_bytes`, `when_full`,
        `retention`. Returns False where `path`, `sinks` or `enabled` changed: those need a restart."""
        self.journal.max_bytes = settings.max_bytes
        self.journal.segment_bytes = journals.segment_bytes(settings.max_bytes)
        self.journal.drop_oldest = settings.when_full == "drop_oldest"
        same = (settings.path, settings.sinks, settings.enabled) == (
            self.settings.path,
            self.settings.sinks,
            self.settings.enabled,
        )
        self.settings = self._drain.settings = settings
        return same

    def relieve(self) -> None:
        """Where the ledger is full, begin a new segment, so that the one before can go when it is drained. Else the
        last segments of many workers would keep it full when nothing waits. Called each second, in the thread that
        writes."""
        if self.journal.full and self.journal.position[1] > SEGMENT_HEAD_BYTES:
            with suppress(OSError):  # a full disk: `full` says so
                self.journal.roll()

    @property
    def full(self) -> bool:
        """Whether requests must be refused: `when_full: refuse`, and the quota used up or the disk full."""
        return self.journal.full

    @property
    def dropped_rows(self) -> int:
        """Rows that `when_full: drop_oldest` dropped, of this worker's journal and of those that it adopted."""
        return self.journal.dropped + self.state.dropped_rows

    @property
    def state(self) -> DrainState:
        """What the drain did and how it fares, for metrics and readiness."""
        return self._drain.state

    def open(
        self,
        label: bytes,
        request_id: bytes,
        attempt: int,
        *,
        stream: bool = False,
        tags: bytes = b"",
        input_tokens: int = 0,
        output_tokens: int = 0,
        cost_nanousd: int = 0,
        unknown_price: bool = False,
    ) -> int:
        """A slot for an upstream request that is about to be sent.

        label: from `hotpath._journal.label`. The tokens and the cost are those reserved: the row has them if this
        process is killed. Raises LedgerFull (503).
        """
        try:
            return self.journal.open(
                label,
                request_id,
                attempt,
                stream=stream,
                tags=tags,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cost_nanousd=cost_nanousd,
                unknown_price=unknown_price,
            )
        except JournalFull:
            raise refusal() from None

    def append(
        self,
        slot: int,
        status: int,
        usage: Usage | None = None,
        cost_nanousd: int = 0,
        error_class: str = "",
        first_token_ms: float = NONE,
        total_ms: float = NONE,
    ) -> None:
        """The upstream request ended: write its row. status: the upstream's, 0 where it sent none. Never fails for
        want of room."""
        self.journal.append(slot, status, usage, cost_nanousd, error_class, first_token_ms, total_ms)

    def abandon(self, slot: int) -> None:
        """The upstream request was not sent: no row."""
        self.journal.abandon(slot)


def refusal() -> LedgerFull:
    """What a request gets that cannot be accounted for."""
    return LedgerFull(
        "The usage ledger is full: no request is served that it could not record. Try again later.",
        retry_after_s=RETRY_AFTER_S,
    )
