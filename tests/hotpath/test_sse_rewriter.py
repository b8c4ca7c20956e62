"""The rewriter: what changes, what stays the bytes it was, what is learnt on the way, at any byte split."""

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchgear.hotpath._sse import CHAT, OPAQUE, RESPONSES, Rewriter
from tests.hotpath.streams import cut, cut_everywhere, expected, rewritten, streams

ROLE = b'data: {"id":"c1","model":"m-1","choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]}\n\n'
STOP = b'data: {"id":"c1","model":"m-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"id":"c1","model":"m-1","choices":[],"usage":{"total_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"


def relay(stream: bytes, dialect: int = CHAT, model: bytes | None = None, hide_usage: bool = False) -> bytes:
    """Output for the whole stream; every split is checked to give the same, and the reference too."""
    whole = rewritten([stream], dialect, model, hide_usage)
    assert whole == expected(stream, dialect, model, hide_usage)
    for chunks in cut_everywhere(stream):
        assert rewritten(chunks, dialect, model, hide_usage) == whole, chunks
    fed, _, flushed, _ = whole
    assert isinstance(fed, bytes)
    assert isinstance(flushed, bytes)
    return fed + flushed


def test_the_same_object_when_nothing_changes() -> None:
    rewriter = Rewriter(CHAT)
    for chunk in (ROLE, STOP + USAGE, b": ping\n\n" + DONE):
        assert rewriter.feed(chunk) is chunk
    assert (rewriter.started, rewriter.events, rewriter.done, rewriter.finished) == (True, 4, True, True)
    assert (rewriter.usage, rewriter.model, rewriter.error) == (b'{"total_tokens":3}', b'"m-1"', None)
    assert rewriter.pending == 0


def test_a_part_is_held_back() -> None:
    rewriter = Rewriter(CHAT)
    assert rewriter.feed(ROLE + b"data: {") == ROLE
    assert rewriter.pending == 7
    assert rewriter.flush() == b""
    assert (rewriter.pending, rewriter.done) == (0, False)


def test_model_is_put_in_place() -> None:
    assert relay(ROLE + STOP + DONE, model=b'"smart"') == (ROLE + STOP).replace(b"m-1", b"smart") + DONE
    assert (
        relay(b'data: { "choices": [] , "model" : "" }\n\n', model=b'"s"')
        == b'data: { "choices": [] , "model" : "s" }\n\n'
    )
    assert relay(b'data: {"model":null}\n\n', model=b'"s"') == b'data: {"model":null}\n\n'
    assert relay(b'data: {"x":{"model":"m"}}\n\n', model=b'"s"') == b'data: {"x":{"model":"m"}}\n\n'
    assert relay(b'data: {"model":"a","model":"b"}\n\n', model=b'"s"') == b'data: {"model":"s","model":"s"}\n\n'


def test_what_already_says_so_is_not_written_anew() -> None:
    assert Rewriter(CHAT, model=b'"m-1"').feed(ROLE) is ROLE


def test_data_that_is_not_json_is_left_alone() -> None:
    for data in (b"hello", b'{"model":"m"', b'{"model":"m",}', b'{"model":"\x01m"}', b'["model"]', b'{"model":"m"} x'):
        stream = b"data: " + data + b"\n\n"
        assert relay(stream, model=b'"s"', hide_usage=True) == stream


def test_usage_is_hidden() -> None:
    assert relay(ROLE + STOP + USAGE + DONE, hide_usage=True) == ROLE + STOP + DONE
    for before, after in {
        b'{"a":1,"usage":null}': b'{"a":1}',
        b'{"a":1 , "usage" : {"x":1} , "b":2}': b'{"a":1  , "b":2}',
        b'{"usage":null, "a":1}': b'{"a":1}',
        b'{"usage":null,"usage":{},"a":1}': b'{"a":1}',
        b'{ "usage":null }': b"{  }",
        b'{"usage":3,"a":1}': b'{"usage":3,"a":1}',
        b'{"x_groq":{"usage":{"a":1}}}': b'{"x_groq":{"usage":{"a":1}}}',
        b'{"choices":[],"x_groq":{"usage":{"a":1}}}': b'{"choices":[],"x_groq":{"usage":{"a":1}}}',
        b'{"choices":[],"prompt_filter_results":[]}': b'{"choices":[],"prompt_filter_results":[]}',
        b'{"choices":[1],"usage":{"a":1}}': b'{"choices":[1]}',
        b'{"choices":[],"usage":null}': b'{"choices":[]}',
    }.items():
        assert relay(b"data: " + before + b"\n\n", hide_usage=True) == b"data: " + after + b"\n\n"


