"""HTTP/1.1 message heads and chunked bodies, sans-I/O (RFC 9112). Shared by the upstream client and the simulator.

Strict: obs-fold, bare CR, NUL and other control characters, whitespace before the colon, conflicting or malformed
content-length, any transfer-encoding but `chunked`, both content-length and transfer-encoding on a message are errors,
not guesses. A line of a head or of trailers may end in LF alone (RFC 9112 §2.2), a chunk-size line may not.
"""

Headers = list[tuple[bytes, bytes]]

class ParseError(ValueError):
    """The bytes are not an HTTP/1.1 message; the message says what is wrong and holds none of the bytes."""

class Incomplete(ParseError):
    """The input ended inside the message (raised by `ChunkedDecoder.finish` only)."""

def parse_response_head(data: bytes, limit: int = 65536) -> tuple[int, int, int, bytes, Headers] | None:
    """(length of the head, minor version, status, reason, headers) or None while the empty line is missing.

    Header names come out in lower case; a repeated content-length with the same value comes out once.
    Raises `ParseError`; more than `limit` bytes without an end is one.
    """

def parse_request_head(data: bytes, limit: int = 65536) -> tuple[int, int, bytes, bytes, Headers] | None:
    """(length of the head, minor version, method, target, headers) or None while the empty line is missing."""

class ChunkedDecoder:
    """Undoes `transfer-encoding: chunked`; trailers are checked and dropped, chunk extensions ignored.

    trailer_limit: bytes of trailers at most. Chunk-size lines end in CRLF and hold at most 4096 bytes after the size.
    """

    def __init__(self, trailer_limit: int = 65536) -> None: ...
    @property
    def done(self) -> bool: ...
    @property
    def rest(self) -> bytes: ...
    def feed(self, data: bytes) -> bytes:
        """The body bytes in `data`. After `done`, what followed the body is in `rest`. Raises `ParseError`."""
    def finish(self) -> None:
        """At end of input: raises `Incomplete` when the body is not whole."""
