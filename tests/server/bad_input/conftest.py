"""One gateway for a module's bad input, and after each test the question whether it took harm."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import basic_config
from tests.server.bad_input.raw import CHAT, exchange, in_flight, post
from tests.support.processes import GatewayProcess, SimulatorProcess


@pytest.fixture(scope="module")
def gateway(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    config = basic_config(simulator)
    config["server"] = {"body_timeout": "1s", "cors": {"origins": ["https://app.example"]}}
    process = GatewayProcess(config, tmp_path_factory.mktemp("bad-input"))
    yield process.ready()
    process.stop()


@pytest.fixture(autouse=True)
async def goes_on(gateway: GatewayProcess, sim: SimulatorProcess) -> Any:
    """After each test: nothing in flight, and a good request succeeds."""
    yield
    async with asyncio.timeout(10):
        while (await asyncio.to_thread(in_flight, gateway)) > 1:  # the question itself
            await asyncio.sleep(0.05)
    [good] = await exchange(gateway, post(CHAT, connection="close"))
    assert good[0] == 200
    assert "unexpected error" not in gateway.output
