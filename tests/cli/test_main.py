"""The command line as a process and in process."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from switchgear import __version__
from switchgear.cli import COMMANDS, main
from switchgear.hotpath import MODULES


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "switchgear", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_help_lists_every_command_and_loads_none() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from switchgear.cli import main; "
        "print(CliRunner().invoke(main, ['--help']).stdout); "
        "print([name for name in sys.modules if name.startswith('switchgear.cli.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    help_text, _, loaded = done.stdout.rstrip().rpartition("\n")
    assert loaded == "[]"
    assert help_text.startswith("Usage: main [OPTIONS] COMMAND [ARGS]...")
    assert [name for name in COMMANDS if f"\n  {name} " in help_text] == list(COMMANDS)


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_version(arguments: list[str]) -> None:
    done = run(*arguments)
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0] == f"switchgear {__version__}"
    assert lines[1].startswith(f"python     {sys.version.split()[0]} ")
    shown = "".join(lines[3:])
    assert all(name in shown for name in MODULES)


def test_the_version_loads_neither_server_nor_parser() -> None:
    code = (
        "import sys\nfrom switchgear.cli import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('yaml', 'msgspec', 'rich', 'httpx', 'granian', 'jwt') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["chekc"])
    assert result.exit_code == 2
    assert "No such command 'chekc'" in result.stderr


def test_no_command_prints_the_help() -> None:
    assert "Commands:" in CliRunner().invoke(main, []).output
