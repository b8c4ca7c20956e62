"""The oracle of switchgear.hotpath._sse: the whole stream at once, by regular expressions and the json module."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.reference.strict_json import NotJson, Number, Pairs, loads, members, value_end

CHAT, RESPONSES, OPAQUE = 0, 1, 2
BOM = b"\xef\xbb\xbf"
LINE_END = re.compile(rb"\r\n|\r|\n")
CLOSING = ("response.completed", "response.incomplete", "response.failed")
MOST_EDITS = 16
DEPTH = 512


def value_of(line: bytes) -> bytes:
    value = line.partition(b":")[2]
    return value[1:] if value.startswith(b" ") else value


def name_of(line: bytes) -> bytes:
    return line.partition(b":")[0]


def parse(stream: bytes, flush: bool) -> list[tuple[str, bytes, str | None]]:
    """(event, data, id) of each event; `flush`: a block that the end of the stream cuts short counts if it has data."""
    stream = stream.removeprefix(BOM)
    lines = LINE_END.split(stream)
    if flush:
        lines += [b"", b""]
    else:
        lines.pop()
    events: list[tuple[str, bytes, str | None]] = []
    last_id: str | None = None
    data: list[bytes] = []
    event = ""
    for line in lines:
        if not line:
            if data:
                events.append((event, b"\n".join(data).decode("utf-8", "replace").encode(), last_id))
            data, event = [], ""
        elif name_of(line) == b"data":
            data.append(value_of(line))
        elif name_of(line) == b"event":
            event = value_of(line).decode("utf-8", "replace")
        elif name_of(line) == b"id" and b"\0" not in value_of(line):
            last_id = value_of(line).decode("utf-8", "replace")
    return events


def blocks(stream: bytes) -> tuple[list[bytes], bytes]:
    """The blocks that are whole, and the rest. A CR at the very end may be half of a CRLF: it ends a block only if
    a line of that block has ended in CR alone before, so that the block is rewritten anyhow."""
    whole = []
    start = line = 0
    lone = False
    for end in LINE_END.finditer(stream):
        unsure = end.group() == b"\r" and end.end() == len(stream)
        if unsure and not (lone and end.start() == line):
            break
        lone = lone or end.group() == b"\r"
        if end.start() == line:
            whole.append(stream[start : end.end()])
            start = end.end()
            lone = False
        line = end.end()
    return whole, stream[start:]


def is_json(data: bytes) -> bool:
    try:
        loads(data, DEPTH)
    except NotJson:
        return False
    return True


def truthy(value: Any) -> bool:
    if isinstance(value, Number):
        return re.search("[1-9]", re.split("[eE]", value)[0]) is not None
    return bool(value)


def is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


@dataclass
class Found:
    model: bytes | None = None
    usage: bytes | None = None
    groq: bytes | None = None
    error: bool = False
    finish: bool = False
    done: bool = False
    no_choices: bool = False
    edits: list[tuple[int, int, bool]] = field(default_factory=list)


@dataclass
class Rewriter:
    """Feed it the whole stream once, then flush."""

    dialect: int = CHAT
    name: bytes | None = None
    hide: bool = False
    started: bool = False
    events: int = 0
    done: bool = False
    finished: bool = False
    error: bytes | None = None
    usage: bytes | None = None
    model: bytes | None = None
    rest: bytes = b""
    ids: bool = False

    def feed(self, stream: bytes) -> bytes:
        if BOM.startswith(stream):
            self.rest = b"" if stream == BOM else stream
            return b""
        whole, self.rest = blocks(stream.removeprefix(BOM))
        out = []
        for block in whole:
            if self.done:
                break
            out.append(self.block(block))
        if self.done:
            self.rest = b""
        return b"".join(out)

    def flush(self) -> bytes:
        text, self.rest = self.rest, b""
        if not text or BOM.startswith(text):
            return b""
        whole, _ = blocks(text + (b"\n" if text.endswith(b"\n") else b"\n\n"))
        values = [value_of(line) for line in whole[0].splitlines() if name_of(line) == b"data"]
        data = b"\n".join(values)
        if not values or not (data.strip(b" \t\n") == b"[DONE]" or is_json(data)):
            return b""
        return self.block(whole[0])

    def block(self, block: bytes) -> bytes:
        if re.search(rb"\r(?!\n)", block):
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        block = block.decode("utf-8", "replace").encode()
        lines = block.splitlines()[:-1]
        values = [value_of(line) for line in lines if name_of(line) == b"data"]
        data = b"\n".join(values)
        if not data.strip(b" \t\n"):
            return self.without_data(block, lines)
        self.started = True
        self.events += 1
        self.ids = self.ids or any(name_of(line) == b"id" for line in lines)
        if self.dialect != RESPONSES and data.strip(b" \t\n") == b"[DONE]":
            self.done = True
            return block
        names = [value_of(line) for line in lines if name_of(line) == b"event"]
        if names and names[-1] == b"error":
            self.error = data if self.error is None else self.error
            return block
        if self.dialect == RESPONSES and names and names[-1].decode() in CLOSING:
            self.done = self.finished = True
        return self.read(block, lines, data)

    def without_data(self, block: bytes, lines: list[bytes]) -> bytes:
        comments = [line for line in lines if line.startswith(b":")]
        if self.ids:
            return b""
        if len(comments) == len(lines):
            return block
        return b"\n".join([*comments, b"", b""]) if comments else b""

    def read(self, block: bytes, lines: list[bytes], data: bytes) -> bytes:
        found = read(data, self.dialect, self.hide and self.dialect == CHAT)
        if found is None:
            return block
        if self.dialect != OPAQUE and found.model not in (None, b'""') and self.model is None:
            self.model = found.model
        self.usage = with_tier(found.usage, data) if found.usage else self.usage or found.groq
        self.finished = self.finished or found.finish or found.done
        self.done = self.done or found.done
        if found.error:
            self.error = data if self.error is None else self.error
            return block
        if self.hide and self.dialect == CHAT and found.no_choices and found.usage:
            return b""
        edited = self.edited(data, found)
        if edited == data:
            return block
        if len([line for line in lines if name_of(line) == b"data"]) == 1:
            at = block.index(data, next(m.end() for m in re.finditer(rb"^data: ?", block, re.MULTILINE)))
            return block[:at] + edited + block[at + len(data) :]
        out: list[bytes] = []
        written = False
        for line in lines:
            if name_of(line) != b"data":
                out.append(line)
            elif not written:
                out += [b"data: " + part for part in edited.split(b"\n")]
                written = True
        return b"\n".join([*out, b"", b""])

    def edited(self, data: bytes, found: Found) -> bytes:
        text = data.decode()
        out, at = [], 0
        for start, end, cut in found.edits:
            if not cut and self.name is None:
                continue
            out += [text[at:start].encode(), b"" if cut else self.name or b""]
            at = end
        return b"".join([*out, text[at:].encode()])


def read(data: bytes, dialect: int, hide: bool) -> Found | None:
    """What the JSON object says, None when it is none."""
    try:
        text, value = loads(data, DEPTH)
    except NotJson:
        return None
    if not isinstance(value, Pairs):
        return None
    found = Found()
    is_error = False
    kept = 0
    front = list(members(text, 0))
    for index, member in enumerate(front):
        cut = False
        if member.written == "error":
            found.error = truthy(member.value)
        elif dialect == CHAT and member.written == "model":
            read_model(found, text, member)
        elif dialect == CHAT and member.written == "usage":
            read_usage(found, text, member)
            cut = hide and (member.value is None or isinstance(member.value, Pairs))
        elif dialect == CHAT and member.written == "choices":
            read_choices(found, text, member)
        elif dialect == CHAT and member.written == "x_groq":
            found.groq = read_groq(text, member)
        elif dialect == RESPONSES and member.written == "response":
            found.model = found.usage = None
            if isinstance(member.value, Pairs):
                for inner in members(text, member.start):
                    if inner.written == "model":
                        read_model(found, text, inner)
                    elif inner.written == "usage":
                        read_usage(found, text, inner)
        elif dialect == RESPONSES and member.written == "type":
            token = text[member.start : member.end]
            is_error = token == '"error"'
            found.done = token in [f'"{name}"' for name in CLOSING]
        if not cut:
            kept += 1
        elif kept:
            found.edits.append((member.comma, member.end, True))
        else:
            following = front[index + 1].key_start if index + 1 < len(front) else member.end
            found.edits.append((member.key_start, following, True))
    found.error = found.error or is_error
    return None if len(found.edits) > MOST_EDITS else found


def read_model(found: Found, text: str, member: Any) -> None:
    found.model = text[member.start : member.end].encode() if is_text(member.value) else None
    if found.model is not None:
        found.edits.append((member.start, member.end, False))


def read_usage(found: Found, text: str, member: Any) -> None:
    found.usage = text[member.start : member.end].encode() if isinstance(member.value, Pairs) else None


def with_tier(usage: bytes, data: bytes) -> bytes:
    """The usage with what its event, or the event's response, tells of the service tier."""
    if b'"service_tier"' in usage:
        return usage
    event = json.loads(data)
    response = event.get("response")
    tiers = [event.get("service_tier")] + ([response.get("service_tier")] if isinstance(response, dict) else [])
    if not all(tier is None or isinstance(tier, str) for tier in tiers) or not isinstance(response, dict | None):
        return usage
    inner = usage[1:-1].strip()
    return (
        usage if tiers[-1] is None or not inner else b'{%b,"service_tier":%b}' % (inner, json.dumps(tiers[-1]).encode())
    )


def read_groq(text: str, member: Any) -> bytes | None:
    usage = None
    for inner in members(text, member.start) if isinstance(member.value, Pairs) else ():
        if inner.written == "usage":
            usage = text[inner.start : inner.end].encode() if isinstance(inner.value, Pairs) else None
    return usage


def read_choices(found: Found, text: str, member: Any) -> None:
    choices = member.value
    found.finish = False
    found.no_choices = choices == [] and text[member.start] == "["
    if text[member.start] != "[":
        return
    at = text.index("[", member.start) + 1
    for choice in choices:
        # The value again, with its keys as they are written.
        at = re.compile(r"[ \t\r\n,]*").match(text, at).end()  # type: ignore[union-attr]  # it matches the empty string
        if isinstance(choice, Pairs):
            reasons = [inner.value for inner in members(text, at) if inner.written == "finish_reason"]
            found.finish = found.finish or bool(reasons and is_text(reasons[-1]))
        at = value_end(text, at)
