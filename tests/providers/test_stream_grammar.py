"""Whatever the upstream says in whatever order, the client's stream keeps its dialect's grammar and says the same.

The folds assert the grammar: Anthropic's blocks one after the other without gaps, Responses' sequence numbers without
gaps and items closed once, chat's one role and finish a choice, id and name once a call.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchgear.hotpath._translate import Translator
from tests.fuzz import fuzz_translate
from tests.providers.folding import fold
from tests.providers.stream_cases import CLIENTS, FIRST, PAIRS, anthropic, block, chat_call, chat_chunk, sse

WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
ARGUMENTS = st.dictionaries(WORDS, VALUES, max_size=3)


@st.composite
def chat_streams(draw: st.DrawFn) -> tuple[bytes, dict[str, Any]]:
    """A stream of chunks with text, reasoning and up to four interleaved calls, and what it says."""
    said: dict[str, Any] = {"text": "", "reasoning": "", "calls": []}
    chunks: list[dict[str, Any]] = []
    pieces: list[list[str]] = []
    for index in range(draw(st.integers(0, 4))):
        arguments = draw(ARGUMENTS)
        whole = json.dumps(arguments, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))
        if not arguments and draw(st.booleans()):
            whole = ""
        cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=3)))
        pieces.append([whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)])
        said["calls"].append((f"c{index}", f"f{index}", arguments))
    started = 0
    while started < len(pieces) or any(pieces) or draw(st.booleans()):
        kind = draw(st.sampled_from(["text", "reasoning", "start", "more", "empty"]))
        if kind in ("text", "reasoning"):
            word = draw(WORDS)
            said[kind] += word
            chunks.append(chat_chunk({"content" if kind == "text" else "reasoning_content": word}))
        elif kind == "start" and started < len(pieces):
            first = pieces[started].pop(0) if draw(st.booleans()) and pieces[started] else ""
            chunks.append(
                chat_chunk(
                    chat_call(
                        started, id=f"c{started}", type="function", function={"name": f"f{started}", "arguments": first}
                    )
                )
            )
            started += 1
        elif kind == "more":
            index = draw(st.integers(0, 3))
            if index < started and pieces[index]:
                chunks.append(chat_chunk(chat_call(index, function={"arguments": pieces[index].pop(0)})))
        elif kind == "empty":
            nothing: list[dict[str, Any]] = [{}, {"content": ""}, {"content": None}, {"role": "assistant"}]
            chunks.append(chat_chunk(draw(st.sampled_from(nothing))))
    return sse(FIRST, *chunks, chat_chunk({}, "stop"), "[DONE]"), said


@pytest.mark.parametrize("client", CLIENTS)
@given(stream=chat_streams(), step=st.integers(1, 400))
@settings(max_examples=80, deadline=None)
def test_from_chat(client: str, stream: tuple[bytes, dict[str, Any]], step: int) -> None:
    body, said = stream
    this = Translator("chat", client, include_usage=True, seed="ab")
    out = b"".join(this.feed(body[at : at + step]) for at in range(0, len(body), step)) + this.flush()
    answer = fold(client, out)
    choice = answer["choices"][0]
    assert answer["error"] is None
    assert (choice["text"], choice["reasoning"]) == (said["text"], said["reasoning"])
    calls = [(id, name, json.loads(arguments)) for id, name, arguments in choice["calls"]]
    assert sorted(calls, key=lambda call: call[0]) == said["calls"]
    assert this.held == 0 or client == "responses"


BLOCKS = st.lists(
    st.tuples(
        st.sampled_from(["text", "thinking", "tool_use", "redacted_thinking", "server_tool_use"]),
        st.lists(WORDS, max_size=3),
        ARGUMENTS,
    ),
    max_size=6,
)


@pytest.mark.parametrize("client", ["chat", "responses", "gemini", "gemini-array"])
@given(blocks=BLOCKS, step=st.integers(1, 400))
@settings(max_examples=80, deadline=None)
def test_from_anthropic(client: str, blocks: list[tuple[str, list[str], dict[str, Any]]], step: int) -> None:
    events: list[dict[str, Any]] = []
    for index, (kind, words, arguments) in enumerate(blocks):
        if kind == "text":
            events += block(
                index, {"type": "text", "text": ""}, *[{"type": "text_delta", "text": word} for word in words]
            )
        elif kind == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": word} for word in words]
            events += block(
                index,
                {"type": "thinking", "thinking": "", "signature": ""},
                *deltas,
                {"type": "signature_delta", "signature": f"s{index}"},
            )
        elif kind == "redacted_thinking":
            events += block(index, {"type": kind, "data": f"s{index}"})
        else:
            events += block(
                index,
                {"type": kind, "id": f"t{index}", "name": f"f{index}", "input": {}},
                {"type": "input_json_delta", "partial_json": json.dumps(arguments)},
            )
    body = anthropic(*events)
    this = Translator("anthropic", client, include_usage=True, seed="ab")
    out = b"".join(this.feed(body[at : at + step]) for at in range(0, len(body), step)) + this.flush()
    choice = fold(client, out)["choices"][0]
    assert choice["text"] == "".join("".join(words) for kind, words, _ in blocks if kind == "text")
    assert choice["reasoning"] == "".join("".join(words) for kind, words, _ in blocks if kind == "thinking")
    assert len(choice["signatures"]) == sum(kind in ("thinking", "redacted_thinking") for kind, _, _ in blocks)
    assert [(id, name, json.loads(arguments)) for id, name, arguments in choice["calls"]] == [
        (f"t{index}", f"f{index}", arguments) for index, (kind, _, arguments) in enumerate(blocks) if kind == "tool_use"
    ]


@pytest.mark.parametrize("seed", fuzz_translate.SEEDS)
def test_the_fuzz_targets_seeds_hold(seed: bytes) -> None:
    fuzz_translate.one_input(seed)


@given(data=st.data(), pair=st.integers(0, len(PAIRS) - 1))
@settings(max_examples=150, deadline=None)
def test_broken_streams_neither_raise_nor_pass_for_whole(data: st.DataObject, pair: int) -> None:
    body = bytearray(data.draw(st.sampled_from(fuzz_translate.SEEDS))[2:])
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    fuzz_translate.one_input(bytes([pair, 7]) + bytes(body))
