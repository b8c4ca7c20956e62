"""CASES 25: the gateway claims no overhead figure of its own; `benchmarks/` measures it socket to socket."""

from __future__ import annotations

import re

import pytest

from tests.cases.client import chat, post
from tests.support.processes import GatewayProcess, SimulatorProcess


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_no_header_claims_one(gateway: GatewayProcess, sim: SimulatorProcess, stream: bool) -> None:
    direct, answer = (post(origin, chat(stream=stream)) for origin in (sim.origin, gateway.origin))
    own = set(answer.headers) - set(direct.headers)
    told = {"x-switchgear-target", "x-switchgear-attempts", "x-switchgear-upstream-request-id"}
    assert own == (told if stream else {*told, "x-switchgear-cost-nanousd"})
    assert not [name for name in own if re.search("overhead|latency|duration|elapsed|timing|-ms$", name)]
