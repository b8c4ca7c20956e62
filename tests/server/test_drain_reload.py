"""Stopping, reloading and losing a worker under load: no accepted request fails."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.conftest import basic_config
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

CHAT: dict[str, Any] = {"model": "sim", "messages": [{"role": "user", "content": "hi"}]}
AUTH = {"authorization": f"Bearer {KEY}"}
WORKERS = pytest.mark.parametrize("workers", [1, 2])


def configured(sim: SimulatorProcess, workers: int = 1, **server: Any) -> dict[str, Any]:
    config = basic_config(sim, server={"workers": workers, **server})
    if workers > 1:
        config["state"] = {"url": "redis://127.0.0.1:6379/0"}
    return config


@asynccontextmanager
async def http(gateway: GatewayProcess, key: str = KEY) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=gateway.origin, headers=headers, timeout=30, limits=limits) as client:
        yield client


class Load:
    """Clients on keep-alive connections, whole answers and streams, until they are told to stop or to go elsewhere.

    A client whose answer says `connection: close` opens no other connection here, as behind a load balancer. One that
    goes on would meet the listener as it closes: what the kernel has accepted and the server has not is reset.
    """

    def __init__(self, client: httpx.AsyncClient, model: str = "sim;tokens=20;gap=5ms"):
        self.client = client
        self.model = model
        self.stopping = False
        self.succeeded = 0
        self.failures: list[str] = []
        self.moved_on = 0

    @asynccontextmanager
    async def running(self, clients: int = 12) -> AsyncIterator[Load]:
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(self._client(number))
            await self.at_least(clients)
            yield self
            self.stopping = True

    async def at_least(self, more: int) -> None:
        """Until so many more requests have succeeded."""
        target = self.succeeded + more
        async with asyncio.timeout(30):
            while self.succeeded < target:
                await asyncio.sleep(0.01)

    async def _client(self, number: int) -> None:
        streamed = bool(number % 2)
        while not self.stopping:
            try:
                body = {**CHAT, "model": self.model, "stream": streamed}
                answer = await self.client.post("/v1/chat/completions", json=body)
            except httpx.HTTPError as error:
                self.failures.append(repr(error))
                continue
            ended = answer.content.endswith(b"data: [DONE]\n\n") if streamed else answer.content.endswith(b"}")
            if answer.status_code == 200 and ended:
                self.succeeded += 1
            else:
                self.failures.append(f"{answer.status_code} {answer.text[-200:]}")
            if answer.headers.get("connection") == "close":
                self.moved_on += 1
                return


async def ended(gateway: GatewayProcess, seconds: float = 20) -> int:
    return await asyncio.to_thread(gateway.wait, seconds)


@WORKERS
async def test_sigterm_under_load(
    workers: int, sim: SimulatorProcess, start_gateway: Callable[..., GatewayProcess]
) -> None:
    """Not ready at once; what was accepted is answered; then nobody is let in; exit code 0."""
    gateway = start_gateway(configured(sim, workers, drain={"grace": "1s", "deadline": "20s"}))
    async with (
        http(gateway) as client,
        Load(client).running() as load,
        client.stream(
            "POST", "/v1/chat/completions", json={**CHAT, "model": "sim;tokens=150;gap=20ms", "stream": True}
        ) as long,
    ):
        lines = long.aiter_lines()
        await anext(lines)
        gateway.signal(signal.SIGTERM)
        async with asyncio.timeout(0.9):
            while (answer := await client.get("/ready")).status_code != 503:
                await asyncio.sleep(0.01)
        assert answer.json()["status"] == "draining"
        assert answer.headers["connection"] == "close"
        async with asyncio.timeout(10):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", gateway.port), 1).close()
                except ConnectionRefusedError:
                    break
                await asyncio.sleep(0.05)
        rest = [line async for line in lines]
        assert rest[-2:] == ["data: [DONE]", ""]
    assert load.failures == []
    assert load.moved_on == 12
    assert await ended(gateway) == 0


@WORKERS
async def test_the_deadline_ends_what_never_ends(
    workers: int, sim: SimulatorProcess, start_gateway: Callable[..., GatewayProcess]
) -> None:
    gateway = start_gateway(configured(sim, workers, drain={"grace": "100ms", "deadline": "2s"}))
    async with http(gateway) as client:
        body = {**CHAT, "model": "sim;tokens=100000;gap=50ms", "stream": True}
        with pytest.raises(httpx.HTTPError):  # noqa: PT012 - the stream breaks somewhere inside
            async with client.stream("POST", "/v1/chat/completions", json=body) as endless:
                lines = endless.aiter_lines()
                await anext(lines)
                gateway.signal(signal.SIGTERM)
                async for _ in lines:
                    pass
    assert await ended(gateway) == 0
    async with asyncio.timeout(5):
        while sim.stats()["in_flight"]:
            await asyncio.sleep(0.02)


async def test_an_idle_gateway_stops_after_its_grace(
    sim: SimulatorProcess, start_gateway: Callable[..., GatewayProcess]
) -> None:
    """Idle keep-alive connections do not hold it up; a second signal skips the grace."""
    gateway = start_gateway(configured(sim, drain={"grace": "60s", "deadline": "60s"}))
    async with http(gateway) as client:
        await client.get("/health")
        gateway.signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            while (await client.get("/ready")).status_code != 503:
                await asyncio.sleep(0.01)
        gateway.signal(signal.SIGINT)
        assert await ended(gateway) == 0


async def reloaded(gateway: GatewayProcess, times: int, result: str = "ok") -> None:
    """Until the metrics have counted so many reloads."""
    async with asyncio.timeout(20):
        while True:
            metrics = await asyncio.to_thread(gateway.metrics)
            if metrics.get(f'switchgear_config_reloads_total{{result="{result}"}}', 0) >= times:
                return
            await asyncio.sleep(0.05)


@WORKERS
async def test_sighup_under_load(
    workers: int,
    sim: SimulatorProcess,
    start_simulator: Callable[..., SimulatorProcess],
    start_gateway: Callable[..., GatewayProcess],
) -> None:
    """A new key, a model less, the provider elsewhere: no request fails, and the change is there."""
    other = start_simulator()
    config = configured(sim, workers)
    config["models"] = {
        name: {"targets": [{"provider": "sim", "model": "sim;tokens=20;gap=5ms"}]} for name in ("stays", "goes")
    }
    gateway = start_gateway(config)
    async with http(gateway) as client, http(gateway, "sk-new-0123456789abc") as newcomer:
        assert (await newcomer.post("/v1/chat/completions", json={**CHAT, "model": "stays"})).status_code == 401
        assert (await client.post("/v1/chat/completions", json={**CHAT, "model": "goes"})).status_code == 200
        async with Load(client, "stays").running() as load:
            for turn in range(1, 4):
                config["providers"]["sim"]["base_url"] = (other if turn % 2 else sim).url
                config["models"].pop("goes", None)
                config["keys"] = [config["keys"][0], {"name": "new", "value": "sk-new-0123456789abc"}]
                gateway.write(config)
                gateway.signal(signal.SIGHUP)
                await reloaded(gateway, turn * workers)
                await load.at_least(30)
        assert load.failures == []
        assert other.stats()["requests"] > 0
        before = sim.stats()["requests"]
        for _ in range(10):
            assert (await newcomer.post("/v1/chat/completions", json={**CHAT, "model": "stays"})).status_code == 200
            assert (await client.post("/v1/chat/completions", json={**CHAT, "model": "goes"})).status_code == 404
        assert sim.stats()["requests"] == before


async def test_a_broken_file_changes_nothing(
    sim: SimulatorProcess, start_gateway: Callable[..., GatewayProcess]
) -> None:
    """The log names file, line and key; the old configuration goes on."""
    config = configured(sim)
    gateway = start_gateway(config)
    gateway.path.write_text("providers:\n  sim:\n    type: openai\n    base_urll: x\n")
    gateway.signal(signal.SIGHUP)
    await reloaded(gateway, 1, "error")
    async with asyncio.timeout(5):
        while f"{gateway.path}:4: providers.sim.base_urll" not in gateway.output:
            await asyncio.sleep(0.02)
    async with http(gateway) as client:
        assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200


@WORKERS
async def test_a_changed_file_is_enough(
    workers: int, sim: SimulatorProcess, start_gateway: Callable[..., GatewayProcess]
) -> None:
    config = configured(sim, workers)
    gateway = start_gateway(config)
    config["keys"] = [{"name": "other", "value": "sk-other-0123456789"}]
    gateway.write(config)
    await reloaded(gateway, workers)
    async with http(gateway) as old, http(gateway, "sk-other-0123456789") as new:
        assert (await old.post("/v1/chat/completions", json=CHAT)).status_code == 401
        assert (await new.post("/v1/chat/completions", json=CHAT)).status_code == 200


@WORKERS
async def test_a_killed_worker_is_replaced(
    workers: int, sim: SimulatorProcess, start_gateway: Callable[..., GatewayProcess]
) -> None:
    gateway = start_gateway(configured(sim, workers))
    before = set(gateway.worker_pids())
    async with http(gateway) as client:
        serving = {pid for pid in before if _serves(pid)}
        assert serving
        victim = min(serving)
        os.kill(victim, signal.SIGKILL)
        async with asyncio.timeout(20):
            while victim in gateway.worker_pids() or not set(gateway.worker_pids()) - before:
                await asyncio.sleep(0.05)
            while True:
                try:
                    if (await client.get("/ready")).status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.05)
        for _ in range(20):
            try:
                assert (await client.post("/v1/chat/completions", json=CHAT)).status_code == 200
            except httpx.ReadError:  # a pooled connection of the one that died
                continue
    gateway.signal(signal.SIGTERM)
    assert await ended(gateway) == 0


def _serves(pid: int) -> bool:
    """Whether the process runs an event loop (workers do; multiprocessing's resource tracker does not)."""
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return False
    return any("anon_inode:[eventpoll]" in link for link in links)
