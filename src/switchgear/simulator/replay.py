"""Recorded exchanges as answers.

A folder holds one JSON file per exchange: `id`, `stream`, `request` {method, path, query, body}, `response` {status,
headers, body}. A request is answered by the exchange with the same method, a path that ends alike once the vendor's
base path is off, and the same JSON body (compared by value, `model` included; a body that is not JSON by its bytes).
Among several, one with the very same path wins, then the longest common path, then the order of files. When nothing
matches, bodies are compared again without `stream_options`, which a gateway may have added to learn the usage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson
from msgspec import Struct

from switchgear.errors import NotFound
from switchgear.simulator.answer import Answer, Burst, Headers

_BASE = re.compile(
    r"/(?:openai/deployments/[^/]+|openai/v1|models(?=/chat/)|v1beta/openai|api/(?:coding/)?paas/v4|api/v1"
    r"|[a-z]+/v\d+/openai|[a-z]+/v1|v1beta1?|v1|beta|api)(?=/)"
)
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|(?<=\})\n(?=\{)")
_FRAMING = frozenset(("content-length", "transfer-encoding", "content-encoding", "connection"))
_MAX_RECORDING_BYTES = 64 * 1024 * 1024


class _Request(Struct):
    method: str
    path: str
    body: str | None = None
    query: Any = None


class _Response(Struct):
    status: int
    headers: dict[str, str]
    body: str


class Recording(Struct):
    """One recorded exchange."""

    id: str
    stream: bool
    request: _Request
    response: _Response

    @property
    def suffix(self) -> str:
        """The path below the vendor's base."""
        return _BASE.sub("", self.request.path, count=1)


class Recordings:
    """All exchanges below a folder, by id and by body."""

    def __init__(self, folder: Path):
        """Read every `*.json` below `folder`, leaving out what is not a recording. Raises `FileNotFoundError`."""
        if not folder.is_dir():
            raise FileNotFoundError(f"no folder of recordings at {folder}")
        self._by_id: dict[str, Recording] = {}
        self._exact: dict[tuple[str, bytes], list[Recording]] = {}
        self._loose: dict[tuple[str, bytes], list[Recording]] = {}
        decoder = msgspec.json.Decoder(Recording)
        for path in sorted(folder.rglob("*.json")):
            if path.stat().st_size > _MAX_RECORDING_BYTES:
                continue
            try:
                self._index(decoder.decode(path.read_bytes()))
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue

    def __len__(self) -> int:
        return len(self._by_id)

    def _index(self, recording: Recording) -> None:
        self._by_id[recording.id] = recording
        exact, loose = _keys(_encoded(recording.request.body or ""))
        method = recording.request.method
        self._exact.setdefault((method, exact), []).append(recording)
        self._loose.setdefault((method, loose), []).append(recording)

    def by_id(self, id: str) -> Recording:
        """Raises `NotFound`."""
        found = self._by_id.get(id)
        if found is None:
            raise NotFound(f"No recording with id '{id}'.", code="recording_not_found")
        return found

    def find(self, method: str, path: str, body: bytes) -> Recording | None:
        """The exchange that this request repeats, or None."""
        exact, loose = _keys(body)
        return _nearest(self._exact.get((method, exact), []), path) or _nearest(
            self._loose.get((method, loose), []), path
        )


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _keys(body: bytes) -> tuple[bytes, bytes]:
    """(the body in canonical form, the same without `stream_options`)."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body, body
    exact = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if not isinstance(value, dict) or "stream_options" not in value:
        return exact, exact
    del value["stream_options"]
    return exact, orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _nearest(candidates: list[Recording], path: str) -> Recording | None:
    fitting = [each for each in candidates if each.request.path == path or path.endswith(each.suffix)]
    return max(fitting, key=lambda each: (each.request.path == path, len(each.suffix)), default=None)


def replay(recording: Recording, split: int) -> Answer:
    """The recorded answer. split: bytes per write of a stream; 0 cuts at event ends."""
    response, body = recording.response, _encoded(recording.response.body)
    headers: Headers = [
        (name.encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in response.headers.items()
        if name not in _FRAMING
    ]
    chunked = recording.stream or "chunked" in response.headers.get("transfer-encoding", "")
    if not chunked:
        return Answer(body, status=response.status, content_type=b"", headers=headers, bare=True)
    bursts = _events(body) if recording.stream else iter([(body,)] if body else [])
    return Answer(status=response.status, content_type=b"", headers=headers, bursts=bursts, bare=True, split=split)


def _events(body: bytes) -> Iterator[Burst]:
    """The body cut behind each event (or line of JSON), none of its bytes changed."""
    start = 0
    for end in _EVENT_END.finditer(body):
        yield (body[start : end.end()],)
        start = end.end()
    if start < len(body):
        yield (body[start:],)
