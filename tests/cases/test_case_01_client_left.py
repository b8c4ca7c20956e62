"""CASES 1: a client's departure closes the upstream's connection within 250 ms in every phase; usage is settled."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cases.client import CHAT, RESPONSES, Open, at_rest, calls, chat, total, until
from tests.conftest import basic_config
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

LIMIT_S = 0.25  # the contract's own figure
TRIES = 4  # the best of them counts: the machine may be busy


def left_s(sim: SimulatorProcess, open_request: Callable[[], Open], ready: Callable[[Open], object]) -> float:
    """Seconds from the client's close to the upstream's notice of it."""
    sim.forget()
    client = open_request()
    ready(client)
    closed = client.close()
    until(lambda: bool(calls(sim)) and calls(sim)[-1]["client_closed_at"] is not None, "upstream closed")
    noticed: float = calls(sim)[-1]["client_closed_at"]
    return noticed - closed


def best(measure: Callable[[], float]) -> float:
    found = LIMIT_S * 100
    for _ in range(TRIES):
        found = min(found, measure())
        if found <= LIMIT_S:
            break
    return found


def arrived(sim: SimulatorProcess) -> Callable[[Open], None]:
    def ready(client: Open) -> None:
        until(lambda: len(calls(sim)) == 1, "request at the upstream")

    return ready


PHASES = {
    "waiting for headers": "sim;stall-before-headers",
    "waiting for the body": "sim;stall-after-headers",
    "waiting for the first token": "sim;first=60s",
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("model", PHASES.values(), ids=PHASES.keys())
def test_waiting(gateway: GatewayProcess, sim: SimulatorProcess, model: str, stream: bool) -> None:
    def send() -> Open:
        return Open(gateway.origin, CHAT, chat(model, stream=stream))

    assert best(lambda: left_s(sim, send, arrived(sim))) <= LIMIT_S
    until(lambda: at_rest(gateway), "gateway at rest")


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("model", ["sim;gap=20ms;tokens=100000", "sim;stall-mid-stream=5"], ids=["flowing", "silent"])
def test_streaming(gateway: GatewayProcess, sim: SimulatorProcess, model: str, path: str) -> None:
    def send() -> Open:
        return Open(gateway.origin, path, {**chat(model, stream=True), "input": "Say something."})

    before = total(gateway.metrics(), "switchgear_tokens_total")
    assert best(lambda: left_s(sim, send, Open.piece)) <= LIMIT_S
    until(lambda: total(gateway.metrics(), "switchgear_tokens_total") > before, "usage settled")
    until(lambda: at_rest(gateway), "gateway at rest")


def test_whole_body_half_sent(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    def send() -> Open:
        return Open(gateway.origin, CHAT, chat("sim;stall-mid-stream"))

    assert best(lambda: left_s(sim, send, arrived(sim))) <= LIMIT_S


def test_client_that_does_not_read(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    """The relay waits for room when the client leaves."""

    def ready(client: Open) -> None:
        arrived(sim)(client)
        assert client.piece()
        seen = [-1]

        def stuck() -> bool:
            written: int = calls(sim)[-1]["events"]
            stays = written == seen[0]
            seen[0] = written
            time.sleep(0.05)
            return stays

        until(stuck, "back-pressure reached the upstream")

    def send() -> Open:
        return Open(gateway.origin, CHAT, chat("sim;gap=0ms;tokens=1000000", stream=True))

    assert best(lambda: left_s(sim, send, ready)) <= LIMIT_S


def test_uploading(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    """The upload is relayed as it comes: a client that leaves half-way takes the upstream's connection along."""
    until(lambda: at_rest(gateway), "gateway at rest")

    def measure() -> float:
        host, port = "127.0.0.1", gateway.port
        before = sim.stats()["open_connections"]
        head = (
            f"POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
            "content-type: multipart/form-data; boundary=b\r\ncontent-length: 1000000\r\n\r\n"
        )
        with socket.create_connection((host, port)) as client:
            client.sendall(head.encode() + b"--b\r\n" + b"x" * 5000)
            until(lambda: total(gateway.metrics(), "switchgear_upstream_connections", state="busy") == 1, "relayed")
            inside = sim.stats()["open_connections"]
        closed = time.time()
        until(lambda: sim.stats()["open_connections"] < inside, "upstream closed")
        assert sim.stats()["open_connections"] <= before
        return time.time() - closed

    assert best(measure) <= LIMIT_S


def test_queued(start_gateway: Callable[..., GatewayProcess], sim: SimulatorProcess) -> None:
    """No connection is free: the client that leaves the queue never reaches the upstream."""
    config = basic_config(sim)
    config["providers"]["sim"]["pool"] = {"max_connections": 1}
    gateway = start_gateway(config)
    waiting = 'switchgear_upstream_connections{provider="sim",state="waiting"}'
    with Open(gateway.origin, CHAT, chat("sim;stall-before-headers")):
        until(lambda: len(calls(sim)) == 1, "first request at the upstream")
        for stream in (True, False):
            client = Open(gateway.origin, CHAT, chat("never", stream=stream))
            until(lambda: gateway.metrics()[waiting] == 1, "second request in the queue")
            client.close()
            until(lambda: gateway.metrics()[waiting] == 0, "queue empty")
    until(lambda: at_rest(gateway), "gateway at rest")
    assert [record["client_closed_at"] is not None for record in calls(sim)] == [True]
    assert total(gateway.metrics(), "switchgear_client_disconnects_total", phase="waiting") == 3


@contextmanager
def blackhole() -> Iterator[int]:
    """A port whose connection requests are not answered: its backlog is full."""
    fillers = []
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        try:
            yield port
        finally:
            for filler in fillers:
                filler.close()


def dialling(port: int, pids: list[int]) -> int:
    """How many sockets of these processes wait for `port` to accept them (SYN_SENT in the kernel's table)."""
    inodes = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(entry.readlink().name.removeprefix("socket:[").removesuffix("]"))
            except FileNotFoundError:
                continue
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "02" and row[9] in inodes for row in rows)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_connecting(start_gateway: Callable[..., GatewayProcess], sim: SimulatorProcess, stream: bool) -> None:
    with blackhole() as port:
        config = basic_config(sim, defaults={"timeouts": {"connect": "60s"}})
        config["providers"]["sim"] |= {"base_url": f"http://127.0.0.1:{port}/v1", "models": ["sim"]}
        gateway = start_gateway(config)
        pids = gateway.worker_pids()

        def measure() -> float:
            client = Open(gateway.origin, CHAT, chat(stream=stream))
            until(lambda: dialling(port, pids) == 1, "the gateway dials")
            closed = client.close()
            until(lambda: dialling(port, pids) == 0, "the gateway has stopped dialling")
            return time.time() - closed

        assert best(measure) <= LIMIT_S
        until(lambda: at_rest(gateway), "gateway at rest")
