"""Starting, pinning, watching and stopping the processes under test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

START_S = 30.0
STOP_S = 10.0


class StartFailed(Exception):
    """A server did not come up: its name and the end of its log."""


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Processes started within run on this core, with all their later threads and children."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _parents() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            parents[int(entry.name)] = int(fields[1])
    return parents


def tree(pid: int) -> list[int]:
    """`pid` and the processes below it."""
    parents, found = _parents(), [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


class Process:
    """A server as a process group of its own, pinned to a core, its output in a log file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        core: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.command, self.log = name, list(command), log
        with on_core(core), log.open("wb") as output:
            self._popen = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self.pid = self._popen.pid

    def pids(self) -> list[int]:
        """The process and its children, now."""
        return tree(self.pid)

    def failed(self, reason: str) -> StartFailed:
        """The error to raise, with the end of the log."""
        tail = self.log.read_text(errors="replace")[-2000:]
        return StartFailed(f"{self.name}: {reason}\n  {' '.join(self.command)}\n{tail}")

    def wait_for_port(self, port: int) -> None:
        """Return once the port takes connections. Raises `StartFailed` when the process ends or time is up."""
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self._popen.poll() is not None:
                raise self.failed(f"ended with status {self._popen.returncode}")
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise self.failed(f"no answer on port {port} within {START_S:g} s")

    def wait_for_line(self, word: str) -> str:
        """The first line of output that contains `word`. Raises `StartFailed`."""
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            for line in self.log.read_text(errors="replace").splitlines():
                if word in line:
                    return line
            if self._popen.poll() is not None:
                raise self.failed(f"ended with status {self._popen.returncode}")
            time.sleep(0.05)
        raise self.failed(f"did not print {word!r} within {START_S:g} s")

    def stop(self) -> None:
        """SIGTERM to the process; what is left of its group after `STOP_S` is killed."""
        self._popen.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(STOP_S)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
