"""What the simulator saw: the last requests, and counters. For tests to look into: credentials stand as they came."""

from __future__ import annotations

from collections import deque
from typing import Any

from msgspec import Struct

from switchgear.simulator.http import Head


class Record:
    """One request. Times are Unix seconds; 0.0 means not yet, or never.

    body: its first bytes, up to the cap; body_bytes: its whole length. status: of the answer, 0 while there is none.
    finished_at: the answer (or what a fault made of it) was written. client_closed_at: the client left before that.
    events: writes of the answer so far; 0 on the fast path.
    """

    __slots__ = (
        "body",
        "body_bytes",
        "client_closed_at",
        "events",
        "finished_at",
        "head",
        "number",
        "started_at",
        "status",
    )

    def __init__(self, number: int, head: Head, body: bytes, body_bytes: int, started_at: float):
        self.number = number
        self.head = head
        self.body = body
        self.body_bytes = body_bytes
        self.started_at = started_at
        self.finished_at = 0.0
        self.client_closed_at = 0.0
        self.status = 0
        self.events = 0

    @property
    def method(self) -> str:
        """Of the request line."""
        return self.head.method

    @property
    def path(self) -> str:
        """Percent-decoded, without the query."""
        return self.head.path

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names in lower case, in order."""
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.head.headers]

    @property
    def credential(self) -> str:
        """Bearer token or API key, as it came."""
        return self.head.credential

    @property
    def client_left(self) -> bool:
        """Whether the client closed before the answer was complete."""
        return self.client_closed_at > 0

    def as_json(self) -> dict[str, Any]:
        """As `GET /_sim/requests` shows it."""
        return {
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "raw_path": self.head.raw_path,
            "query": self.head.query,
            "headers": self.headers,
            "credential": self.credential,
            "body": self.body.decode("utf-8", "replace"),
            "body_bytes": self.body_bytes,
            "status": self.status,
            "events": self.events,
            "started_at": self.started_at,
            "finished_at": self.finished_at or None,
            "client_closed_at": self.client_closed_at or None,
        }


class Stats(Struct):
    """Counters since the start.

    aborted: requests whose client left before the answer was complete; aborted_streams: the streamed ones among them.
    events: writes of the answers that have ended, but for those of the fast path. protocol_errors: connections closed
        because what came was not HTTP.
    """

    open_connections: int = 0
    connections_total: int = 0
    in_flight: int = 0
    requests: int = 0
    aborted: int = 0
    aborted_streams: int = 0
    events: int = 0
    protocol_errors: int = 0


class Journal:
    """The last `limit` requests, oldest first."""

    def __init__(self, limit: int, body_limit: int):
        self.records: deque[Record] = deque(maxlen=limit)
        self._body_limit = body_limit

    def add(self, number: int, head: Head, body: bytes, now: float) -> Record:
        """Remember a request that has just arrived."""
        record = Record(number, head, body[: self._body_limit], len(body), now)
        self.records.append(record)
        return record
