"""The vendors' SDKs against tight limits: they wait as our headers say and recover; our errors are theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from tests.support.metered import metered
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

Start = Callable[[dict[str, Any]], GatewayProcess]
MODEL = "sim;tokens=2"
MESSAGES: Any = [{"role": "user", "content": "Say something."}]
PER_SECOND = 5
ASKED = 12


def config(folder: Path, sim: SimulatorProcess, **limit: Any) -> dict[str, Any]:
    return metered(folder, sim, key={"limits": [{"resource": "requests", **limit}]})


async def test_openai_recovers(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    """Twelve at once against five a second: the SDK's own retries bring all of them through."""
    gateway = start_gateway(config(tmp_path, sim, capacity=PER_SECOND, window="second"))
    async with AsyncOpenAI(base_url=gateway.url, api_key=KEY, max_retries=6, timeout=20) as client:

        async def ask(number: int) -> str | None:
            if number % 2:
                stream = await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
            answer = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
            return answer.choices[0].message.content

        assert all(await asyncio.gather(*(ask(number) for number in range(ASKED))))


async def test_anthropic_recovers(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    gateway = start_gateway(config(tmp_path, sim, capacity=PER_SECOND, window="second"))
    async with AsyncAnthropic(base_url=gateway.origin, api_key=KEY, max_retries=6, timeout=20) as client:
        asked = (client.messages.create(model=MODEL, max_tokens=2, messages=MESSAGES) for _ in range(ASKED))
        assert all(answer.content for answer in await asyncio.gather(*asked))


@pytest.mark.parametrize("stream", [False, True])
async def test_openai_reads_our_refusal(
    start_gateway: Start, sim: SimulatorProcess, tmp_path: Path, stream: bool
) -> None:
    gateway = start_gateway(config(tmp_path, sim, capacity=1, window="hour"))
    async with AsyncOpenAI(base_url=gateway.url, api_key=KEY, max_retries=0, timeout=20) as client:
        first = await client.chat.completions.with_raw_response.create(model=MODEL, messages=MESSAGES)
        assert first.headers["x-ratelimit-limit-requests"] == "1"
        assert first.headers["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=stream)
        error = caught.value
        assert (error.code, error.type, error.param) == ("rate_limit_exceeded", "requests", None)
        assert 3500 <= float(error.response.headers["retry-after"]) <= 3600
        assert error.request_id == error.response.headers["x-request-id"]
        assert "key ci" in error.message


async def test_openai_does_not_retry_a_budget(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    gateway = start_gateway(metered(tmp_path, sim, key={"budget": {"usd": 0.001, "window": "total"}}))
    async with AsyncOpenAI(base_url=gateway.url, api_key=KEY, max_retries=5, timeout=20) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(model=MODEL, messages=MESSAGES)
        assert caught.value.status_code == 402
        assert caught.value.response.headers["x-should-retry"] == "false"
        assert caught.value.response.request.headers["x-stainless-retry-count"] == "0"


async def test_anthropic_reads_our_refusal(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    gateway = start_gateway(config(tmp_path, sim, capacity=1, window="hour"))
    async with AsyncAnthropic(base_url=gateway.origin, api_key=KEY, max_retries=0, timeout=20) as client:
        first = await client.messages.with_raw_response.create(model=MODEL, max_tokens=2, messages=MESSAGES)
        assert first.headers["anthropic-ratelimit-requests-remaining"] == "0"
        with pytest.raises(anthropic.RateLimitError) as caught:
            await client.messages.create(model=MODEL, max_tokens=2, messages=MESSAGES)
        body: Any = caught.value.body
        assert body["error"]["type"] == "rate_limit_error"
