"""Real SDKs through one gateway, in front of an upstream of each wire format: what the application sees is the same.

The same as from the simulator asked directly in the SDK's own format, but for what `DIFFERENCES` names.
"""

from __future__ import annotations

import json
import re
from concurrent.futures import Future
from typing import Any

import pytest

from tests.docs.test_sdks_page import table
from tests.sdk.environments import Uninstallable
from tests.sdk.matrix import DIFFERENCES, DIRECT, RUNS, UPSTREAMS, Run

Results = dict[str, Future[Any]]
each_run = pytest.mark.parametrize("run", RUNS, ids=[run.name for run in RUNS])


def _found(runs: Results, run: Run) -> Any:
    try:
        return runs[run.name].result()
    except Uninstallable as exc:
        pytest.fail(str(exc), pytrace=False)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


@each_run
def test_asked_directly(run: Run, runs: Results) -> None:
    """Nothing fails that the SDK can do, and each conversation with tools has its second turn."""
    found = _found(runs, run)
    for step, seen in found["results"][DIRECT].items():
        expected = DIFFERENCES.get((run.script, step, DIRECT))
        if expected is None:
            assert '"raised"' not in _text(seen), f"{step}\n{found['stderr']}"
        else:
            assert expected.told in _text(seen)


@each_run
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_the_same_through_the_gateway(run: Run, upstream: str, runs: Results) -> None:
    found = _found(runs, run)
    direct, through = found["results"][DIRECT], found["results"][upstream]
    named = {
        step: told for (script, step, name), told in DIFFERENCES.items() if (script, name) == (run.script, upstream)
    }
    assert set(named) <= set(direct) == set(through)
    assert {step: seen for step, seen in through.items() if step not in named} == {
        step: seen for step, seen in direct.items() if step not in named
    }, found["stderr"]
    for step, difference in named.items():
        assert difference.told in _text(through[step]), step
        if (run.script, step, DIRECT) not in DIFFERENCES:
            assert through[step] != direct[step], f"{step} is no longer different: take it out of DIFFERENCES"


@each_run
def test_each_step_is_on_the_page(run: Run, runs: Results) -> None:
    listed = {script: re.findall(r"\w+", names) for script, names in table("Steps")}
    assert listed[run.script] == list(_found(runs, run)["results"][DIRECT])
