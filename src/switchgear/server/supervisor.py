"""The process above the workers: granian's, with our signals.

SIGTERM/SIGINT: workers are told to drain (readiness fails, answers say `connection: close`) and go on for
`drain.grace`, so that clients with open connections move on without a failed request; then granian closes the listener
and lets what is in flight finish until `drain.deadline`. A second signal skips the grace.

SIGHUP: workers read the configuration again; none is restarted.

A worker that dies is replaced. Granian gives up, and all other workers with it, when one dies within seconds of having
been replaced; here that takes `DEATHS` of them per worker within `DEATHS_S`, as where none of them can start.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from switchgear.config.schema import Config
from switchgear.observability import logs
from switchgear.server.app import App
from switchgear.server.worker import Worker

_HEADER_READ_TIMEOUT_MS = 30_000
_FLUSH_S = 2.0
DEATHS, DEATHS_S = 6, 30.0


def load_app(config: Config, path: Path | None, run_dir: Path, parent: int) -> App:
    """The ASGI application, in a worker process."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the worker's loop has its own handler
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # A process of multiprocessing ends without `atexit`: why it could not start would stay in the writer's buffer.
    Finalize(None, logs.writer.flush, (_FLUSH_S,), exitpriority=-100)
    return App(Worker(config, path, run_dir, f"{os.getpid()}", parent))


class Supervisor(MPServer):
    """granian for one configuration. path: the file to watch, if any. run_dir: where the workers' metrics lie."""

    def __init__(self, config: Config, path: Path | None, run_dir: Path):
        server = config.server
        super().__init__(
            "switchgear",
            address=server.host,
            port=server.port,
            interface=Interfaces.ASGI,
            workers=server.workers,
            runtime_mode=RuntimeModes.st,
            loop=Loops.uvloop,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=_HEADER_READ_TIMEOUT_MS),
            websockets=False,
            backlog=server.backlog,
            backpressure=server.max_in_flight + 128,  # connections; requests above max_in_flight get a 503, not silence
            log_dictconfig=logs.stdlib_config(config.logging),
            log_level=LogLevels.error if config.logging.level == "error" else LogLevels.warning,
            log_access=False,
            respawn_failed_workers=True,
            workers_kill_timeout=max(1, int(server.drain.deadline)),
            **_tls(config),
        )
        self._drain_grace_s = float(server.drain.grace)
        self._main_pid = os.getpid()
        self._signals = 0
        self._deaths: list[float] = []
        self._loader = partial(load_app, config, path, run_dir, self._main_pid)

    def serve(self) -> None:  # type: ignore[override]  # the target is ours
        """Serve until told to stop."""
        super().serve(target_loader=self._loader, wrap_loader=False)

    def _respawn_workers(self, workers: list[int], *args: Any, **options: Any) -> None:
        super()._respawn_workers(workers, *args, **options)
        now = time.monotonic()
        self._deaths = [moment for moment in self._deaths if now - moment < DEATHS_S] + [now] * len(workers)
        if len(self._deaths) < DEATHS * self.workers:
            self.respawned_wrks.clear()  # of this granian remembers who died a moment ago

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """SIGTERM, SIGINT: drain first."""
        if os.getpid() != self._main_pid:  # inherited by a fork that has not set its own yet
            os._exit(0)
        self._signals += 1
        if self._signals > 1 or self._drain_grace_s <= 0:
            super().signal_handler_interrupt()  # type: ignore[no-untyped-call]  # granian's
            return
        self._tell(signal.SIGUSR1)
        timer = threading.Timer(self._drain_grace_s, super().signal_handler_interrupt)
        timer.daemon = True
        timer.start()

    def signal_handler_reload(self, *args: Any, **kwargs: Any) -> None:
        """SIGHUP: the workers reload in place."""
        if os.getpid() == self._main_pid:
            self._tell(signal.SIGHUP)

    def _tell(self, number: signal.Signals) -> None:
        for worker in self.wrks:
            if worker.is_alive():  # type: ignore[no-untyped-call]  # granian's
                os.kill(worker.inner.pid, number)


def _tls(config: Config) -> dict[str, Any]:
    tls = config.server.tls
    if tls is None:
        return {}
    password = tls.key_password.reveal() if tls.key_password else None
    return {"ssl_cert": Path(tls.certificate), "ssl_key": Path(tls.key), "ssl_key_password": password}