def test_usage_is_kept_in_mind_when_hidden() -> None:
    rewriter = Rewriter(CHAT, hide_usage=True)
    assert rewriter.feed(USAGE) == b""
    assert rewriter.usage == b'{"total_tokens":3}'
    assert (rewriter.events, rewriter.started) == (1, True)


def test_usage_that_groq_has_elsewhere() -> None:
    for stream, usage in {
        b'data: {"x_groq":{"usage":{"a":1}}}\n\n': b'{"a":1}',
        b'data: {"x_groq":{"usage":{"a":1}},"usage":{"b":2}}\n\n': b'{"b":2}',
        b'data: {"usage":{"b":2}}\n\ndata: {"x_groq":{"usage":{"a":1}}}\n\n': b'{"b":2}',
        b'data: {"x_groq":{"usage":null}}\n\ndata: {"x_groq":3}\n\n': None,
    }.items():
        relay(stream)
        rewriter = Rewriter(CHAT)
        rewriter.feed(stream)
        assert rewriter.usage == usage


def test_more_to_edit_than_a_sane_event_has() -> None:
    stream = b'data: {"a":1' + b',"model":"m"' * 17 + b"}\n\n"
    assert relay(stream, model=b'"s"') == stream


@pytest.mark.parametrize(
    ("data", "is_error"),
    [
        (b'{"error":{"message":"no"}}', True),
        (b'{"error":"no"}', True),
        (b'{"choices":[{"delta":{}}],"model":"m-1","error":{"code":502}}', True),
        (b'{"error":true}', True),
        (b'{"error":5e-9}', True),
        (b'{"error":null}', False),
        (b'{"error":false}', False),
        (b'{"error":{ }}', False),
        (b'{"error":[]}', False),
        (b'{"error":""}', False),
        (b'{"error":-0.0e9}', False),
        (b'{"choices":[{"error":{"a":1}}]}', False),
        (b'{"a":"error","error\\u0020":1}', False),
    ],
)
def test_errors(data: bytes, is_error: bool) -> None:
    stream = b"data: " + data + b"\n\n"
    for dialect in (CHAT, RESPONSES, OPAQUE):
        relay(stream, dialect, b'"s"', True)
        rewriter = Rewriter(dialect, model=b'"s"')
        out = rewriter.feed(stream)
        assert rewriter.error == (data if is_error else None)
        if is_error:
            assert out is stream


def test_an_event_named_error() -> None:
    stream = b"event: error\ndata: overloaded\n\ndata: {}\n\n"
    assert relay(stream) == stream
    rewriter = Rewriter(CHAT)
    rewriter.feed(stream + b'data: {"error":1}\n\n')
    assert rewriter.error == b"overloaded"


def test_finish_is_a_string_in_a_choice() -> None:
    for data, finished in {
        b'{"choices":[{"finish_reason":null}]}': False,
        b'{"choices":[{"finish_reason" : "stop"}]}': True,
        b'{"choices":[{"finish_reason":null},{"finish_reason":"length"}]}': True,
        b'{"choices":[{"delta":{"finish_reason":"stop"}}]}': False,
        b'{"finish_reason":"stop"}': False,
        b'{"choices":{"finish_reason":"stop"}}': False,
    }.items():
        relay(b"data: " + data + b"\n\n")
        rewriter = Rewriter(CHAT)
        rewriter.feed(b"data: " + data + b"\n\n")
        assert rewriter.finished is finished, data


