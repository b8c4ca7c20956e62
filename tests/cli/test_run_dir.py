"""The directory of a running `serve`, and those that killed ones leave behind."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from switchgear.cli.run_dir import remove_stale, run_directory
from tests.cases.client import until
from tests.conftest import basic_config
from tests.support.processes import GatewayProcess, Process, SimulatorProcess, free_port

Start = Callable[[dict[str, Any], dict[str, str]], GatewayProcess]
HELD = "import time\nfrom switchgear.cli.run_dir import run_directory\nwith run_directory():\n    time.sleep(600)\n"


def held(folder: Path) -> tuple[Process, Path]:
    """A process that owns a run directory below `folder`, and that directory."""
    before = set(folder.glob("switchgear-*"))
    process = Process([sys.executable, "-c", HELD], folder / f"{free_port()}.log", {"TMPDIR": str(folder)})
    until(lambda: any((path / "owner.lock").exists() for path in set(folder.glob("switchgear-*")) - before))
    (path,) = set(folder.glob("switchgear-*")) - before
    return process, path


def test_it_goes_with_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with run_directory() as path:
        assert path.parent == tmp_path
        assert path.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    living, kept = held(tmp_path)
    killed, stale = held(tmp_path)
    (stale / "worker-1.slab").write_bytes(b"x")
    killed.signal(signal.SIGKILL)
    killed.stop()
    remove_stale(tmp_path)
    assert (kept.exists(), stale.exists()) == (True, False)
    living.signal(signal.SIGKILL)
    living.stop()
    remove_stale(tmp_path)
    assert not kept.exists()


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    """A directory of that name without a lock, a file, a link to a directory that has one."""
    (tmp_path / "switchgear-notes").mkdir()
    (tmp_path / "switchgear-file").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "owner.lock").touch()
    (tmp_path / "switchgear-link").symlink_to(elsewhere)
    remove_stale(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"switchgear-notes", "switchgear-file", "switchgear-link", "elsewhere"}
    assert (elsewhere / "owner.lock").exists()


def test_the_next_start_cleans_up(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    first = start_gateway(basic_config(sim), {"TMPDIR": str(tmp_path)})
    (stale,) = tmp_path.glob("switchgear-*")
    (worker,) = first.worker_pids()
    first.signal(signal.SIGKILL)
    first.wait(5)
    until(lambda: not Path(f"/proc/{worker}").exists(), "the worker, a fork that holds the lock too, has ended")
    second = start_gateway(basic_config(sim), {"TMPDIR": str(tmp_path)})
    (path,) = tmp_path.glob("switchgear-*")
    assert path != stale
    second.stop()
    assert list(tmp_path.glob("switchgear-*")) == []
