"""The streams' translator and `providers.signatures` write the same tokens, and the one reads what the other wrote."""

import base64
from typing import Any

import pytest

from switchgear.providers.dialects import anthropic as anthropic_dialect
from switchgear.providers.dialects import gemini as gemini_dialect
from switchgear.providers.signatures import DUMMY_GEMINI_SIGNATURE, pack, unpack
from switchgear.upstream.native import FOREIGN, FOREIGN_GEMINI
from switchgear.wire.conversation import Reasoning, Signature
from tests.providers.stream_cases import FIRST, GEMINI, anthropic, block, chat_chunk, gemini_chunk, sse, text_block
from tests.providers.translating import only, run

ITEM = {"type": "reasoning", "id": "rs_0", "summary": [{"type": "summary_text", "text": "Think."}]}
RESPONSE: dict[str, Any] = {"id": "resp_1", "object": "response", "model": "m", "status": "in_progress", "output": []}


def responses_stream() -> bytes:
    return sse(
        {"type": "response.created", "response": RESPONSE},
        {"type": "response.output_item.added", "output_index": 0, "item": ITEM | {"summary": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": ITEM | {"encrypted_content": "c2ln-_"}},
        {"type": "response.completed", "response": RESPONSE | {"status": "completed"}},
        names=True,
    )


THOUGHT = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "Think."},
    {"type": "signature_delta", "signature": "c2ln+/"},
)
DETAIL = {"type": "reasoning.text", "text": "Think.", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0}
# Each vendor's reasoning: what its stream is, and what `providers` makes of the same answer read whole.
VENDORS: dict[str, tuple[str, bytes, Reasoning]] = {
    "anthropic": (
        "anthropic",
        anthropic(*THOUGHT, *text_block(1, "a")),
        Reasoning("Think.", Signature("anthropic", "c2ln+/"), vendor="anthropic"),
    ),
    "anthropic redacted": (
        "anthropic",
        anthropic(*block(0, {"type": "redacted_thinking", "data": "ZGF0YQ"}), *text_block(1, "a")),
        Reasoning("", Signature("anthropic", "ZGF0YQ"), redacted=True, vendor="anthropic"),
    ),
    "openai": ("responses", responses_stream(), Reasoning("Think.", Signature("openai", "c2ln-_"), id="rs_0")),
    "gemini": (
        "gemini",
        sse(gemini_chunk({"text": "Think.", "thought": True, "thoughtSignature": "c2ln"}, finish="STOP")),
        Reasoning("Think.", Signature("gemini", "c2ln"), vendor="gemini"),
    ),
    "openrouter": (
        "chat",
        sse(FIRST, chat_chunk({"reasoning_details": [DETAIL]}), chat_chunk({"content": "a"}, "stop"), "[DONE]"),
        Reasoning("Think.", Signature("anthropic", "c2ln"), vendor="anthropic"),
    ),
}


@pytest.mark.parametrize("vendor", list(VENDORS))
@pytest.mark.parametrize("client", ["anthropic", "responses", "gemini"])
def test_a_stream_writes_the_token_that_a_whole_answer_has(vendor: str, client: str) -> None:
    upstream, body, thought = VENDORS[vendor]
    if upstream == client:
        return  # the bytes pass
    [(_, token, _)] = only(upstream, client, body)["signatures"]
    assert token == pack(thought, client)
    again = unpack(token, client, "Think.")
    assert again.signature == thought.signature
    assert again.redacted is thought.redacted


@pytest.mark.parametrize("client", ["anthropic", "responses", "gemini"])
def test_a_calls_signature_too(client: str) -> None:
    if client == "gemini":
        extra = {"google": {"thought_signature": "c2ln"}}
        entry = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}, "extra_content": extra}
        body = sse(FIRST, chat_chunk({"tool_calls": [entry]}, "tool_calls"), "[DONE]")
        assert only("chat", client, body)["signatures"] == [("call", "c2ln", None)]
        return
    [(_, token, _)] = only("gemini", client, GEMINI["tools"])["signatures"]
    assert token == pack(Reasoning(signature=Signature("gemini", "c2ln")), client)


@pytest.mark.parametrize("dialect", ["anthropic", "responses", "gemini"])
@pytest.mark.parametrize("vendor", ["anthropic", "openai", "gemini", "openrouter"])
@pytest.mark.parametrize("redacted", [False, True])
def test_a_foreign_token_is_found_in_a_body(dialect: str, vendor: str, redacted: bool) -> None:
    """`upstream.native` looks for how the token begins, as a JSON string: in no other way is it noticed."""
    native = {"anthropic": "anthropic", "responses": "openai", "gemini": "gemini"}[dialect]
    token = pack(Reasoning("t", Signature(vendor, "c2ln"), redacted=redacted), dialect)
    mark = FOREIGN_GEMINI if dialect == "gemini" else FOREIGN
    assert (b'"' + token.encode()).startswith(mark) is (vendor != native)


def test_the_stand_in_for_a_call_that_gemini_did_not_make() -> None:
    entry = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    body = sse(FIRST, chat_chunk({"tool_calls": [entry]}, "tool_calls"), "[DONE]")
    _, out = run("chat", "gemini", body)
    assert f'"thoughtSignature":"{DUMMY_GEMINI_SIGNATURE}"'.encode() in out
    # Google's SDK keeps the field as bytes: it must come back as the same text
    assert base64.urlsafe_b64encode(base64.urlsafe_b64decode(DUMMY_GEMINI_SIGNATURE)).decode() == DUMMY_GEMINI_SIGNATURE


def test_a_thought_in_pieces_has_its_signature_at_the_end() -> None:
    """What a Gemini client keeps of Anthropic's stream: the signature is of the pieces together (§2.4)."""
    token = pack(VENDORS["anthropic"][2], "gemini")
    pieces = '{"text":"Thi","thought":true},{"text":"nk.","thought":true}'
    last = f'{{"text":"","thought":true,"thoughtSignature":"{token}"}}'
    contents = f'{{"role":"user","parts":[{{"text":"q"}}]}},{{"role":"model","parts":[{pieces},{last},{{"text":"a"}}]}}'
    conversation = gemini_dialect.decode_request(f'{{"contents":[{contents}]}}'.encode(), "m")
    thought, text = conversation.messages[1].parts
    assert isinstance(thought, Reasoning)
    assert (thought.text, thought.signature) == ("Think.", Signature("anthropic", "c2ln+/"))
    assert getattr(text, "text", "") == "a"


def test_a_foreign_citation_is_marked_alike() -> None:
    note = {"type": "url_citation", "url_citation": {"url": "https://example.org", "title": "E"}}
    body = sse(FIRST, chat_chunk({"content": "a", "annotations": [note]}, "stop"), "[DONE]")
    [cited] = only("chat", "anthropic", body)["annotations"]
    assert cited["encrypted_index"] == anthropic_dialect.FOREIGN_INDEX
    assert (b'"' + cited["encrypted_index"].encode()).startswith(FOREIGN)
