"""Real processes for tests: the gateway and the simulator as a user starts them, on free ports."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-test-0123456789abcdef"
START_S = 30.0

_ANY_CERTIFICATE = ssl.create_default_context()  # to ask whether a gateway is up, whoever signed for it
_ANY_CERTIFICATE.check_hostname = False
_ANY_CERTIFICATE.verify_mode = ssl.CERT_NONE


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class Process:
    """A child with its own session, so that a kill takes its workers along; output goes to a file."""

    def __init__(self, command: list[str], log: Path, env: dict[str, str] | None = None):
        self.log = log
        self._out = log.open("wb")
        self.child = self.start(command, env or {})

    def start(self, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        """Run `command` from this tree."""
        return subprocess.Popen(
            command,
            stdout=self._out,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1", **env},
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def signal(self, number: signal.Signals) -> None:
        self.child.send_signal(number)

    def wait(self, seconds: float) -> int:
        return self.child.wait(seconds)

    def stop(self, seconds: float = 15.0) -> int:
        if self.child.poll() is None:
            self.child.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.child.wait(seconds)
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self._out.close()
        return self.child.wait(5)


def get_json(url: str, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})  # noqa: S310 - our own URL
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own URL
        text = answer.read()
    return json.loads(text) if text else None


def wait_for(url: str, process: Process, seconds: float = START_S) -> None:
    """Until `url` answers 200; fails with the process's output when it does not."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.child.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2, context=_ANY_CERTIFICATE) as answer:  # noqa: S310 - our own URL
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AssertionError(f"{url} did not come up:\n{process.output}")


class GatewayProcess(Process):
    """`switchgear serve --config FILE`. config: the file's content as Python values, written as JSON (which is
    YAML)."""

    def __init__(self, config: dict[str, Any], folder: Path, env: dict[str, str] | None = None):
        server = config.setdefault("server", {})
        server.setdefault("port", free_port())
        self.port: int = server["port"]
        self.path = folder / f"gateway-{self.port}.yaml"
        self.write(config)
        command = [sys.executable, "-m", "switchgear", "serve", "--config", str(self.path)]
        super().__init__(command, folder / f"gateway-{self.port}.log", env)
        self.scheme = "https" if server.get("tls") else "http"
        self.origin = f"{self.scheme}://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/v1"

    def write(self, config: dict[str, Any]) -> None:
        """Replace the configuration file, whole."""
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps(config))
        temporary.replace(self.path)

    def ready(self) -> GatewayProcess:
        wait_for(f"{self.origin}/ready", self)
        return self

    def metrics(self) -> dict[str, float]:
        """Samples by `name{labels}` as rendered."""
        with urllib.request.urlopen(f"{self.origin}/metrics", timeout=10) as answer:  # noqa: S310 - our own URL
            lines = answer.read().decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line and line[0] != "#"}

    def worker_pids(self) -> list[int]:
        children = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text().split()
        return [int(pid) for pid in children]


class SimulatorProcess(Process):
    """`python -m switchgear.simulator`, controlled over its own HTTP interface."""

    def __init__(self, folder: Path, *options: str):
        self.port = free_port()
        command = [sys.executable, "-m", "switchgear.simulator", "--port", str(self.port), *options]
        super().__init__(command, folder / f"simulator-{self.port}.log")
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/v1"
        wait_for(f"{self.origin}/_sim/stats", self)

    def fault(self, *rules: dict[str, Any]) -> None:
        get_json(f"{self.origin}/_sim/faults", "PUT", list(rules))

    def heal(self) -> None:
        get_json(f"{self.origin}/_sim/faults", "DELETE")

    def stats(self) -> dict[str, Any]:
        result: dict[str, Any] = get_json(f"{self.origin}/_sim/stats")
        return result

    def requests(self) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = get_json(f"{self.origin}/_sim/requests")
        return result

    def forget(self) -> None:
        get_json(f"{self.origin}/_sim/requests", "DELETE")


@contextmanager
def running(process: Process) -> Iterator[Process]:
    try:
        yield process
    finally:
        process.stop()
