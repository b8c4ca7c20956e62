"""The script of `test_openai_python` with earlier major versions of the SDK, each in an environment of its own."""

from __future__ import annotations

import json

import pytest

from tests.sdk.environments import HERE, Uninstallable, environment
from tests.sdk.matrix import started
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess


@pytest.mark.parametrize(("name", "major"), [("previous", "2"), ("older", "1")])
def test_the_same_as_without_the_gateway(name: str, major: str, gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    try:
        folder = environment(name)
    except Uninstallable as exc:
        pytest.fail(str(exc), pytrace=False)
    given = {
        "direct": {"base_url": sim.url, "key": "sk-direct"},
        "gateway": {"base_url": gateway.url, "key": KEY},
    }
    found = started([str(folder / "bin" / "python"), str(HERE / "script.py")], folder, given)
    assert found["version"].partition(".")[0] == major
    direct = found["results"]["direct"]
    assert '"raised"' not in json.dumps(direct), found["stderr"]
    for step, seen in found["results"]["gateway"].items():
        assert seen == direct[step], step
