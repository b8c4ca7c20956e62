"""Building the compiled programs, and running `loadclient`, the load generator."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.processes import on_core

SOURCES = Path(__file__).resolve().parent.parent
BUILD = SOURCES.parent / "build"
FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"]

Sample = dict[str, Any]
"""What loadclient printed: see its source."""


class LoadFailed(Exception):
    """loadclient could not run at all: a message with what it said."""


def build(name: str) -> Path:
    """Compile benchmarks/`name`.c into build/ when a source is newer.

    Raises `LoadFailed` without a compiler, and on its errors.
    """
    binary, source = BUILD / name, SOURCES / f"{name}.c"
    if binary.exists() and binary.stat().st_mtime > max(one.stat().st_mtime for one in (source, *SOURCES.glob("*.h"))):
        return binary
    BUILD.mkdir(exist_ok=True)
    command = [os.environ.get("CC", "gcc"), *FLAGS, "-o", str(binary), str(source)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as exc:
        raise LoadFailed(f"cannot run {command[0]}: install a C compiler, or name one in CC") from exc
    if done.returncode:
        raise LoadFailed(f"{' '.join(command)} failed:\n{done.stderr}")
    return binary


class LoadClient:
    """Runs loadclient on one core. Every run's command is kept in `commands`."""

    def __init__(self, core: int | None) -> None:
        self.binary = build("loadclient")
        self.core = core
        self.commands: list[str] = []

    def run(
        self,
        mode: str,
        url: str,
        requests: Sequence[Path],
        connections: int,
        duration_s: float,
        warmup_s: float = 0.0,
        pids: Iterable[int] = (),
        options: Sequence[str] = (),
    ) -> Sample:
        """One run. Raises `LoadFailed` when it does not end with a result; failed requests are in the sample."""
        command = [str(self.binary), mode, "--url", url, "--connections", str(connections)]
        command += ["--duration", f"{duration_s:g}", "--warmup", f"{warmup_s:g}", *options]
        for pid in pids:
            command += ["--watch-pid", str(pid)]
        self.commands.append(f"{' '.join(command)} --request {requests[0]}" + (" …" if len(requests) > 1 else ""))
        for path in requests:
            command += ["--request", str(path)]
        with on_core(self.core):
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            out, err = process.communicate(timeout=duration_s + warmup_s + 180)
        except subprocess.TimeoutExpired as exc:
            process.kill()
            process.communicate()
            raise LoadFailed(f"loadclient did not end: {self.commands[-1]}") from exc
        if process.returncode not in (0, 1):
            raise LoadFailed(f"loadclient: {err.strip()}")
        sample: Sample = json.loads(out)
        return sample
