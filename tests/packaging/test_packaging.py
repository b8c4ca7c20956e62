"""What is shipped: a wheel and a source distribution are built, installed and served from, away from this tree."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import basic_config
from tests.support.processes import KEY, ROOT, GatewayProcess, SimulatorProcess, free_port

BUILD_S = 540
_NOT_COPIED = (".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", "*.so", ".*_cache", "node_modules")


def run(*command: object, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Output of a command that must succeed, with no PYTHONPATH to find this tree by."""
    clean = {name: text for name, text in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution of a clean copy of this tree, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("packages")
    tree = folder / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    run(
        sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, tree, cwd=folder
    )  # the wheel from the sdist
    shutil.rmtree(tree)
    return folder


def environment(folder: Path, package: Path, *options: str) -> Path:
    """A new virtual environment with `package` and, by a path file, the dependencies installed here."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    packages = Path(run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=folder).strip())
    installed = Path(site.getsitepackages()[0])
    (packages / "dependencies.pth").write_text(f"{installed}\n")
    install = ["pip", "--python", python, "install", "--no-deps", "--no-index", "--force-reinstall", *options, package]
    run(sys.executable, "-m", *install, cwd=folder, env={"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    where = run(python, "-c", "import switchgear; print(switchgear.__file__)", cwd=folder).strip()
    assert Path(where).is_relative_to(packages)
    return python


@pytest.fixture(scope="module")
def from_wheel(built: Path) -> Path:
    [wheel] = built.glob("*.whl")
    return environment(built / "from-wheel", wheel)


@pytest.fixture(scope="module")
def from_source(built: Path) -> Path:
    [source] = built.glob("*.tar.gz")
    return environment(built / "from-source", source, "--no-build-isolation")


class InstalledGateway(GatewayProcess):
    """`switchgear serve` of an installed package, run from a folder that is not this tree."""

    def __init__(self, python: Path, simulator: SimulatorProcess, folder: Path):
        self.python = python
        super().__init__(basic_config(simulator, server={"port": free_port()}), folder)

    def start(self, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        """The installed command in place of this tree's module."""
        return subprocess.Popen(
            [str(self.python.parent / "switchgear"), *command[3:]],
            stdout=self._out,
            stderr=subprocess.STDOUT,
            cwd=self.log.parent,
            env={name: text for name, text in os.environ.items() if name != "PYTHONPATH"},
            start_new_session=True,
        )


@pytest.fixture(params=["from_wheel", "from_source"])
def installed(request: pytest.FixtureRequest, sim: SimulatorProcess, tmp_path: Path) -> Iterator[InstalledGateway]:
    process = InstalledGateway(request.getfixturevalue(request.param), sim, tmp_path)
    yield process
    process.stop()


def ask(gateway: GatewayProcess, stream: bool) -> bytes:
    body = json.dumps({"model": "sim", "messages": [{"role": "user", "content": "hi"}], "stream": stream}).encode()
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    request = urllib.request.Request(f"{gateway.url}/chat/completions", data=body, headers=headers)  # noqa: S310 - our own URL
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - our own URL
        assert answer.status == 200
        data: bytes = answer.read()
    return data


def test_an_installed_gateway_serves(installed: InstalledGateway, sim: SimulatorProcess) -> None:
    installed.ready()
    whole = json.loads(ask(installed, stream=False))
    events = [line[6:] for line in ask(installed, stream=True).decode().split("\n\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert text == whole["choices"][0]["message"]["content"]
    assert len(chunks) >= 16
    assert [record["status"] for record in sim.requests() if record["method"] == "POST"] == [200, 200]


def test_the_installed_commands(from_wheel: Path, tmp_path: Path) -> None:
    command = from_wheel.parent / "switchgear"
    version = run(from_wheel, "-c", "import switchgear; print(switchgear.__version__)", cwd=tmp_path).strip()
    assert version in run(command, "version", cwd=tmp_path)
    for name in ("serve", "simulate", "check"):
        assert "--help" in run(command, name, "--help", cwd=tmp_path)


def sources(pattern: str, folder: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob(pattern) if "egg-info" not in str(path)}


def test_the_source_distribution_is_whole(built: Path) -> None:
    """All that a build needs and all that is installed, and nothing that a build makes."""
    [archive] = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    needed = set().union(*(sources(pattern, "ext") for pattern in ("*.pyx", "*.pxd", "*.pxi", "*.h")))
    needed |= set().union(*(sources(pattern, "src") for pattern in ("*.py", "*.pyi", "py.typed", "*.lua")))
    needed |= {"pyproject.toml", "setup.py", "LICENSE", "MANIFEST.in", "PKG-INFO"}
    assert needed - names == set()
    assert [name for name in names if name.endswith((".so", ".c", ".pyc", ".o"))] == []


def test_the_wheel_is_whole(built: Path) -> None:
    """Every module, stub and marker, each compiled module for its stub, and no C or Cython source."""
    [archive] = built.glob("*.whl")
    with zipfile.ZipFile(archive) as opened:
        names = set(opened.namelist())
    needed = set().union(*(sources(pattern, "src") for pattern in ("*.py", "*.pyi", "py.typed", "*.lua")))
    assert {name.removeprefix("src/") for name in needed} - names == set()
    stubs = {Path(name).stem for name in sources("*.pyi", "src/switchgear/hotpath")}
    compiled = {Path(name).name.partition(".")[0] for name in names if name.endswith(".so")}
    assert compiled == stubs
    assert [name for name in names if name.endswith((".pyx", ".c", ".h")) or name.startswith("tests/")] == []


def test_a_missing_compiled_module_is_named(from_wheel: Path, tmp_path: Path) -> None:
    """A gateway without one of its compiled modules does not start, and says which one is missing."""
    environment_folder = tmp_path / "broken"
    [wheel] = from_wheel.parent.parent.parent.glob("*.whl")
    python = environment(environment_folder, wheel)
    [module] = environment_folder.rglob("_sse.*.so")
    module.unlink()
    clean = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python.parent / "switchgear", "serve", "--port", "0"],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "switchgear.hotpath: not built: _sse." in done.stderr
    assert "Traceback" not in done.stderr
