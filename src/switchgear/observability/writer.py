"""Log lines to a file descriptor, from a thread of their own.

The caller appends to a bounded buffer and goes on: a terminal that scrolls slowly, a pipe that nobody reads or a full
disk costs lines, which are counted, never time. The thread sleeps until there is something, then gathers for a moment
and writes all of it at once.
"""

from __future__ import annotations

import atexit
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

CAPACITY_BYTES = 4 * 1024 * 1024
GATHER_S = 0.01
STALL_S = 1.0
"""A descriptor that takes nothing for so long loses the batch at hand."""
_MAX_WRITE_BYTES = 64 * 1024
_FLUSH_AT_EXIT_S = 2.0


class LogWriter:
    """Writes lines to `fd`, which stays open. capacity_bytes: most that waits; lines beyond are dropped and counted.

    on_drop: called with the number of lines dropped, in whatever thread.
    """

    def __init__(self, fd: int, capacity_bytes: int = CAPACITY_BYTES):
        self.fd = fd
        self.dropped = 0
        self.on_drop: Callable[[int], None] | None = None
        self._capacity_bytes = capacity_bytes
        self._reset()
        atexit.register(self.flush, _FLUSH_AT_EXIT_S)
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        # A fork has no thread and a lock in any state; the lines that waited are the parent's to write.
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        # Re-entrant: a finalizer that runs inside `write` may log.
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._drained = threading.Event()
        self._drained.set()
        self._thread: threading.Thread | None = None

    def write(self, line: bytes) -> None:
        """Take a line, its end included. Never waits for the descriptor, never raises."""
        with self._lock:
            if self._bytes + len(line) > self._capacity_bytes:
                kept = False
            else:
                kept = True
                self._lines.append(line)
                self._bytes += len(line)
                if self._drained.is_set():
                    self._drained.clear()
                    self._wake.set()
                if self._thread is None:
                    self._start()
        if not kept:
            self._count_dropped(1)

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is written or dropped; False when it takes longer."""
        return self._drained.wait(timeout_s)

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="switchgear-log", daemon=True)
        # Without threads (the interpreter is shutting down) the lines stay in the buffer.
        with suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(GATHER_S)
            with self._lock:
                lines, self._lines = self._lines, deque()
                self._wake.clear()
            size = sum(map(len, lines))
            if not self._put(b"".join(lines)):
                self._count_dropped(len(lines))
            with self._lock:
                # Only now: what is being written still takes up memory.
                self._bytes -= size
                if self._lines:
                    self._wake.set()
                else:
                    self._drained.set()

    def _put(self, data: bytes) -> bool:
        view = memoryview(data)
        while view:
            try:
                # Writable by select: a write of this size to a pipe may still block, but only this thread.
                view = view[os.write(self.fd, view[:_MAX_WRITE_BYTES]) :]
            except BlockingIOError:
                if not self._writable():
                    return False
            except OSError:
                return False
        return True

    def _writable(self) -> bool:
        poll = select.poll()
        try:
            poll.register(self.fd, select.POLLOUT)
            return bool(poll.poll(STALL_S * 1000))
        except OSError:
            return False

    def _count_dropped(self, count: int) -> None:
        self.dropped += count
        if self.on_drop is not None:
            # The counter is somebody else's code, and a log call must not fail for it.
            with suppress(Exception):
                self.on_drop(count)
