"""How an answer leaves: a script of bytes, waits and endings, without I/O. The connection performs it.

1. the wait before the answer; faults that strike before anything is sent
2. interim answers, status line, headers
3. the body: at once, or burst by burst with a gap between two
4. the end: of the body, or whatever the fault makes of it

A script yields `bytes` to write, a `float` of seconds to wait (0.0: until the next turn of the loop), and may yield one
`Ending` as its last item; a script that runs out has sent its answer whole.
"""

from __future__ import annotations

import enum
import gzip
import random
import zlib
from collections.abc import Iterator
from http import HTTPStatus
from itertools import chain

from switchgear.simulator.answer import Answer, Headers
from switchgear.simulator.behaviour import Behaviour

_LAST_CHUNK = b"0\r\n\r\n"
_SETTLE_S = 0.005  # so that what was written before a reset has left, and was read
_NO_BODY = frozenset((204, 304))


class Ending(enum.Enum):
    """How a script ends, other than well."""

    CLOSE = 1  # close once everything is written
    RESET = 2  # RST
    STALL = 3  # stay silent until the client leaves


Item = bytes | float | Ending
Script = Iterator[Item]


def reason(status: int) -> str:
    """The reason phrase."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def head_bytes(status: int, headers: Headers) -> bytes:
    """Status line, headers, empty line."""
    lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason(status).encode(), lines)


def frame(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def whole(answer: Answer, headers: Headers, wait_s: float, *, head_only: bool) -> Script:
    """An answer that is sent at once, without faults."""
    if wait_s > 0:
        yield wait_s
    length = [] if answer.status in _NO_BODY else [(b"content-length", b"%d" % len(answer.body))]
    head = head_bytes(answer.status, headers + length)
    yield head if head_only or answer.status in _NO_BODY else head + answer.body


def streamed(answer: Answer, headers: Headers, wait_s: float, gap_s: float, *, minor: int) -> Script:
    """A stream without faults: headers at once, the first burst after `wait_s`, then one burst per gap."""
    chunked = minor == 1
    head = head_bytes(answer.status, [*headers, (b"transfer-encoding", b"chunked")] if chunked else headers)
    if wait_s > 0:
        yield head
        yield wait_s
        head = b""
    first = True
    for burst in _recut(answer):
        if not first:
            yield gap_s
        first = False
        if not chunked:
            yield head + b"".join(burst)
        elif len(burst) == 1:
            data = burst[0]
            yield b"%b%x\r\n%b\r\n" % (head, len(data), data)
        else:
            yield head + b"".join([b"%x\r\n%b\r\n" % (len(data), data) for data in burst])
        head = b""
    yield head + _LAST_CHUNK if chunked else Ending.CLOSE


def _recut(answer: Answer) -> Iterator[tuple[bytes, ...]]:
    """The answer's bursts, or its bytes in pieces of `answer.split`."""
    assert answer.bursts is not None  # noqa: S101 - only streamed answers come here
    if not answer.split:
        yield from answer.bursts
        return
    data = b"".join(chain.from_iterable(answer.bursts))
    for start in range(0, len(data), answer.split):
        yield (data[start : start + answer.split],)


