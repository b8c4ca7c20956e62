"""Golden files: golden_streams/<upstream>__<client>/<case>.in is what the upstream sends, .out what the client gets.

`python -m tests.providers.test_golden_streams` writes them anew from `stream_cases`; read the difference before
committing it.
"""

import json
from pathlib import Path

import pytest

from switchgear.hotpath._translate import Translator
from tests.providers.folding import fold
from tests.providers.stream_cases import ALL, CASES, PAIRS, VIEWS

GOLDEN = Path(__file__).parent / "golden_streams"
# /v1/completions is translated for providers without a surface of OpenAI's.
COMPLETIONS = [
    (upstream, "completions", case) for upstream in ("anthropic", "gemini", "ollama") for case in CASES[upstream]
]
# /api/generate is lines of another shape; at Ollama it passes as it comes.
GENERATE = [
    (upstream, "ollama-generate", case) for upstream in CASES for case in CASES[upstream] if upstream != "ollama"
]
EVERY = ALL + COMPLETIONS + GENERATE
FINISH = {
    "anthropic": {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"},
    "responses": {
        "stop": "completed",
        "tool_calls": "completed",
        "length": "max_output_tokens",
        "content_filter": "content_filter",
    },
    "ollama": {"stop": "stop", "tool_calls": "stop", "length": "length", "content_filter": "content_filter"},
    "gemini": {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"},
}


def translator(upstream: str, client: str) -> Translator:
    return Translator(upstream, client, include_usage=True, seed="00112233445566778899aabbccddeeff", created=1700000000)


def files(upstream: str, client: str, case: str) -> tuple[Path, Path]:
    folder = GOLDEN / f"{upstream}__{client}"
    return folder / f"{case}.in", folder / f"{case}.out"


@pytest.mark.parametrize(("upstream", "client", "case"), EVERY)
def test_the_client_gets_the_golden_stream(upstream: str, client: str, case: str) -> None:
    source, golden = files(upstream, client, case)
    this = translator(upstream, client)
    assert this.feed(source.read_bytes()) + this.flush() == golden.read_bytes()
    assert this.done
    assert this.finished is ("error" not in VIEWS[case])


@pytest.mark.parametrize(("upstream", "client", "case"), ALL)
def test_the_golden_stream_says_what_the_upstream_said(upstream: str, client: str, case: str) -> None:
    source, golden = files(upstream, client, case)
    assert source.read_bytes() == CASES[upstream][case]
    view = VIEWS[case]
    answer = fold(client, golden.read_bytes())
    choice = answer["choices"][0]
    assert choice["text"] == view["text"]
    assert choice["reasoning"] == view.get("reasoning", "")
    assert [(name, json.loads(arguments)) for _, name, arguments in choice["calls"]] == view.get("calls", [])
    assert len({id for id, _, _ in choice["calls"] if id}) == (
        0
        if upstream == client in ("gemini", "ollama") or (client == "gemini-array" and upstream == "gemini")
        else len(choice["calls"])
    )
    if "error" in view:
        assert answer["error"]
        assert choice["finish"] is None
        return
    assert answer["error"] is None
    assert choice["finish"] == FINISH.get(client.removesuffix("-array"), {}).get(view["finish"], view["finish"])


@pytest.mark.parametrize(("upstream", "client"), PAIRS)
def test_usage_is_told_in_the_clients_words(upstream: str, client: str) -> None:
    source, golden = files(upstream, client, "usage")
    this = translator(upstream, client)
    this.feed(source.read_bytes())
    this.flush()
    told = fold(client, golden.read_bytes())["usage"]
    cached = 0 if upstream == "ollama" else 60
    assert this.usage is not None
    assert (this.usage.input_tokens, this.usage.output_tokens, this.usage.cached_tokens) == (100, 20, cached)
    if client == "chat":
        assert (told["prompt_tokens"], told["completion_tokens"], told["total_tokens"]) == (100, 20, 120)
        assert told.get("prompt_tokens_details", {}).get("cached_tokens", 0) == cached
    elif client == "anthropic":
        assert (told["input_tokens"], told["cache_read_input_tokens"], told["output_tokens"]) == (
            100 - cached,
            cached,
            20,
        )
    elif client == "responses":
        assert (told["input_tokens"], told["output_tokens"], told["total_tokens"]) == (100, 20, 120)
        assert told["input_tokens_details"]["cached_tokens"] == cached
    elif client == "ollama":
        assert (told["prompt_eval_count"], told["eval_count"]) == (100, 20)
    else:
        assert (told["promptTokenCount"], told["totalTokenCount"]) == (100, 120)
        assert told["candidatesTokenCount"] + told.get("thoughtsTokenCount", 0) == 20


@pytest.mark.parametrize(("upstream", "client", "case"), EVERY)
def test_any_cut_of_the_input_gives_the_same_output(upstream: str, client: str, case: str) -> None:
    source, golden = files(upstream, client, case)
    body, want = source.read_bytes(), golden.read_bytes()
    this = translator(upstream, client)
    assert b"".join(this.feed(body[at : at + 1]) for at in range(len(body))) + this.flush() == want
    for at in range(1, len(body)):
        this = translator(upstream, client)
        assert this.feed(body[:at]) + this.feed(body[at:]) + this.flush() == want


@pytest.mark.parametrize(("upstream", "client", "case"), EVERY)
def test_line_ends_comments_and_a_bom_make_no_difference(upstream: str, client: str, case: str) -> None:
    source, golden = files(upstream, client, case)
    body = source.read_bytes()
    if upstream == "ollama":
        variants = [body.replace(b"\n", b"\r\n"), body.removesuffix(b"\n"), b"\n" + body]
    else:
        plain = body.replace(b"\r\n", b"\n")
        variants = [
            plain.replace(b"\n", b"\r\n"),
            plain.replace(b"\n", b"\r"),
            b"\xef\xbb\xbf" + plain,
            b": hello\n\n" + plain.replace(b"\n\n", b"\n\n: ping\n\n"),
            plain.replace(b"data: ", b"data:"),
            plain.replace(b"data: ", b"id: 7\nretry: 3\ndata: "),
            plain.removesuffix(b"\n"),
            plain.removesuffix(b"\n\n"),
        ]
    for variant in variants:
        this = translator(upstream, client)
        half = len(variant) // 2
        assert this.feed(variant[:half]) + this.feed(variant[half:]) + this.flush() == golden.read_bytes()


def test_every_pair_has_its_files() -> None:
    assert sorted(folder.name for folder in GOLDEN.iterdir()) == sorted(
        {f"{upstream}__{client}" for upstream, client, _ in EVERY}
    )
    assert {(upstream, client) for upstream, client, _ in ALL} == set(PAIRS)
    for folder in GOLDEN.iterdir():
        upstream, _, client = folder.name.partition("__")
        assert {path.stem for path in folder.iterdir()} == {
            case for u, c, case in EVERY if (u, c) == (upstream, client)
        }


def write() -> None:
    for upstream, client, case in EVERY:
        source, golden = files(upstream, client, case)
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(CASES[upstream][case])
        this = translator(upstream, client)
        golden.write_bytes(this.feed(source.read_bytes()) + this.flush())


if __name__ == "__main__":
    write()
