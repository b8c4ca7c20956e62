"""The conforming parser: the standard's cases, recorded ones, and any byte split."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.hotpath._sse import Parser
from tests.hotpath.streams import cut, cut_everywhere, parsed, streams
from tests.reference import sse as reference

CASES: dict[str, tuple[bytes, list[tuple[str, bytes, str | None]]]] = {
    "one event": (b"data: 1\n\n", [("", b"1", None)]),
    "named": (b"event: e\ndata: 1\n\n", [("e", b"1", None)]),
    "name is for one event": (b"event: e\n\ndata: 1\n\n", [("", b"1", None)]),
    "last name wins": (b"event: e\nevent: f\ndata: 1\n\n", [("f", b"1", None)]),
    "no space": (b"data:1\n\n", [("", b"1", None)]),
    "one space goes": (b"data:  1 \n\n", [("", b" 1 ", None)]),
    "several lines": (b"data: 1\ndata\ndata: 2\n\n", [("", b"1\n\n2", None)]),
    "empty data": (b"data\n\ndata:\n\n", [("", b"", None), ("", b"", None)]),
    "no data": (b"event: ping\n\nretry: 1\n\n: c\n\n", []),
    "crlf": (b"data: 1\r\n\r\ndata: 2\r\n\r\n", [("", b"1", None), ("", b"2", None)]),
    "cr": (b"data: 1\r\rdata: 2\r\r", [("", b"1", None), ("", b"2", None)]),
    "mixed": (b"data: 1\r\n\ndata: 2\n\r\rdata: 3\n\r\n", [("", b"1", None), ("", b"2", None), ("", b"3", None)]),
    "other separators are data": (
        "data: \u2028\u2029\x85\x0b\x0c\n\n".encode(),
        [("", "\u2028\u2029\x85\x0b\x0c".encode(), None)],
    ),
    "mark": (b"\xef\xbb\xbfdata: 1\n\n", [("", b"1", None)]),
    "second mark is a name": (b"\xef\xbb\xbf\xef\xbb\xbfdata: 1\n\ndata: 2\n\n", [("", b"2", None)]),
    "id stays": (b"id: 1\ndata: 1\n\ndata: 2\n\nid\ndata: 3\n\n", [("", b"1", "1"), ("", b"2", "1"), ("", b"3", "")]),
    "id with nul": (b"id: 1\nid: a\0b\ndata: 1\n\n", [("", b"1", "1")]),
    "names are exact": (b"Data: 1\ndata : 2\n data: 3\ndatax: 4\n\n", []),
    "not utf-8": (b"event: \xff\ndata: a\xffb\xe6\x88\n\n", [("\ufffd", "a\ufffdb\ufffd".encode(), None)]),
    "cut short": (b"data: 1\n\ndata: 2\n", [("", b"1", None)]),
}


@pytest.mark.parametrize("name", CASES)
def test_cases_at_every_split(name: str) -> None:
    stream, events = CASES[name]
    assert reference.parse(stream, flush=False) == events
    for chunks in cut_everywhere(stream):
        assert parsed(chunks, flush=False) == events, chunks


def test_end_of_input_completes_a_block_with_data() -> None:
    assert parsed([b"data: 1\n\ndata: [DONE]"], flush=True) == [("", b"1", None), ("", b"[DONE]", None)]
    assert parsed([b"event: e\ndata: 1\n"], flush=True) == [("e", b"1", None)]
    assert parsed([b"event: e\n"], flush=True) == []
    assert parsed([b"\xef\xbb"], flush=True) == []


def test_longer_than_the_bound() -> None:
    parser = Parser(max_event_bytes=10)
    assert [event.data for event in parser.feed(b"data: 1234\n\n" * 3)] == [b"1234"] * 3
    with pytest.raises(ValueError, match="longer than 10 bytes"):
        parser.feed(b"data: 12345")
    parser = Parser(max_event_bytes=10)
    with pytest.raises(ValueError, match="longer than 10 bytes"):
        parser.feed(b"data: 1\ndata\n")


def test_recorded_cases(recordings: Path) -> None:
    path = recordings / "sse-cases.jsonl"
    for line in path.read_text().splitlines() if path.exists() else []:
        case = json.loads(line)
        chunks = [base64.b64decode(chunk) for chunk in case["chunks_b64"]]
        stream = b"".join(chunks)
        events = [(event.get("event", ""), event["data"].encode(), event.get("id")) for event in case["events"]]
        flushed = [(e.get("event", ""), e["data"].encode(), e.get("id")) for e in case.get("llm_expected", [])]
        splits = (
            cut_everywhere(stream) if len(stream) < 500 else iter([[stream], cut(stream, range(0, len(stream), 7))])
        )
        for split in [chunks, *splits]:
            assert parsed(split, flush=False) == events, case["name"]
            if flushed:
                assert parsed(split, flush=True) == flushed, case["name"]


@given(streams(), st.lists(st.integers(0, 600), max_size=6), st.booleans())
def test_agrees_with_the_reference(stream: bytes, places: list[int], flush: bool) -> None:
    assert parsed(cut(stream, places), flush) == reference.parse(stream, flush)
