"""Ten thousand requests, many of them abandoned or answered badly, leave nothing behind."""

import asyncio
import gc
import os
import random
from collections.abc import AsyncIterator
from typing import cast

from switchgear.errors import Overloaded, UpstreamError
from tests.hotpath.conftest import MakePool
from tests.hotpath.upstream import EVENTS, OK, REQUEST, chunk, until

REQUESTS = 10_000
WORKERS = 100


class Moody(asyncio.Protocol):
    """A server that answers each request well, badly, in part or never, as its dice say."""

    def __init__(self, dice: random.Random, live: set[asyncio.BaseTransport]):
        self.dice = dice
        self.live = live

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are not subclasses
        self.live.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.live.discard(self.transport)

    def data_received(self, data: bytes) -> None:
        mood = self.dice.random()
        if mood < 0.6:
            self.transport.write(OK)
        elif mood < 0.75:
            self.transport.write(EVENTS + chunk(b"data: 1\n\n") + chunk(b"data: 2\n\n") + b"0\r\n\r\n")
        elif mood < 0.8:
            self.transport.write(EVENTS + chunk(b"data: 1\n\n"))
        elif mood < 0.85:
            self.transport.abort()
        elif mood < 0.9:
            self.transport.write(OK[: self.dice.randrange(1, len(OK))])
            self.transport.close()
        elif mood < 0.95:
            self.transport.write(b"garbage\r\n\r\n")


async def pieces(dice: random.Random) -> AsyncIterator[bytes]:
    yield b"{"
    if dice.random() < 0.5:
        await asyncio.sleep(0)
    yield b"}"


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_storm(make_pool: MakePool) -> None:
    loop = asyncio.get_running_loop()
    dice = random.Random(7)  # noqa: S311  # no secret depends on it
    live: set[asyncio.BaseTransport] = set()
    server = await loop.create_server(lambda: Moody(dice, live), "127.0.0.1", 0)
    pool = make_pool(server.sockets[0].getsockname()[1], max_connections=40, max_waiters=50)
    ended: dict[str, int] = {}
    files_before = open_files()
    over = False

    async def one() -> None:
        body: bytes | AsyncIterator[bytes] = b"{}" if dice.random() < 0.9 else pieces(dice)
        response = await pool.send(REQUEST, body, gather_bytes=dice.choice((0, 100)), first_byte_s=0.05, idle_s=0.05)
        if dice.random() < 0.8:
            while await response.read():
                pass
        response.close()

    async def worker() -> None:
        for _ in range(REQUESTS // WORKERS):
            task = loop.create_task(one())
            if dice.random() < 0.3:
                for _ in range(dice.randrange(8)):
                    await asyncio.sleep(0)
                task.cancel()
            await asyncio.wait([task])
            if task.cancelled():
                how = "cancelled"
            elif (error := task.exception()) is None:
                how = "answered"
            else:
                assert isinstance(error, UpstreamError | Overloaded), repr(error)
                how = type(error).__name__
            ended[how] = ended.get(how, 0) + 1

    async def sweeper() -> None:
        while not over:
            pool.sweep(loop.time())
            assert pool.connections <= 40
            assert pool.waiters <= 50
            await asyncio.sleep(0.02)

    sweeping = loop.create_task(sweeper())
    await asyncio.gather(*(worker() for _ in range(WORKERS)))
    over = True
    await sweeping
    assert sum(ended.values()) == REQUESTS
    assert set(ended) == {
        "answered",
        "cancelled",
        "Overloaded",
        "UpstreamProtocolError",
        "UpstreamTimeout",
        "UpstreamUnreachable",
    }
    assert (pool.busy, pool.waiters) == (0, 0)
    pool.close()
    assert pool.connections == 0
    await until(lambda: not live)
    server.close()
    await server.wait_closed()
    assert len(asyncio.all_tasks()) == 1
    gc.collect()
    await until(lambda: open_files() <= files_before)
