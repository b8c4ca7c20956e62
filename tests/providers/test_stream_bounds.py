"""What a hostile upstream can make a translator keep or say; one test a bound."""

import json
from typing import Any

import pytest

from switchgear.hotpath._translate import Translator
from tests.providers.folding import fold
from tests.providers.stream_cases import CASES, CLIENTS, FIRST, PAIRS, anthropic, block, chat_chunk, gemini_chunk, sse
from tests.providers.translating import SEED

EVERY = [*PAIRS, *((upstream, "completions") for upstream in ("anthropic", "gemini", "ollama"))]
SMALL = 200_000  # bytes


def translator(upstream: str, client: str, **options: Any) -> Translator:
    return Translator(upstream, client, seed=SEED, include_usage=True, created=1700000000, **options)


def test_empty_items_of_a_response_count() -> None:
    """Text and thought in turns make an output item each: it is not their few bytes that fill the memory."""
    this = translator("chat", "responses", max_held_bytes=SMALL)
    this.feed(sse(FIRST))
    pair = sse(chat_chunk({"content": "a"}), chat_chunk({"reasoning_content": "b"}))
    for _ in range(SMALL // 512):
        this.feed(pair)
    assert this.done
    assert not this.finished
    assert this.error is not None


def test_places_of_a_path_count() -> None:
    """streamFunctionCallArguments: one short path may ask for a list of thousands in a list of thousands."""
    this = translator("gemini", "chat", max_held_bytes=SMALL)
    for number in range(20):
        piece = {"jsonPath": f"$.a{number}[4096][4096]", "numberValue": 1}
        call = {"name": "f", "partialArgs": [piece], "willContinue": True}
        this.feed(sse(gemini_chunk({"functionCall": call})))
    assert this.done
    assert this.error is not None


@pytest.mark.parametrize("path", ["$[²]", "$.a[99999999999999999999]", "$" + "[0]" * 500, "$", "", "$.a.b[x]"])
def test_odd_paths_do_no_harm(path: str) -> None:
    this = translator("gemini", "chat")
    call = {"name": "f", "partialArgs": [{"jsonPath": path, "numberValue": 1}]}
    out = this.feed(sse(gemini_chunk({"functionCall": call}, finish="STOP"))) + this.flush()
    answer = fold("chat", out)
    assert this.finished or answer["error"] is not None


@pytest.mark.parametrize("client", ["chat", "anthropic", "responses", "gemini", "completions"])
def test_names_of_what_is_dropped_are_few_and_short(client: str) -> None:
    if client == "gemini":
        this = translator("anthropic", client)
        events = [one for number in range(500) for one in block(number, {"type": f"new_{number}" + "x" * 500})]
        this.feed(anthropic(*events))
    else:
        this = translator("gemini", client)
        for number in range(500):
            this.feed(sse(gemini_chunk({f"new_{number}" + "x" * 500: {}})))
    assert len(this.dropped) == 64
    assert max(map(len, this.dropped)) == 64


def test_citations_for_gemini_count_by_their_length() -> None:
    this = translator("chat", "gemini", max_held_bytes=SMALL)
    this.feed(sse(FIRST))
    note = {"type": "url_citation", "url_citation": {"url": "https://example.org/" + "a" * 10_000, "title": "t"}}
    for _ in range(30):
        this.feed(sse(chat_chunk({"content": "a", "annotations": [note]})))
    assert this.done
    assert this.error is not None


@pytest.mark.parametrize(("upstream", "client"), EVERY)
@pytest.mark.parametrize("case", ["text", "tools", "error", "truncated"])
def test_behind_the_end_nothing_comes(upstream: str, client: str, case: str) -> None:
    """Neither the same stream once more nor a second end of the input makes another event, and the state stands."""
    body = CASES[upstream][case]
    this = translator(upstream, client)
    out = this.feed(body) + this.flush()
    state = (this.done, this.finished, this.error, this.error_status, this.usage, this.truncated)
    assert this.done
    assert this.finished is (this.error is None)
    assert this.feed(body) == b""
    assert this.flush() == this.flush() == b""
    assert (this.done, this.finished, this.error, this.error_status, this.usage, this.truncated) == state
    assert this.pending == 0
    ends = {
        "chat": b"[DONE]",
        "completions": b"[DONE]",
        "anthropic": b'"message_stop"',
        "responses": b"response.completed",
    }
    if client in ends:
        assert (out.count(b"data: " + ends[client]) or out.count(b'"type":' + ends[client]) or out.count(
            b"event: " + ends[client])) == (1 if this.finished else 0)  # fmt: skip


@pytest.mark.parametrize("client", CLIENTS)
def test_an_error_behind_the_finish_reason_is_no_success(client: str) -> None:
    """The usage is still due when the upstream fails: the client must not take the answer for whole."""
    this = translator("chat", client)
    body = sse(FIRST, chat_chunk({"content": "a"}), chat_chunk({}, "stop"), {"error": {"message": "no", "code": 500}})
    answer = fold(client, this.feed(body) + this.flush())
    assert answer["error"]["message"] == "no"
    assert this.done
    assert not this.finished


@pytest.mark.parametrize("client", CLIENTS)
def test_two_finish_reasons_make_one_end(client: str) -> None:
    this = translator("chat", client)
    body = sse(FIRST, chat_chunk({"content": "a"}), chat_chunk({}, "stop"), chat_chunk({}, "length"), "[DONE]")
    out = this.feed(body) + this.flush()
    choice = fold(client, out)["choices"][0]
    assert choice["finish"] in ("stop", "completed", "end_turn", "STOP")
    if client == "chat":
        finishes = [json.loads(line[6:]) for line in out.decode().splitlines() if line.startswith("data: {")]
        assert sum(bool(c["finish_reason"]) for one in finishes for c in one["choices"]) == 1


def test_comments_alone_are_not_kept() -> None:
    this = translator("anthropic", "chat")
    for _ in range(1000):
        assert this.feed(b": " + b"x" * 1000 + b"\n") == b""
    assert this.pending == 0
