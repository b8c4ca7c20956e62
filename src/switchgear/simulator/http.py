"""Requests out of bytes, without I/O (RFC 9112). Deliberately its own reader, not the gateway's: it checks the other.

`RequestParser.whole(data)` is for the usual case, one request in one read: no copy, and a head that was seen before
costs one dictionary look-up. Everything else goes through `feed` and `next`.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, unquote

from switchgear.errors import GatewayError, InvalidRequest, PayloadTooLarge

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_HEX = re.compile(rb"[0-9A-Fa-f]{1,15}")
_TARGET = re.compile(rb"[\x21-\xff]+")
_FORBIDDEN = re.compile(rb"[\x00\r\n]")
_CREDENTIALS = (b"x-api-key", b"api-key", b"x-goog-api-key")
_CACHED_HEADS = 1024


class HeadTooLarge(GatewayError):
    """More bytes than allowed before the end of the head, or in a trailer."""

    status = 431
    type = "invalid_request_error"


class Head:
    """A request's head, read once and shared by all requests that repeat it. Treat it as read-only.

    headers: names in lower case, in order. path: of the target, percent-decoded; raw_path: as it came.
    content_length: 0 when there is no body, -1 when it is chunked. credential: bearer, API-key header or Google's
    `?key=`, or "". controls: the `x-sim-*` headers by key.
    dialect, memo: what the simulator works out once for this head.
    """

    __slots__ = (
        "content_length",
        "content_type",
        "controls",
        "credential",
        "dialect",
        "expect",
        "headers",
        "keep_alive",
        "memo",
        "method",
        "minor",
        "path",
        "query",
        "raw_path",
    )

    def __init__(self, raw: bytes):
        """Read `raw`, a head without its empty line. Raises `InvalidRequest`."""
        line, *fields = raw.split(b"\r\n")
        words = line.split(b" ")
        if len(words) != 3 or not _TOKEN.fullmatch(words[0]) or not _TARGET.fullmatch(words[1]):
            raise InvalidRequest("Malformed request line.")
        if words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
            raise InvalidRequest("Unsupported HTTP version.", status=505)
        self.method = words[0].decode("ascii")
        self.minor = words[2][-1] - 48
        target = words[1].decode("utf-8", "replace")
        if not target.startswith("/"):  # absolute form, RFC 9112 §3.2.2
            target = "/" + target.partition("://")[2].partition("/")[2]
        self.raw_path, _, self.query = target.partition("?")
        self.path = unquote(self.raw_path)
        self.headers = [_field(text) for text in fields]
        self.memo: object = None
        self.dialect: object = None
        self._interpret()

    def header(self, name: bytes) -> str | None:
        """The first header `name` (lower case), or None."""
        return next((value.decode("latin-1") for given, value in self.headers if given == name), None)

    def _interpret(self) -> None:
        lengths, codings, connection = set(), [], b""
        self.expect, self.credential, self.content_type = False, "", ""
        self.controls: dict[str, str] = {}
        for name, value in self.headers:
            if name == b"content-length":
                lengths.add(value)
            elif name == b"transfer-encoding":
                codings.append(value.lower())
            elif name == b"connection":
                connection += b"," + value.lower()
            elif name == b"expect":
                self.expect = value.lower() == b"100-continue" and self.minor == 1
            elif name == b"content-type":
                self.content_type = value.decode("latin-1")
            elif name == b"authorization":
                scheme, _, credential = value.decode("latin-1").partition(" ")
                self.credential = credential.strip() if scheme.lower() == "bearer" else ""
            elif name in _CREDENTIALS and not self.credential:
                self.credential = value.decode("latin-1")
            elif name.startswith(b"x-sim-"):
                self.controls[name[6:].decode("ascii")] = value.decode("latin-1")
        if not self.credential and "key=" in self.query:
            self.credential = parse_qs(self.query).get("key", [""])[0]
        self.content_length = _length(lengths, codings, self.minor)
        tokens = {token.strip() for token in connection.split(b",")}
        self.keep_alive = b"close" not in tokens and (self.minor == 1 or b"keep-alive" in tokens)


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not _TOKEN.fullmatch(name) or _FORBIDDEN.search(value):
        raise InvalidRequest("Malformed header.")
    return name.lower(), value.strip(b" \t")


def _length(lengths: set[bytes], codings: list[bytes], minor: int) -> int:
    if codings:
        if codings != [b"chunked"] or lengths or minor == 0:
            raise InvalidRequest("Unsupported or ambiguous message framing.")
        return -1
    if not lengths:
        return 0
    value = lengths.pop()
    if lengths or not _DIGITS.fullmatch(value):
        raise InvalidRequest("Malformed or conflicting content-length.")
    return int(value)


class HeadCache:
    """Heads by their bytes, shared by all connections; emptied when full."""

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}

    def read(self, raw: bytes) -> Head:
        """The head with these bytes. Raises `InvalidRequest`."""
        head = self._heads.get(raw)
        if head is None:
            head = Head(raw)
            if len(self._heads) >= _CACHED_HEADS:
                self._heads.clear()
            if len(raw) <= 4096:
                self._heads[raw] = head
        return head


class RequestParser:
    """Requests of one connection, in order. Errors are final: the connection cannot be read on."""

    __slots__ = ("_body", "_buffer", "_head", "_heads", "_in_trailer", "_max_body", "_max_head", "_scanned")

    def __init__(self, heads: HeadCache, max_head_bytes: int, max_body_bytes: int):
        self._heads = heads
        self._max_head = max_head_bytes
        self._max_body = max_body_bytes
        self._buffer = bytearray()
        self._head: Head | None = None
        self._body: bytearray | None = None  # of a chunked request
        self._in_trailer = False
        self._scanned = 0

    @property
    def buffered(self) -> int:
        """Bytes not yet part of a returned request."""
        return len(self._buffer) + (len(self._body) if self._body is not None else 0)

    @property
    def wants_continue(self) -> bool:
        """The head is in, asks for `100 Continue`, and nothing of the body has come."""
        head = self._head
        return head is not None and head.expect and not self._buffer and not self._body

    def whole(self, data: bytes) -> tuple[Head, bytes] | None:
        """The request that `data` is, when it is exactly one and nothing came before; else None. Raises as `next`."""
        if self._buffer or self._head is not None:
            return None
        end = data.find(b"\r\n\r\n")
        if end <= 0 or end > self._max_head or data[0] < 33:
            return None
        head = self._heads.read(data[:end])
        if head.content_length != len(data) - end - 4 or head.content_length > self._max_body:
            return None
        return head, data[end + 4 :]

    def feed(self, data: bytes) -> None:
        """More bytes from the connection."""
        self._buffer += data

    def next(self) -> tuple[Head, bytes] | None:
        """The next whole request, or None. Raises `InvalidRequest`, `PayloadTooLarge`, `HeadTooLarge`."""
        if self._head is None and not self._read_head():
            return None
        head = self._head
        assert head is not None  # noqa: S101 - _read_head left it
        if head.content_length < 0:
            body = self._read_chunked()
            if body is None:
                return None
        else:
            if len(self._buffer) < head.content_length:
                return None
            body = bytes(self._buffer[: head.content_length])
            del self._buffer[: head.content_length]
        self._head = None
        return head, body

    def _read_head(self) -> bool:
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # RFC 9112 §2.2: ignore empty lines before a request
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n", max(0, self._scanned - 3))
        if end < 0:
            self._scanned = len(buffer)
            if len(buffer) > self._max_head:
                raise HeadTooLarge("The request's headers are too large.")
            if b"\n\n" in buffer:
                raise InvalidRequest("Lines must end in CR LF.")
            return False
        if end > self._max_head:
            raise HeadTooLarge("The request's headers are too large.")
        self._head = self._heads.read(bytes(buffer[:end]))
        del buffer[: end + 4]
        self._scanned = 0
        if self._head.content_length > self._max_body:
            raise PayloadTooLarge("The request's body is too large.")
        self._body = bytearray() if self._head.content_length < 0 else None
        return True

    def _read_chunked(self) -> bytes | None:
        buffer, body = self._buffer, self._body
        assert body is not None  # noqa: S101 - set with the head
        while not self._in_trailer:
            line = buffer.find(b"\r\n", 0, 1024)
            if line < 0:
                if len(buffer) >= 1024:
                    raise InvalidRequest("Malformed chunk size.")
                return None
            digits = bytes(buffer[:line]).partition(b";")[0].rstrip(b" \t")
            if not _HEX.fullmatch(digits):
                raise InvalidRequest("Malformed chunk size.")
            size = int(digits, 16)
            if len(body) + size > self._max_body:
                raise PayloadTooLarge("The request's body is too large.")
            if size == 0:
                del buffer[: line + 2]
                self._in_trailer = True
                break
            stop = line + 2 + size
            if len(buffer) < stop + 2:
                return None
            if buffer[stop : stop + 2] != b"\r\n":
                raise InvalidRequest("Malformed chunk.")
            body += buffer[line + 2 : stop]
            del buffer[: stop + 2]
        return self._read_trailer()

    def _read_trailer(self) -> bytes | None:
        buffer = self._buffer
        while (line := buffer.find(b"\r\n")) > 0:
            _field(bytes(buffer[:line]))
            del buffer[: line + 2]
        if line < 0:
            if len(buffer) > self._max_head:
                raise HeadTooLarge("The request's trailer is too large.")
            return None
        del buffer[:2]
        body = bytes(self._body or b"")
        self._body, self._in_trailer = None, False
        return body
