"""What both ends can express survives there and back; whatever a body is, it is decoded or refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_codecs import DIALECTS, FORMAT_OF, FORMATS, blank, choice_views, usage_view

from switchgear.errors import InvalidRequest
from switchgear.providers.identifiers import nine_character_tool_id, plain_tool_id
from switchgear.providers.model_traits import target_model
from switchgear.wire.conversation import (
    Answer,
    Choice,
    Conversation,
    Message,
    Reasoning,
    Text,
    TokenUsage,
    ToolCall,
    ToolResult,
)

words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20).filter(lambda t: bool(t.strip()))
names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,15}", fullmatch=True)
arguments = st.dictionaries(
    words, st.one_of(words, st.integers(-(2**53), 2**53), st.booleans(), st.none()), max_size=3
).map(json.dumps)
calls = st.lists(st.tuples(names, arguments), max_size=3)


@st.composite
def replies(draw: st.DrawFn) -> Answer:
    parts: list[Any] = []
    thought, text = draw(st.one_of(st.none(), words)), draw(st.one_of(st.none(), words))
    if thought:
        parts.append(Reasoning(thought))
    if text:
        parts.append(Text(text))
    made = draw(calls)
    parts += [ToolCall(f"call_{i}", name, args) for i, (name, args) in enumerate(made)]
    finish = "tool_calls" if made else draw(st.sampled_from(["stop", "length", "content_filter"]))
    count = st.integers(0, 10_000)
    prompt, output = draw(count), draw(count)
    usage = TokenUsage(
        prompt, output, prompt + output, draw(st.integers(0, prompt)), None, draw(st.integers(0, output))
    )
    return Answer("id-1", "m", 1, [Choice(parts, finish)], usage)  # type: ignore[arg-type]  # drawn from the literals


@pytest.mark.parametrize("dialect", list(DIALECTS))
@given(answer=replies())
def test_answers(dialect: str, answer: Answer) -> None:
    body = DIALECTS[dialect].encode_response(answer, blank(dialect))
    again = FORMATS[FORMAT_OF[dialect]].decode_response(body)
    assert choice_views(again) == choice_views(answer)
    told = usage_view(answer)
    if dialect == "ollama" and told is not None:  # one count a side
        told |= {"cached_tokens": None, "reasoning_tokens": None}
    assert usage_view(again) == told


@st.composite
def histories(draw: st.DrawFn) -> list[Message]:
    messages = [Message("user", [Text(draw(words))], 0)]
    for turn in range(draw(st.integers(0, 3))):
        made = draw(calls)
        parts: list[Any] = [Text(draw(words))] if draw(st.booleans()) or not made else []
        issued = [ToolCall(f"call_{turn}_{i}", name, args) for i, (name, args) in enumerate(made)]
        messages.append(Message("assistant", parts + issued, len(messages)))
        results: list[Any] = [ToolResult(call.id, text=draw(words)) for call in issued]
        messages.append(Message("user", results or [Text(draw(words))], len(messages)))
    return messages


def seen(messages: list[Message]) -> list[tuple[str, Any]]:
    """Turns joined by role, as (role, part) with what every format can express."""
    found: list[tuple[str, Any]] = []
    for message in messages:
        for part in message.parts:
            if isinstance(part, Text):
                found.append((message.role, part.text))
            elif isinstance(part, ToolCall):
                found.append((message.role, (part.id, part.name, json.loads(part.arguments))))
            elif isinstance(part, ToolResult):
                text = part.text or "".join(p.text for p in part.parts or () if isinstance(p, Text))
                found.append((message.role, (part.id, text)))
    return found


@pytest.mark.parametrize("dialect", list(DIALECTS))
@given(messages=histories())
def test_histories(dialect: str, messages: list[Message]) -> None:
    source = "anthropic" if dialect != "anthropic" else "chat"  # never the pass-through of its own
    conversation = Conversation(source=source, model="m", messages=messages)  # type: ignore[arg-type]  # one of two literals
    for message in messages:  # results as text that is no JSON object: Gemini would unwrap it
        for part in message.parts:
            if isinstance(part, ToolResult):
                part.text = f"r {part.text}"
            elif isinstance(part, Text):
                part.text = part.text.strip()
    body = FORMATS[FORMAT_OF[dialect]].encode_request(conversation, target_model("m")).body
    fields = {**json.loads(body), "model": "m", "max_tokens": 9} if dialect == "anthropic" else json.loads(body)
    again = DIALECTS[dialect].decode_request(json.dumps(fields).encode(), "m")
    assert seen(again.messages) == seen(messages)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(
        ["role", "content", "type", "text", "messages", "input", "contents", "parts", "tools", "id", "name", "function",
         "tool_calls", "max_tokens", "tool_choice", "image_url", "url", "source", "functionCall", "functionResponse"]
    ), inner, max_size=4)),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("dialect", list(DIALECTS))
@given(value=json_values)
def test_anything_is_decoded_or_refused(dialect: str, value: Any) -> None:
    shapes = [value, {"model": "m", "messages": value, "max_tokens": 1, "input": value, "contents": value}]
    for shape in shapes:
        try:
            conversation = DIALECTS[dialect].decode_request(json.dumps(shape).encode(), "m")
        except InvalidRequest:
            continue
        for fmt in FORMATS.values():
            try:
                json.loads(fmt.encode_request(conversation, target_model("m")).body)
            except InvalidRequest:
                continue


@given(st.text(max_size=60), st.text(max_size=60))
def test_tool_ids_stay_apart(one: str, other: str) -> None:
    for fit in (plain_tool_id, nine_character_tool_id):
        assert (fit(one) == fit(other)) == (one == other)
    assert (
        plain_tool_id(one).replace("-", "_").isidentifier()
        or plain_tool_id(one).replace("-", "").replace("_", "").isalnum()
        or one in "_-"
    )
