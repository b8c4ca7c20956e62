"""Text_completion chunks from providers that chat; one test a rule (TRANSLATION §19)."""

import json

import pytest

from tests.providers.folding import events
from tests.providers.stream_cases import CASES, VIEWS
from tests.providers.translating import run

UPSTREAMS = ("anthropic", "gemini", "ollama")
ALL = [(upstream, case) for upstream in UPSTREAMS for case in CASES[upstream]]
# What the old form has no place for.
LEFT_OUT = {"tools": ["tool_calls"], "reasoning": ["reasoning"]}


@pytest.mark.parametrize(("upstream", "case"), ALL)
def test_the_text_and_how_it_ended(upstream: str, case: str) -> None:
    this, out = run(upstream, "completions", CASES[upstream][case])
    told = [data for _, data in events(out)]
    view = VIEWS[case]
    failed = "error" in view
    assert (told[-1] == "[DONE]") is not failed
    chunks = [json.loads(data) for data in told if data != "[DONE]"]
    error = chunks.pop()["error"] if failed else None
    assert (error is not None) is failed
    assert len({(one["id"], one["object"], one["created"], one["model"]) for one in chunks}) == 1
    assert {one["object"] for one in chunks} == {"text_completion"}
    choices = [choice for one in chunks for choice in one["choices"]]
    assert "".join(choice["text"] for choice in choices) == view["text"]
    assert {choice["index"] for choice in choices} == {0}
    assert all(choice["logprobs"] is None for choice in choices)
    ends = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    assert ends == ([] if failed else [{"tool_calls": "stop"}.get(view["finish"], view["finish"])])
    assert [name for name in this.dropped if name in ("tool_calls", "reasoning")] == LEFT_OUT.get(case, [])


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("asked", [False, True])
def test_usage_comes_in_its_own_chunk_and_only_when_asked_for(upstream: str, asked: bool) -> None:
    _, out = run(upstream, "completions", CASES[upstream]["usage"], include_usage=asked)
    chunks = [json.loads(data) for _, data in events(out)[:-1]]
    last = chunks.pop() if asked else None
    assert all(("usage" in one) is asked and one.get("usage") is None and one["choices"] for one in chunks)
    if last is not None:
        assert last["choices"] == []
        assert (last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]) == (100, 20)
