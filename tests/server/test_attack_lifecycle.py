"""Processes that are killed, files that go away, configurations that change: what must be true afterwards."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cases.client import Open, at_rest, chat, post, total, until
from tests.conftest import basic_config
from tests.support.processes import GatewayProcess, SimulatorProcess

Start = Callable[..., GatewayProcess]


def answers(gateway: GatewayProcess) -> bool:
    try:
        return post(gateway.origin, chat("sim/m")).status == 200
    except OSError:
        return False


def reload(gateway: GatewayProcess, config: dict[str, Any]) -> None:
    before = total(gateway.metrics(), "switchgear_config_reloads_total", result="ok")
    gateway.write(config)
    gateway.signal(signal.SIGHUP)
    until(lambda: total(gateway.metrics(), "switchgear_config_reloads_total", result="ok") > before, "reloaded")


def test_workers_end_with_a_supervisor_that_is_killed(
    start_gateway: Start, sim: SimulatorProcess, tmp_path: Path
) -> None:
    """Else they go on with the old keys, and share the port with the gateway that is started in its place."""
    gateway = start_gateway(basic_config(sim), {"TMPDIR": str(tmp_path)})
    (worker,) = gateway.worker_pids()
    gateway.signal(signal.SIGKILL)
    gateway.wait(5)
    until(lambda: not Path(f"/proc/{worker}").exists(), "the worker has ended")


def test_a_run_directory_that_is_deleted(start_gateway: Start, sim: SimulatorProcess, tmp_path: Path) -> None:
    """As what cleans /tmp does after some days."""
    gateway = start_gateway(basic_config(sim), {"TMPDIR": str(tmp_path)})
    (worker,) = gateway.worker_pids()
    (run_dir,) = tmp_path.glob("switchgear-*")
    shutil.rmtree(run_dir)
    assert answers(gateway)
    assert total(gateway.metrics(), "switchgear_requests_total", model="sim/m") == 1
    os.kill(worker, signal.SIGKILL)
    until(lambda: gateway.worker_pids() not in ([worker], []) and answers(gateway), "another worker answers")
    assert total(gateway.metrics(), "switchgear_worker_up") == 1


def test_gauges_of_what_a_reload_removed_go_to_zero(start_gateway: Start, sim: SimulatorProcess) -> None:
    config = basic_config(sim)
    gateway = start_gateway(config)
    with Open(gateway.origin, "/v1/chat/completions", chat("sim/m;tokens=100000;gap=20ms", stream=True)) as stream:
        stream.read_until(b"data: ")
        until(lambda: total(gateway.metrics(), "switchgear_upstream_connections", provider="sim", state="busy") == 1)
        config["providers"] = {"other": config["providers"]["sim"]}
        reload(gateway, config)
        stream.read_until(b"data: ")  # goes on
        until(lambda: total(gateway.metrics(), "switchgear_upstream_connections", provider="other") >= 0)
        assert total(gateway.metrics(), "switchgear_upstream_connections", provider="sim", state="busy") == 1
    until(lambda: at_rest(gateway), "nothing is busy")
    metrics = gateway.metrics()
    assert total(metrics, "switchgear_upstream_connections", provider="sim") == 0
    until(lambda: total(gateway.metrics(), "switchgear_credential_state", provider="sim") == 0)


def test_origins_are_reloaded(start_gateway: Start, sim: SimulatorProcess) -> None:
    config = basic_config(sim, server={"cors": {"origins": ["https://old.example"]}})
    gateway = start_gateway(config)
    config["server"]["cors"]["origins"] = ["https://new.example"]
    reload(gateway, config)
    allowed = {}
    for origin in ("https://old.example", "https://new.example"):
        answer = Open(gateway.origin, "/health", method="GET", headers={"origin": origin}).answer()
        allowed[origin] = answer.headers.get("access-control-allow-origin")
    assert allowed == {"https://old.example": None, "https://new.example": "https://new.example"}


def test_httpx_connections_are_closed_by_a_reload(start_gateway: Start, sim: SimulatorProcess) -> None:
    config = basic_config(sim)
    config["providers"]["sim"]["transport"] = "httpx"
    gateway = start_gateway(config)
    (worker,) = gateway.worker_pids()
    assert answers(gateway)
    peer = f":{sim.port:04X} "
    assert _connected(worker, peer) == 1
    config["providers"]["sim"]["credentials"] = ["sk-upstream-other-000000"]
    reload(gateway, config)
    until(lambda: _connected(worker, peer) == 0, "the old pool's connection is closed")
    with Open(gateway.origin, "/v1/chat/completions", chat("sim/m;tokens=100000;gap=20ms", stream=True)) as stream:
        stream.read_until(b"data: ")
        until(lambda: total(gateway.metrics(), "switchgear_upstream_connections", state="busy") == 1)
    until(lambda: at_rest(gateway), "nothing is busy")


def _connected(pid: int, remote_port: str) -> int:
    """Established connections of the process to a port, by the kernel's tables."""
    sockets = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(os.readlink(fd))
        except OSError:
            continue
    count = 0
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if f"{fields[2]} ".endswith(remote_port) and fields[3] == "01" and f"socket:[{fields[9]}]" in sockets:
            count += 1
    return count
