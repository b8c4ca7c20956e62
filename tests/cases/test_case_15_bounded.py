"""CASES 15: junk names and keys cost neither metric series nor memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.cases.client import calls, chat, post
from tests.conftest import basic_config
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

Start = Callable[..., GatewayProcess]
MIB = 1024 * 1024


def resident_bytes(gateway: GatewayProcess) -> int:
    """RSS of the only worker."""
    (pid,) = gateway.worker_pids()
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


async def send_all(gateway: GatewayProcess, requests: list[tuple[str, str]]) -> dict[int, int]:
    """Post a chat request per (model, key) over 16 kept connections; how often each status was answered."""
    statuses: dict[int, int] = {}
    waiting = iter(requests)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        for model, key in waiting:
            body = b'{"model":"%b","messages":[{"role":"user","content":"x"}]}' % model.encode()
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
                b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b" % (key.encode(), len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            statuses[status] = statuses.get(status, 0) + 1
        writer.close()

    await asyncio.gather(*(connection() for _ in range(16)))
    return statuses


def test_unknown_models_add_no_series(start_gateway: Start, sim: SimulatorProcess) -> None:
    """Where models are declared a junk name is refused, and counted under one name."""
    models = {"smart": {"targets": [{"provider": "sim", "model": "sim"}]}}
    gateway = start_gateway(basic_config(sim, models=models))
    assert post(gateway.origin, chat("smart")).status == 200
    assert post(gateway.origin, chat("junk")).status == 404
    before = set(gateway.metrics())
    assert asyncio.run(send_all(gateway, [(f"junk-{n}", KEY) for n in range(1000)])) == {404: 1000}
    after = gateway.metrics()
    assert set(after) == before
    assert [value for name, value in after.items() if 'model="_other"' in name and "requests_total" in name] == [1001]
    assert len(calls(sim)) == 1


def test_names_the_upstream_takes_are_bounded(start_gateway: Start, sim: SimulatorProcess) -> None:
    """Where every name of the upstream passes, 256 of them get a label; the rest share one."""
    gateway = start_gateway(basic_config(sim))
    assert asyncio.run(send_all(gateway, [(f"name-{n}", KEY) for n in range(1000)])) == {200: 1000}
    requests = {
        name: value for name, value in gateway.metrics().items() if name.startswith("switchgear_requests_total")
    }
    assert len(requests) == 257
    assert sum(requests.values()) == 1000
    before = len(gateway.metrics())
    assert asyncio.run(send_all(gateway, [(f"more-{n}", KEY) for n in range(1000)])) == {200: 1000}
    assert len(gateway.metrics()) == before


def test_memory_stays(start_gateway: Start, sim: SimulatorProcess) -> None:
    """20,000 requests with names and keys that come once."""
    models = {"smart": {"targets": [{"provider": "sim", "model": "sim"}]}}
    gateway = start_gateway(basic_config(sim, models=models))

    def junk(start: int, count: int) -> list[tuple[str, str]]:
        numbers = range(start, start + count)
        return [(f"junk-{n}", KEY) if n % 2 else ("smart", f"sk-junk-{n:032d}") for n in numbers]

    asyncio.run(send_all(gateway, junk(0, 2000)))  # what is made once is made
    before = resident_bytes(gateway)
    assert asyncio.run(send_all(gateway, junk(2000, 20_000))) == {404: 10_000, 401: 10_000}
    assert resident_bytes(gateway) - before < 4 * MIB
