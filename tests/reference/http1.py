"""HTTP/1.1 messages in plain Python, by regular expression: the oracle for `switchgear.hotpath._http1` and `_client`.

Written from RFC 9112 and the rules in the stub, with no eye on speed and none of the compiled code's structure: it
always has the whole input in hand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Headers = list[tuple[bytes, bytes]]

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
TEXT = rb"[\t\x20-\x7e\x80-\xff]"
END = re.compile(rb"\n\r?\n")
STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9][0-9])(?: (%b*))?" % TEXT)
REQUEST_LINE = re.compile(rb"(%b) ([\x21-\x7e]+) HTTP/1\.([0-9])" % TOKEN)
FIELD = re.compile(rb"(%b):[ \t]*(%b*?)[ \t]*" % (TOKEN, TEXT))
SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})([ \t]*(?:;%b*)?\r)\n" % TEXT)
SIZE_LINE_BEGUN = re.compile(rb"([0-9A-Fa-f]{0,15})|([0-9A-Fa-f]{1,15})([ \t]*(?:;%b*)?\r?)" % TEXT)
HOPS = {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
MAX_SIZE_LINE = 4096


class Invalid(Exception):
    """Not HTTP/1.1."""


def head_length(data: bytes, start: int = 0) -> int | None:
    found = END.search(data, start)
    return found.end() if found else None


def fields(lines: list[bytes]) -> Headers:
    headers = []
    for line in lines:
        match = FIELD.fullmatch(line)
        if match is None:
            raise Invalid(line)
        headers.append((match[1].lower(), match[2]))
    return headers


def split_lines(section: bytes) -> list[bytes]:
    """The lines of a section that ends in an empty line, without that."""
    lines = [line.removesuffix(b"\r") for line in section.split(b"\n")]
    return lines[: lines.index(b"", 1)] if b"" in lines[1:] else lines


@dataclass
class Framing:
    length: int | None
    chunked: bool
    close: bool
    named: set[bytes]


def framing(headers: Headers, minor: int) -> Framing:
    lengths = [value for name, value in headers if name == b"content-length"]
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    options = {
        option.strip(b" \t") for name, value in headers if name == b"connection" for option in value.lower().split(b",")
    }
    if any(not re.fullmatch(rb"[0-9]{1,18}", value) for value in lengths) or len({int(v) for v in lengths}) > 1:
        raise Invalid("content-length")
    if codings not in ([], [b"chunked"]) or (codings and (lengths or minor == 0)):
        raise Invalid("transfer-encoding")
    return Framing(
        int(lengths[0]) if lengths else None,
        bool(codings),
        b"close" in options,
        options - {b"close", b"keep-alive", b""},
    )


def one_length(headers: Headers) -> Headers:
    """Equal content-lengths are one."""
    seen = False
    kept = []
    for header in headers:
        if header[0] == b"content-length":
            if seen:
                continue
            seen = True
        kept.append(header)
    return kept


def response_head(data: bytes) -> tuple[int, int, int, bytes, Headers] | None:
    end = head_length(data)
    if end is None:
        if data[:7] != b"HTTP/1."[: len(data)]:
            raise Invalid("prefix")
        return None
    first, *rest = split_lines(data[:end])
    match = STATUS_LINE.fullmatch(first)
    if match is None:
        raise Invalid("status line")
    headers = fields(rest)
    framing(headers, int(match[1]))
    return end, int(match[1]), int(match[2]), match[3] or b"", one_length(headers)


def request_head(data: bytes) -> tuple[int, int, bytes, bytes, Headers] | None:
    blank = re.match(rb"(?:\r?\n)*", data)
    start = blank.end() if blank else 0
    end = head_length(data, start)
    if end is None:
        return None
    first, *rest = split_lines(data[start:end])
    match = REQUEST_LINE.fullmatch(first)
    if match is None:
        raise Invalid("request line")
    headers = fields(rest)
    framing(headers, int(match[3]))
    return end, int(match[3]), match[1], match[2], one_length(headers)


@dataclass
class Chunked:
    body: bytes
    done: bool
    invalid: bool
    rest: bytes = b""


def chunked(data: bytes) -> Chunked:
    body = b""
    at = 0
    while True:
        match = SIZE_LINE.match(data, at)
        if match is None:
            begun = SIZE_LINE_BEGUN.fullmatch(data, at)
            return Chunked(body, False, begun is None or len(begun[3] or b"") > MAX_SIZE_LINE)
        if len(match[2]) > MAX_SIZE_LINE:
            return Chunked(body, False, True)
        size = int(match[1], 16)
        at = match.end()
        if size == 0:
            return trailers(body, data[at:])
        body += data[at : at + size]
        at += size
        after = data[at : at + 2]
        if after != b"\r\n":
            return Chunked(body, False, not b"\r\n".startswith(after))
        at += 2


def trailers(body: bytes, section: bytes) -> Chunked:
    end = head_length(b"\n" + section)
    if end is None:
        return Chunked(body, False, False)
    try:
        fields(split_lines(b"\n" + section[: end - 1])[1:])
    except Invalid:
        return Chunked(body, False, True)
    return Chunked(body, True, False, section[end - 1 :])


@dataclass
class Answer:
    """What a client makes of a connection that delivered `data` and was then closed."""

    status: int
    reason: bytes
    headers: Headers
    body: bytes
    complete: bool
    reusable: bool
    event_stream: bool


def answer(data: bytes, *, head_request: bool = False) -> Answer:
    """Raises Invalid when the final head is missing or wrong."""
    for _ in range(17):
        head = response_head(data)
        if head is None:
            raise Invalid("cut short")
        end, minor, status, reason, headers = head
        data = data[end:]
        if status >= 200:
            break
        if status == 101:
            raise Invalid("upgrade")
    else:
        raise Invalid("interim answers")
    frame = framing(headers, minor)
    event_stream = False
    for name, value in headers:
        if name == b"content-type":
            event_stream = re.match(rb"(?i)text/event-stream(?:[; \t]|$)", value) is not None
    kept = [
        header
        for header in headers
        if header[0] not in HOPS and not header[0].startswith(b"proxy-") and header[0] not in frame.named
    ]
    keep = minor > 0 and not frame.close
    if head_request or status in (204, 304):
        body, complete, rest = b"", True, data
    elif frame.chunked:
        decoded = chunked(data)
        body, complete, rest = decoded.body, decoded.done, decoded.rest
    elif frame.length is not None:
        body, rest = data[: frame.length], data[frame.length :]
        complete = len(body) == frame.length
    else:
        body, complete, rest, keep = data, True, b"", False
    return Answer(status, reason, kept, body, complete, complete and keep and not rest, event_stream)
