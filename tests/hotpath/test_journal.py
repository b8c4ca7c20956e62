"""The journal against the plain-Python reference: format, torn frames, recovery, the quota, a disk that is full."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchgear.hotpath._journal import (
    SEGMENT_HEAD_BYTES,
    Journal,
    JournalFull,
    JournalTaken,
    Totals,
    count,
    decode,
    label,
    next_frame,
)
from switchgear.types import Usage
from tests.reference import journal as reference

NAMES = ("chat.completions", "acme", "search", "ada", "ci", "smart", "gpt-4.1", "openai", "main", "v1")
LABEL = label(*NAMES)
NAN = math.nan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / uuid4().hex
    path.mkdir()
    return path


@pytest.fixture
def journal(folder: Path) -> Iterator[Journal]:
    opened = Journal(str(folder))
    yield opened
    opened.close()


def write(journal: Journal, name: bytes = b"r", status: int = 200) -> None:
    journal.append(journal.open(LABEL, name), status)


def fill(journal: Journal, slots: list[int]) -> None:
    while True:
        slots.append(journal.open(LABEL, b"x"))


def contents(folder: Path) -> bytes:
    """The frames of all segments, one after the other."""
    return b"".join(path.read_bytes()[SEGMENT_HEAD_BYTES:] for path in sorted(folder.glob("*.log")))


def ids(folder: Path) -> list[str]:
    rows: list[Any] = []
    for path in sorted(folder.glob("*.log")):
        rows += decode(path.read_bytes()[SEGMENT_HEAD_BYTES:], SEGMENT_HEAD_BYTES, int(path.stem))[0]
    return [row[0] for row in rows]


whole = st.integers(-(2**70), 2**70)
times = st.floats(0, 1e9) | st.just(NAN)
records = st.fixed_dictionaries(
    {
        "names": st.lists(st.text(max_size=300), min_size=10, max_size=10),
        "request_id": st.binary(max_size=300),
        "attempt": st.integers(0, 65535),
        "time_us": st.integers(1, 2**52),
        "stream": st.booleans(),
        "unknown_price": st.booleans(),
        "tags": st.binary(max_size=1000),
        "status": st.integers(0, 999),
        "usage": st.builds(
            Usage,
            **dict.fromkeys(reference.CLASSES, whole),  # type: ignore[arg-type]  # all of them are numbers
            service_tier=st.sampled_from(reference.TIERS),
            estimated=st.booleans(),
        ),
        "cost": whole,
        "error": st.text(max_size=80).filter(lambda text: "\0" not in text and text.isprintable()),
        "first": times,
        "total": times,
    }
)


@given(st.lists(records, max_size=6))
@settings(max_examples=60, deadline=None)
def test_records_are_written_and_read_as_the_reference_does(found: list[dict[str, Any]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, uuid4().hex)
        folder.mkdir()
        journal = Journal(str(folder))
        expected = b""
        for one in found:
            assert label(*one["names"]) == reference.label(*one["names"])
            slot = journal.open(
                label(*one["names"]),
                one["request_id"],
                one["attempt"],
                time_us=one["time_us"],
                stream=one["stream"],
                unknown_price=one["unknown_price"],
                tags=one["tags"],
            )
            journal.append(slot, one["status"], one["usage"], one["cost"], one["error"], one["first"], one["total"])
            flags = reference.STREAM * one["stream"] + reference.UNKNOWN_PRICE * one["unknown_price"]
            expected += reference.record(
                label(*one["names"]),
                one["request_id"],
                one["attempt"],
                one["time_us"],
                flags,
                one["tags"],
                one["status"],
                one["usage"],
                one["cost"],
                one["error"],
                one["first"],
                one["total"],
            )
        journal.close()
        data = contents(folder)
        assert data == expected
        totals: dict[Any, Totals] = {}
        rows, used = decode(data, 32, 7, 3, totals=totals)
        assert (rows, used) == reference.decode(data, 32, 7, 3)
        assert used == len(data)
        assert {key: list(sums.values()) for key, sums in totals.items()} == reference.totals(rows)


@given(st.binary(max_size=300), st.integers(0, 3))
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_are_read_as_the_reference_does(noise: bytes, good: int) -> None:
    frame = reference.record(LABEL, b"id", 1, 5, 0, b"", 200, Usage(), 1, "", NAN, NAN)
    data = frame * good + noise
    assert decode(data, 0, 1, 0) == reference.decode(data, 0, 1, 0)
    assert count(data) == len(reference.decode(data, 0, 1, 0)[0])


def test_a_label_takes_ten_names() -> None:
    with pytest.raises(TypeError, match="expected 10 strings, got 2"):
        label("a", "b")


def test_the_head_of_a_segment(journal: Journal, folder: Path) -> None:
    head = (folder / "0000000001.log").read_bytes()
    assert head == b"SGUSAGE1" + bytes.fromhex(folder.name) + (1).to_bytes(8, "little")


def test_a_segment_cut_at_every_byte_gives_the_whole_records_before(journal: Journal, folder: Path) -> None:
    for name in (b"one", b"two", b"three"):
        write(journal, name)
    data = contents(folder)
    ends = []
    at = 0
    while at < len(data):
        at += reference.whole_frame(data[at:])
        ends.append(at)
    for cut in range(len(data) + 1):
        rows, used = decode(data[:cut], 32, 1)
        assert len(rows) == sum(end <= cut for end in ends)
        assert used == max([0, *(end for end in ends if end <= cut)])


def test_every_changed_byte_is_noticed(journal: Journal, folder: Path) -> None:
    write(journal)
    data = bytearray(contents(folder))
    for place in range(len(data)):
        data[place] ^= 0x10
        assert decode(bytes(data), 32, 1) == ([], 0)
        data[place] ^= 0x10


def test_the_next_valid_frame_is_found_behind_garbage() -> None:
    frame = reference.record(LABEL, b"id", 1, 5, 0, b"", 200, Usage(), 1, "", NAN, NAN)
    assert next_frame(b"garbage" + frame) == 7
    assert next_frame(frame + b"x" + frame, 1) == len(frame) + 1
    assert next_frame(b"garbage") == -1


def test_a_record_of_a_later_version_is_not_passed_over() -> None:
    frame = bytearray(reference.record(LABEL, b"id", 1, 5, 0, b"", 200, Usage(), 1, "", NAN, NAN))
    frame[8] = 2
    import zlib

    frame[4:8] = zlib.crc32(frame[:4] + frame[8:]).to_bytes(4, "little")
    with pytest.raises(ValueError, match="a newer Switchgear"):
        decode(bytes(frame), 0, 1)


def test_slots_are_used_once(journal: Journal) -> None:
    slot = journal.open(LABEL, b"a")
    assert journal.open_slots == 1
    journal.append(slot, 200)
    assert (journal.open_slots, journal.pending_bytes) == (0, 0)
    with pytest.raises(ValueError, match="not open"):
        journal.append(slot, 200)
    with pytest.raises(IndexError):
        journal.append(10**6, 200)
    abandoned = journal.open(LABEL, b"b")
    journal.abandon(abandoned)
    assert (journal.rows, journal.open_slots, journal.pending_bytes) == (1, 0, 0)


def test_a_closed_journal_refuses(folder: Path) -> None:
    journal = Journal(str(folder))
    slot = journal.open(LABEL, b"a")
    journal.close()
    journal.close()
    with pytest.raises(ValueError, match="closed"):
        journal.open(LABEL, b"b")
    with pytest.raises(ValueError, match="closed"):
        journal.append(slot, 200)


def test_the_table_grows_and_is_bounded(folder: Path) -> None:
    journal = Journal(str(folder), max_slots=256)
    slots = [journal.open(LABEL, b"%d" % n) for n in range(256)]
    with pytest.raises(JournalFull, match="256 upstream requests are open"):
        journal.open(LABEL, b"more")
    for slot in slots:
        journal.append(slot, 200)
    assert ids(folder) == [str(n) for n in range(256)]
    journal.close()


def test_only_one_process_has_a_journal(journal: Journal, folder: Path) -> None:
    with pytest.raises(JournalTaken):
        Journal(str(folder))
    with pytest.raises(JournalTaken):
        Journal(str(folder.parent / uuid4().hex))


def test_open_requests_are_recovered_once(folder: Path) -> None:
    first = Journal(str(folder))
    write(first, b"done")
    first.open(LABEL, b"open", 2, stream=True, tags=b'{"a":"b"}', input_tokens=10, output_tokens=20, cost_nanousd=30)
    first.abandon(first.open(LABEL, b"never sent"))
    first.close()
    second = Journal(str(folder))
    assert second.recovered == 1
    second.close()
    third = Journal(str(folder))
    assert third.recovered == 0
    third.close()
    rows = decode((folder / "0000000002.log").read_bytes()[32:], 32, 2)[0]
    assert [(row[0], row[1], row[12], row[13], row[16], row[18], row[21], row[28]) for row in rows] == [
        ("open", 2, 0, "killed", True, 10, 20, 30)
    ]
    assert ids(folder) == ["done", "open"]


def test_a_record_whose_slot_was_not_freed_is_not_written_again(folder: Path) -> None:
    """As if killed between the write and the store that frees the slot."""
    journal = Journal(str(folder))
    slot = journal.open(LABEL, b"once")
    table = (folder / "open").read_bytes()
    where = (1 << 40 | SEGMENT_HEAD_BYTES).to_bytes(8, "little")
    journal.append(slot, 200)
    journal.close()
    at = slot * 8192
    (folder / "open").write_bytes(table[: at + 8] + where + table[at + 16 :])
    Journal(str(folder)).close()
    assert ids(folder) == ["once"]
    (folder / "0000000001.log").unlink()  # drained by another process meanwhile
    (folder / "open").write_bytes(table[: at + 8] + where + table[at + 16 :])
    again = Journal(str(folder))
    assert again.recovered == 0
    again.close()


def test_a_torn_record_is_written_as_killed_at_every_cut(tmp_path: Path) -> None:
    """As if killed within the write: some of the frame is there, the slot names its place."""
    for cut in range(0, 200, 7):
        folder = tmp_path / uuid4().hex
        folder.mkdir()
        journal = Journal(str(folder))
        slot = journal.open(LABEL, b"torn")
        table = bytearray((folder / "open").read_bytes())
        journal.append(slot, 200)
        journal.close()
        table[slot * 8192 + 8 : slot * 8192 + 16] = (1 << 40 | SEGMENT_HEAD_BYTES).to_bytes(8, "little")
        (folder / "open").write_bytes(table)
        segment = folder / "0000000001.log"
        segment.write_bytes(segment.read_bytes()[: SEGMENT_HEAD_BYTES + cut])
        again = Journal(str(folder))
        assert again.recovered == 1
        again.close()
        assert ids(folder) == ["torn"]


def test_segments_rotate_and_are_released(folder: Path) -> None:
    journal = Journal(str(folder), segment_bytes=1000)
    for n in range(12):
        write(journal, b"%d" % n)
    assert ids(folder) == [str(n) for n in range(12)]
    numbers = [segment.number for segment in journal.segments]
    assert numbers == list(range(1, len(numbers) + 1))
    assert journal.held_bytes == sum(path.stat().st_size for path in folder.glob("*.log"))
    gone = journal.release(3)
    assert [Path(path).name for path in gone] == ["0000000001.log", "0000000002.log"]
    assert [segment.number for segment in journal.segments] == numbers[2:]
    journal.close()


def test_a_full_journal_refuses_what_it_could_not_record(folder: Path) -> None:
    journal = Journal(str(folder), max_bytes=20_000)
    slots: list[int] = []
    with pytest.raises(JournalFull, match="wait for the database"):
        fill(journal, slots)
    assert journal.full
    for slot in slots:
        journal.append(slot, 200, error_class="e" * 100)  # what was let in has its room
    assert sum(path.stat().st_size for path in folder.glob("*.log")) <= 20_000
    journal.max_bytes = 1 << 20
    assert not journal.full
    journal.other_bytes = 1 << 20
    assert journal.full
    journal.close()


def test_the_oldest_are_dropped_and_counted(folder: Path) -> None:
    journal = Journal(str(folder), max_bytes=32_000, drop_oldest=True)
    for n in range(1000):
        write(journal, b"%d" % n)
        assert sum(path.stat().st_size for path in folder.glob("*.log")) <= 32_000 + 4096
    kept = ids(folder)
    assert kept == [str(n) for n in range(1000 - len(kept), 1000)]
    assert journal.dropped == 1000 - len(kept)
    assert not journal.full
    journal.close()


def test_what_is_being_drained_is_not_dropped(folder: Path) -> None:
    journal = Journal(str(folder), max_bytes=32_000, drop_oldest=True)
    write(journal, b"first")
    journal.pin(1)
    for n in range(500):
        write(journal, b"%d" % n)
    assert ids(folder)[0] == "first"
    journal.close()


FULL_DISK = """
import resource, signal, sys
from switchgear.hotpath._journal import Journal, JournalFull, label
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(sys.argv[1], segment_bytes=1 << 20)
name = label(*[""] * 10)
slots = [journal.open(name, b"%d" % n) for n in range(40)]
resource.setrlimit(resource.RLIMIT_FSIZE, (2500, resource.RLIM_INFINITY))  # as if the disk were full from here on
for slot in slots:
    journal.append(slot, 201, None, 5, "late")
