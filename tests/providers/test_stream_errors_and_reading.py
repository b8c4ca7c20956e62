"""Errors inside a stream, and reading event streams: TRANSLATION §16, §20; one test a rule."""

from typing import Any

import pytest

from switchgear.hotpath._translate import Translator
from tests.providers.folding import fold
from tests.providers.stream_cases import (
    CHAT,
    FIRST,
    PAIRS,
    START,
    chat_chunk,
    sse,
)
from tests.providers.translating import folded, only, run

# §16: errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "openai", "anthropic_type", "google"),
    [
        (
            {"type": "rate_limit_error", "message": "m"},
            429,
            ("rate_limit_error", None),
            "rate_limit_error",
            "RESOURCE_EXHAUSTED",
        ),
        (
            {"type": "overloaded_error", "message": "m"},
            529,
            ("server_error", "overloaded_error"),
            "overloaded_error",
            "UNAVAILABLE",
        ),
        (
            {"type": "invalid_request_error", "message": "m"},
            400,
            ("invalid_request_error", None),
            "invalid_request_error",
            "INVALID_ARGUMENT",
        ),
        ({"type": "api_error", "message": "m"}, 500, ("server_error", "api_error"), "api_error", "INTERNAL"),
        (
            {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"},
            429,
            ("rate_limit_error", "429"),
            "rate_limit_error",
            "RESOURCE_EXHAUSTED",
        ),
    ],
)
def test_16_2_types_are_mapped(
    error: dict[str, Any], status: int, openai: tuple[str, str | None], anthropic_type: str, google: str
) -> None:
    body = sse({"type": "error", "error": error}, names=True)
    this, out = run("anthropic", "chat", body)
    told = fold("chat", out)["error"]
    assert (this.error_status, told["type"], told["code"]) == (status, *openai)
    assert folded("chat", "anthropic", body)["error"]["type"] == anthropic_type
    assert folded("anthropic", "gemini", body)["error"]["status"] == google


def test_16_2_a_rejected_credential_is_the_gateways_affair() -> None:
    body = sse(
        {
            "error": {
                "message": "Incorrect API key provided: sk-abc***xyz",
                "type": "invalid_request_error",
                "code": "invalid_api_key",
            }
        }
    )
    this, out = run("chat", "anthropic", body)
    assert this.error_status == 502
    assert b"sk-abc" not in out


@pytest.mark.parametrize(
    "junk",
    [b"data: {oops\n\n", b'data: "text"\n\n', b"data: [1]\n\n", b"<html>\n\n", b"{]", b'{"a":1}', b"data: null\n\n"],
)
@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_what_cannot_be_read_ends_with_an_error_event(upstream: str, client: str, junk: bytes) -> None:
    this, out = run(upstream, client, junk)
    assert this.error is not None
    assert fold(client, out)["error"]


# §20: reading and writing --------------------------------------------------------------------------------------------


def test_20_data_over_several_lines_is_one_event() -> None:
    body = b'data: {"id":"c","choices":\ndata: [{"index":0,"delta":\ndata: {"content":"a"}}]}\n\n' + CHAT["empty"]
    assert only("chat", "chat", body)["text"] == "a"


def test_20_only_cr_and_lf_end_a_line() -> None:
    text = "a\u2028b\u2029c\u0085d\x7f"
    body = sse(FIRST, chat_chunk({"content": text}), chat_chunk({}, "stop"), "[DONE]")
    for client in ("chat", "anthropic", "responses", "gemini"):
        assert only("chat", client, body)["text"] == text


@pytest.mark.parametrize("client", ["chat", "anthropic", "responses", "gemini"])
def test_20_invalid_utf_8_and_lone_surrogates_become_replacement_characters(client: str) -> None:
    head = sse(FIRST)
    for inside in (b"a\xff", b"a\\ud83d", b"a\xed\xa0\x80", b"a\xc0\x80"):
        chunk = sse(chat_chunk({"content": "HERE"})).replace(b"HERE", inside)
        text = only("chat", client, head + chunk + sse(chat_chunk({}, "stop"), "[DONE]"))["text"]
        assert text[0] == "a"
        assert set(text[1:]) == {"\ufffd"}


@pytest.mark.parametrize(
    "ending", [b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data: [DONE]  \n\n", b"data: [DONE]\n\ndata: {\n\n"]
)
def test_20_done_with_or_without_blanks_and_what_follows_is_ignored(ending: bytes) -> None:
    assert (
        run("chat", "anthropic", CHAT["text"].removesuffix(b"data: [DONE]\n\n") + ending)[1]
        == run("chat", "anthropic", CHAT["text"])[1]
    )


def test_20_an_event_beyond_the_bound_ends_the_stream() -> None:
    this = Translator("anthropic", "chat", max_event_bytes=1000)
    this.feed(sse(START, names=True))
    out = this.feed(b"data: " + b"x" * 2000)
    assert b"too long" in out
    assert this.done
    assert this.pending == 0
