"""`docs/sdks.md` says what the matrix of SDKs runs: versions, upstreams, differences (steps: `tests/sdk`)."""

from __future__ import annotations

import json
import re

from tests.sdk.environments import NODE, REQUIREMENTS, SETS
from tests.sdk.matrix import CLIENTS, DIFFERENCES, RUNS, UPSTREAMS, Run
from tests.support.processes import ROOT

PAGE = (ROOT / "docs" / "sdks.md").read_text()


def table(title: str) -> list[list[str]]:
    """The cells of each row of the table below a heading."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def version_of(run: Run) -> str:
    """The version of the run's SDK that is pinned."""
    if run.environment == "node":
        locked = json.loads((NODE / "package-lock.json").read_text())["packages"]
        return str(locked[f"node_modules/{run.arguments[0]}"]["version"])
    pinned = re.search(rf"^{run.sdk}==(\S+)", (REQUIREMENTS / f"{run.environment}.txt").read_text(), re.M)
    assert pinned is not None, run
    return pinned[1]


def test_each_run_is_listed() -> None:
    upstreams = ", ".join(UPSTREAMS)
    expected = [[run.sdk, version_of(run), run.environment, run.script, upstreams] for run in RUNS]
    assert table("Runs") == expected


def test_each_script_and_each_environment_is_run() -> None:
    assert {run.script for run in RUNS} == {path.name for path in CLIENTS.iterdir() if path.name.startswith("with_")}
    assert {run.environment for run in RUNS} == set(SETS)


def test_each_difference_is_listed() -> None:
    listed = {
        (script, step, upstream): why
        for script, steps, upstreams, why in table("Differences")
        for step in re.findall(r"\w+", steps)
        for upstream in upstreams.split(", ")
    }
    assert listed == {key: difference.why for key, difference in DIFFERENCES.items()}


def test_no_requirement_names_where_it_comes_from() -> None:
    for path in (*REQUIREMENTS.iterdir(), NODE / "package.json", NODE / "package-lock.json"):
        text = path.read_text()
        assert "index-url" not in text, path
        assert '"resolved"' not in text, path
