"""HTTP/1.1 message heads and chunked bodies, sans-I/O (RFC 9112). Shared by the upstream client and the simulator.

Strict: obs-fold, bare CR, bare LF inside a line, NUL, whitespace before the colon, conflicting or malformed content-length, transfer-encoding
other than a final `chunked`, both content-length and transfer-encoding on a message are errors, not guesses.
A line may end in LF alone (RFC 9112 §2.2).
"""

class ParseError(ValueError):
    """The bytes are not an HTTP/1.1 message; the message says what is wrong and holds none of the bytes."""

class Incomplete(ParseError):
    """The head is longer than what is there (raised by the functions below only when asked to finish)."""

def parse_response_head(data: bytes, limit: int = 65536) -> tuple[int, int, int, bytes, list[tuple[bytes, bytes]]] | None:
    """(length of the head, minor version, status, reason, headers) or None while the empty line is missing.

    Header names come out in lower case. Raises `ParseError`; more than `limit` bytes without an end is one.
    """

def parse_request_head(data: bytes, limit: int = 65536) -> tuple[int, int, bytes, bytes, list[tuple[bytes, bytes]]] | None:
    """(length of the head, minor version, method, target, headers) or None while the empty line is missing."""

class ChunkedDecoder:
    """Undoes `transfer-encoding: chunked`; trailers are checked and dropped, chunk extensions ignored."""

    done: bool
    def feed(self, data: bytes) -> bytes:
        """The body bytes in `data`. After `done`, what followed the body is in `rest`."""
    rest: bytes
