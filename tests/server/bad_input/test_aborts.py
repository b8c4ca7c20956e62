"""Ten thousand clients that leave in every phase of a request."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from tests.server.bad_input.raw import CHAT, head, in_flight, post
from tests.support.processes import GatewayProcess, SimulatorProcess


def footprint(gateway: GatewayProcess) -> tuple[int, int]:
    """(open files, resident KiB) of the worker."""
    worker = max(gateway.worker_pids(), key=lambda pid: _resident(pid))
    return len(list(Path(f"/proc/{worker}/fd").iterdir())), _resident(worker)


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0])


async def test_ten_thousand_aborted_requests_leave_nothing_behind(
    gateway: GatewayProcess, sim: SimulatorProcess
) -> None:
    """Clients that leave in every phase: in the head, in the body, while waiting, in a stream."""
    stream = post(CHAT.replace(b'"sim"', b'"sim;tokens=1000;gap=10ms"')[:-1] + b',"stream":true}')
    waiting = post(CHAT.replace(b'"sim"', b'"sim;first=30s"'))
    kinds = [stream[:20], stream[:-20], stream, waiting, post(b"nonsense"), head(length=5 << 20) + b"x" * 1000]

    def abort(data: bytes, reset: bool) -> None:
        with socket.create_connection(("127.0.0.1", gateway.port)) as client:
            client.sendall(data)
            if reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def aborts(start: int) -> None:
        for number in range(start, start + 500):
            abort(kinds[number % 6], number % 4 == 0)

    async def storm(count: int) -> None:
        # So many at once at most: what they need is given back to the allocator only.
        for start in range(0, count, 500):
            await asyncio.to_thread(aborts, start)
            await settled()

    async def settled() -> None:
        async with asyncio.timeout(20):
            while (await asyncio.to_thread(in_flight, gateway)) > 1 or sim.stats()["in_flight"]:
                await asyncio.sleep(0.05)

    await storm(5000)
    files, resident = footprint(gateway)
    await storm(10_000)
    files_after, resident_after = footprint(gateway)
    assert files_after <= files + 20
    assert resident_after <= resident + 16 * 1024, f"{resident} KiB, then {resident_after} KiB"
