"""CASES 6: status, type, code, param, message and Retry-After of an upstream's error survive."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import openai
import pytest

from tests.cases.client import RESPONSES, calls, chat, post
from tests.conftest import basic_config
from tests.hotpath.upstream import answering, serving
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

Start = Callable[..., GatewayProcess]


@pytest.fixture
def once(start_gateway: Start, sim: SimulatorProcess) -> GatewayProcess:
    """A gateway that makes one attempt."""
    return start_gateway(basic_config(sim, defaults={"retries": {"attempts": 1}, "breaker": {"failures": 1000}}))


# status of the upstream -> status for the client; type, code and message are the upstream's
STATUSES = {400: 400, 404: 404, 409: 409, 413: 413, 422: 422, 429: 429, 500: 500, 503: 503, 529: 503}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_fields_survive(once: GatewayProcess, sim: SimulatorProcess, stream: bool) -> None:
    for status, expected in STATUSES.items():
        fault = {"status": status, "error-type": "odd_type", "error-code": "odd_code", "message": f"Said {status}."}
        sim.fault({"fault": fault})
        answer = post(once.origin, chat(stream=stream))
        assert (answer.status, answer.error) == (
            expected,
            {"message": f"Said {status}.", "type": "odd_type", "param": None, "code": "odd_code"},
        )
        assert answer.headers["content-type"] == "application/json"
        assert "retry-after" not in answer.headers


def test_responses_endpoint(once: GatewayProcess, sim: SimulatorProcess) -> None:
    sim.fault({"fault": {"status": 429, "retry-after": "3", "error-code": "rate_limit_exceeded", "message": "Slow."}})
    answer = post(once.origin, {"model": "sim", "input": "x", "stream": True}, RESPONSES)
    assert (answer.status, answer.headers["retry-after"]) == (429, "3")
    assert answer.error == {"message": "Slow.", "type": "requests", "param": None, "code": "rate_limit_exceeded"}


def test_param_survives(once: GatewayProcess) -> None:
    """The upstream's own refusal of a value, which names the parameter."""
    answer = post(once.origin, chat(temperature=5))
    assert (answer.status, answer.error["param"]) == (400, "temperature")
    assert answer.error["code"] == "decimal_above_max_value"


def test_a_body_is_forwarded_as_it_came(start_gateway: Start) -> None:
    body = b'{"error": {"message":"m","type":"t","param":"p","code":"c", "more": [1.0, {"x":null}]}}'
    raw = b"HTTP/1.1 422 Unprocessable\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )

    async def run() -> None:
        async with serving(answering(raw)) as upstream:
            config = _one_provider(upstream.port)
            gateway = await asyncio.to_thread(start_gateway, config)
            answer = await asyncio.to_thread(post, gateway.origin, chat())
            assert (answer.status, answer.body) == (422, body)

    asyncio.run(run())


def _one_provider(port: int, **retries: Any) -> dict[str, Any]:
    return {
        "providers": {"up": {"base_url": f"http://127.0.0.1:{port}/v1", "credentials": ["sk-up"], "models": ["sim"]}},
        "keys": [{"name": "test", "value": KEY}],
        "defaults": {"retries": {"attempts": 1, **retries}},
    }


# what the upstream sends -> what the client reads: whole seconds, and milliseconds where they say more
WAITS = [
    ({"retry-after": "7"}, "7", None),
    ({"retry-after-ms": "1500"}, "2", "1500"),
    ({"retry-after": "2", "retry-after-ms": "1500"}, "2", None),
    ({"retry-after": "1", "retry-after-ms": "0"}, "1", None),
]


@pytest.mark.parametrize(("fields", "seconds", "milliseconds"), WAITS)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(
    once: GatewayProcess,
    sim: SimulatorProcess,
    status: int,
    fields: dict[str, str],
    seconds: str,
    milliseconds: str | None,
) -> None:
    sim.fault({"fault": {"status": status, **fields}})
    answer = post(once.origin, chat())
    assert answer.status == status
    assert (answer.headers["retry-after"], answer.headers.get("retry-after-ms")) == (seconds, milliseconds)


def test_retry_after_date(once: GatewayProcess, sim: SimulatorProcess) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    sim.fault({"fault": {"status": 429, "retry-after": moment}})
    answer = post(once.origin, chat())
    assert 90 <= int(answer.headers["retry-after"]) <= 100


@pytest.mark.parametrize("status", [429, 503])
def test_smallest_retry_after_of_all_targets(
    start_gateway: Start, sim: SimulatorProcess, start_simulator: Callable[..., SimulatorProcess], status: int
) -> None:
    other = start_simulator()
    targets = [{"provider": "sim", "model": "m", "tier": 0}, {"provider": "sim2", "model": "m", "tier": 1}]
    gateway = start_gateway(basic_config(sim, other, models={"smart": {"targets": targets}}))
    sim.fault({"fault": {"status": status, "retry-after": "50"}})
    other.fault({"fault": {"status": 503, "retry-after": "40", "message": "The second is full."}})
    answer = post(gateway.origin, chat("smart"))
    assert (answer.status, answer.headers["retry-after"]) == (status, "40")
    assert (len(calls(sim)), len(calls(other))) == (1, 1)


def test_the_sdk_raises_what_it_would_raise_directly(once: GatewayProcess, sim: SimulatorProcess) -> None:
    def raised(url: str, status: int) -> tuple[Any, ...]:
        sim.fault({"fault": {"status": status, "retry-after": "1"}})
        with (
            openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as client,
            pytest.raises(openai.APIStatusError) as caught,
        ):
            client.chat.completions.create(model="sim", messages=[{"role": "user", "content": "x"}])
        error = caught.value
        return type(error), error.status_code, error.type, error.code, error.param, error.body

    for status in (400, 403, 404, 409, 422, 429, 500, 503):
        assert raised(once.url, status) == raised(sim.url, status)
