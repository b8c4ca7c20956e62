"""What TRANSLATION §21 says of each provider, by the quirks of its own row; one test a provider."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchgear.errors import UpstreamRejected
from switchgear.hotpath._translate import Translator
from switchgear.providers.dialects import chat, chat_reply
from switchgear.providers.formats import anthropic, gemini, ollama, openai_chat
from switchgear.providers.model_traits import target_model
from switchgear.providers.registry import BUILT_IN
from switchgear.providers.repairs import repair_reply
from switchgear.providers.upstream_errors import read_fault
from tests.providers.folding import fold
from tests.providers.stream_cases import FIRST, chat_chunk, sse

USER = [{"role": "user", "content": "hi"}]
THOUGHT = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "a", "reasoning_content": "Think."},
    {"role": "user", "content": "more"},
]


def sent(provider: str, model: str = "m", codec: Any = openai_chat, **fields: Any) -> tuple[dict[str, Any], list[str]]:
    """(body that goes to a provider of this row, what was dropped) for a chat client's request."""
    request = json.dumps({"model": "m", "messages": USER, **fields}).encode()
    encoded = codec.encode_request(chat.decode_request(request), target_model(model, BUILT_IN[provider].quirks))
    return json.loads(encoded.body), encoded.dropped


def fault(status: int, body: Any, **headers: str) -> Any:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return read_fault(status, pairs, body if isinstance(body, bytes) else json.dumps(body).encode())


def answered(provider: str, body: dict[str, Any]) -> dict[str, Any]:
    """A whole answer as a chat client gets it, once repaired as bytes and once translated: they must agree."""
    repaired = json.loads(repair_reply(json.dumps(body).encode(), BUILT_IN[provider].quirks))
    conversation = chat.decode_request(json.dumps({"model": "m", "messages": USER}).encode())
    translated = json.loads(
        chat_reply.encode_response(openai_chat.decode_response(json.dumps(body).encode()), conversation)
    )
    assert repaired["choices"][0]["finish_reason"] == translated["choices"][0]["finish_reason"]
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert (repaired.get("usage") or {}).get(name) == (translated.get("usage") or {}).get(name)
    return translated


def whole(finish: str = "stop", usage: Any = None, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "a", **message}, "finish_reason": finish}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return body | ({"usage": usage} if usage else {})


def test_s21_openai() -> None:
    body, dropped = sent("openai", "o3", max_tokens=9, temperature=0.5)
    assert (body["max_completion_tokens"], body["temperature"], "max_tokens" in body) == (9, 0.5, False)
    assert dropped == []
    limited = fault(429, {"error": {"message": "no", "type": "x", "code": "insufficient_quota"}})
    assert (limited.status, limited.type, limited.code) == (429, "insufficient_quota", "insufficient_quota")


def test_s21_azure() -> None:
    gone = fault(404, {"error": {"code": "DeploymentNotFound", "message": "no"}}, retry_after_ms="0")
    assert (gone.status, gone.code, gone.retry_after_s) == (404, "DeploymentNotFound", 0.0)
    body = whole("content_filter")
    del body["choices"][0]["message"]
    assert answered("azure", body)["choices"][0]["message"]["role"] == "assistant"
    first = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": []}
    this = Translator("chat", "anthropic")
    out = this.feed(sse(first, FIRST, chat_chunk({"content": "a"}, "stop"), "[DONE]")) + this.flush()
    assert fold("anthropic", out)["id"] == "chatcmpl-7"


def test_s21_anthropic() -> None:
    body, _ = sent("anthropic", "claude-sonnet-4-5", anthropic)
    assert body["max_tokens"] > 0


def test_s21_gemini() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    bad = fault(400, {"error": {"code": 400, "message": "API key not valid.", "details": details}})
    assert (bad.status, bad.credential) == (502, True)
    body, _ = sent("gemini", "gemini-3-pro", gemini)
    assert "key" not in json.dumps(body)


def test_s21_mistral() -> None:
    body, dropped = sent("mistral", seed=1, user="u", max_completion_tokens=9, stream=True, made_up=1)
    assert (body["random_seed"], body["max_tokens"]) == (1, 9)
    assert not {"seed", "user", "stream_options", "max_completion_tokens", "made_up"} & set(body)
    assert {"user", "made_up"} <= set(dropped)
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Think."}]}
    message = answered("mistral", whole(content=[thinking, {"type": "text", "text": "144"}]))["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("Think.", "144")


def test_s21_xai() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 20,
             "completion_tokens_details": {"reasoning_tokens": 8}}  # fmt: skip
    assert answered("xai", whole(usage=usage))["usage"]["completion_tokens"] == 10
    flat = fault(400, {"code": "invalid-argument", "error": "Incorrect API key provided: ab***cd."})
    assert (flat.status, flat.credential) == (502, True)
    assert "ab***cd" not in flat.message


