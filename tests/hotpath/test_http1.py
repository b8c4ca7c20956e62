"""Heads and chunked bodies: what is taken, what is refused, and agreement with the reference for any bytes."""

from itertools import pairwise

import h11
import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from switchgear.hotpath._http1 import (
    ChunkedDecoder,
    Incomplete,
    ParseError,
    parse_request_head,
    parse_response_head,
)
from tests.reference import http1 as reference

LINE = b"HTTP/1.1 200 OK\r\n"


def test_response_head() -> None:
    head = b"HTTP/1.1 404 Not Found\r\nContent-Type:  text/plain \r\nX-A:\r\nSet-Cookie: a=b:c\r\n\r\n"
    assert parse_response_head(head + b"body") == (
        len(head),
        1,
        404,
        b"Not Found",
        [(b"content-type", b"text/plain"), (b"x-a", b""), (b"set-cookie", b"a=b:c")],
    )


def test_request_head() -> None:
    head = b"\r\n\nPOST /v1/x?y=z HTTP/1.0\r\nHost: h\n\n"
    assert parse_request_head(head + b"body") == (len(head), 0, b"POST", b"/v1/x?y=z", [(b"host", b"h")])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"HTTP/1.1 200", b""),
        (b"HTTP/1.1 200 ", b""),
        (b"HTTP/1.1 200 OK", b"OK"),
        (b"HTTP/1.1 200 KO", b"KO"),
        (b"HTTP/1.1 200  a\tb \xff", b" a\tb \xff"),
    ],
)
def test_reason(line: bytes, reason: bytes) -> None:
    assert parse_response_head(line + b"\r\n\r\n") == (len(line) + 4, 1, 200, reason, [])


def test_names_of_every_length_come_out_in_lower_case_however_often() -> None:
    names = [(b"X-" + b"aB" * length)[: length + 1] for length in range(100)]
    head = LINE + b"".join(name + b": v\r\n" for name in names) + b"\r\n"
    for _ in range(3):
        parsed = parse_response_head(head)
        assert parsed is not None
        assert parsed[4] == [(name.lower(), b"v") for name in names]


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"HTTP/2 200 OK\r\n\r\n", "no HTTP/1 status line"),
        (b"SSH-2.0-OpenSSH\r\n", "no HTTP/1 status line"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "no HTTP/1 status line"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "no HTTP/1 status line"),
        (b"HTTP/1.1 099 OK\r\n\r\n", "no HTTP/1 status line"),
        (b"HTTP/1.1  200 OK\r\n\r\n", "no HTTP/1 status line"),
        (b"HTTP/1.1\r\n\r\n", "no HTTP/1 status line"),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\n", "no HTTP/1 status line"),
        (LINE + b"a: b\r\n c\r\n\r\n", "a folded header line"),
        (LINE + b" a: b\r\n\r\n", "a folded header line"),
        (LINE + b"a\r\n\r\n", "a header line without a colon"),
        (LINE + b": b\r\n\r\n", "a header line without a name"),
        (LINE + b"a : b\r\n\r\n", "a header name with a character that must not be in it"),
        (LINE + b"a\xff: b\r\n\r\n", "a header name with a character that must not be in it"),
        (LINE + b"a: \0\r\n\r\n", "a control character in the header"),
        (LINE + b"a: b\rc: d\r\n\r\n", "a control character in the header"),
        (LINE + b"a: \x7f\r\n\r\n", "a control character in the header"),
        (b"HTTP/1.1 200 O\0K\r\n\r\n", "a control character in the header"),
        (LINE + b"content-length: -1\r\n\r\n", "a content-length that is not a number of bytes"),
        (LINE + b"content-length: +1\r\n\r\n", "a content-length that is not a number of bytes"),
        (LINE + b"content-length: 0x1\r\n\r\n", "a content-length that is not a number of bytes"),
        (LINE + b"content-length: 1, 1\r\n\r\n", "a content-length that is not a number of bytes"),
        (LINE + b"content-length:\r\n\r\n", "a content-length that is not a number of bytes"),
        (LINE + b"content-length: 9999999999999999999\r\n\r\n", "a content-length that is not a number of bytes"),
        (LINE + b"content-length: 1\r\nContent-Length: 2\r\n\r\n", "two different content-lengths"),
        (LINE + b"transfer-encoding: gzip\r\n\r\n", "a transfer-encoding other than chunked"),
        (LINE + b"transfer-encoding: gzip, chunked\r\n\r\n", "a transfer-encoding other than chunked"),
        (LINE + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n", "a transfer-encoding other than"),
        (LINE + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", "both content-length and"),
        (LINE + b"transfer-encoding: chunked\r\ncontent-length: 1\r\n\r\n", "both content-length and"),
        (b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "a transfer-encoding in an HTTP/1.0 message"),
        (LINE + b"a: " + b"x" * 65536 + b"\r\n\r\n", "a header that is too long"),
        (LINE + b"a: " + b"x" * 65536, "a header that is too long"),
    ],
)
def test_refused_response_heads(head: bytes, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        parse_response_head(head)


def test_a_repeated_equal_content_length_is_one() -> None:
    parsed = parse_response_head(LINE + b"content-length: 5\r\na: b\r\ncontent-length: 5\r\n\r\n")
    assert parsed is not None
    assert parsed[4] == [(b"content-length", b"5"), (b"a", b"b")]


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET / HTTP/2",
        b"GET /",
        b" GET / HTTP/1.1",
        b"G\xffT / HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET HTTP/1.1",
        b" HTTP/1.1",
        b"HTTP/1.1",
    ],
)
def test_refused_request_lines(line: bytes) -> None:
    with pytest.raises(ParseError, match="no HTTP/1 request line"):
        parse_request_head(line + b"\r\n\r\n")


