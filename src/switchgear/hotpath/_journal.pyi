"""The usage journal of one worker: an append-only file of records, and a table of the requests that are open.

A journal is a folder named by its id (32 hexadecimal digits):

    lock             flock(2)ed by the one process that writes and drains it; freed by the kernel when that dies
    open             mapped: a slot of 8 KiB for each upstream request that is open, with the record it leaves if the
                     process is killed (status 0, error class `killed`, the reserved tokens, flagged as estimated)
    0000000001.log   segments; only the last is written to, and only by the process that created it

A segment begins with 32 bytes: `SGUSAGE1`, the journal's id (16), its number (u64). Frames follow: u32 length of the
payload, u32 CRC-32 (zlib's) of those four bytes and the payload, the payload. All integers are little-endian.

Payload, version 1: u8 version, u8 service tier (0 usual, 1 batch, 2 priority), u16 flags (1 stream, 2 estimated,
4 from the cache, 8 unknown price), u16 attempt, u16 status, i64 time in microseconds since 1970, i64 cost in
nano-dollars, f64 milliseconds to the first token, f64 milliseconds in all (NaN: none), nine i64: input, cached, cache
write, output, reasoning, input audio, cached audio, output audio tokens, images. Then strings, each u16 length and
UTF-8: endpoint, organization, project, user, key, model, served model, provider, credential, price version (these ten
are the *label*), request id, tags (JSON), error class.

Names are cut to 256 bytes, the error class to 64, and tags of more than 960 bytes are left out, so that every record
fits a slot. Tokens are held within 0 … 2**40 and costs within 0 … 2**53 - 1, whatever an upstream claims.

One write(2) a record: it is in the page cache then, which outlives the process, not the machine. Where the file system
takes nothing, the record stays in its slot, and no request is let in, until it does.

Calls must hold the GIL and do; they may come from several threads.
"""

from collections.abc import Buffer  # type: ignore[attr-defined]  # of Python 3.12; a stub is not run

from switchgear.types import Usage

SEGMENT_HEAD_BYTES: int
MAX_FRAME_BYTES: int
MAX_TAGS_BYTES: int

class JournalFull(Exception):
    """There is no room: the quota is used up, the disk takes nothing, or 32,768 requests are open."""

class JournalTaken(Exception):
    """Another process holds the journal, or it is gone."""

def label(*texts: str) -> bytes:
    """The ten names of a record, encoded once for all requests that share them: endpoint, organization, project, user,
    key, model, served_model, provider, credential, price_version. Raises TypeError for another number of them."""

class Segment:
    number: int
    size: int  # bytes, with the head
    rows: int  # -1: written by another process and not counted
    drained: int

class Journal:
    """Open the journal in `folder`, which exists, and write the records of requests that another process left open.

    max_bytes: of what is not drained, here and in `other_bytes`. segment_bytes: 0 takes an eighth of max_bytes, at most
    8 MiB. drop_oldest: remove the oldest segment where there is no room, in place of refusing.

    Raises JournalTaken, ValueError for a folder with another name, OSError when files cannot be created.
    """

    folder: str
    id: bytes
    max_bytes: int
    other_bytes: int  # undrained bytes of other journals under the same quota; the drain keeps it up to date
    segment_bytes: int
    drop_oldest: bool
    held_bytes: int  # in segments that are not released
    pending_bytes: int  # held for requests that are open
    rows: int  # written by this process
    dropped: int  # rows removed to make room
    recovered: int  # records of killed requests written when opening
    failing: int  # errno of the last write, 0 when it went well
    pinned: int
    segments: list[Segment]  # oldest first, the current one last

    def __init__(
        self,
        folder: str,
        *,
        max_bytes: int = ...,
        segment_bytes: int = 0,
        drop_oldest: bool = False,
        max_slots: int = 32768,
    ) -> None: ...
    @property
    def full(self) -> bool:
        """Whether `open` would refuse."""
    @property
    def open_slots(self) -> int:
        """How many requests are open."""
    @property
    def position(self) -> tuple[int, int]:
        """Segment and offset up to which records are written whole."""
    def open(
        self,
        label: bytes,
        request_id: bytes,
        attempt: int = 1,
        *,
        time_us: int = 0,
        stream: bool = False,
        tags: bytes = b"",
        input_tokens: int = 0,
        output_tokens: int = 0,
        cost_nanousd: int = 0,
        unknown_price: bool = False,
    ) -> int:
        """Take a slot for an upstream request that is about to be sent, with what is reserved for it.

        time_us: microseconds since 1970; 0 is now. tags: JSON, from `accounting.tags`. Returns the slot, for exactly
        one call of `append` or `abandon`. Raises JournalFull.
        """
    def append(
        self,
        slot: int,
        status: int,
        usage: Usage | None = None,
        cost_nanousd: int = 0,
        error_class: str = "",
        first_token_ms: float = ...,
        total_ms: float = ...,
        from_cache: bool = False,
    ) -> None:
        """Write the record and free the slot. status: of the upstream's answer, 0 where it sent none. Times in
        milliseconds since it was sent; NaN, which is the default, for none. Raises ValueError for a slot that is not
        open."""
    def abandon(self, index: int) -> int:
        """Free the slot without a record: the upstream was never asked."""
    def retry(self) -> bool:
        """Write the records that the disk did not take. Returns whether none is left."""
    def moved(self, folder: str) -> None:
        """The folder was renamed."""
    def drop_one(self) -> None:
        """Remove the oldest segment that is neither current nor pinned, if there is one."""
    def pin(self, number: int) -> None:
        """The drain is reading this segment: it is not dropped. -1 for none."""
    def count_drained(self, number: int, rows: int) -> None:
        """So many more rows of a segment are in the database."""
    def roll(self) -> None:
        """Begin a new segment. Raises OSError."""
    def release(self, number: int) -> list[str]:
        """Give up the segments before `number`, all of them drained. Returns the files to unlink."""
    def close(self) -> None:
        """Close the files and free the lock. Idempotent. Requests that are open stay so for whoever recovers them."""

class Totals:
    """Sums over rows of one hour and one set of names."""

    def add(self, other: Totals) -> None: ...
    def values(self) -> tuple[float, ...]:
        """requests, errors (status not 2xx), estimated, the nine classes of tokens, cost_nanousd, first_tokens and
        timed (how many rows have a time to the first token, and in all), the sums first_token_ms and total_ms."""

Row = tuple[object, ...]

def decode(
    data: Buffer,
    base: int,
    segment: int,
    journal: int = 0,
    max_rows: int = ...,
    totals: dict[tuple[int, tuple[str, ...]], Totals] | None = None,
) -> tuple[list[Row], int]:
    """The rows of the frames in `data`, which begins `base` bytes into a segment, and how many bytes they were.

    Stops before a frame that is not whole or not valid. A row is `accounting.row.COLUMNS`, then `journal` and the
    position `segment << 40 | offset`. totals: sums by (hour in seconds since 1970, names without the price version).
    Raises ValueError for a record of a later version.
    """

def next_frame(data: Buffer, start: int = 0) -> int:
    """Where the first valid frame begins, at or after `start`; -1 where there is none."""

def count(data: Buffer) -> int:
    """How many valid frames follow each other from the beginning."""
