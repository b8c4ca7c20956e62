"""CASES 7: one attempt and time budget for a whole request; a 429 is not ill health; no pool empties itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.cases.client import calls, chat, post, refused_port, total, until
from tests.conftest import basic_config
from tests.support.processes import GatewayProcess, SimulatorProcess

Start = Callable[..., GatewayProcess]
StartSimulator = Callable[..., SimulatorProcess]
STREAMS = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


def tiers(**model: Any) -> dict[str, Any]:
    """A model with a target at each of two providers, one tier each."""
    targets = [{"provider": "sim", "model": "first", "tier": 0}, {"provider": "sim2", "model": "second", "tier": 1}]
    return {"smart": {"targets": targets, **model}}


def quick(**defaults: Any) -> dict[str, Any]:
    """Retries without long waits."""
    return {
        "retries": {"attempts": 3, "backoff": "1ms", "max_backoff": "1ms"},
        "breaker": {"failures": 1000},
        **defaults,
    }


@STREAMS
@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_the_upstream_sees_as_many_requests_as_there_are_attempts(
    start_gateway: Start, sim: SimulatorProcess, attempts: int, stream: bool
) -> None:
    defaults = quick(retries={"attempts": attempts, "backoff": "1ms", "max_backoff": "1ms"})
    gateway = start_gateway(basic_config(sim, defaults=defaults))
    sim.fault({"fault": {"reset-before-headers": True}})
    answer = post(gateway.origin, chat(stream=stream))
    assert (answer.status, answer.error["code"]) == (502, "upstream_unreachable")
    assert len(calls(sim)) == attempts
    sim.forget()
    sim.fault({"fault": {"status": 500}})
    assert post(gateway.origin, chat(stream=stream)).status == 500
    assert len(calls(sim)) == attempts


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 501])
def test_an_error_about_the_request_is_not_tried_again(
    start_gateway: Start, sim: SimulatorProcess, start_simulator: StartSimulator, status: int
) -> None:
    other = start_simulator()
    gateway = start_gateway(basic_config(sim, other, models=tiers()))
    sim.fault({"fault": {"status": status}})
    assert post(gateway.origin, chat("smart")).status == status
    assert (len(calls(sim)), len(calls(other))) == (1, 0)


@STREAMS
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 503},
        {"status": 429, "retry-after": "30"},
        {"status": 401},
        {"reset-before-headers": True},
        {"reset-after-headers": True},
        {"malformed-http": "status-line"},
        {"error-in-200": True},
    ],
    ids=lambda fault: "-".join(f"{key}={value}" for key, value in fault.items()),
)
def test_the_next_tier_answers(
    start_gateway: Start, sim: SimulatorProcess, start_simulator: StartSimulator, fault: dict[str, Any], stream: bool
) -> None:
    other = start_simulator()
    gateway = start_gateway(basic_config(sim, other, models=tiers()))
    sim.fault({"fault": fault})
    answer = post(gateway.origin, chat("smart", stream=stream))
    assert answer.status == 200
    assert (answer.headers["x-switchgear-target"], answer.headers["x-switchgear-attempts"]) == ("sim2/second", "2")
    assert (len(calls(sim)), len(calls(other))) == (1, 1)
    assert b'"model":"smart"' in answer.body
    assert b'"model":"second"' in calls(other)[0]["body"].replace(" ", "").encode()


def test_headers_of_a_plain_answer(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    answer = post(gateway.origin, chat())
    assert (answer.headers["x-switchgear-target"], answer.headers["x-switchgear-attempts"]) == ("sim/sim", "1")


@STREAMS
def test_retry_after_is_waited_for_at_the_same_target(
    start_gateway: Start, sim: SimulatorProcess, stream: bool
) -> None:
    gateway = start_gateway(basic_config(sim, defaults=quick()))
    sim.fault({"fault": {"status": 429, "retry-after": "1"}, "times": 1})
    answer = post(gateway.origin, chat(stream=stream))
    assert (answer.status, answer.headers["x-switchgear-attempts"]) == (200, "2")
    first, second = (record["started_at"] for record in calls(sim))
    assert second - first >= 0.95  # the simulator's clock, rounded


@pytest.mark.parametrize("status", [503, 500])
def test_retry_after_of_a_server_error_is_waited_for(start_gateway: Start, sim: SimulatorProcess, status: int) -> None:
    gateway = start_gateway(basic_config(sim, defaults=quick()))
    sim.fault({"fault": {"status": status, "retry-after": "1"}, "times": 1})
    assert post(gateway.origin, chat()).status == 200
    first, second = (record["started_at"] for record in calls(sim))
    assert second - first >= 0.95


def test_a_wait_beyond_the_budget_is_not_begun(start_gateway: Start, sim: SimulatorProcess) -> None:
    gateway = start_gateway(basic_config(sim, defaults=quick(retries={"attempts": 3, "budget": "2s"})))
    sim.fault({"fault": {"status": 429, "retry-after": "30"}})
    begun = time.monotonic()
    answer = post(gateway.origin, chat())
    assert (answer.status, answer.headers["retry-after"]) == (429, "30")
    assert len(calls(sim)) == 1
    assert time.monotonic() - begun < 2.0


def test_the_time_budget_ends_the_attempts(start_gateway: Start, sim: SimulatorProcess) -> None:
    """Each attempt takes half a second; the third may not start after one second."""
    defaults = quick(retries={"attempts": 20, "budget": "1s", "backoff": "0ms"})
    gateway = start_gateway(basic_config(sim, defaults=defaults))
    sim.fault({"fault": {"status": 500, "first-token": "600ms"}})
    assert post(gateway.origin, chat()).status == 500
    assert len(calls(sim)) == 2


def test_a_429_of_the_only_target_does_not_make_the_next_request_fail_here(
    start_gateway: Start, sim: SimulatorProcess
) -> None:
    gateway = start_gateway(basic_config(sim, defaults={"retries": {"attempts": 1}, "breaker": {"failures": 1}}))
    sim.fault({"fault": {"status": 429, "retry-after": "60"}, "times": 1})
    assert post(gateway.origin, chat()).status == 429
    assert post(gateway.origin, chat()).status == 200
    assert len(calls(sim)) == 2


def test_a_breaker_opens_and_recovers(
    start_gateway: Start, sim: SimulatorProcess, start_simulator: StartSimulator
) -> None:
    other = start_simulator()
    model = tiers(retries={"attempts": 1}, breaker={"failures": 3, "open": "1s"})
    gateway = start_gateway(basic_config(sim, other, models=model))
    sim.fault({"fault": {"status": 500}})
    assert [post(gateway.origin, chat("smart")).status for _ in range(3)] == [500, 500, 500]
    sample = 'switchgear_breaker_open{target="sim/first"}'
    for _ in range(3):
        answer = post(gateway.origin, chat("smart"))
        assert (answer.status, answer.headers["x-switchgear-target"]) == (200, "sim2/second")
    assert len(calls(sim)) == 3
    sim.heal()

    def back() -> bool:
        return post(gateway.origin, chat("smart")).headers["x-switchgear-target"] == "sim/first"

    until(back, "the first target takes requests again")
    until(lambda: gateway.metrics().get(sample, 0.0) == 0.0, "the gauge says so")


def test_breakers_never_leave_nobody(start_gateway: Start, sim: SimulatorProcess) -> None:
    """The only target's breaker is open: requests go there all the same."""
    defaults = {"retries": {"attempts": 1}, "breaker": {"failures": 1, "open": "60s"}}
    gateway = start_gateway(basic_config(sim, defaults=defaults))
    sim.fault({"fault": {"status": 500}, "times": 3})
    assert [post(gateway.origin, chat()).status for _ in range(4)] == [500, 500, 500, 200]