def test_limit_counts_the_whole_head() -> None:
    head = LINE + b"\r\n"
    assert parse_response_head(head, len(head)) is not None
    with pytest.raises(ParseError, match="too long"):
        parse_response_head(head, len(head) - 1)
    assert parse_response_head(head[:-1], len(head)) is None
    with pytest.raises(ParseError, match="too long"):
        parse_request_head(b"\r\n" * 100, 100)


def test_chunked_body() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"5\r\nhello\r\n6 ; a=b\r\n world\r\n0\r\nx-t: 1\r\n\r\nrest") == b"hello world"
    assert decoder.done
    assert decoder.rest == b"rest"
    assert decoder.feed(b" and more") == b""
    assert decoder.rest == b"rest and more"
    decoder.finish()


def test_a_piece_that_is_all_body_is_not_copied() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"ffff\r\n") == b""
    piece = b"x" * 1000
    assert decoder.feed(piece) is piece


def test_unfinished_chunked_body() -> None:
    decoder = ChunkedDecoder()
    decoder.feed(b"5\r\nhel")
    with pytest.raises(Incomplete):
        decoder.finish()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\r\n", "without a size"),
        (b"x\r\n", "without a size"),
        (b"-1\r\n", "without a size"),
        (b"0x1\r\n", "not a number"),
        (b"1 1\r\n", "not a number"),
        (b"1\n", "not a number"),
        (b"1\r\r\n", "bare CR"),
        (b"fffffffffffffffff\r\n", "too large"),
        (b"1\r\nab\r\n", "longer than its size"),
        (b"1\r\na\n", "longer than its size"),
        (b"1\r\na\r\r", "longer than its size"),
        (b"1;\0\r\n", "control character in a chunk extension"),
        (b"1;" + b"x" * 5000, "line that is too long"),
        (b"0\r\na\r\n\r\n", "without a colon"),
        (b"0\r\na: \0\r\n\r\n", "control character in a trailer"),
        (b"0\r\na: " + b"x" * 70000, "trailers that are too long"),
    ],
)
def test_refused_chunked_bodies(data: bytes, message: str) -> None:
    decoder = ChunkedDecoder()
    with pytest.raises(ParseError, match=message):
        decoder.feed(data)
    with pytest.raises(ParseError, match=message):
        decoder.feed(b"")
    decoder = ChunkedDecoder()
    with pytest.raises(ParseError, match=message):  # noqa: PT012  # which byte it is found at does not matter
        for at in range(len(data)):
            decoder.feed(data[at : at + 1])


