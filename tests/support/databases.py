"""Databases for tests: a PostgreSQL server of the session's own, and a fresh database in it or an SQLite file."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
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
    """One server in a folder, on a free port of 127.0.0.1. It can be stopped (SIGSTOP, or shut down) and come back."""

    def __init__(self, folder: Path):
        self.folder = folder / "postgres"
        self.bin = _binaries()
        self.user = "postgres"
        self.as_root = os.geteuid() == 0  # PostgreSQL refuses to run as root
        self._own(folder)
        if not self._may_run():
            shutil.copytree(self.bin.parent, folder / "pginstall")
            self.bin = folder / "pginstall" / "bin"
        self._run("initdb", "-D", str(self.folder), "-U", self.user, "-A", "trust", "-E", "UTF8", "--no-sync")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def _own(self, folder: Path) -> None:
        self.folder.mkdir(mode=0o700)
        if self.as_root:
            os.chown(self.folder, 65534, 65534)
            for parent in [folder, *folder.parents]:
                if parent.stat().st_uid == 0 and parent != Path("/"):
                    parent.chmod(parent.stat().st_mode | 0o011)

    def _may_run(self) -> bool:
        """Whether the user it runs as reaches the binaries: a checkout below /root is closed to others."""
        program = [str(self.bin / "postgres"), "--version"]
        try:
            subprocess.run(program, check=True, stdout=subprocess.DEVNULL, **self._identity())  # type: ignore[call-overload]
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
            **self._identity(),  # type: ignore[call-overload]
        )

    def start(self) -> None:
        """Start and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "60",
            "fsync": "off",  # the tests kill processes, not the machine
            "shared_buffers": "64MB",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [str(self.bin / "postgres"), "-D", str(self.folder), *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._identity(),  # type: ignore[call-overload]
            )
        deadline = time.monotonic() + 30
        while subprocess.run(
            [str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
        ).returncode:
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """Shut down at once; open connections break."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)  # immediate shutdown
            self.process.wait(30)
            self.process = None

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP and SIGCONT of the server and all that it has started."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in [self.process.pid, *map(int, children)]:
            os.kill(pid, number)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{database}"

    async def create(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{uuid4().hex}"
        connection = await asyncpg.connect(self.url())
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        finally:
            await connection.close()
        return self.url(name)