class Faulty:
    """The script of an answer with faults. One object per answer; `script()` once."""

    def __init__(self, answer: Answer, headers: Headers, behaviour: Behaviour, rng: random.Random, *, head_only: bool):
        self._answer = answer
        self._headers = headers
        self._fault = behaviour
        self._rng = rng
        self._head_only = head_only

    def script(self) -> Script:
        """See the module."""
        fault = self._fault
        if fault.trickle:
            return _recast(self._script(), 1, fault.gap or 0.001)
        return _recast(self._script(), fault.split, 0.0) if fault.split else self._script()

    def _script(self) -> Script:
        fault = self._fault
        if fault.reset_before_headers:
            yield from (jittered(fault.first_token, fault.jitter, self._rng), Ending.RESET)
            return
        if fault.stall_before_headers:
            yield Ending.STALL
            return
        if self._answer.bursts is None and fault.first_token:
            yield jittered(fault.first_token, fault.jitter, self._rng)
        for status in fault.informational:
            link = b"link: </style.css>; rel=preload\r\n" if status == 103 else b""
            yield b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason(status).encode(), link)
            yield 0.0
        if self._answer.bursts is not None:
            yield from self._stream()
        else:
            yield from self._whole()

    def _head(self, framing: Headers) -> bytes:
        fault, headers = self._fault, [*self._headers, *framing]
        if fault.gzip:
            headers.append((b"content-encoding", b"gzip"))
        for number in range(fault.header_bomb or 0):
            headers.append((b"x-bomb-%d" % number, b"b" * 80))
        head = head_bytes(self._answer.status, headers)
        match fault.malformed_http:
            case "status-line":
                return b"HTTP/1.1 OK\r\n" + head.partition(b"\r\n")[2]
            case "header":
                return head[:-2] + b"this header has no colon\r\n\r\n"
            case "content-length":
                return head[:-2] + b"content-length: 7\r\ncontent-length: 8\r\n\r\n"
        return head

    def _after_head(self) -> Script:
        """What strikes between the headers and the body."""
        if self._fault.reset_after_headers:
            yield from (_SETTLE_S, Ending.RESET)
        elif self._fault.stall_after_headers:
            yield Ending.STALL

    def _whole(self) -> Script:
        fault, body = self._fault, self._answer.body
        if fault.truncated_json:
            body = body[: len(body) // 2]
        if fault.gzip:
            body = gzip.compress(body, mtime=0)
        cut_chunked = fault.truncate_chunked is not None or fault.close_mid_stream is not None
        if cut_chunked or fault.malformed_http == "chunk-size":
            yield from self._whole_chunked(body)
            return
        announced = len(body)
        if fault.wrong_content_length:
            announced += 10 if fault.wrong_content_length == "long" else -min(10, announced)
        head = self._head([(b"content-length", b"%d" % announced)])
        after = list(self._after_head())
        if after or self._head_only:
            yield from (head, *after)
            return
        middle = _middle(fault)
        if middle is not None:
            yield from (head + body[: len(body) // 2], _SETTLE_S, middle)
            return
        yield head + body
        if fault.wrong_content_length or fault.malformed_http:
            yield Ending.CLOSE

    def _whole_chunked(self, body: bytes) -> Script:
        fault = self._fault
        head = self._head([(b"transfer-encoding", b"chunked")])
        half = body[: len(body) // 2]
        if fault.malformed_http == "chunk-size":
            yield from (head + b"zz\r\n" + body + b"\r\n", Ending.CLOSE)
        elif fault.close_mid_stream is not None:
            yield head + frame(half) + _LAST_CHUNK
        else:
            yield from (head + frame(half), Ending.CLOSE)

    def _stream(self) -> Script:
        fault = self._fault
        yield self._head([(b"transfer-encoding", b"chunked")])
        after = list(self._after_head())
        if after:
            yield from after
            return
        if fault.first_token:
            yield jittered(fault.first_token, fault.jitter, self._rng)
        compress = zlib.compressobj(wbits=31) if fault.gzip else None
        for number, (gap, event) in enumerate(self._events()):
            if gap:
                yield jittered(fault.gap, fault.jitter, self._rng)
            ending = self._strikes(number)
            if ending is not None:
                yield from ending
                return
            if compress is not None:
                event = compress.compress(event) + compress.flush(zlib.Z_SYNC_FLUSH)
            yield b"zz\r\n%b\r\n" % event if fault.malformed_http == "chunk-size" else frame(event)
        if compress is not None:
            yield frame(compress.flush())
        yield _LAST_CHUNK
        if fault.malformed_http:
            yield Ending.CLOSE

    def _strikes(self, sent: int) -> Script | None:
        """What happens instead of the next event, when `sent` have gone."""
        fault = self._fault
        if sent == fault.reset_mid_stream:
            return iter((_SETTLE_S, Ending.RESET))
        if sent == fault.stall_mid_stream:
            return iter((Ending.STALL,))
        if sent == fault.close_mid_stream:
            return iter((_LAST_CHUNK,))
        return iter((Ending.CLOSE,)) if sent == fault.truncate_chunked else None

    def _events(self) -> Iterator[tuple[bool, bytes]]:
        """(whether a gap goes before it, event), with the faults of the dialect."""
        fault, number = self._fault, 0
        for burst_number, burst in enumerate(_recut(self._answer)):
            for position, event in enumerate(burst):
                if fault.truncated_json and number == 1:
                    event = event[: len(event) // 2] + b"\n\n"
                if fault.comments and self._answer.event_stream:
                    event = b": simulator keep-alive\n\n" + event
                if fault.crlf:
                    event = event.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                if fault.bom and number == 0:
                    event = b"\xef\xbb\xbf" + event
                yield burst_number > 0 and position == 0, event
                number += 1
                if fault.garbage_sse and number == 1:
                    yield False, b"\x00\xff\xfenonsense\nid\nretry: soon\ndata: {not json\n\n"


def _middle(fault: Behaviour) -> Ending | None:
    if fault.reset_mid_stream is not None:
        return Ending.RESET
    return Ending.STALL if fault.stall_mid_stream is not None else None


def _recast(script: Script, size: int, wait_s: float) -> Script:
    """The same bytes, `size` per write with `wait_s` between two."""
    for item in script:
        if not isinstance(item, bytes):
            yield item
            continue
        for start in range(0, len(item), size):
            yield item[start : start + size]
            yield wait_s


def jittered(delay_s: float, jitter: float, rng: random.Random) -> float:
    """`delay_s`, varied at random by the share `jitter` both ways."""
    return delay_s * (1 + jitter * (2 * rng.random() - 1)) if jitter and delay_s else float(delay_s)


def varied(script: Script, jitter: float, rng: random.Random) -> Script:
    """The script with each wait jittered."""
    for item in script:
        yield jittered(item, jitter, rng) if isinstance(item, float) else item
