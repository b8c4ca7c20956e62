"""A client for the tests of CASES: HTTP over a socket that the test reads piece by piece and closes when it likes."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.support.processes import KEY, GatewayProcess, SimulatorProcess

WAIT_S = 20.0
CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"


class Answer(NamedTuple):
    """A whole answer. headers: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The envelope's content: OpenAI's has nothing else, Anthropic's says that it is an error and whose."""
        value = self.json
        assert list(value) in (["error"], ["type", "error", "request_id"])
        error: dict[str, Any] = value["error"]
        return error


class Open:
    """A request that was sent; its answer can be read piece by piece, and the connection closed at any time."""

    def __init__(
        self,
        origin: str,
        path: str,
        body: Any = None,
        *,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        key: str | None = KEY,
    ):
        host, port = origin.removeprefix("http://").split(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=WAIT_S)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"content-type": "application/json"} if data is not None else {}
        if key is not None:
            fields["authorization"] = f"Bearer {key}"
        self.connection.request(method, path, data, {**fields, **(headers or {})})
        self._response: http.client.HTTPResponse | None = None

    @property
    def response(self) -> http.client.HTTPResponse:
        """Waits for the answer's head."""
        if self._response is None:
            self._response = self.connection.getresponse()
        return self._response

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.response.getheaders()}

    def piece(self) -> bytes:
        """Some of the body as it arrives, b"" at its end. Raises `http.client.IncompleteRead` when it is cut off."""
        return self.response.read1(65536)

    def read_until(self, mark: bytes) -> bytes:
        """The body up to the piece that completes `mark`. Fails at the body's end."""
        got = b""
        while mark not in got:
            piece = self.piece()
            assert piece, got
            got += piece
        return got

    def rest(self) -> bytes:
        """The body to its end."""
        return self.response.read()

    def answer(self) -> Answer:
        """The whole answer; the connection is closed."""
        try:
            return Answer(self.response.status, self.headers, self.rest())
        finally:
            self.close()

    def close(self) -> float:
        """Close the socket and return when that was (Unix time)."""
        moment = time.time()
        if self._response is not None:
            self._response.close()
        self.connection.close()
        return moment

    def __enter__(self) -> Open:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def chat(model: str = "sim", **fields: Any) -> dict[str, Any]:
    """A chat request's body."""
    return {"model": model, "messages": [{"role": "user", "content": "Say something."}], **fields}


def post(origin: str, body: Any, path: str = CHAT, **options: Any) -> Answer:
    """Send and read the whole answer."""
    return Open(origin, path, body, **options).answer()


def calls(sim: SimulatorProcess) -> list[dict[str, Any]]:
    """What clients asked for, oldest first: without the list of models that a gateway fetches for itself."""
    return [record for record in sim.requests() if record["path"] != "/v1/models"]


def events(body: bytes) -> list[bytes]:
    """The data lines of an event stream that has one per event."""
    return [line[6:] for line in body.split(b"\n") if line.startswith(b"data: ")]


def until(condition: Callable[[], bool], what: str = "", seconds: float = WAIT_S) -> None:
    """Ask again until `condition` holds; fails when it never does. For state that nothing announces (gauges)."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"never became true: {what}"
        time.sleep(0.01)


def total(metrics: dict[str, float], name: str, **labels: str) -> float:
    """Sum of a metric's samples that have these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(
        value
        for sample, value in metrics.items()
        if sample.partition("{")[0] == name and all(label in sample for label in wanted)
    )


def at_rest(gateway: GatewayProcess) -> bool:
    """Whether nothing is in flight but the scrape itself: no stream open, no upstream connection busy or awaited."""
    metrics = gateway.metrics()
    return (
        total(metrics, "switchgear_in_flight") <= 1
        and total(metrics, "switchgear_streams_open") == 0
        and total(metrics, "switchgear_upstream_connections", state="busy") == 0
        and total(metrics, "switchgear_upstream_connections", state="waiting") == 0
    )


def refused_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