def test_s21_openrouter() -> None:
    detail = {"type": "reasoning.text", "text": "Think.", "signature": "c2ln", "format": "anthropic-claude-v1"}
    history = [*USER, {"role": "assistant", "content": "a", "reasoning_details": [detail]}, *USER]
    part = {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}
    body, dropped = sent("openrouter", messages=[*history, {"role": "user", "content": [part]}], top_k=3)
    [replayed] = body["messages"][1]["reasoning_details"]
    assert (replayed["text"], replayed["signature"]) == ("Think.", "c2ln")
    assert (body["top_k"], "cache_control" in json.dumps(body), dropped) == (3, True, [])
    inside = {"error": {"code": 429, "message": "slow", "metadata": {"provider_name": "x"}}}
    with pytest.raises(UpstreamRejected) as caught:
        repair_reply(json.dumps(inside).encode(), BUILT_IN["openrouter"].quirks)
    assert caught.value.status == 429
    comments = b": OPENROUTER PROCESSING\n\n" + sse(FIRST) + b": OPENROUTER PROCESSING\n\n"
    this = Translator("chat", "responses")
    out = this.feed(comments + sse(chat_chunk({"content": "a"}, "stop"), "[DONE]")) + this.flush()
    assert fold("responses", out)["choices"][0]["text"] == "a"


def test_s21_together() -> None:
    assert answered("together", whole("eos"))["choices"][0]["finish_reason"] == "stop"
    assert sent("together", top_k=3)[0]["top_k"] == 3


def test_s21_groq() -> None:
    body, dropped = sent(
        "groq", messages=[{"role": "user", "content": "x", "name": "bo"}], logprobs=True, logit_bias={"1": 2}
    )
    assert not {"logprobs", "logit_bias"} & set(body)
    assert "name" not in body["messages"][0]
    assert set(dropped) == {"messages[0].name", "logprobs", "logit_bias"}
    usage = {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
    this = Translator("chat", "anthropic")
    this.feed(sse(FIRST, chat_chunk({"content": "a"}, "stop", x_groq=usage), "[DONE]"))
    assert this.usage is not None
    assert (this.usage.input_tokens, this.usage.output_tokens) == (1, 2)


def test_s21_deepseek() -> None:
    body, _ = sent("deepseek", "gpt-5-like", messages=THOUGHT, max_completion_tokens=9)
    assert (body["messages"][1]["reasoning_content"], body["max_tokens"]) == ("Think.", 9)
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "prompt_cache_hit_tokens": 7}
    assert answered("deepseek", whole(usage=usage))["usage"]["prompt_tokens_details"]["cached_tokens"] == 7


def test_s21_perplexity() -> None:
    page = "https://example.org/a"
    assert answered("perplexity", whole() | {"citations": [page]})["choices"][0]["message"]["annotations"]
    this = Translator("chat", "anthropic")
    chunks = [FIRST, chat_chunk({"content": "a"}, citations=[page]), chat_chunk({}, "stop", citations=[page])]
    out = this.feed(sse(*chunks)) + this.flush()  # without [DONE]
    answer = fold("anthropic", out)
    assert [one["url"] for one in answer["choices"][0]["annotations"]] == [page]
    assert this.finished


def test_s21_cerebras() -> None:
    assert sent("cerebras", seed=3, made_up=1) == (
        {"model": "m", "messages": USER, "seed": 3, "made_up": 1},
        [],
    )


def test_s21_huggingface() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    this = Translator("chat", "chat", include_usage=True)
    body = sse(
        FIRST, chat_chunk({"content": "a"}), chat_chunk({}, "stop", usage=usage), chat_chunk(usage=usage), "[DONE]"
    )
    answer = fold("chat", this.feed(body) + this.flush())
    assert answer["usage"] == usage


def test_s21_zai() -> None:
    assert sent("zai", messages=THOUGHT)[0]["messages"][1]["reasoning_content"] == "Think."


def test_s21_ollama() -> None:
    body, _ = sent("ollama", "qwen3", ollama, max_tokens=9)
    assert (body["options"]["num_predict"], body["stream"]) == (9, False)
    missing = fault(404, {"error": 'model "x" not found, try pulling it first'})
    assert (missing.status, missing.message) == (404, 'model "x" not found, try pulling it first')
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    [made] = answered("ollama", whole("stop", content=None, tool_calls=[call]))["choices"][0]["message"]["tool_calls"]
    assert made["id"]
    assert json.loads(made["function"]["arguments"]) == {"a": 1}


def test_s21_vllm() -> None:
    assert sent("vllm", top_k=3, min_p=0.1, guided_json={"type": "object"})[0].keys() >= {
        "top_k",
        "min_p",
        "guided_json",
    }
    flat = {"object": "error", "message": "no such model", "type": "NotFoundError", "param": None, "code": 404}
    assert (fault(404, flat).status, fault(404, flat).message) == (404, "no such model")


def test_s21_llama_cpp() -> None:
    assert sent("llama-cpp", top_k=3)[0]["top_k"] == 3


def test_every_row_is_tested() -> None:
    names = {name.removeprefix("test_s21_").replace("_", "-") for name in globals() if name.startswith("test_s21_")}
    assert names == set(BUILT_IN)
