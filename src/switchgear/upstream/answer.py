"""What an attempt brings back: an answer worth giving to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from switchgear.routing.credentials import Credential
    from switchgear.routing.router import Route
    from switchgear.types import Headers, Usage
    from switchgear.upstream.upstream import Answered


class EventRelay(Protocol):
    """What an upstream's events go through: `hotpath._sse.Rewriter`, `hotpath._translate.Translator`, `AnthropicRelay`.

    usage: JSON text of an OpenAI-like usage object, or tokens already normalised.
    """

    @property
    def done(self) -> bool: ...
    @property
    def finished(self) -> bool: ...
    @property
    def started(self) -> bool: ...
    @property
    def events(self) -> int: ...
    @property
    def error(self) -> bytes | None: ...
    @property
    def usage(self) -> bytes | Usage | None: ...
    def feed(self, chunk: bytes) -> bytes: ...
    def flush(self) -> bytes: ...


class Answer:
    """An answer worth giving to the client.

    body: the whole of it, or None where it is to be relayed from `response`. first: what of a relayed one can go out at
    once. rewriter: set for an event stream. headers: the client's, None where they are the upstream's. attempted: the
    route and the index of its target that are still to be told how a relayed one ended (`Failover.relayed`).
    credential: what it was asked with; an error event may quote it.
    """

    __slots__ = ("attempted", "body", "credential", "first", "headers", "response", "rewriter")

    def __init__(
        self,
        response: Answered,
        body: bytes | None,
        rewriter: EventRelay | None = None,
        first: bytes = b"",
        headers: Headers | None = None,
    ):
        self.response = response
        self.body = body
        self.rewriter = rewriter
        self.first = first
        self.headers = headers
        self.attempted: tuple[Route, int] | None = None
        self.credential: Credential | None = None


class Local:
    """The head of an answer that is made here: nothing is left to be read."""

    body: bytes | None = b""
    content_length = 0
    event_stream = False

    def __init__(self, status: int = 200):
        self.status = status
        self.headers: Headers = []

    def header(self, name: bytes) -> bytes | None:
        """None: it has none."""
        return None

    async def read(self) -> bytes:
        """The end."""
        return b""

    def read_nowait(self) -> bytes | None:
        """The end."""
        return b""

    async def read_all(self, limit_bytes: int) -> bytes:
        """Nothing."""
        return b""

    def close(self) -> None:
        """Nothing to close."""
