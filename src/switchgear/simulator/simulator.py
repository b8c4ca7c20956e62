"""The simulator as an object: sockets around a `Service`.

async with Simulator(SimulatorSettings(tokens=8)) as sim:
    sim.add_fault({"status": 429, "retry-after": "1"}, model="gpt-*", times=2)
    … requests to sim.url …
    await sim.wait_for(lambda: sim.stats.in_flight == 0)
    assert sim.requests[-1].credential == "sk-test"
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from switchgear.simulator.connection import Connection
from switchgear.simulator.faults import Match, Rule
from switchgear.simulator.journal import Record, Stats
from switchgear.simulator.service import Service
from switchgear.simulator.settings import SimulatorSettings

_BACKLOG = 4096


class Simulator:
    """Serves from `start` (or `async with`) to `stop`, in the running event loop."""

    def __init__(self, settings: SimulatorSettings | None = None):
        self.settings = settings or SimulatorSettings()
        self._server: asyncio.Server | None = None
        self._service: Service | None = None

    async def start(self) -> None:
        """Bind and listen. Raises `OSError` when that fails, `FileNotFoundError` without the recordings' folder."""
        loop = asyncio.get_running_loop()
        service = Service(self.settings, loop)
        self._server = await loop.create_server(
            lambda: Connection(service), self.settings.host, self.settings.port, backlog=_BACKLOG
        )
        self._service = service

    async def stop(self) -> None:
        """Close the listener and every connection at once."""
        server, service = self._server, self._service
        if server is None or service is None:
            return
        self._server = None
        server.close()
        for connection in list(service.connections):
            connection.abort()
        await service.wait_for(lambda: not service.connections, timeout_s=1.0)
        service.wheel.close()
        await server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def service(self) -> Service:
        """What the connections share. Raises `RuntimeError` before `start`."""
        if self._service is None:
            raise RuntimeError("the simulator was not started")
        return self._service

    @property
    def port(self) -> int:
        """The port in use. Raises `RuntimeError` when not serving."""
        if self._server is None:
            raise RuntimeError("the simulator is not serving")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def origin(self) -> str:
        """`http://host:port`; a wildcard address is shown as loopback."""
        host = self.settings.host
        if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
            host = "127.0.0.1"
        if self._server is not None and self._server.sockets[0].family == socket.AF_INET6 and ":" in host:
            host = f"[{host}]"
        return f"http://{host}:{self.port}"

    @property
    def url(self) -> str:
        """The base URL that an OpenAI client takes."""
        return f"{self.origin}/v1"

    @property
    def requests(self) -> list[Record]:
        """The last requests, oldest first, without those to `/_sim/`."""
        return list(self.service.journal.records)

    @property
    def stats(self) -> Stats:
        """Counters since the start."""
        return self.service.stats

    def add_fault(
        self,
        fault: dict[str, Any],
        *,
        path: str | None = None,
        model: str | None = None,
        credential: str | None = None,
        times: int | None = None,
        probability: float = 1.0,
    ) -> None:
        """Add a rule (see `faults`). Raises `InvalidRequest`."""
        match = Match(path=path, model=model, credential=credential)
        self.service.faults.add(Rule(fault=fault, match=match, times=times, probability=probability))

    def clear_faults(self) -> None:
        """Forget all rules."""
        self.service.faults.clear()

    async def wait_for(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
        """Return when `condition()` holds, asking after each change. Raises `TimeoutError`."""
        await self.service.wait_for(condition, timeout_s)
