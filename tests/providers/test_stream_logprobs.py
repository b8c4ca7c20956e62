"""Log probabilities in streams, where both sides have a place for them (TRANSLATION §6, §15)."""

import json
from typing import Any

import pytest

from tests.providers.folding import events, fold
from tests.providers.stream_cases import FIRST, chat_chunk, gemini_chunk, sse
from tests.providers.translating import run


def token(text: str, logprob: float, *tops: tuple[str, float]) -> dict[str, Any]:
    def one(text: str, logprob: float) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    return one(text, logprob) | {"top_logprobs": [one(*top) for top in tops]}


TOLD = [token("Grü", -0.25, ("Grü", -0.25), ("Hal", -1.5)), token("ße", -0.5, ("ße", -0.5))]


def chat_stream() -> bytes:
    chunks = []
    for one in TOLD:
        chunk = chat_chunk({"content": one["token"]})
        chunk["choices"][0]["logprobs"] = {"content": [one], "refusal": None}
        chunks.append(chunk)
    return sse(FIRST, *chunks, chat_chunk({}, "stop"), "[DONE]")


def gemini_stream() -> bytes:
    def candidate(one: Any) -> dict[str, Any]:
        return {"token": one["token"], "logProbability": one["logprob"], "tokenId": 7}

    chunks = []
    for number, one in enumerate(TOLD):
        chunk = gemini_chunk({"text": one["token"]}, finish="STOP" if number else None)
        chunk["candidates"][0]["logprobsResult"] = {
            "chosenCandidates": [candidate(one)],
            "topCandidates": [{"candidates": [candidate(top) for top in one["top_logprobs"]]}],
        }
        chunks.append(chunk)
    return sse(*chunks)


def responses_stream() -> bytes:
    response = {"id": "resp_1", "object": "response", "model": "m-1", "status": "in_progress", "output": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "Grüße", "annotations": [], "logprobs": TOLD}
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "output_index": 0, "item": item | {"content": []}},
        {"type": "response.content_part.added", **place, "part": part | {"text": "", "logprobs": []}},
        *({"type": "response.output_text.delta", **place, "delta": one["token"], "logprobs": [one]} for one in TOLD),
        {"type": "response.output_item.done", "output_index": 0, "item": item | {"content": [part]}},
        {"type": "response.completed", "response": response | {"status": "completed"}},
    ]
    return sse(*told, names=True)


STREAMS = {"chat": chat_stream, "gemini": gemini_stream, "responses": responses_stream}


def heard(client: str, out: bytes) -> list[dict[str, Any]]:
    """The tokens as the client reads them, in chat's form."""
    found: list[Any] = []
    for _, data in events(out):
        event = json.loads(data) if data != "[DONE]" else {}
        if client == "chat":
            for choice in event.get("choices", ()):
                found += (choice["logprobs"] or {}).get("content", [])
        elif client == "responses" and event["type"] == "response.output_text.delta":
            found += event["logprobs"]
        elif client == "gemini":
            for candidate in event["candidates"]:
                result = candidate.get("logprobsResult", {"chosenCandidates": [], "topCandidates": []})
                for chosen, top in zip(result["chosenCandidates"], result["topCandidates"], strict=True):
                    tops = [(one["token"], one["logProbability"]) for one in top["candidates"]]
                    found.append(token(chosen["token"], chosen["logProbability"], *tops))
    return found


@pytest.mark.parametrize("upstream", list(STREAMS))
@pytest.mark.parametrize("client", ["chat", "responses", "gemini"])
def test_each_token_comes_with_its_text(upstream: str, client: str) -> None:
    if upstream == client:
        return  # its own bytes
    this, out = run(upstream, client, STREAMS[upstream]())
    assert heard(client, out) == TOLD
    answer = fold(client, out)
    assert answer["choices"][0]["text"] == "Grüße"
    assert this.dropped == []
    if client == "responses":
        [item] = answer["response"]["output"]
        assert item["content"][0]["logprobs"] == TOLD


@pytest.mark.parametrize("upstream", list(STREAMS))
def test_anthropic_has_no_place_for_them(upstream: str) -> None:
    this, out = run(upstream, "anthropic", STREAMS[upstream]())
    assert fold("anthropic", out)["choices"][0]["text"] == "Grüße"
    assert this.dropped == ["logprobs"]


@pytest.mark.parametrize("client", ["responses", "gemini"])
def test_those_without_text_come_on_their_own(client: str) -> None:
    last = chat_chunk({}, "stop")
    last["choices"][0]["logprobs"] = {"content": TOLD, "refusal": None}
    _, out = run("chat", client, sse(FIRST, chat_chunk({"content": "Grüße"}), last, "[DONE]"))
    assert heard(client, out) == TOLD


def test_what_is_no_number_is_a_very_small_one() -> None:
    chunk = gemini_chunk({"text": "a"}, finish="STOP")
    chunk["candidates"][0]["logprobsResult"] = {"chosenCandidates": [{"token": "a"}]}
    [one] = heard("chat", run("gemini", "chat", sse(chunk))[1])
    assert (one["logprob"], one["top_logprobs"]) == (-9999.0, [])