def test_an_unreachable_target_is_passed_over(start_gateway: Start, sim: SimulatorProcess) -> None:
    config = basic_config(sim)
    config["providers"] = {
        "sim": {"base_url": f"http://127.0.0.1:{refused_port()}/v1", "credentials": ["sk-a"]},
        "sim2": config["providers"]["sim"],
    }
    gateway = start_gateway({**config, "models": tiers()})
    answer = post(gateway.origin, chat("smart"))
    assert (answer.status, answer.headers["x-switchgear-target"]) == (200, "sim2/second")


UPSTREAM_KEYS = ["sk-upstream-one-1111", "sk-upstream-two-2222"]


@STREAMS
@pytest.mark.parametrize("status", [401, 429])
def test_another_credential_is_used_next(
    start_gateway: Start, sim: SimulatorProcess, status: int, stream: bool
) -> None:
    config = basic_config(sim, defaults=quick())
    config["providers"]["sim"]["credentials"] = UPSTREAM_KEYS
    gateway = start_gateway(config)
    sim.fault({"match": {"credential": UPSTREAM_KEYS[0]}, "fault": {"status": status, "retry-after": "60"}})
    for _ in range(4):
        assert post(gateway.origin, chat(stream=stream)).status == 200
    refused = [record["credential"] for record in calls(sim)].count(UPSTREAM_KEYS[0])
    assert refused == 1  # after it was refused it is left alone
    state = "invalid" if status == 401 else "throttled"
    until(lambda: total(gateway.metrics(), "switchgear_credential_state", state=state) == 1, "the gauge says so")


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 401, "message": "Incorrect API key provided: sk-upstr********0000."},
        {"status": 400, "message": "Incorrect API key provided: sk-upstr********0000."},
        {"status": 403, "message": "Incorrect API key provided: sk-upstr********0000."},
    ],
    ids=lambda fault: str(fault["status"]),
)
@STREAMS
def test_a_refused_credential_is_no_affair_of_the_client(
    start_gateway: Start, sim: SimulatorProcess, fault: dict[str, Any], stream: bool
) -> None:
    gateway = start_gateway(basic_config(sim))
    sim.fault({"fault": fault})
    answer = post(gateway.origin, chat(stream=stream))
    assert (answer.status, answer.error["type"], answer.error["code"]) == (
        502,
        "server_error",
        "upstream_authentication_error",
    )
    assert b"sk-up" not in answer.body
    assert "sk-up" not in gateway.output
    again = post(gateway.origin, chat(stream=stream))  # now it is known to be refused
    assert (again.status, again.error["code"]) == (502, "upstream_authentication_error")
