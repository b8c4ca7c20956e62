"""The servers that are measured beside each other: how each is started, and what it is asked for.

`Direct` is the upstream itself, the base line for latency. `Nginx` is the reference that the budgets are ratios of:
a proxy that does nothing but pass on, tuned as its manual says for this. `Bare` is granian with an application that
only answers, the floor under the gateway. A `Peer` comes from the command line. Switchgear itself is in
`gateways`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from harness.loadclient import build
from harness.processes import Process, free_port, tree
from harness.scenarios import REPLY_TOKENS, Scenario

NGINX_CONFIG = """\
daemon off;
user {user};
worker_processes 1;
worker_rlimit_nofile 65536;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  sendfile on;
  tcp_nodelay on;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  client_max_body_size 64m;
  client_body_buffer_size 256k;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_read_timeout 300s;
  upstream chat {{ server {chat}; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 300s; }}
  upstream simulator {{ server {simulator}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 300s; }}
  server {{
    listen 127.0.0.1:{buffered} backlog=4096;
    location / {{ proxy_pass http://chat; }}
    location /v1/embeddings {{ proxy_pass http://simulator; proxy_buffers 64 16k; proxy_max_temp_file_size 0; }}
  }}
  server {{
    listen 127.0.0.1:{unbuffered} backlog=4096;
    location / {{ proxy_pass http://chat; proxy_buffering off; }}
  }}
}}
"""


@dataclass
class Context:
    """What servers need to start: the origins of the upstreams, a folder of their own, and their core.

    chat: answers chat; the canned upstream or the simulator. simulator: answers the rest. load_core: for what a server
    needs beside itself and what is counted apart.
    """

    chat: str
    simulator: str
    folder: Path
    core: int | None
    many_models: bool = False
    load_core: int | None = None

    def origin(self, scenario: Scenario) -> str:
        return self.simulator if scenario.simulated else self.chat


class Server(ABC):
    """One entry in the comparison. `measured` is false for the base line, whose CPU is the simulator's.

    about: for the tables' legend. rest_s: how long what it does after the last answer may take: so long nothing else is
    measured.
    """

    name = ""
    about = ""
    key: str | None = None
    measured = True
    rest_s = 0.0

    def __init__(self) -> None:
        self.process: Process | None = None

    @abstractmethod
    def start(self, context: Context) -> None:
        """Returns once it takes requests. Raises `StartFailed`."""

    @abstractmethod
    def url(self, scenario: Scenario) -> str:
        """The origin to send to."""

    def serves(self, scenario: Scenario) -> bool:
        """Whether it takes part. What is asked for at a fixed rate is about the gateway's own doings."""
        return not scenario.rate

    def beside(self) -> dict[str, int]:
        """Processes that work for it and whose CPU is told apart from its own: name to pid."""
        return {}

    def state_calls(self) -> int | None:
        """Calls that its shared state has had so far; None where it has none."""
        return None

    def model(self, scenario: Scenario, number: int) -> str:
        """The name a client asks this server for."""
        return scenario.upstream_model

    def pids(self) -> list[int]:
        return self.process.pids() if self.process else []

    def stop(self) -> None:
        if self.process:
            self.process.stop()
            self.process = None


class Upstream:
    """A server to proxy to, on the load generator's core; its first line of output has its origin."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, core: int | None) -> None:
        self.process = Process(name, command, folder / f"{name}.log", core)
        parts = urlsplit(self.process.wait_for_line("http://").split()[-1])
        self.origin = f"{parts.scheme}://{parts.netloc}"

    @classmethod
    def canned(cls, folder: Path, core: int | None, port: int) -> Upstream:
        """The compiled one: see upstream.c. Raises `StartFailed`, `LoadFailed`."""
        return cls("upstream", [str(build("upstream")), str(port)], folder, core)

    @classmethod
    def simulator(cls, folder: Path, core: int | None, port: int) -> Upstream:
        """`switchgear simulate`. Raises `StartFailed`."""
        command = [sys.executable, "-m", "switchgear.simulator", "--port", str(port), "--tokens", str(REPLY_TOKENS)]
        return cls("simulator", command, folder, core)

    def stop(self) -> None:
        self.process.stop()


class Direct(Server):
    name = "direct"
    about = "the upstream, asked without anything in between"
    measured = False

    def start(self, context: Context) -> None:
        self._context = context

    def url(self, scenario: Scenario) -> str:
        return self._context.origin(scenario)

    def serves(self, scenario: Scenario) -> bool:
        return True


class Nginx(Server):
    """proxy_buffering as it is by default for answers in one piece, off for streams."""

    name = "nginx"
    about = "passes on: no keys, no ledger, nothing rewritten"

    @staticmethod
    def binary() -> str | None:
        return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

    def start(self, context: Context) -> None:
        binary = self.binary()
        if binary is None:
            raise FileNotFoundError("nginx")
        self._buffered, self._unbuffered = free_port(), free_port()
        folder = context.folder
        config = NGINX_CONFIG.format(
            user="root" if os.geteuid() == 0 else "nobody",
            folder=folder,
            chat=urlsplit(context.chat).netloc,
            simulator=urlsplit(context.simulator).netloc,
            buffered=self._buffered,
            unbuffered=self._unbuffered,
        )
        path = folder / "nginx.conf"
        path.write_text(config)
        command = [binary, "-p", str(folder), "-e", str(folder / "start.log"), "-c", str(path)]
        self.process = Process(self.name, command, folder / "nginx.log", context.core)
        self.process.wait_for_port(self._unbuffered)

    def url(self, scenario: Scenario) -> str:
        return f"http://127.0.0.1:{self._buffered if scenario.mode == 'unary' else self._unbuffered}"


class Bare(Server):
    name = "granian"
    about = "the gateway's web server with a static answer"

    def start(self, context: Context) -> None:
        self._port = free_port()
        command = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(self._port)]
        command += ["--loop", "uvloop", "--http", "1", "--no-ws", "--runtime-mode", "st"]
        command += ["--backlog", "2048", "--backpressure", "16384"]
        command += ["--working-dir", str(Path(__file__).parent), "bare_app:app"]
        self.process = Process(self.name, command, context.folder / "granian.log", context.core)
        self.process.wait_for_port(self._port)

    def url(self, scenario: Scenario) -> str:
        return f"http://127.0.0.1:{self._port}"

    def serves(self, scenario: Scenario) -> bool:
        return super().serves(scenario) and scenario.mode == "unary" and scenario.kind != "embeddings"


@dataclass
class PeerOptions:
    """`NAME=URL[,pid=PID][,key=KEY][,model=MODEL][,only=A+B][,cmd=COMMAND …]`; cmd takes the rest of the text."""

    name: str
    url: str
    pid: int | None = None
    key: str | None = None
    model: str = "{model}"
    only: tuple[str, ...] = ()
    command: str | None = None

    @classmethod
    def parse(cls, text: str) -> PeerOptions:
        """Raises `ValueError` that says what is wrong."""
        name, equals, rest = text.partition("=")
        if not equals or not name or not rest:
            raise ValueError(f"{text!r} is not NAME=URL[,option=value …]")
        rest, has_command, command = rest.partition(",cmd=")
        url, *words = rest.split(",")
        options = cls(name, url.rstrip("/"), command=command if has_command else None)
        for word in words:
            option, _, value = word.partition("=")
            if option == "pid":
                options.pid = int(value)
            elif option == "key":
                options.key = value
            elif option == "model":
                options.model = value
            elif option == "only":
                options.only = tuple(value.split("+"))
            else:
                raise ValueError(f"{text!r}: unknown option {option!r}; known are pid, key, model, only, cmd")
        return options


class Peer(Server):
    """Another gateway. In its URL and command `{port}`, `{chat}` and `{simulator}` (the origins of the upstreams) are
    filled in, in its model `{model}`."""

    def __init__(self, options: PeerOptions) -> None:
        super().__init__()
        self.options = options
        self.name, self.key = options.name, options.key

    def start(self, context: Context) -> None:
        values = {"port": str(free_port()), "chat": context.chat, "simulator": context.simulator}
        self._url = self.options.url
        for name, value in values.items():
            self._url = self._url.replace("{" + name + "}", value)
        if self.options.command is None:
            return
        command = self.options.command
        for name, value in values.items():
            command = command.replace("{" + name + "}", value)
        self.process = Process(self.name, shlex.split(command), context.folder / f"{self.name}.log", context.core)
        self.process.wait_for_port(urlsplit(self._url).port or 80)

    def url(self, scenario: Scenario) -> str:
        return self._url

    def serves(self, scenario: Scenario) -> bool:
        return scenario.name in self.options.only if self.options.only else super().serves(scenario)

    def model(self, scenario: Scenario, number: int) -> str:
        return self.options.model.replace("{model}", scenario.upstream_model)

    def pids(self) -> list[int]:
        if self.options.pid is not None:
            return tree(self.options.pid)
        return super().pids()
