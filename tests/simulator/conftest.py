from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI

from switchgear.simulator import Simulator, SimulatorSettings


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings()) as simulator:
        yield simulator


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=sim.url, api_key="sk-test", max_retries=0, _strict_response_validation=True
    ) as made:
        yield made


@pytest.fixture
async def lenient(sim: Simulator) -> AsyncIterator[AsyncOpenAI]:
    """For answers in which OpenAI itself departs from what the SDK declares."""
    async with AsyncOpenAI(base_url=sim.url, api_key="sk-test", max_retries=0) as made:
        yield made
