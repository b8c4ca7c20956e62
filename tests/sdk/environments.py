"""One virtual environment per set of SDKs, made from requirements that are pinned with hashes, kept until they change.

SDKs of several major versions cannot live in one environment, and none of them belongs into the project's own. A set is
a file `requirements/NAME.txt`; its environment is `.venv-sdks/NAME-DIGEST`, where the digest is of everything it is
made from. Packages come from where `uv` and `npm` are set up to take them; if they cannot be had, the tests fail.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements"
NODE = HERE / "node"
CACHE = Path(os.environ.get("SWITCHGEAR_SDK_ENVIRONMENTS", ROOT / ".venv-sdks"))
INSTALL_S = 600.0
_READY = "ready"
_NODE_FILES = ("package.json", "package-lock.json")

SETS = tuple(sorted(path.stem for path in REQUIREMENTS.glob("*.txt")))


class Uninstallable(Exception):
    """An environment could not be made: the package registry cannot be reached, or lacks what is pinned."""


def environment(name: str) -> Path:
    """The folder of the set's environment, made first if need be. Raises `Uninstallable`."""
    folder = CACHE / f"{name}-{_digest(name)}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run of the tests may be making it
        if not (folder / _READY).exists():
            _remove_older(name)
            _make(name, folder)
            (folder / _READY).touch()
    return folder


def _digest(name: str) -> str:
    """Of the pinned requirements and of the Python that they are installed for."""
    digest = hashlib.sha256(f"{sys.version} {sys.platform} {sys.executable}".encode())
    for path in _sources(name):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _sources(name: str) -> list[Path]:
    extra = [NODE / file for file in _NODE_FILES] if name == "node" else []
    return [REQUIREMENTS / f"{name}.txt", *extra]


def _remove_older(name: str) -> None:
    for path in CACHE.glob(f"{name}-{'[0-9a-f]' * 12}"):
        shutil.rmtree(path)


def _make(name: str, folder: Path) -> None:
    uv = [sys.executable, "-m", "uv"]
    _run(name, [*uv, "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder)])
    install = ["pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), "--no-deps", "--require-hashes"]
    _run(name, [*uv, *install, "--requirements", str(REQUIREMENTS / f"{name}.txt")])
    if name == "node":
        for file in _NODE_FILES:
            shutil.copy(NODE / file, folder / file)
        npm = [str(folder / "bin" / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        _run(name, npm, cwd=folder)


def _run(name: str, command: list[str], cwd: Path = ROOT) -> None:
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])
    try:
        done = subprocess.run(
            command, cwd=cwd, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=INSTALL_S
        )
    except subprocess.TimeoutExpired as exc:
        raise Uninstallable(_message(name, command, f"no end after {INSTALL_S:.0f} s")) from exc
    if done.returncode != 0:
        raise Uninstallable(_message(name, command, f"{done.stdout}\n{done.stderr}".strip()[-4000:]))


def _message(name: str, command: list[str], why: str) -> str:
    return (
        f"The SDKs of the set {name!r} could not be installed. These tests need a package registry the first time (or "
        f"{CACHE} from an earlier run); they are not skipped without one.\n$ {' '.join(command)}\n{why}"
    )
