"""Driving a parser or a rewriter with chunks, and the states to compare."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from switchgear.hotpath._sse import Parser, Rewriter
from tests.reference import sse as reference

ATTRIBUTES = ("started", "events", "done", "finished", "error", "usage", "model")


def parsed(chunks: Iterable[bytes], flush: bool) -> list[tuple[str, bytes, str | None]]:
    parser = Parser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    if flush:
        events += parser.flush()
    return [(event.event, event.data, event.id) for event in events]


def rewritten(chunks: Iterable[bytes], dialect: int, model: bytes | None, hide: bool) -> tuple[Any, ...]:
    """What came out by feeding, what by flushing, and the attributes before and after the flush."""
    rewriter = Rewriter(dialect, model=model, hide_usage=hide)
    fed = b"".join([rewriter.feed(chunk) for chunk in chunks])
    before = [getattr(rewriter, name) for name in ATTRIBUTES] + [rewriter.pending]
    flushed = rewriter.flush()
    return fed, before, flushed, [getattr(rewriter, name) for name in ATTRIBUTES] + [rewriter.pending]


def expected(stream: bytes, dialect: int, model: bytes | None, hide: bool) -> tuple[Any, ...]:
    oracle = reference.Rewriter(dialect, model, hide)
    fed = oracle.feed(stream)
    before = [getattr(oracle, name) for name in ATTRIBUTES] + [len(oracle.rest)]
    flushed = oracle.flush()
    return fed, before, flushed, [getattr(oracle, name) for name in ATTRIBUTES] + [len(oracle.rest)]


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(stream)) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def cut_everywhere(stream: bytes) -> Iterator[list[bytes]]:
    """Whole, in two parts at every byte, and byte by byte."""
    yield [stream]
    for place in range(1, len(stream)):
        yield [stream[:place], stream[place:]]
    yield [stream[i : i + 1] for i in range(len(stream))]


_JSON = [
    rb'{"id":"c","model":"m-1","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":null}],"usage":null}',
    rb'{"choices":[],"usage":{"total_tokens":3},"model":"m-1"}',
    rb'{"usage":{"prompt_tokens":1}, "choices":[{"finish_reason":"stop"}] , "x_groq":{"usage":{"a":[]}}}',
    rb'{ "usage" : null , "usage":{} }',
    rb'{"model":"","choices":[],"prompt_filter_results":[]}',
    rb'{"error":{"message":"no"}}',
    rb'{"model":"m-1","choices":[{"delta":{}}],"error":{"code":502}}',
    rb'{"error":null,"model":null}',
    rb'{"error":0.0e1}',
    rb'{"choices":[{"finish_reason":"a","finish_reason":null},1,"x"],"nested":{"model":"no","usage":{},"error":1}}',
    rb'{"a\"model":"x","model" :	"y","model":"m-1","s":"say \"usage\": {}"}',
    rb'{"type":"response.created","response":{"model":"m-1","usage":null,"error":null}}',
    rb'{"type":"response.output_text.delta","delta":"hi"}',
    rb'{"type":"response.completed","response":{"usage":{"input_tokens":1},"model":"m-1"}}',
    rb'{"type":"response.failed","response":null}',
    rb'{"type":"error","message":"no"}',
    rb'{"response":"model","usage":{"a":1}',
    rb'{"model":"m-1","usage":{}',
    rb'{"mod\u0065l":"x","us\u0061ge":{},"usage":[1]}',
    b'{"model":"\xe6\x88\x91","content":"\xf0\x9f\x98\x80"}',
    b'{"model":"m-1","bad":"\xff\xe6\x88","usage":{"a":1}}',
    b'{"model":"m-1","content":"' + b"long " * 40 + b'"}',
    b"[DONE]",
    b" [DONE]\t ",
    b"[DONE]x",
    b"not json",
    b"12",
    b"",
    b" ",
]
_ENDS = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\r"])


@st.composite
def _line(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(0, 11))
    if kind <= 6:
        line = draw(st.sampled_from([b"data: ", b"data:"])) + draw(st.sampled_from(_JSON))
    elif kind == 7:
        line = draw(
            st.sampled_from([b"event: error", b"event: response.completed", b"event:ping", b"event", b"id: 7", b"id"])
        )
    elif kind == 8:
        line = draw(
            st.sampled_from([b": keep-alive", b":", b"retry: 10", b"unknown", b"database: 1", b"data", b"\xef\xbb\xbf"])
        )
    elif kind == 9:
        # One JSON text in two data lines.
        half = draw(st.sampled_from(_JSON)).split(b",", 1)
        line = b"data: " + (b",\ndata: ".join(half))
    else:
        line = draw(st.binary(max_size=12).map(lambda data: data.replace(b"\r", b"").replace(b"\n", b"")))
    return line


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Streams of good and odd events, in one kind of line end or several, some of them mutated."""
    end = draw(_ENDS)
    parts = [draw(st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf", b"\xef\xbb"]))]
    for _ in range(draw(st.integers(0, 6))):
        mixed = draw(st.integers(0, 5)) == 0
        for line in draw(st.lists(_line(), min_size=0 if mixed else 1, max_size=3)):
            parts += [line, draw(_ENDS) if mixed else end]
        parts.append(draw(_ENDS) if mixed else end)
    stream = bytearray(b"".join(parts))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        if stream:
            place = draw(st.integers(0, len(stream) - 1))
            what = draw(st.integers(0, 2))
            if what == 0:
                del stream[place]
            elif what == 1:
                stream[place] = draw(st.sampled_from(b'\n\r"{}[],:\\ x\xff\x80\xc3'))
            else:
                stream[place:place] = draw(
                    st.sampled_from([b"\n", b"\r", b"\r\n", b'"', b'"usage":{},', b'"model":"z",'])
                )
    return bytes(stream[: draw(st.integers(0, len(stream)))]) if draw(st.integers(0, 3)) == 0 else bytes(stream)
