"""Gateways with limits, prices and a ledger for tests, what their command line says of them, and storms of requests."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from switchgear.cli.usage import command as usage_command
from switchgear.config.load import load
from switchgear.limits.declared import Declared
from switchgear.limits.snapshot import rows
from switchgear.state import open_store
from tests.conftest import basic_config
from tests.support.processes import KEY, ROOT, GatewayProcess, SimulatorProcess

PRICE = {"input": 1000.0, "output": 2000.0}
"""USD per million tokens: a dollar is soon spent. 1,000,000 and 2,000,000 nano-dollars a token."""
INPUT_NANOUSD, OUTPUT_NANOUSD = 1_000_000, 2_000_000
QUIET_S = 20.0

Row = dict[str, Any]


def metered(folder: Path, *simulators: SimulatorProcess, **overrides: Any) -> dict[str, Any]:
    """`basic_config` with a ledger and a database in `folder`, and `PRICE` for the model `sim` of every provider.

    key: fields of the one key that it has, `ci`.
    """
    key = {"name": "ci", "value": KEY, **overrides.pop("key", {})}
    names = ["sim", *(f"sim{n}" for n in range(2, len(simulators) + 1))]
    overrides.setdefault("prices", {f"{name}/*": PRICE for name in names})
    overrides.setdefault("database", {"url": f"sqlite:///{folder / 'ledger.db'}"})
    ledger = {"path": str(folder / "ledger"), **overrides.pop("ledger", {})}
    return {**basic_config(*simulators, **overrides), "keys": [key], "ledger": ledger}


def switchgear(*arguments: str) -> bytes:
    """What a command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "switchgear", *arguments],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def usage(gateway: GatewayProcess, *arguments: str) -> list[Row]:
    """The ledger's rows, as `switchgear usage` prints them; in this process, which spares its start."""
    out = gateway.path.with_suffix(".usage")
    options = ["--config", str(gateway.path), "--format", "jsonl", "--output", str(out), *arguments]
    usage_command.main(options, standalone_mode=False)
    return [json.loads(line) for line in out.read_bytes().splitlines()]


def limits_state(gateway: GatewayProcess) -> list[Row]:
    """Every limit, as `switchgear limits state` prints it."""
    out = switchgear("limits", "state", "--config", str(gateway.path), "--format", "jsonl")
    return [json.loads(line) for line in out.splitlines()]


def settled(gateway: GatewayProcess, resource: str) -> Row:
    """The only limit on `resource` once no request holds any of it and every worker has told what it spent."""
    config = load(gateway.path)

    async def look() -> Row:
        store = open_store(config.state.url, 5.0)
        try:
            [row] = [row async for row in rows(store, Declared(config).all()) if row["resource"] == resource]
            return row
        finally:
            await store.close()

    give_up_at = time.monotonic() + QUIET_S
    before, same = None, 0
    while same < 4:
        time.sleep(0.15)  # workers tell what they spent at least every 0.25 s
        row = asyncio.run(look())
        same = same + 1 if row["reserved"] == 0 and before == (row["used"], row["leased"]) else 0
        before = (row["used"], row["leased"])
        assert time.monotonic() < give_up_at, f"never came to rest: {row}"
    return row


def spent(rows: Iterable[Row]) -> int:
    """Sum of costs, nano-dollars."""
    return sum(row["cost_nanousd"] for row in rows)


class Got(NamedTuple):
    """How a request of a storm ended. status: 0 where no head came. whole: the body came to its end."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes
    whole: bool

    @property
    def request_id(self) -> str:
        return self.headers[b"x-request-id"].decode()


def request(
    body: Any, path: str = "/v1/chat/completions", *, key: str = KEY, headers: dict[str, str] | None = None
) -> bytes:
    """A request as it goes over the wire. body: bytes, or what is written as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"host": "x", "content-type": "application/json", "authorization": f"Bearer {key}", **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{head}content-length: {len(data)}\r\n\r\n".encode() + data


class Client:
    """One kept connection."""

    def __init__(self, port: int):
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, sent: bytes, leave_after: Callable[[], float] | None = None) -> Got:
        """Send and read. leave_after: seconds after which the connection is closed, whatever has come."""
        status, headers, body = 0, dict[bytes, bytes](), bytearray()
        try:
            async with asyncio.timeout(leave_after() if leave_after is not None else QUIET_S):
                if self._streams is not None and (
                    self._streams[0].at_eof() or self._streams[0].exception() is not None
                ):
                    self.close()  # as any client does: the other side closed it while it was idle
                if self._streams is None:
                    self._streams = await asyncio.open_connection("127.0.0.1", self.port)
                reader, writer = self._streams
                writer.write(sent)
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.split(b"\r\n")
                status = int(lines[0].split(b" ")[1])
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(b":") for line in lines[1:] if line)
                }
                await self._read(reader, headers, body)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            self.close()
            return Got(status, headers, bytes(body), False)
        if headers.get(b"connection") == b"close":
            self.close()
        return Got(status, headers, bytes(body), True)

    async def _read(self, reader: asyncio.StreamReader, headers: dict[bytes, bytes], body: bytearray) -> None:
        if b"content-length" in headers:
            body += await reader.readexactly(int(headers[b"content-length"]))
            return
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)

    def close(self) -> None:
        if self._streams is not None:
            with suppress(OSError):
                self._streams[1].transport.abort()
            self._streams = None


async def storm(
    port: int, requests: list[bytes], at_once: int, leave: Callable[[int], Callable[[], float] | None] | None = None
) -> list[Got]:
    """Send all, so many at a time over kept connections. leave: for a request's number, as in `Client.ask`."""
    found: list[Got] = []
    rest = iter(enumerate(requests))

    async def work() -> None:
        client = Client(port)
        for number, sent in rest:
            found.append(await client.ask(sent, leave(number) if leave is not None else None))
        client.close()

    await asyncio.gather(*(work() for _ in range(at_once)))
    return found


def run(main: Coroutine[Any, Any, list[Got]]) -> list[Got]:
    """`asyncio.run`, of a test that is not itself in a loop."""
    return asyncio.run(main)


def statuses(found: Iterable[Got]) -> Counter[int]:
    return Counter(got.status for got in found)
