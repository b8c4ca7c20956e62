"""Every recorded exchange without streaming, against the answer that a chat client must end up with.

EXPECTED.jsonl gives, for chat-completions recordings, the fields as the provider sent them. Two differences are meant:
`usage_of` counts reasoning as output where the provider left it out (TRANSLATION §12), and a legacy `function_call`
counts as a tool call here.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
import recorded
from wire_codecs import DIALECTS, FORMAT_OF, FORMATS, blank, choice_views, usage_view

from switchgear.errors import InvalidRequest, UpstreamRejected
from switchgear.providers.model_traits import target_model
from switchgear.providers.upstream_errors import read_fault

if TYPE_CHECKING:
    from switchgear.wire.conversation import Answer, Conversation

DIALECT_OF = {
    "chat.completions": "chat",
    "responses": "responses",
    "messages": "anthropic",
    "messages.vertex": "anthropic",
    "generateContent": "gemini",
    "streamGenerateContent": "gemini",
}
MODELS = {
    "openai_chat": "gpt-4o",
    "openai_responses": "gpt-5",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-3-pro",
    "ollama": "llama3",
}
ROWS = recorded.index()
EXPECTED = recorded.expected()


def test_recordings_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    if not ROWS:
        with capsys.disabled():
            print(f"\nRecordings not checked: {recorded.ROOT} is absent (set SWITCHGEAR_RECORDINGS).")  # noqa: T201 - meant for the reader
        return
    assert len(ROWS) == 648


def answers() -> list[tuple[str, str, dict[str, Any], Answer]]:
    found = []
    for row in ROWS:
        fmt = recorded.CHAT_APIS.get(row["api"])
        if fmt is None or row["stream"] or row["id"] not in EXPECTED:
            continue
        body = recorded.load(row["id"])["response"]["body"].encode()
        found.append((row["id"], fmt, EXPECTED[row["id"]], FORMATS[fmt].decode_response(body)))
    return found


def expected_views(view: dict[str, Any]) -> list[dict[str, Any]]:
    if "choices" not in view:  # Responses
        calls = [{"name": call["name"], "arguments": call["arguments"]} for call in view["tool_calls"]]
        return [{"text": view["text"] or "", "refusal": view["refusal"] or None, "tool_calls": calls}]
    return [
        {
            "index": choice["index"],
            "text": choice["text"] or "",
            "reasoning": choice["reasoning"] or "",
            "refusal": choice["refusal"] or None,
            "tool_calls": choice["tool_calls"],
            "finish": choice.get("finish_reason") or choice["provider_finish"],
        }
        for choice in view["choices"]
    ]


def usage_of(view: dict[str, Any]) -> dict[str, int] | None:
    usage = view["usage"]
    if not usage or all(count is None for count in usage.values()):
        return None
    if "input_tokens" in usage:
        usage = {**usage, "prompt_tokens": usage["input_tokens"], "completion_tokens": usage["output_tokens"]}
    completion = max(usage["completion_tokens"], usage["total_tokens"] - usage["prompt_tokens"])
    return {
        "prompt_tokens": usage["prompt_tokens"],
        "completion_tokens": completion,
        "total_tokens": usage["total_tokens"],
        "cached_tokens": usage["cached_tokens"] or 0,
        "reasoning_tokens": usage["reasoning_tokens"] or 0,
    }


def counted(answer: Answer) -> dict[str, int] | None:
    usage = usage_view(answer)
    return {name: count or 0 for name, count in usage.items()} if usage is not None else None


def test_every_answer_decodes_to_what_is_expected() -> None:
    for exchange, _, view, answer in answers():
        got = choice_views(answer)
        want = expected_views(view)
        assert len(got) == len(want), exchange
        for have, need in zip(got, want, strict=True):
            if need.get("finish") == "function_call":
                need = {**need, "finish": "tool_calls", "tool_calls": have["tool_calls"]}
            assert {name: have[name] for name in need} == need, exchange
        assert counted(answer) == usage_of(view), exchange


def test_every_answer_reaches_a_chat_client() -> None:
    from openai.types.chat import ChatCompletion

    for exchange, _, view, answer in answers():
        body = DIALECTS["chat"].encode_response(answer, blank("chat"))
        ChatCompletion.model_validate_json(body, strict=True)
        reply = json.loads(body)
        assert len(reply["choices"]) == len(expected_views(view)), exchange
        for choice, need in zip(reply["choices"], expected_views(view), strict=True):
            message = choice["message"]
            assert (message["content"] or "") == need["text"], exchange
            if "reasoning" in need:
                assert message.get("reasoning_content", "") == need["reasoning"], exchange
            calls = [
                {"name": call["function"]["name"], "arguments": json.loads(call["function"]["arguments"])}
                for call in message.get("tool_calls") or ()
            ]
            if need.get("finish") != "function_call":
                assert calls == need["tool_calls"], exchange
            assert all(call["id"] for call in message.get("tool_calls") or ()), exchange


@pytest.mark.parametrize("dialect", ["chat", "responses", "anthropic", "gemini"])
def test_every_answer_survives_a_dialect_and_back(dialect: str) -> None:
    for exchange, _, _, answer in answers():
        before = choice_views(answer)
        if len(before) > 1 and dialect in ("responses", "anthropic"):
            continue  # one answer is all that these can express
        body = DIALECTS[dialect].encode_response(answer, blank(dialect))
        again = FORMATS[FORMAT_OF[dialect]].decode_response(body)
        after = choice_views(again)
        for view in (before, after) if dialect in ("anthropic", "gemini") else ():
            for choice in view:  # these say a refusal as text, and by the finish reason
                if choice["refusal"]:
                    choice["finish"] = "content_filter"
                choice["text"] += choice.pop("refusal") or ""
        assert after == before, exchange
        usage = counted(answer)
        if usage is not None:
            if dialect == "anthropic":  # it has no total: it is the sum
                usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
                usage["cached_tokens"] = min(usage["cached_tokens"], usage["prompt_tokens"])
            if dialect == "gemini":  # thoughts are a part of the output, also where they were counted beside it
                usage["completion_tokens"] = max(usage["completion_tokens"], usage["reasoning_tokens"])
            assert counted(again) == usage, exchange


def requests() -> list[tuple[str, str, str, Conversation]]:
    found = []
    for row in ROWS:
        dialect = DIALECT_OF.get(row["api"])
        exchange = recorded.load(row["id"]) if dialect is not None else None
        if dialect is None or not exchange or not exchange["request"]["body"]:
            continue
        body = exchange["request"]["body"].encode()
        try:
            found.append((row["id"], dialect, body.decode(), DIALECTS[dialect].decode_request(body, "")))
        except InvalidRequest:
            assert exchange["response"]["status"] == 400, row["id"]  # the provider refused it as well
    return found


@pytest.mark.parametrize("fmt", list(FORMATS))
def test_every_request_is_encoded_or_refused_by_name(fmt: str) -> None:
    target = target_model(MODELS[fmt])
    encoded = 0
    refused: dict[str, str | None] = {}
    for exchange, _, _, conversation in requests():
        try:
            upstream = FORMATS[fmt].encode_request(conversation, target)
        except InvalidRequest as error:
            refused[exchange] = error.param
            continue
        encoded += 1
        CHECKS[fmt](json.loads(upstream.body), exchange)
    assert None not in refused.values()
    assert encoded > 400 or not ROWS


def check_chat(body: dict[str, Any], exchange: str) -> None:
    roles = {"system", "developer", "user", "assistant", "tool"}
    calls: set[str] = set()
    for message in body["messages"]:
        assert message["role"] in roles, exchange
        calls.update(call["id"] for call in message.get("tool_calls") or ())
        assert message["role"] != "tool" or message["tool_call_id"] in calls, exchange
        assert message["role"] == "assistant" or message.get("content") is not None, exchange


def check_anthropic(body: dict[str, Any], exchange: str) -> None:
    assert body["max_tokens"] >= 0, exchange
    turns = [turn for turn in body["messages"] if turn["role"] != "system"]
    assert turns[0]["role"] == "user", exchange
    pending: set[str] = set()
    for turn in turns:
        blocks = turn["content"]
        assert blocks, exchange
        results = {block["tool_use_id"] for block in blocks if block.get("type") == "tool_result"}
        assert pending == results or "anthropic/" in exchange or "vertex/messages" in exchange, exchange
        pending = {block["id"] for block in blocks if block.get("type") == "tool_use"}
        for block in blocks:
            assert block.get("type") != "text" or block["text"].strip(), exchange
            assert block.get("type") != "tool_use" or isinstance(block["input"], dict), exchange
    for tool in body.get("tools") or ():
        assert "input_schema" not in tool or tool["input_schema"]["type"] == "object", exchange


def check_gemini(body: dict[str, Any], exchange: str) -> None:
    roles = [content["role"] for content in body["contents"]]
    assert roles[0] == "user" or "gemini/" in exchange, exchange
    assert all(a != b for a, b in itertools.pairwise(roles)), exchange
    for content in body["contents"]:
        assert content["parts"], exchange
        for part in content["parts"]:
            assert part, exchange
            if "functionResponse" in part:
                assert isinstance(part["functionResponse"]["response"], dict), exchange
                assert part["functionResponse"]["name"], exchange


def check_responses(body: dict[str, Any], exchange: str) -> None:
    calls = {item["call_id"] for item in body["input"] if item.get("type") == "function_call"}
    results = {item["call_id"] for item in body["input"] if item.get("type") == "function_call_output"}
    assert results <= calls or "previous_response_id" in body, exchange


def check_ollama(body: dict[str, Any], exchange: str) -> None:
    assert isinstance(body["stream"], bool), exchange
    for message in body["messages"]:
        assert isinstance(message["content"], str), exchange
        for call in message.get("tool_calls") or ():
            assert isinstance(call["function"]["arguments"], dict), exchange


CHECKS = {
    "openai_chat": check_chat,
    "openai_responses": check_responses,
    "anthropic": check_anthropic,
    "gemini": check_gemini,
    "ollama": check_ollama,
}


def test_every_request_means_the_same_after_a_round_trip() -> None:
    """Decoded, encoded for its own format, and decoded again: the same conversation."""
    for exchange, dialect, _, conversation in requests():
        fmt = FORMAT_OF[dialect]
        try:
            upstream = FORMATS[fmt].encode_request(conversation, target_model(conversation.model or "gemini-3-pro"))
        except InvalidRequest:
            continue
        again = DIALECTS[dialect].decode_request(upstream.body, conversation.model)
        assert [view for m in again.messages if (view := message_view(m))] == [
            message_view(m) for m in folded(conversation, fmt)
        ], exchange
        for field in (
            "temperature",
            "top_p",
            "top_k",
            "stop",
            "tool_choice",
            "thinking",
            "seed",
            "parallel_tool_calls",
        ):
            assert getattr(again, field) == getattr(conversation, field), (exchange, field)
        assert [t.name for t in again.tools or ()] == [t.name for t in conversation.tools or ()], exchange
        assert len(again.server_tools or ()) == len(conversation.server_tools or ()), exchange


def message_view(message: Any) -> list[tuple[str, str]]:
    return [view for part in message.parts if (view := part_view(part))[1]]


def part_view(part: Any) -> tuple[str, str]:
    kind = type(part).__name__
    if kind == "Media":
        return kind, part.data or part.url or part.file_id or part.text or ""
    if kind == "ToolCall":
        return kind, f"{part.name} {json.dumps(json.loads(part.arguments), sort_keys=True) if part.arguments else ''}"
    if kind == "Foreign":
        return kind, part.type
    if kind == "ToolResult":
        return kind, part.id + (part.text or "".join(p.text for p in part.parts or () if hasattr(p, "text") and p.text))
    if kind == "Reasoning":
        return kind, part.text + (part.signature.value if part.signature else "")
    return kind, part.text.strip()


def folded(conversation: Conversation, fmt: str) -> list[Any]:
    """The turns as the encoder joins them: for Gemini same roles are one turn, empty turns go."""
    turns: list[Any] = []
    for message in conversation.messages:
        if not message_view(message):
            continue
        if fmt in ("gemini", "anthropic") and turns and turns[-1].role == message.role and message.role != "system":
            turns[-1].parts = turns[-1].parts + message.parts
            continue
        turns.append(type(message)(message.role, list(message.parts), message.index))
    return turns


def test_every_recorded_error_is_read() -> None:
    seen = 0
    for row in ROWS:
        if row["status"] < 400:
            continue
        exchange = recorded.load(row["id"])
        body = exchange["response"]["body"]
        fault = read_fault(row["status"], [], (body or "").encode() if not isinstance(body, dict) else b"")
        assert fault.message, row["id"]
        assert 400 <= fault.status < 600, row["id"]
        assert fault.upstream_status == row["status"], row["id"]
        assert fault.status != 401, row["id"]
        assert fault.code is None or fault.code.strip(), row["id"]
        seen += 1
    assert seen > 30 or not ROWS


def test_an_error_in_a_200_is_an_error() -> None:
    for fmt in FORMATS:
        with pytest.raises(UpstreamRejected):
            FORMATS[fmt].decode_response(b'{"error":{"message":"no","code":429}}')
