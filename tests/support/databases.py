"""Databases for tests: a PostgreSQL server of the session's own, and a fresh database in it or an SQLite file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import asyncpg


def _binaries() -> Path:
    """The folder of `postgres`: on PATH, or in the wheel `pgserver`."""
    found = shutil.which("postgres")
    if found:
        return Path(found).resolve().parent
    from importlib.util import find_spec

    spec = find_spec("pgserver")  # not imported: it would look for a runtime directory and warn
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


class PostgresProcess:
    """One server in a folder, on a socket there: a port could be taken by others while it is down. It can be stopped
    (SIGSTOP, or shut down) and come back."""

    def __init__(self) -> None:
        # Not below pytest's folders: those are closed to other users, and their paths are too long for a socket.
        self.folder = Path(tempfile.mkdtemp(prefix="sg-pg-"))
        self.data = self.folder / "data"
        self.bin = _binaries()
        self.user = "postgres"
        self.as_root = os.geteuid() == 0  # PostgreSQL refuses to run as root
        self.data.mkdir(mode=0o700)
        if self.as_root:
            for path in (self.folder, self.data):
                os.chown(path, 65534, 65534)
        if not self._may_run():
            shutil.copytree(self.bin.parent, self.folder / "pginstall")
            self.bin = self.folder / "pginstall" / "bin"
        self._run("initdb", "-D", str(self.data), "-U", self.user, "-A", "trust", "-E", "UTF8", "--no-sync")
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def _may_run(self) -> bool:
        """Whether the user it runs as reaches the binaries: a checkout below /root is closed to others."""
        program = [str(self.bin / "postgres"), "--version"]
        try:
            subprocess.run(program, check=True, stdout=subprocess.DEVNULL, **self._identity())  # type: ignore[call-overload]  # a user and a group, or nothing
        except (OSError, subprocess.CalledProcessError):
            return False
        return True

    def _identity(self) -> dict[str, object]:
        return {"user": 65534, "group": 65534, "extra_groups": []} if self.as_root else {}

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.bin / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            **self._identity(),  # type: ignore[call-overload]  # a user and a group, or nothing
        )

    def start(self) -> None:
        """Start and wait until it answers."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "max_connections": "60",
            "fsync": "off",  # the tests kill processes, not the machine
            "shared_buffers": "64MB",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [str(self.bin / "postgres"), "-D", str(self.data), *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._identity(),  # type: ignore[call-overload]  # a user and a group, or nothing
            )
        deadline = time.monotonic() + 30
        while subprocess.run(
            [str(self.bin / "pg_isready"), "-q", "-h", str(self.folder), "-U", self.user], check=False
        ).returncode:
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """Shut down at once; open connections break."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # a fast shutdown: no recovery when it starts again
            self.process.wait(30)
            self.process = None

    def close(self) -> None:
        """Shut down for good."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP and SIGCONT of the server and all that it has started."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in [self.process.pid, *map(int, children)]:
            os.kill(pid, number)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{self.user}@/{database}?host={self.folder}"

    async def create(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{uuid4().hex}"
        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        finally:
            await connection.close()
        return self.url(name)
