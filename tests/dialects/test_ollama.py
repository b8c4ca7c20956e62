"""What belongs to Ollama's dialect alone: paths, streaming by default, loading, models, errors, bytes that pass."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from switchgear.providers.model_lists import ListedModel, encode_ollama_show
from tests.dialects.conftest import Pairs
from tests.dialects.wires import call, question
from tests.providers.stream_cases import OLLAMA, lines, ollama_line
from tests.support.processes import KEY, GatewayProcess
from tests.support.scripted import Asked, ScriptedUpstream, Told, events, scripted, told

BEARER = {"authorization": f"Bearer {KEY}"}
PROMPT = {"prompt": "Name a river."}


def post(pairs: Pairs, path: str, body: Any, **headers: str) -> httpx.Response:
    return httpx.post(pairs.origin + path, headers=BEARER | headers, json=body, timeout=20)


@pytest.mark.parametrize("stream", [None, True, "absent"])
@pytest.mark.parametrize("wire", ["chat", "anthropic", "ollama"])
def test_it_streams_unless_told_not_to(pairs: Pairs, wire: str, stream: Any) -> None:
    _, _, body = question("ollama", f"{wire}-text", stream=True)
    answer = post(pairs, "/api/chat", body if stream == "absent" else body | {"stream": stream})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert json.loads(answer.text.splitlines()[-1])["done"] is True
    assert len(answer.text.splitlines()) > 1


@pytest.mark.parametrize("wire", ["chat", "anthropic", "gemini", "responses"])
def test_durations_and_counts_stand_in_the_last_line(pairs: Pairs, wire: str) -> None:
    answer = call(pairs.origin, "ollama", f"{wire}-usage", stream=True)
    *before, last = [json.loads(line) for line in answer.text.splitlines()]
    assert not any("total_duration" in line for line in before)
    assert last["done_reason"] == "length"
    assert (last["prompt_eval_count"], last["eval_count"]) == (100, 20)
    assert last["total_duration"] == last["prompt_eval_duration"] + last["eval_duration"] > 0
    whole = call(pairs.origin, "ollama", f"{wire}-text").json()
    assert whole["total_duration"] == whole["eval_duration"] > 0


@pytest.mark.parametrize("wire", ["chat", "anthropic", "gemini"])
@pytest.mark.parametrize("stream", [False, True])
def test_generate(pairs: Pairs, wire: str, stream: bool) -> None:
    answer = post(pairs, "/api/generate", {"model": f"{wire}-text", **PROMPT, "stream": stream})
    assert answer.status_code == 200, answer.text
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert (len(found) > 1) is stream
    assert "".join(line["response"] for line in found) == ('Grüße — "hi"\n\U0001f600 \\ end' if stream else "Grüße")
    assert found[-1]["done_reason"] == "stop"
    assert all("message" not in line for line in found)


@pytest.mark.parametrize("field", [{"suffix": "a"}, {"raw": True}, {"context": [1, 2]}])
def test_generate_refuses_what_no_chat_can_express(pairs: Pairs, field: dict[str, Any]) -> None:
    answer = post(pairs, "/api/generate", {"model": "anthropic-text", **PROMPT, **field})
    (name,) = field
    assert answer.status_code == 400
    assert answer.json() == {
        "error": f"'{name}' cannot be expressed for the provider that serves this model: it answers in a chat."
    }


@pytest.mark.parametrize(("keep_alive", "reason"), [(None, "load"), ("5m", "load"), (0, "unload"), (0.0, "unload")])
@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_asking_nothing_loads_and_asks_nobody(pairs: Pairs, path: str, keep_alive: Any, reason: str) -> None:
    answer = post(pairs, path, {"model": "anthropic-text", "keep_alive": keep_alive})
    assert answer.status_code == 200
    assert (answer.json()["done"], answer.json()["done_reason"]) == (True, reason)
    assert pairs.upstreams["anthropic"].requests == []


def test_what_is_dropped_is_named_in_its_own_words(pairs: Pairs) -> None:
    options = {"num_ctx": 8192, "seed": 7, "temperature": 0.5, "num_predict": -1}
    answer = call(pairs.origin, "ollama", "anthropic-text", options=options, keep_alive="5m", truncate=True)
    assert set(answer.headers["x-switchgear-dropped"].split(", ")) == {
        "options.num_ctx",
        "options.seed",
        "keep_alive",
        "truncate",
    }
    (asked,) = pairs.upstreams["anthropic"].requests
    assert asked.json["temperature"] == 0.5


def test_a_tool_result_that_answers_no_call_is_refused(pairs: Pairs) -> None:
    history = [{"role": "user", "content": "a"}, {"role": "tool", "tool_name": "weather", "content": "b"}]
    answer = call(pairs.origin, "ollama", "chat-text", messages=history)
    assert (answer.status_code, set(answer.json())) == (400, {"error"})


@pytest.mark.parametrize("images", [["AAAA"], ["not base64"]])
def test_an_image_that_is_none_is_refused(pairs: Pairs, images: list[str]) -> None:
    answer = call(pairs.origin, "ollama", "chat-text", messages=[{"role": "user", "content": "a", "images": images}])
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid image input: it is no image in base64"})


def test_ollamas_own_bytes_pass(pairs: Pairs) -> None:
    _, _, body = question("ollama", "ollama-text", made_up={"kept": 1}, keep_alive=5, stream=True)
    answer = post(pairs, "/api/chat", body)
    (asked,) = pairs.upstreams["ollama"].requests
    sent = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    assert asked.body == sent.replace('"ollama-text"', '"text"').encode()
    assert answer.content == OLLAMA["text"].replace(b'"m-1"', b'"ollama-text"')
    assert "x-switchgear-dropped" not in answer.headers


def test_latest_is_the_model_itself(pairs: Pairs) -> None:
    answer = call(pairs.origin, "ollama", "chat-text:latest")
    assert (answer.status_code, answer.json()["model"]) == (200, "chat-text")
    assert call(pairs.origin, "chat", "chat-text:latest").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nothing", 404),
        ("GET", "/api/chat", 405),
        ("POST", "/api/tags", 405),
        ("GET", "/api/show", 405),
        ("POST", "/api/pull", 501),
        ("DELETE", "/api/delete", 501),
        ("POST", "/api/blobs/sha256:0", 501),
    ],
)
def test_unknown_paths_and_methods_in_ollamas_envelope(pairs: Pairs, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, pairs.origin + path, headers=BEARER)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert isinstance(answer.json()["error"], str)
    assert ("allow" in answer.headers) is (status == 405)


def test_the_management_apis_paths_are_not_ollamas(pairs: Pairs) -> None:
    for path in ("/api/v1/keys", "/api/schema"):
        assert set(httpx.get(pairs.origin + path).json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("path", ["/api/tags", "/api/ps"])
def test_lists_need_a_key(pairs: Pairs, path: str) -> None:
    answer = httpx.get(pairs.origin + path)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error"}


def test_models(pairs: Pairs) -> None:
    tags = httpx.get(pairs.origin + "/api/tags", headers=BEARER).json()["models"]
    assert "chat-text" in [model["name"] for model in tags]
    assert all(len(model["digest"]) == 64 for model in tags)
    assert httpx.get(pairs.origin + "/api/ps", headers=BEARER).json() == {"models": []}
    assert httpx.get(pairs.origin + "/api/version").json() == {"version": "0.12.11"}
    for named in ({"model": "chat-text"}, {"name": "chat-text"}, {"model": "chat-text:latest"}):
        shown = post(pairs, "/api/show", named)
        assert shown.json()["capabilities"] == ["completion", "tools", "thinking", "vision"]
    unknown = post(pairs, "/api/show", {"model": "nothing"})
    assert (unknown.status_code, unknown.json()) == (404, {"error": "model 'nothing' not found"})
    assert post(pairs, "/api/show", {}).json() == {"error": "model is required"}


def test_a_body_that_is_no_json(pairs: Pairs) -> None:
    answer = httpx.post(pairs.origin + "/api/chat", headers=BEARER, content=b"{")
    assert (answer.status_code, set(answer.json())) == (400, {"error"})


# line ends, embeddings, the ledger ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GatewayProcess, ScriptedUpstream]]:
    """A chat upstream and an Ollama whose words hold what other protocols take for the end of a line; vectors too."""
    words = "a\u2028b\u2029c\u0085d"

    def answer(asked: Asked) -> Told:
        if asked.target == "/api/embed":
            assert asked.json["input"] == ["one", "two"]
            return told({"model": "m", "embeddings": [[1.0], [2.0]], "prompt_eval_count": 3})
        if asked.target == "/api/embeddings":
            return told({"embedding": [1.0]})
        if asked.target == "/v1/embeddings":
            vectors = [{"index": n, "embedding": [float(n)], "object": "embedding"} for n in range(2)]
            return told({"object": "list", "data": vectors[: len(asked.json["input"])], "usage": {"prompt_tokens": 5}})
        if asked.target == "/api/chat":
            return events(lines(ollama_line(content=words), {"error": words}), ndjson=True)
        chunk = {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": words}}]}
        return events(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode() + b"data: [DONE]\n\n")

    with ExitStack() as stack:
        upstream = stack.enter_context(scripted(answer))
        providers = {
            "vllm": {"type": "vllm", "base_url": upstream.origin + "/v1", "credentials": [], "models": ["m"]},
            "ollama": {"type": "ollama", "base_url": upstream.origin, "credentials": [], "models": ["n"]},
        }
        server = {"body_limit": 65_536}
        config = {"server": server, "providers": providers, "keys": [{"name": "test", "value": KEY}]}
        process = GatewayProcess(config, tmp_path_factory.mktemp("odd"))
        stack.callback(process.stop)
        yield process.ready(), upstream


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_no_character_of_the_answer_ends_a_line(odd: tuple[GatewayProcess, ScriptedUpstream], path: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "a"}], **PROMPT}
    answer = httpx.post(odd[0].origin + path, headers=BEARER, json=body)
    first, last = [json.loads(line) for line in answer.text.splitlines()]
    assert (first.get("message", {}).get("content") or first["response"]) == "a\u2028b\u2029c\u0085d"
    assert last["done"] is True


@pytest.mark.parametrize("path", ["/api/chat", "/api/embed", "/api/show"])
def test_a_body_above_the_cap(odd: tuple[GatewayProcess, ScriptedUpstream], path: str) -> None:
    answer = httpx.post(odd[0].origin + path, headers=BEARER, content=b" " * 70_000)
    assert (answer.status_code, set(answer.json())) == (413, {"error"})


@pytest.mark.parametrize("model", ["m", "n"])
def test_embeddings(odd: tuple[GatewayProcess, ScriptedUpstream], model: str) -> None:
    body = {"model": model, "input": ["one", "two"], "truncate": True}
    made = httpx.post(odd[0].origin + "/api/embed", headers=BEARER, json=body)
    assert made.json()["model"] in (model, "m")
    assert made.json()["embeddings"] == ([[0.0], [1.0]] if model == "m" else [[1.0], [2.0]])
    assert made.json()["prompt_eval_count"] == (5 if model == "m" else 3)
    assert made.headers.get("x-switchgear-dropped") == ("truncate" if model == "m" else None)
    old = httpx.post(odd[0].origin + "/api/embeddings", headers=BEARER, json={"model": model, "prompt": "one"})
    assert old.json() == {"embedding": [0.0] if model == "m" else [1.0]}


def test_a_listed_model_that_embeds_says_so() -> None:
    assert json.loads(encode_ollama_show(ListedModel("e", embeds=True)))["capabilities"] == ["embedding"]