def test_done_ends_it() -> None:
    for done in (b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data: [DONE] \t\r\n\r\n"):
        assert relay(STOP + done + ROLE + b"junk") == STOP + done
    rewriter = Rewriter(OPAQUE)
    assert rewriter.feed(DONE + b"data: x") == DONE
    assert rewriter.done
    assert rewriter.feed(ROLE) == b""
    assert rewriter.flush() == b""
    assert rewriter.pending == 0


@pytest.mark.parametrize("name", [b"completed", b"incomplete", b"failed"])
def test_responses(name: bytes) -> None:
    created = b'event: response.created\ndata: {"type":"response.created","response":{"model":"m-1","usage":null}}\n\n'
    delta = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"hi"}\n\n'
    ended = b'data: {"type":"response.' + name + b'","response":{"model":"m-1","usage":{"total_tokens":3}}}\n\n'
    stream = created + delta + ended
    assert relay(stream, RESPONSES) == stream
    assert relay(stream, RESPONSES, b'"s"', True) == stream.replace(b"m-1", b"s")
    rewriter = Rewriter(RESPONSES)
    assert rewriter.feed(stream + b"data: {}\n\n") == stream
    assert (rewriter.done, rewriter.finished, rewriter.error) == (True, True, None)
    assert (rewriter.model, rewriter.usage) == (b'"m-1"', b'{"total_tokens":3}')


def test_responses_error() -> None:
    stream = b'event: error\ndata: {"type":"error","message":"no"}\n\n'
    for sent in (stream, stream.removeprefix(b"event: error\n")):
        rewriter = Rewriter(RESPONSES)
        assert rewriter.feed(sent) is sent
        assert rewriter.error == b'{"type":"error","message":"no"}'
        assert not rewriter.done


def test_opaque_reads_errors_only() -> None:
    rewriter = Rewriter(OPAQUE, model=b'"s"', hide_usage=True)
    assert rewriter.feed(USAGE) is USAGE
    assert (rewriter.model, rewriter.usage) == (None, None)


def test_what_changes_regardless() -> None:
    assert relay(b"\xef\xbb\xbf" + ROLE) == ROLE
    assert relay(b"event: ping\n\n" + ROLE) == ROLE
    assert relay(b"data\n\ndata: \t\n\nretry: 3\n\n" + ROLE) == ROLE
    assert relay(b": hi\n\n\n" + ROLE) == b": hi\n\n\n" + ROLE
    assert relay(b": hi\nevent: ping\n\n" + ROLE) == b": hi\n\n" + ROLE
    assert relay(b"data: 1\r\rdata: 2\r\n\r\n") == b"data: 1\n\ndata: 2\r\n\r\n"
    assert relay(b"data: 1\rdata: 2\r\n\r\n") == b"data: 1\ndata: 2\n\n"
    assert relay(b"data: 1\n\rdata: 2\n\n") == b"data: 1\n\ndata: 2\n\n"
    assert relay(b"data: a\xffb\n\n") == "data: a\ufffdb\n\n".encode()
    assert relay(b"id: 1\n" + ROLE + b"\n: hi\n\n" + DONE) == b"id: 1\n" + ROLE + DONE


def test_several_data_lines() -> None:
    stream = b'event: e\ndata: {"model":\ndata:"m-1","usage":\ndata: {}}\nx: y\n\n'
    assert relay(stream) == stream
    assert relay(stream, model=b'"s"') == b'event: e\ndata: {"model":\ndata: "s","usage":\ndata: {}}\nx: y\n\n'
    assert relay(stream, hide_usage=True) == b'event: e\ndata: {"model":\ndata: "m-1"}\nx: y\n\n'


def test_end_of_input_completes_what_is_whole() -> None:
    for left, out in {
        b"data: [DONE]": b"data: [DONE]\n\n",
        b"data: [DONE]\n": b"data: [DONE]\n\n",
        b"data: [DONE]\r\n\r": b"data: [DONE]\r\n\r\n",
        b"data: [DONE]\r": b"data: [DONE]\r\n\n",
        b'data: {"a":1}': b'data: {"a":1}\n\n',
        b'event: error\ndata: {"a":1}\n': b'event: error\ndata: {"a":1}\n\n',
        b'data: {"a":1': b"",
        b"data: hello": b"",
        b": hi\n": b"",
        b"event: ping\n": b"",
        b"\xef\xbb": b"",
        b"\r": b"",
    }.items():
        assert relay(left) == out
        rewriter = Rewriter(CHAT)
        rewriter.feed(left)
        rewriter.flush()
        assert rewriter.done is (b"[DONE]" in left)


