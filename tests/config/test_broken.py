"""One file per mistake in broken/, the exact lines `switchgear check` prints for each in broken/expected.txt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from switchgear.cli import main

BROKEN = Path(__file__).parent / "broken"
FILES = sorted(path.name for path in BROKEN.iterdir() if path.suffix in (".yaml", ".toml"))
EXPECTED = (BROKEN / "expected.txt").read_text().splitlines()


@pytest.fixture(autouse=True)
def _in_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BROKEN)
    monkeypatch.delenv("SWITCHGEAR_TEST_UNSET", raising=False)
    monkeypatch.delenv("HOST", raising=False)


def test_there_are_many_and_each_is_expected() -> None:
    assert len(FILES) >= 40
    assert {line.partition(":")[0] for line in EXPECTED} == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_mistake_is_told_with_its_place(name: str) -> None:
    result = CliRunner().invoke(main, ["check", name])
    assert result.stdout.splitlines() == [line for line in EXPECTED if line.startswith(f"{name}:")]
    assert result.exit_code == 1


@pytest.mark.parametrize("name", FILES)
def test_json_has_the_same(name: str) -> None:
    result = CliRunner().invoke(main, ["check", name, "--format", "json"])
    document = json.loads(result.stdout)
    lines = []
    for error in document["errors"]:
        place = f"{error['file']}:{error['line']}: " + (f"{error['key']}: " if error["key"] else "")
        lines.append(place + error["message"])
    assert (lines, document["ok"]) == ([line for line in EXPECTED if line.startswith(f"{name}:")], False)
    assert result.exit_code == 1


@pytest.mark.parametrize("secret", ["hunter2", "4f9a7c", "short-secret", "0123456789", "1234567890123456"])
def test_no_secret_of_any_of_them_is_repeated(secret: str) -> None:
    assert any(secret in (BROKEN / name).read_text("latin-1") for name in FILES)
    assert secret not in "\n".join(EXPECTED)
