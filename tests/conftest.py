"""Fixtures shared by all tests: the recordings folder, a simulator, and gateways in front of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import PostgresProcess
from tests.support.processes import KEY, ROOT, GatewayProcess, SimulatorProcess
from tests.support.redis_server import RedisServer

RECORDINGS = Path(os.environ.get("SWITCHGEAR_RECORDINGS", ROOT.parent / "shared" / "recordings"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not RECORDINGS.is_dir():
        terminalreporter.write_line(
            f"No recordings at {RECORDINGS}: conformance tests against recorded traffic had nothing to run on. "
            "Set SWITCHGEAR_RECORDINGS to the folder."
        )


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded provider traffic; it may be absent, then it lists nothing."""
    return RECORDINGS


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """One simulator for the session; its faults are healed by the fixtures that use it."""
    process = SimulatorProcess(tmp_path_factory.mktemp("simulator"), "--first-token", "0ms", "--gap", "1ms")
    yield process
    process.stop()


@pytest.fixture
def sim(simulator: SimulatorProcess) -> Iterator[SimulatorProcess]:
    """The session's simulator, without faults and with an empty record of requests."""
    simulator.heal()
    simulator.forget()
    yield simulator
    simulator.heal()


@pytest.fixture(scope="session")
def redis_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for the session; tests take `redis_server`, and start one of their own to stall or kill it."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture
def redis_server(redis_session: RedisServer) -> RedisServer:
    """The session's Redis, empty."""
    redis_session.flush()
    return redis_session


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own, to stall, kill and start again."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    yield server
    server.stop()


def basic_config(*simulators: SimulatorProcess, **overrides: Any) -> dict[str, Any]:
    """A configuration with a provider per simulator (`sim`, `sim2`, …), one key, and no declared models."""
    names = ["sim", *(f"sim{n}" for n in range(2, len(simulators) + 1))]
    providers = {
        name: {"type": "openai", "base_url": simulator.url, "credentials": [f"sk-upstream-{name}-000000"]}
        for name, simulator in zip(names, simulators, strict=True)
    }
    overrides.setdefault("server", {}).setdefault("drain", {"grace": 0})  # a test waits for no other client to move on
    return {"providers": providers, "keys": [{"name": "test", "value": KEY}], **overrides}


@pytest.fixture(scope="session")
def gateway(simulator: SimulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway in front of the session's simulator: no declared models, one key that may use all."""
    process = GatewayProcess(basic_config(simulator), tmp_path_factory.mktemp("gateway"))
    yield process.ready()
    process.stop()


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], GatewayProcess]]:
    """Starts a gateway of the test's own; stopped at its end."""
    started: list[GatewayProcess] = []

    def start(config: dict[str, Any], env: dict[str, str] | None = None) -> GatewayProcess:
        process = GatewayProcess(config, tmp_path, env)
        started.append(process)
        return process.ready()

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def start_simulator(tmp_path: Path) -> Iterator[Callable[..., SimulatorProcess]]:
    """Starts a simulator of the test's own; stopped at its end."""
    started: list[SimulatorProcess] = []

    def start(*options: str) -> SimulatorProcess:
        process = SimulatorProcess(tmp_path, *options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresProcess]:
    """One PostgreSQL server for the session; a test makes databases in it and leaves it running."""
    process = PostgresProcess()
    yield process
    process.close()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database; a test that takes it runs on both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'switchgear.db'}"
    server: PostgresProcess = request.getfixturevalue("postgres")
    return await server.create()
