"""One ledger row per upstream request that happened, whichever way it ended; none for what reached no upstream."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cases.client import CHAT, Open, at_rest, chat, post, refused_port, until
from tests.support.metered import (
    INPUT_NANOUSD,
    OUTPUT_NANOUSD,
    metered,
    request,
    run,
    statuses,
    storm,
    switchgear,
    usage,
)
from tests.support.processes import GatewayProcess, SimulatorProcess
from tests.support.redis_server import RedisServer

Start = Callable[[dict[str, Any]], GatewayProcess]
StartSimulator = Callable[..., SimulatorProcess]


def rows_of(gateway: GatewayProcess, request_id: str) -> list[dict[str, Any]]:
    rows = [row for row in usage(gateway) if row["request_id"] == request_id]
    return sorted(rows, key=lambda row: int(row["attempt"]))


def test_each_ending(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    """Success by both paths, streams, aborts, errors, a time-out; costs as in the header, and receipts that replay."""
    config = metered(
        tmp_path,
        sim,
        defaults={"timeouts": {"first_token": "400ms", "idle": "400ms"}, "retries": {"attempts": 1}},
    )
    gateway = start_gateway(config)
    expected: dict[str, tuple[int, str, bool, bool]] = {}  # status, error class, stream, estimated

    def ask(model: str, wanted: tuple[int, str, bool, bool], **fields: Any) -> dict[str, str]:
        answer = post(gateway.origin, chat(model, stream=wanted[2], **fields))
        expected[answer.headers["x-request-id"]] = wanted
        return answer.headers

    costs = {}
    for _ in range(3):
        headers = ask("sim;tokens=5", (200, "", False, False))
        costs[headers["x-request-id"]] = int(headers["x-switchgear-cost-nanousd"])
    ask("sim;tokens=5", (200, "", True, False))
    ask("sim;status=500", (500, "server_error", False, False))
    ask("sim;status=400", (400, "invalid_request", True, False))
    ask("sim;status=401", (401, "authentication", False, False))
    gateway.stop()  # the only credential is out
    gateway = GatewayProcess(config, tmp_path).ready()
    try:
        ask("sim;stall-before-headers", (0, "timeout_first_token", False, False))
        ask("sim;tokens=9;stall-mid-stream=2", (200, "timeout_idle", True, True))
        with Open(gateway.origin, CHAT, chat("sim;tokens=500;gap=5ms", stream=True)) as client:
            client.read_until(b"data: ")
            expected[client.headers["x-request-id"]] = (200, "client_disconnected", True, True)
        until(lambda: at_rest(gateway), "at rest")
        rows = {row["request_id"]: row for row in usage(gateway)}
        assert rows.keys() == expected.keys()
        for request_id, (status, error_class, stream, estimated) in expected.items():
            row = rows[request_id]
            seen = (row["status"], row["error_class"], row["stream"], row["estimated"])
            assert seen == (status, error_class, stream, estimated), row
            assert row["attempt"] == 1
            assert (row["key"], row["provider"], row["credential"]) == ("ci", "sim", row["credential"])
            assert row["total_ms"] >= 0
            cost = row["input_tokens"] * INPUT_NANOUSD + row["output_tokens"] * OUTPUT_NANOUSD
            assert row["cost_nanousd"] == cost
        for request_id, cost in costs.items():
            assert rows[request_id]["cost_nanousd"] == cost > 0
            out = switchgear("usage", "receipt", request_id, "--config", str(gateway.path), "--format", "json")
            assert [one["same"] for one in json.loads(out)] == [True]
    finally:
        gateway.stop()


@pytest.mark.parametrize("stream", [False, True])
def test_a_retry_leaves_two_rows(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path, stream: bool) -> None:
    gateway = start_gateway(metered(tmp_path, sim, defaults={"retries": {"attempts": 3, "backoff": "1ms"}}))
    for warm in (True, False):  # the second time the compiled path begins
        post(gateway.origin, chat("sim;tokens=3"))
        sim.fault({"fault": {"status": 503}, "match": {"path": CHAT}, "times": 1})
        answer = post(gateway.origin, chat("sim;tokens=3", stream=stream))
        assert answer.status == 200, warm
        rows = rows_of(gateway, answer.headers["x-request-id"])
        assert [(row["attempt"], row["status"], row["error_class"]) for row in rows] == [
            (1, 503, "server_error"),
            (2, 200, ""),
        ]
        assert rows[0]["cost_nanousd"] == 0 < rows[1]["cost_nanousd"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_that_was_refused_leaves_none(
    start_gateway: Start, sim: SimulatorProcess, tmp_path: Path, stream: bool
) -> None:
    config = metered(tmp_path, sim)
    config["providers"]["gone"] = {
        "type": "openai", "base_url": f"http://127.0.0.1:{refused_port()}/v1", "credentials": ["sk-gone-000000"]
    }  # fmt: skip
    targets = [{"provider": "gone", "model": "m"}, {"provider": "sim", "model": "sim;tokens=2", "tier": 1}]
    config["models"] = {"smart": {"targets": targets}}
    gateway = start_gateway(config)
    answer = post(gateway.origin, chat("smart", stream=stream))
    assert answer.status == 200
    assert answer.headers["x-switchgear-attempts"] == "2"
    [row] = rows_of(gateway, answer.headers["x-request-id"])
    assert (row["provider"], row["attempt"], row["model"], row["served_model"]) == ("sim", 2, "smart", "sim;tokens=2")


def test_what_is_answered_here_leaves_none(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    gateway = start_gateway(metered(tmp_path, sim))
    assert post(gateway.origin, {"model": "sim", "messages": []}).status == 400
    assert post(gateway.origin, chat(), key="sk-wrong-0123456789abcdef").status == 401
    body = {"model": "sim", "messages": [{"role": "user", "content": "x"}]}
    counted = Open(gateway.origin, "/v1/messages/count_tokens", body).answer()
    assert (counted.status, counted.headers["x-switchgear-estimated"]) == (200, "true")
    assert usage(gateway) == []


def test_a_stale_connection_leaves_one(start_gateway: Start, start_simulator: StartSimulator, tmp_path: Path) -> None:
    """A kept connection that the upstream closed: the request is sent again, and counts once."""
    sim = start_simulator()
    config = metered(tmp_path, sim)
    gateway = start_gateway(config)
    for _ in range(2):
        assert post(gateway.origin, chat("sim;tokens=2")).status == 200
    sim.signal(signal.SIGSTOP)
    client = Open(gateway.origin, CHAT, chat("sim;tokens=2"))
    time.sleep(0.2)  # the request lies in the socket of a process that is about to be killed
    sim.signal(signal.SIGKILL)
    sim.wait(5)
    assert client.answer().status == 502
    assert len(usage(gateway)) in (2, 3)  # the kernel may have acknowledged it or not
    gateway.stop()
    assert all(row["error_class"] != "killed" for row in usage(gateway))


def test_a_worker_is_killed_at_its_peak(
    start_gateway: Start, sim: SimulatorProcess, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Every answer that a client got has its row; what was open has one that says killed; none has two."""
    gateway = start_gateway(metered(tmp_path, sim, server={"workers": 2}, state={"url": redis_server.url}))
    dice = [request(chat(f"sim;tokens={8 + n % 5};gap=4ms", stream=n % 2 == 0)) for n in range(1200)]
    victim = gateway.worker_pids()[-1]

    def killing(number: int) -> None:
        """When a request is about to be sent: 59 others are open then, on both workers."""
        if number == 400:
            os.kill(victim, signal.SIGKILL)

    found = run(storm(gateway.port, dice, 60, killing))
    assert statuses(found)[200] > 600
    until(lambda: at_rest(gateway), "at rest")
    until(lambda: any(row["error_class"] == "killed" for row in usage(gateway)), "the dead worker's journal is adopted")
    rows = usage(gateway)
    keyed = [(row["request_id"], row["attempt"]) for row in rows]
    assert len(set(keyed)) == len(keyed)
    known = {row["request_id"]: row for row in rows}
    delivered = [got for got in found if got.whole and got.status == 200]
    assert all(got.request_id in known for got in delivered)
    assert any(row["error_class"] == "killed" and row["estimated"] and row["status"] == 0 for row in rows)
