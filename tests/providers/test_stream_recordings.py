"""Every recorded stream, translated to every client dialect, says what EXPECTED.jsonl says.

`SWITCHGEAR_RECORDINGS` names the folder; by default `../shared/recordings` beside the repository. Without the folder
nothing is checked, and that is said.
"""

import json
import os
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import openai
import pytest

from switchgear.hotpath._translate import Translator
from tests.providers.folding import fold
from tests.providers.stream_cases import CLIENTS

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("SWITCHGEAR_RECORDINGS", ROOT.parent / "shared" / "recordings"))
FORMATS = {
    "chat.completions": "chat",
    "responses": "responses",
    "messages": "anthropic",
    "messages.vertex": "anthropic",
    "streamGenerateContent": "gemini",
    "ollama.chat": "ollama",
    "ollama.generate": "ollama",
}


def recordings() -> Iterator[tuple[str, str, bytes, dict[str, Any]]]:
    if not (FOLDER / "EXPECTED.jsonl").exists():
        return
    views = {one["id"]: one["view"] for one in map(json.loads, (FOLDER / "EXPECTED.jsonl").read_text().splitlines())}
    for line in (FOLDER / "INDEX.jsonl").read_text().splitlines():
        one = json.loads(line)
        streamed = one["stream"] or one["api"] == "streamGenerateContent"  # the array form is not marked as a stream
        if streamed and one["api"] in FORMATS and one["id"] in views and one["status"] == 200:
            body = json.loads((FOLDER / f"{one['id']}.json").read_text())["response"]["body"]
            yield one["id"], FORMATS[one["api"]], body.encode(), views[one["id"]]


RECORDED = list(recordings())
CASES = [pytest.param(*one[1:], id=one[0]) for one in RECORDED]


def test_the_recordings_are_there() -> None:
    if not RECORDED:
        sys.__stderr__ and sys.__stderr__.write(f"\nrecorded streams: not run, {FOLDER} is not there\n")
        return
    assert len(RECORDED) == 254
    assert {upstream for _, upstream, _, _ in RECORDED} == {"chat", "responses", "anthropic", "gemini", "ollama"}


def translated(upstream: str, client: str, body: bytes, step: int = 0) -> tuple[Translator, bytes]:
    this = Translator(upstream, client, include_usage=True, seed="00112233445566778899aabbccddeeff", created=1700000000)
    pieces = [body[at : at + step] for at in range(0, len(body), step)] if step else [body]
    return this, b"".join(map(this.feed, pieces)) + this.flush()


def expected_choices(view: dict[str, Any]) -> list[dict[str, Any]]:
    choices: list[dict[str, Any]] = view.get("choices", [{**view, "index": 0}])
    return choices


def expected_finish(view: dict[str, Any], choice: dict[str, Any]) -> str:
    if "status" in view:
        assert view["status"] == "completed"
        return "tool_calls" if choice["tool_calls"] else "stop"
    reason = choice.get("finish_reason") or choice["provider_finish"]
    return reason or ("tool_calls" if choice["tool_calls"] else "stop")  # none at all before [DONE]: §10


def check(answer: dict[str, Any], view: dict[str, Any], choices: list[dict[str, Any]]) -> None:
    for choice in choices:
        got = answer["choices"][choice["index"]]
        assert got["text"] == (choice["text"] or "")
        assert got["refusal"] == (choice["refusal"] or "")
        if "reasoning" in choice:  # the views of Responses do not have it
            assert got["reasoning"] == choice["reasoning"]
        assert [(name, json.loads(arguments)) for _, name, arguments in got["calls"]] == [
            (call["name"], call["arguments"]) for call in choice["tool_calls"]
        ]


@pytest.mark.parametrize(("upstream", "body", "view"), CASES)
@pytest.mark.parametrize("client", CLIENTS)
def test_the_client_gets_what_the_upstream_said(client: str, upstream: str, body: bytes, view: dict[str, Any]) -> None:
    if upstream == client and client in ("anthropic", "responses"):
        return  # relayed, not translated
    this, out = translated(upstream, client, body)
    answer = fold(client, out)
    choices = expected_choices(view)
    if "stream_error" in view:
        assert answer["error"]["message"] == view["stream_error"]["message"]
        assert this.error is not None
        assert not this.finished
    else:
        assert answer["error"] is None
        assert this.finished
    check(answer, view, choices[:1] if client in ("anthropic", "responses", "ollama") else choices)
    assert translated(upstream, client, body, 7)[1] == out
    if client == "chat" and "stream_error" not in view:
        for choice in choices:
            assert answer["choices"][choice["index"]]["finish"] == expected_finish(view, choice)


