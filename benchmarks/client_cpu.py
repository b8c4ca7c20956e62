"""CPU per request of the upstream client alone: user and system time of a process that does nothing but `Pool.send`.

A uvloop server in another process answers every request with the 25 headers and 700 bytes of a chat completion. The
same load is sent by a loop that only writes and reads (`raw`): what it costs is the transport's and the kernel's share,
and the difference is what the client adds.

    python benchmarks/client_cpu.py [requests] [connections]
"""

import asyncio
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection as Pipe

import uvloop

from benchmarks.test_http1_bench import BODY, HEAD
from switchgear.hotpath._client import Pool

ANSWER = HEAD + BODY
REQUEST_BODY = b'{"model":"m","messages":[{"role":"user","content":"' + b"x" * 200 + b'"}]}'
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer k\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(REQUEST_BODY)
)


class Answerer(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER)  # type: ignore[attr-defined]  # a stream's transport


class Raw(asyncio.Protocol):
    """One request after the other with no parsing and one future each: the floor on this loop."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.waiter: asyncio.Future[None] | None = None

    def data_received(self, data: bytes) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter.set_result(None)


def serve(pipe: Pipe) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Answerer, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


async def measure(one: Callable[[int], Awaitable[None]], requests: int, connections: int) -> dict[str, float]:
    async def worker(count: int) -> None:
        for _ in range(count):
            await one(count)

    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    await asyncio.gather(*(worker(requests // connections) for _ in range(connections)))
    after, wall_s = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - began
    return {
        "user_us": round((after.ru_utime - before.ru_utime) / requests * 1e6, 2),
        "system_us": round((after.ru_stime - before.ru_stime) / requests * 1e6, 2),
        "requests_per_s": round(requests / wall_s),
    }


async def run(port: int, requests: int, connections: int) -> dict[str, dict[str, float]]:
    loop = asyncio.get_running_loop()
    pool = Pool(loop, "127.0.0.1", port)
    free = [(await loop.create_connection(Raw, "127.0.0.1", port))[1] for _ in range(connections)]

    async def raw(_: int) -> None:
        protocol = free.pop()
        protocol.waiter = loop.create_future()
        protocol.transport.write(REQUEST + REQUEST_BODY)  # type: ignore[attr-defined]  # a stream's transport
        await protocol.waiter
        free.append(protocol)

    async def client(_: int) -> None:
        response = await pool.send(REQUEST, REQUEST_BODY, gather_bytes=65536, deadline=loop.time() + 60)
        if response.body != BODY:
            raise RuntimeError("the answer is not what the server sent")

    result = {}
    for name, one in (("warm-up", client), ("raw", raw), ("client", client)):
        result[name] = await measure(one, requests if name != "warm-up" else connections * 10, connections)
    pool.abort()
    del result["warm-up"]
    return result


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    connections = int(sys.argv[2]) if len(sys.argv) > 2 else 32
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    try:
        sys.stdout.write(json.dumps(uvloop.run(run(ours.recv(), requests, connections)), indent=2) + "\n")
    finally:
        server.kill()
        server.join()


if __name__ == "__main__":
    main()
