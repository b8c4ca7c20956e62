"""What the edge reads of a request's headers, in one pass over them."""

class Head:
    """The headers a gateway acts on. headers: ASGI's pairs, names in lower case. forward: names that go along to the
    upstream.

    token: of `Authorization: Bearer`, or the whole value where it is one word (some clients send it bare), else of
    `x-api-key`,
    `api-key` or `x-goog-api-key`; b"" without one. length: Content-Length, -1 when absent, -2 when it is no number.
    forwarded: the pairs named in `forward`. The others: raw values, b"" when absent.
    """

    token: bytes
    content_type: bytes
    origin: bytes
    provider: bytes
    request_id: bytes
    strict: bytes
    length: int
    forwarded: list[tuple[bytes, bytes]]
    def __init__(self, headers: object, forward: frozenset[bytes]) -> None: ...
