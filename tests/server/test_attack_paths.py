"""What clients write must not steer the upstream's path away from the endpoint that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cases.client import Open, calls, chat, post
from tests.conftest import basic_config
from tests.support.processes import GatewayProcess, SimulatorProcess

Start = Callable[[dict[str, Any]], GatewayProcess]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/files/.."),
        ("GET", "/v1/files/%2e%2e"),
        ("GET", "/v1/files/."),
        ("GET", "/v1/files/../content"),
        ("DELETE", "/v1/files/.."),
        ("DELETE", "/v1/responses/.."),
        ("GET", "/v1/responses/../input_items"),
        ("POST", "/v1/responses/%2E%2E/cancel"),
        ("GET", "/v1/batches/.."),
        ("POST", "/v1/batches/../cancel"),
        ("GET", "/v1/files/..%2f..%2fadmin"),
        ("GET", "/v1/files/a%0d%0aX:%20y"),
        ("GET", "/v1/files/a%00"),
        ("GET", "/v1/files/a%20HTTP/1.1"),
        ("GET", "/v1/files/%ff"),
    ],
)
def test_an_identifier_that_is_none_reaches_no_upstream(
    gateway: GatewayProcess, sim: SimulatorProcess, method: str, path: str
) -> None:
    answer = Open(gateway.origin, path, method=method).answer()
    assert (answer.status, answer.error["code"]) == (404, "unknown_url")
    assert calls(sim) == []


@pytest.mark.parametrize("identifier", ["...", "..a", "file-1.2", "a..b"])
def test_an_identifier_may_have_dots(gateway: GatewayProcess, sim: SimulatorProcess, identifier: str) -> None:
    Open(gateway.origin, f"/v1/files/{identifier}", method="GET").answer()
    assert [record["path"] for record in calls(sim)] == [f"/v1/files/{identifier}"]


@pytest.mark.parametrize("model", ["..", "."])
def test_a_model_is_no_path_segment_of_azure(start_gateway: Start, sim: SimulatorProcess, model: str) -> None:
    azure = {
        "type": "azure",
        "base_url": sim.origin,
        "api_version": "2024-10-21",
        "credentials": ["azure-key-000000"],
        "models": ["gpt"],
    }
    gateway = start_gateway(basic_config(sim, providers={"azure": azure}))
    answer = post(gateway.origin, chat(f"azure/{model}"))
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert calls(sim) == []
