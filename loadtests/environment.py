"""The simulator and the gateway that the load tests run against when no --host is given."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from harness.processes import Process, free_port

KEY = "sk-load-0123456789abcdefghijklmnopqrstuvwxyz"
FAILING_CREDENTIAL = "sk-load-first"
MODELS = {
    "load-chat": "sim;first=20ms;tokens=24",
    "load-stream": "sim;first=30ms;gap=10ms;tokens=60",
    "load-embedding": "sim-embedding",
}


def config(port: int, simulator: str, folder: Path) -> dict[str, object]:
    """Two providers, one after the other in tiers, both the simulator, told apart by their credential."""

    def provider(credential: str) -> dict[str, object]:
        return {"type": "openai", "base_url": f"{simulator}/v1", "credentials": [{"value": credential, "name": "load"}]}

    def model(upstream: str) -> dict[str, object]:
        tiers = enumerate(("first", "second"))
        return {
            "targets": [{"provider": name, "model": upstream, "tier": tier} for tier, name in tiers],
            "timeouts": {"connect": "2s", "first_token": "2s", "idle": "10s", "total": "30s"},
            "retries": {"attempts": 3, "budget": "10s", "backoff": "20ms"},
            "breaker": {"failures": 5, "open": "1s", "max_open": "2s"},
        }

    return {
        "server": {"host": "127.0.0.1", "port": port},
        "database": {"url": f"sqlite:///{folder}/switchgear.db"},
        "providers": {"first": provider(FAILING_CREDENTIAL), "second": provider("sk-load-second")},
        "models": {name: model(upstream) for name, upstream in MODELS.items()},
        "keys": [{"name": "load", "value": KEY}],
        "logging": {"level": "warning", "access": 0},
    }


@contextmanager
def started(folder: Path) -> Iterator[tuple[str, dict[str, str], Path]]:
    """(gateway's address, environment for Locust, gateway's log). Raises `StartFailed`."""
    command = [sys.executable, "-m", "switchgear.simulator", "--port", "0"]
    simulator = Process("simulator", command, folder / "simulator.log")
    try:
        parts = urlsplit(simulator.wait_for_line("http://").split()[-1])
        origin, port = f"{parts.scheme}://{parts.netloc}", free_port()
        path = folder / "gateway.yaml"
        path.write_text(json.dumps(config(port, origin, folder), indent=1))  # JSON is YAML
        command = [sys.executable, "-m", "switchgear", "serve", "--config", str(path)]
        gateway = Process("gateway", command, folder / "gateway.log")
        try:
            gateway.wait_for_port(port)
            environment = {
                "SWITCHGEAR_KEY": KEY,
                "SWITCHGEAR_SIMULATOR": origin,
                "SWITCHGEAR_FAILING_CREDENTIAL": FAILING_CREDENTIAL,
            }
            yield f"http://127.0.0.1:{port}", environment, gateway.log
        finally:
            gateway.stop()
    finally:
        simulator.stop()
