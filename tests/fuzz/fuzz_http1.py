"""Fuzz target: response heads, request heads, chunked bodies, and whole answers through the client.

`one_input` compares the compiled code with the plain-Python reference and raises AssertionError where they differ.
The first byte of the input decides how the rest is cut into pieces; SEEDS start with one as well.
"""

import asyncio
from collections.abc import Callable

from switchgear.hotpath._http1 import ChunkedDecoder, ParseError, parse_request_head, parse_response_head
from tests.hotpath.memory_loop import exchange
from tests.reference import http1 as reference

SEEDS = [
    b"\x00HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    b"\x07HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nx-t: 1\r\n\r\n",
    b"\x21HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nconnection: close, x-a\r\nx-a: 1\r\n\r\n",
    b"\x40HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nuntil close",
    b"\x83HTTP/1.1 200 OK\ncontent-type: text/event-stream\nTransfer-Encoding: Chunked\n\n9\r\ndata: 1\n\n\r\n0\r\n\n",
    b"\xffHTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\ncontent-length: 7\r\n\r\n",
    b"\x01\r\nPOST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc",
    b"\x01a\r\n0123456789\r\n0\r\n\r\nrest",
]

_loop: asyncio.AbstractEventLoop | None = None


def run_exchange(pieces: list[bytes], gather_bytes: int, head_request: bool) -> tuple[object, ...]:
    """One exchange on one event loop that all inputs share."""
    global _loop
    if _loop is None:
        _loop = asyncio.new_event_loop()
    return _loop.run_until_complete(exchange(pieces, gather_bytes=gather_bytes, head_request=head_request))


def cut(data: bytes, step: int) -> list[bytes]:
    """Pieces of `step` bytes; 0: all in one."""
    return [data[at : at + step] for at in range(0, len(data), step)] if step else [data] if data else []


def check_heads(data: bytes) -> None:
    pairs: list[tuple[Callable[[bytes], object], Callable[[bytes], object]]] = [
        (parse_response_head, reference.response_head),
        (parse_request_head, reference.request_head),
    ]
    for ours, theirs in pairs:
        expected: object
        got: object
        try:
            expected = theirs(data)
        except reference.Invalid:
            expected = "invalid"
        try:
            got = ours(data)
        except ParseError:
            got = "invalid"
        assert got == expected, (ours, data, got, expected)


def check_chunked(data: bytes, step: int) -> None:
    expected = reference.chunked(data)
    decoder = ChunkedDecoder()
    body = b""
    try:
        for piece in cut(data, step):
            body += decoder.feed(piece)
    except ParseError:
        assert expected.invalid, data
        return
    assert (body, decoder.done, decoder.rest, False) == (
        expected.body,
        expected.done,
        expected.rest,
        expected.invalid,
    ), data


def check_exchange(data: bytes, step: int, gather: bool, head_request: bool) -> None:
    try:
        answer = reference.answer(data, head_request=head_request)
    except reference.Invalid:
        expected: tuple[object, ...] = ("error", "UpstreamProtocolError" if data else "UpstreamUnreachable")
    else:
        if gather and not answer.event_stream and not answer.complete:
            expected = ("error", "UpstreamProtocolError")
        else:
            fault = None if answer.complete else "UpstreamProtocolError"
            expected = (
                answer.status,
                answer.reason,
                answer.headers,
                answer.event_stream,
                answer.body,
                fault,
                answer.reusable,
            )
    got = run_exchange(cut(data, step), len(data) + 1 if gather else 0, head_request)
    if gather and answer_too_long(expected, got):
        return
    assert got == expected, (data, step, got, expected)


def answer_too_long(expected: tuple[object, ...], got: tuple[object, ...]) -> bool:
    """A content-length beyond gather_bytes is not gathered: the answer's head comes first, its fault while reading."""
    return expected == ("error", "UpstreamProtocolError") and len(got) == 7 and got[5] == "UpstreamProtocolError"


def one_input(data: bytes) -> None:
    """Check one input. Longer ones than the head limit are outside of what the reference models."""
    if not data or len(data) > 16_384:
        return
    flags, data = data[0], data[1:]
    step = flags & 0x1F
    check_heads(data)
    check_chunked(data, step)
    check_exchange(data, step, bool(flags & 0x20), bool(flags & 0x40))
