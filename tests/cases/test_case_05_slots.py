"""CASES 5: nothing stays in flight after requests that ended badly, whichever way they did."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Callable

from tests.cases.client import CHAT, RESPONSES, Open, at_rest, chat, post, total, until
from tests.conftest import basic_config
from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

Start = Callable[..., GatewayProcess]

FAULTS = [
    "status=400",
    "status=429",
    "status=500",
    "reset-before-headers",
    "reset-after-headers",
    "reset-mid-stream",
    "close-mid-stream",
    "truncate-chunked",
    "truncated-json",
    "malformed-http",
    "wrong-content-length",
    "header-bomb",
    "stall-before-headers",
    "stall-after-headers",
    "stall-mid-stream",
    "error-in-200",
    "error-event",
    "garbage-sse",
    "gzip",
]
REFUSED = "status=401"  # takes the only credential out: whatever follows is refused here
ABORTS = 500


def config(sim: SimulatorProcess) -> dict[str, object]:
    return basic_config(
        sim,
        defaults={
            "timeouts": {"first_token": "500ms", "idle": "500ms"},
            "retries": {"attempts": 2, "backoff": "1ms", "budget": "1s"},
            "breaker": {"failures": 1000},
        },
    )


def test_every_bad_end(start_gateway: Start, sim: SimulatorProcess) -> None:
    gateway = start_gateway(config(sim))
    for stream in (True, False):
        for fault in [*FAULTS, *([] if stream else [REFUSED])]:
            for path in (CHAT, RESPONSES):
                answer = post(gateway.origin, {**chat(f"sim;{fault}", stream=stream), "input": "x"}, path)
                assert answer.status in (200, 400, 429, 500, 502, 504), (fault, answer)
    until(lambda: at_rest(gateway), "at rest")
    assert total(gateway.metrics(), "switchgear_in_flight") <= 1
    assert "unexpected error" not in gateway.output


def test_500_mixed_aborts(start_gateway: Start, sim: SimulatorProcess) -> None:
    """Clients leave at any moment: while they send, while they wait, while they read; half of them with a reset."""
    gateway = start_gateway(config(sim))
    dice = random.Random(5)  # noqa: S311 - reproducible, not secret
    models = [f"sim;{fault}" for fault in FAULTS] + ["sim;gap=5ms;tokens=200", "sim;first=300ms", "sim"]

    async def leave() -> None:
        body = b'{"model":"%b","stream":%b,"messages":[{"role":"user","content":"x"}]}' % (
            dice.choice(models).encode(),
            dice.choice((b"true", b"false")),
        )
        head = b"POST %b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n"
        request = head % (CHAT.encode(), KEY.encode(), len(body)) + body
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(request[: dice.randrange(20, len(request))] if dice.random() < 0.2 else request)
        await writer.drain()
        try:
            async with asyncio.timeout(dice.random() * 0.4):
                while await reader.read(dice.choice((1, 100, 65536))):
                    pass
        except (TimeoutError, ConnectionError):
            pass
        if dice.random() < 0.5:
            peer: socket.socket = writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()

    async def storm() -> None:
        for _ in range(ABORTS // 50):
            await asyncio.gather(*(leave() for _ in range(50)))

    asyncio.run(storm())
    until(lambda: at_rest(gateway), "at rest")
    assert post(gateway.origin, chat()).status == 200
    until(lambda: sim.stats()["in_flight"] == 0, "nothing runs on at the upstream")
    assert "unexpected error" not in gateway.output
    assert "Traceback" not in gateway.output
    assert "ASGI transport error" not in gateway.output  # a client that leaves is no event to log


def test_a_slot_is_free_after_each_abort(start_gateway: Start, sim: SimulatorProcess) -> None:
    """One slot, one connection: each request needs what the one before it had."""
    settings = config(sim)
    settings["server"] = {"max_in_flight": 2}  # one, and the scrape
    gateway = start_gateway(settings)
    for _ in range(10):
        with Open(gateway.origin, CHAT, chat("sim;stall-mid-stream=1", stream=True)) as client:
            assert client.piece()
        until(lambda: at_rest(gateway), "at rest")
    assert post(gateway.origin, chat()).status == 200
