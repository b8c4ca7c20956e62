"""What the figures were measured on, and how fast it is compared with the machine the budgets were set on."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

PACKAGES = ("switchgear", "granian", "uvloop", "msgspec", "orjson", "httptools", "Cython")


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_mb() -> int:
    return int(Path("/proc/meminfo").read_text().split()[1]) // 1024


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout or done.stderr).strip() or None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def describe(nginx: str | None) -> dict[str, object]:
    """Machine, kernel, versions, commit."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_mb": _memory_mb(),
        "kernel": platform.release(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {package: _version(package) for package in PACKAGES},
        "nginx": _output(nginx, "-v") if nginx else None,
        "compiler": (_output(os.environ.get("CC", "gcc"), "--version") or "").partition("\n")[0],
        "commit": _output("git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"),
    }


def _best_us(once: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter_ns()
        once()
        best = min(best, time.perf_counter_ns() - began)
    return best / 1000


def reference_loops() -> dict[str, float]:
    """The fastest of many turns of two loops that CPython runs in C and that allocate nothing, µs.

    bytes.find over 1 MiB is bound by vector units and cache, bytes.islower over 64 KiB (a table look-up for each byte)
    by the core's clock; neither depends on the version of Python. `budgets.toml` holds what they take on the reference
    machine.
    """
    haystack, text = bytes(1024 * 1024), b"a" * 65536
    return {
        "find_1mib_us": round(_best_us(lambda: haystack.find(b"\n"), 300), 2),
        "islower_64kib_us": round(_best_us(text.islower, 300), 2),
    }
