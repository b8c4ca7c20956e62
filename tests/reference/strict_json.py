"""Strict JSON on top of the json module, with the places of members: what the other references share."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

BLANK = re.compile(r"[ \t\r\n]*")
OUTSIDE = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


class NotJson(ValueError):
    pass


class Number(str):
    """A number as it is written."""


class Pairs(list[tuple[str, Any]]):
    """The members of an object in order, repeated ones included."""

    def last(self, name: str) -> Any:
        return dict(self).get(name)


def _constant(name: str) -> NoReturn:
    raise NotJson(name)


_DECODER = json.JSONDecoder(parse_constant=_constant, parse_int=Number, parse_float=Number, object_pairs_hook=Pairs)


def nesting(text: str) -> int:
    """How deep brackets nest, whether they match or not."""
    depth = deepest = 0
    for found in OUTSIDE.findall(text):
        if found in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif found in "]}":
            depth -= 1
    return deepest


def loads(data: bytes, max_depth: int) -> tuple[str, Any]:
    """The text and its value: objects as Pairs, numbers as Number. Raises NotJson."""
    try:
        text = data.decode()
        if nesting(text) > max_depth:
            raise NotJson("too deep")
        start = blank(text, 0)
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error
    if blank(text, end) != len(text):
        raise NotJson("extra data")
    return text, value


def blank(text: str, at: int) -> int:
    found = BLANK.match(text, at)
    assert found
    return found.end()


@dataclass
class Member:
    """Offsets into the text. comma: of the comma before it, or -1."""

    key: str
    written: str  # the key as it stands, without quotes
    value: Any
    comma: int
    key_start: int
    start: int
    end: int


def members(text: str, at: int) -> Iterator[Member]:
    """The members of the object that starts at or after `at`, in a text that is known to be JSON."""
    at = blank(text, at)
    assert text[at] == "{"
    at = blank(text, at + 1)
    comma = -1
    while text[at] != "}":
        key, colon = _DECODER.raw_decode(text, at)
        start = blank(text, blank(text, colon) + 1)
        value, end = _DECODER.raw_decode(text, start)
        yield Member(key, text[at + 1 : colon - 1], value, comma, at, start, end)
        at = blank(text, end)
        if text[at] == ",":
            comma = at
            at = blank(text, at + 1)


def value_end(text: str, at: int) -> int:
    """Behind the value that starts at `at`."""
    end: int = _DECODER.raw_decode(text, at)[1]
    return end