assert journal.failing and journal.full and journal.open_slots, (journal.failing, journal.open_slots)
try:
    journal.open(name, b"refused")
except JournalFull as error:
    assert "cannot be written" in str(error)
else:
    raise SystemExit("let in")
if sys.argv[2] == "space":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert journal.retry() and not journal.full and not journal.open_slots
    journal.append(journal.open(name, b"40"), 201, None, 5, "late")
"""


@pytest.mark.parametrize("after", ["space", "killed"])
def test_a_full_disk_loses_nothing(folder: Path, after: str) -> None:
    """Records wait in their slots, also for the next process; whole, as they would have been written."""
    subprocess.run([sys.executable, "-c", FULL_DISK, str(folder), after], check=True, env=_environment())
    journal = Journal(str(folder))
    journal.close()
    rows: list[Any] = []
    for path in sorted(folder.glob("*.log")):
        rows += decode(path.read_bytes()[32:], 32, 1)[0]
    assert sorted(int(row[0]) for row in rows) == list(range(41 if after == "space" else 40))
    assert {(row[12], row[13], row[28]) for row in rows} == {(201, "late", 5)}


KILLED = """
import sys
from switchgear.hotpath._journal import Journal, label
journal = Journal(sys.argv[1], segment_bytes=4096)
name = label(*[""] * 10)
n = 0
while True:
    slots = [journal.open(name, b"%d" % (n + k)) for k in range(3)]
    sys.stdout.write(f"opened {n + 2}\\n"); sys.stdout.flush()
    for k, slot in enumerate(slots):
        journal.append(slot, 200)
    n += 3
"""


def test_a_killed_process_leaves_each_request_once(tmp_path: Path) -> None:
    """SIGKILL at whatever instruction: what was opened is there, once; as done or as killed."""
    for attempt in range(6):
        folder = tmp_path / uuid4().hex
        folder.mkdir()
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, env=_environment()
        )
        assert child.stdout is not None
        seen = b""
        while seen.count(b"\n") < 50 + attempt * 37:
            seen += os.read(child.stdout.fileno(), 4096)
        child.send_signal(signal.SIGKILL)
        seen += child.communicate()[0]
        opened = int(seen.rsplit(b"\n", 1)[0].rsplit(b" ", 1)[1])
        Journal(str(folder)).close()
        found = sorted(map(int, ids(folder)))
        assert found[: opened + 1] == list(range(opened + 1))
        assert len(found) == len(set(found)) <= opened + 4


def test_a_journal_that_cannot_be_opened_leaves_no_lock(folder: Path) -> None:
    (folder / "open").mkdir()
    with pytest.raises(IsADirectoryError):
        Journal(str(folder))
    (folder / "open").rmdir()
    Journal(str(folder)).close()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
