from __future__ import annotations

from collections.abc import AsyncIterator

import ollama
import pytest
from anthropic import AsyncAnthropic
from google import genai
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


@pytest.fixture
async def claude(sim: Simulator) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(
        base_url=sim.origin, api_key="sk-ant-test", max_retries=0, _strict_response_validation=True
    ) as made:
        yield made


@pytest.fixture
async def gemini(sim: Simulator) -> AsyncIterator[genai.client.AsyncClient]:
    async with genai.Client(api_key="AIza-test", http_options={"base_url": sim.origin}).aio as made:
        yield made


@pytest.fixture
async def llama(sim: Simulator) -> AsyncIterator[ollama.AsyncClient]:
    made = ollama.AsyncClient(host=sim.origin)
    yield made
    await made._client.aclose()