def test_longer_than_the_bound() -> None:
    for chunks in ([b"data: 123456\n\n"], [b"data: 1234567"], [b"data: 1", b"23456\n\n"], [b": " + b"x" * 99]):
        rewriter = Rewriter(CHAT, max_event_bytes=12)
        assert rewriter.feed(b"data: 1234\n\n" * 2) == b"data: 1234\n\n" * 2
        for chunk in chunks[:-1]:
            assert rewriter.feed(chunk) == b""
        for _ in range(2):
            with pytest.raises(ValueError, match="an event is longer than 12 bytes"):
                rewriter.feed(chunks[-1])
        assert rewriter.pending == 0


def test_a_giant_event_in_small_parts_is_held_once() -> None:
    """Memory stays near the event's size; each part is looked at once (quadratic work would not end here)."""
    rewriter = Rewriter(CHAT, model=b'"s"')
    part = b"x" * 64
    rewriter.feed(b'data: {"model":"m","x":"')
    for _ in range(200_000):
        assert rewriter.feed(part) == b""
    tracemalloc.start()
    out = rewriter.feed(b'"}\n\n')
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert out == b'data: {"model":"s","x":"' + part * 200_000 + b'"}\n\n'
    assert peak < 2 * len(out)


def test_arguments() -> None:
    with pytest.raises(ValueError, match="not a dialect: 3"):
        Rewriter(3)
    with pytest.raises(ValueError, match="max_event_bytes must be at least 1, not 0"):
        Rewriter(CHAT, max_event_bytes=0)
    with pytest.raises(TypeError):
        Rewriter(CHAT).feed("text")  # type: ignore[arg-type]  # on purpose


@settings(max_examples=400)
@given(
    streams(),
    st.lists(st.integers(0, 600), max_size=8),
    st.sampled_from([CHAT, CHAT, RESPONSES, OPAQUE]),
    st.sampled_from([None, b'"smart"', b'"a-longer-name-than-before"']),
    st.booleans(),
)
def test_agrees_with_the_reference(
    stream: bytes, places: list[int], dialect: int, model: bytes | None, hide: bool
) -> None:
    assert rewritten(cut(stream, places), dialect, model, hide) == expected(stream, dialect, model, hide)


APIS = {"chat.completions": CHAT, "completions": CHAT, "responses": RESPONSES}


def recorded(recordings: Path) -> list[tuple[str, int, bytes]]:
    found = []
    for api, dialect in APIS.items():
        for path in sorted(recordings.glob(f"*/{api}/*.json")):
            exchange = json.loads(path.read_text())
            if exchange["stream"]:
                found.append((exchange["id"], dialect, exchange["response"]["body"].encode()))
    return found


def test_recorded_streams_come_back_as_they_are(recordings: Path) -> None:
    """Nothing in them has to change; usage is found where the answer is known to have one, and the end is seen."""
    path = recordings / "EXPECTED.jsonl"
    known = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    views = {answer["id"]: answer["view"] for answer in known}
    for name, dialect, body in recorded(recordings):
        rewriter = Rewriter(dialect)
        assert rewriter.feed(body) is body, name
        assert rewriter.flush() == b"", name
        assert rewriter.done is (
            b"[DONE]" in body or b'"type":"response.completed"' in body.replace(b'": "', b'":"')
        ), name
        assert name not in views or (rewriter.usage is not None) is (views[name].get("usage") is not None), name
        for size in (1, 7, 1000):
            assert (
                rewritten([body[i : i + size] for i in range(0, len(body), size)], dialect, None, False)[0] == body
            ), name


def test_recorded_streams_against_the_reference(recordings: Path) -> None:
    for name, dialect, body in recorded(recordings):
        whole = expected(body, dialect, b'"smart"', True)
        for size in (97, 4096, len(body)):
            chunks = [body[i : i + size] for i in range(0, len(body), size)]
            assert rewritten(chunks, dialect, b'"smart"', True) == whole, name