@pytest.mark.parametrize(("upstream", "body", "view"), CASES)
def test_usage_is_what_was_recorded(upstream: str, body: bytes, view: dict[str, Any]) -> None:
    this, out = translated(upstream, "chat", body)
    told, want = fold("chat", out)["usage"], view["usage"]
    if want is None:
        assert told is None
        assert this.usage is None
        return
    prompt, completion = (
        want.get("prompt_tokens", want.get("input_tokens")),
        want.get("completion_tokens", want.get("output_tokens")),
    )
    assert (told["prompt_tokens"], told["completion_tokens"], told["total_tokens"]) == (
        prompt,
        completion,
        want["total_tokens"],
    )
    assert ((told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0) == (want["cached_tokens"] or 0)
    assert ((told.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0) == (
        want["reasoning_tokens"] or 0
    )
    assert this.usage is not None
    beside = want["total_tokens"] - prompt - completion == want["reasoning_tokens"]  # xAI: not within the completion
    assert (this.usage.input_tokens, this.usage.output_tokens) == (
        prompt,
        completion + (want["reasoning_tokens"] if beside else 0),
    )


class Answers(ThreadingHTTPServer):
    """Answers every request with `body` as an event stream."""

    daemon_threads = True
    body = b""


class Handler(BaseHTTPRequestHandler):
    server: Answers
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the default writes each request to stderr."""


@pytest.fixture(scope="module")
def answers() -> Iterator[tuple[Answers, openai.OpenAI]]:
    """A server on a free port, and OpenAI's SDK pointed at it."""
    with Answers(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        with openai.OpenAI(api_key="k", base_url=f"http://127.0.0.1:{server.server_port}/v1", max_retries=0) as client:
            yield server, client
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("upstream", "body", "view"), CASES)
def test_openais_own_chat_accumulator_agrees(
    answers: tuple[Answers, openai.OpenAI], upstream: str, body: bytes, view: dict[str, Any]
) -> None:
    server, client = answers
    server.body = translated(upstream, "chat", body)[1]
    with client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "hi"}]) as stream:
        if "stream_error" in view:
            with pytest.raises(openai.APIError, match=view["stream_error"]["message"]):
                stream.until_done()
            return
        stream.until_done()
        try:
            completion = stream.get_final_completion()
        except (
            openai.LengthFinishReasonError
        ) as length:  # what the SDK makes of finish_reason "length" (TRANSLATION §4)
            assert any(expected_finish(view, choice) == "length" for choice in expected_choices(view))
            completion = length.completion  # type: ignore[assignment] # unparsed, but it has the same fields
    for choice in expected_choices(view):
        message = completion.choices[choice["index"]].message
        assert (message.content or "") == (choice["text"] or "")
        assert [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []] == [
            (call["name"], call["arguments"]) for call in choice["tool_calls"]
        ]


@pytest.mark.parametrize(("upstream", "body", "view"), [case for case in CASES if case.values[0] != "responses"])
def test_openais_own_responses_accumulator_agrees(
    answers: tuple[Answers, openai.OpenAI], upstream: str, body: bytes, view: dict[str, Any]
) -> None:
    server, client = answers
    server.body = translated(upstream, "responses", body)[1]
    choice = expected_choices(view)[0]
    if "stream_error" in view or expected_finish(view, choice) == "length":
        return  # the helper knows no other end than response.completed
    with client.responses.stream(model="m", input="hi") as stream:
        response = stream.get_final_response()
    assert response.output_text == (choice["text"] or "")
    assert [(item.name, json.loads(item.arguments)) for item in response.output if item.type == "function_call"] == [
        (call["name"], call["arguments"]) for call in choice["tool_calls"]
    ]