# Bytes that look like HTTP and are often wrong in one place.
PARTS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 204 No",
        b"HTTP/1.1 1",
        b"GET / HTTP/1.1",
        b"POST /x HTTP/1.0",
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b": ",
        b":",
        b" ",
        b"\t",
        b"\0",
        b"a",
        b"X-Y",
        b"content-length",
        b"Content-Length: 3",
        b"0",
        b"3",
        b"5",
        b"transfer-encoding: chunked",
        b"Transfer-Encoding",
        b"chunked",
        b"connection: close, x-y",
        b"\xff",
        b"\x7f",
        b";",
        b"f",
    ]
)
SOUP = st.lists(PARTS | st.binary(max_size=3), max_size=14).map(b"".join)
FIELDS = st.lists(
    st.tuples(
        st.from_regex(rb"\A[A-Za-z0-9!#$&'*+.^_`|~-]{1,60}\Z"),
        st.from_regex(rb"\A([!-~\x80-\xff]([ -~]{0,20}[!-~])?)?\Z"),
    ),
    max_size=12,
)


@given(SOUP | SOUP.map(lambda soup: b"HTTP/1.1 200 OK\r\n" + soup + b"\r\n\r\n"))
@example(b"")
@example(b"\n\n")
@example(b"HTTP/1.1 200\n\r\n")
def test_response_heads_as_the_reference(data: bytes) -> None:
    try:
        expected = reference.response_head(data)
    except reference.Invalid:
        with pytest.raises(ParseError):
            parse_response_head(data)
    else:
        assert parse_response_head(data) == expected


@given(SOUP | SOUP.map(lambda soup: b"GET / HTTP/1.1\r\n" + soup + b"\r\n\r\n"))
def test_request_heads_as_the_reference(data: bytes) -> None:
    try:
        expected = reference.request_head(data)
    except reference.Invalid:
        with pytest.raises(ParseError):
            parse_request_head(data)
    else:
        assert parse_request_head(data) == expected


CHUNKS = st.lists(
    st.binary(min_size=1, max_size=40).map(lambda data: b"%x\r\n%b\r\n" % (len(data), data))
    | st.sampled_from([b"5;a=b\r\nhello\r\n", b"00a \t\r\n0123456789\r\n"]),
    max_size=6,
).map(b"".join)
ENDS = st.sampled_from(
    [b"0\r\n\r\n", b"0\r\n\r\nrest", b"000;x\r\na: b\r\nc: d\r\n\r\n", b"0\r\n\n", b"0\r\na: b\n\n", b""]
)


@given(st.tuples(CHUNKS, ENDS | SOUP).map(b"".join), st.lists(st.integers(0, 300), max_size=6))
@example(b"0\r\n\r\n", [4])
@example(b"0\r\n\r\n", [3])
def test_chunked_bodies_as_the_reference_for_any_split(data: bytes, cuts: list[int]) -> None:
    expected = reference.chunked(data)
    decoder = ChunkedDecoder()
    body = b""
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    try:
        for start, end in pairwise(edges):
            body += decoder.feed(data[start:end])
    except ParseError:
        assert expected.invalid
        return
    assert (body, decoder.done, False, decoder.rest) == (
        expected.body,
        expected.done,
        expected.invalid,
        expected.rest,
    )


class Seen:
    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))


@given(FIELDS)
def test_valid_heads_as_httptools_and_h11(fields: list[tuple[bytes, bytes]]) -> None:
    special = {b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"proxy-connection"}
    fields = [field for field in fields if field[0].lower() not in special]
    data = LINE + b"".join(name + b": " + value + b"\r\n" for name, value in fields) + b"content-length: 0\r\n\r\n"
    parsed = parse_response_head(data)
    assert parsed is not None
    seen = Seen()
    httptools.HttpResponseParser(seen).feed_data(data)
    assert parsed[4] == seen.headers
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "h")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    event = connection.next_event()
    assert isinstance(event, h11.Response)
    assert parsed[4] == list(event.headers)
