"""What belongs to one dialect or one translation: dropped fields, strictness, prefixes, lists of models."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.dialects.conftest import Pairs
from tests.dialects.special import BEARER
from tests.dialects.wires import CLIENTS, call, question
from tests.providers.folding import fold
from tests.support.processes import KEY


def test_what_is_dropped_is_named(pairs: Pairs) -> None:
    answer = call(pairs.origin, "chat", "anthropic-text", seed=7, frequency_penalty=0.5, made_up={"a": 1})
    assert answer.status_code == 200
    assert set(answer.headers["x-switchgear-dropped"].split(", ")) == {"seed", "frequency_penalty", "made_up"}
    assert "x-switchgear-dropped" not in call(pairs.origin, "chat", "anthropic-text").headers
    assert "x-switchgear-dropped" not in call(pairs.origin, "chat", "chat-text", seed=7, made_up=1).headers


def test_a_dropped_fields_name_cannot_make_a_header(pairs: Pairs) -> None:
    answer = call(pairs.origin, "chat", "anthropic-text", **{"x\r\nset-cookie: a=b": 1, "ü" * 2000: 2})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert len(answer.headers["x-switchgear-dropped"]) <= 1100


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("how", ["header", "model"])
def test_strict_refuses_what_would_be_dropped(pairs: Pairs, client: str, how: str) -> None:
    fields: dict[str, Any] = {
        "chat": {"seed": 7},
        "responses": {"max_tool_calls": 3},
        "gemini": {"generationConfig": {"seed": 7}},
        "anthropic": {"top_k": 3, "container": "c"},
    }[client]
    model = "strict" if how == "model" else "anthropic-text"
    path, headers, body = question("chat" if client == "anthropic" else client, model)
    if client == "anthropic":  # at Anthropic nothing is lost: the same request passes
        path, headers, body = question(client, model)
        answer = httpx.post(pairs.origin + path, headers=headers, json=body | {"top_k": 3})
        assert answer.status_code == 200
        return
    if how == "header":
        headers["x-switchgear-strict"] = "true"
    answer = httpx.post(pairs.origin + path, headers=headers, json=body | fields)
    assert answer.status_code == 400, answer.text
    name = {"chat": "seed", "responses": "max_tool_calls", "gemini": "generationConfig.seed"}[client]
    assert name in answer.text


def test_stored_responses_are_refused_where_nobody_keeps_them(pairs: Pairs) -> None:
    fields = {"previous_response_id": "resp_1"}
    refused = call(pairs.origin, "responses", "anthropic-text", **fields)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "previous_response_id"
    assert call(pairs.origin, "responses", "responses-text", **fields).status_code == 200
    assert pairs.upstreams["responses"].requests[0].json["previous_response_id"] == "resp_1"


def test_threads_are_refused_where_nobody_keeps_them(pairs: Pairs) -> None:
    """One that is created is left out; one that continues lacks its messages, and the SDK looks for this code."""
    created = call(pairs.origin, "anthropic", "chat-text", thread={"type": "create"})
    assert (created.status_code, created.headers["x-switchgear-dropped"]) == (200, "thread")
    continued = {"type": "continue", "previous_message_id": "msg_1"}
    refused = call(pairs.origin, "anthropic", "chat-text", thread=continued)
    assert (refused.status_code, refused.json()["error"]["type"]) == (404, "not_found_error")
    assert refused.json()["error"]["details"] == {"error_code": "thread_not_found"}
    assert len(pairs.upstreams["chat"].requests) == 1
    assert call(pairs.origin, "anthropic", "anthropic-text", thread=continued).status_code == 200
    assert pairs.upstreams["anthropic"].requests[0].json["thread"] == continued


def test_ollama_is_offered_only_the_tool_that_is_asked_for(pairs: Pairs) -> None:
    choice = {"type": "function", "function": {"name": "now"}}
    answer = call(pairs.origin, "chat", "ollama-tools", tool_choice=choice)
    assert answer.headers["x-switchgear-dropped"] == "tool_choice"
    (asked,) = pairs.upstreams["ollama"].requests
    assert [tool["function"]["name"] for tool in asked.json["tools"]] == ["now"]


def test_anthropics_own_bytes_pass(pairs: Pairs) -> None:
    path, headers, body = question("anthropic", "anthropic-text", made_up={"kept": 1})
    headers |= {"anthropic-beta": "one,two", "anthropic-version": "2026-10-21"}
    answer = httpx.post(f"{pairs.origin}{path}?beta=true", headers=headers, json=body)
    assert answer.status_code == 200
    (asked,) = pairs.upstreams["anthropic"].requests
    assert asked.target == "/v1/messages?beta=true"
    assert (
        asked.body
        == json.dumps(body, separators=(",", ":"), ensure_ascii=False).replace('"anthropic-text"', '"text"').encode()
    )
    assert (asked.headers["anthropic-beta"], asked.headers["anthropic-version"]) == ("one,two", "2026-10-21")


def test_a_base_url_with_v1_twice(pairs: Pairs) -> None:
    path, headers, body = question("anthropic", "chat-text")
    assert httpx.post(f"{pairs.origin}/v1{path}", headers=headers, json=body).status_code == 200


def test_anthropic_sdk_2_sends_a_bearer(pairs: Pairs) -> None:
    path, _, body = question("anthropic", "chat-text")
    assert httpx.post(pairs.origin + path, headers=BEARER, json=body).status_code == 200


@pytest.mark.parametrize("prefix", ["/v1beta", "/v1", ""])
@pytest.mark.parametrize("wire", ["gemini", "chat"])
def test_geminis_prefixes_and_key_in_the_query(pairs: Pairs, prefix: str, wire: str) -> None:
    path, _, body = question("gemini", f"{wire}-text")
    path = path.replace("/v1beta", prefix)
    answer = httpx.post(f"{pairs.origin}{path}?key={KEY}", json=body)
    assert answer.status_code == 200, answer.text
    (asked,) = pairs.upstreams[wire].requests
    assert KEY not in asked.target + json.dumps(asked.headers)
    assert KEY not in pairs.gateway.output


@pytest.mark.parametrize("wire", ["gemini", "chat", "anthropic", "ollama"])
@pytest.mark.parametrize("case", ["text", "truncated"])
def test_geminis_array(pairs: Pairs, wire: str, case: str) -> None:
    path, headers, body = question("gemini", f"{wire}-{case}", stream=True)
    answer = httpx.post(pairs.origin + path.partition("?")[0], headers=headers, json=body)
    assert answer.headers["content-type"].startswith("application/json")
    folded = fold("gemini-array", answer.content)
    assert (folded["error"] is None) is (case == "text")
    if wire == "gemini":
        assert pairs.upstreams["gemini"].requests[0].target.endswith(":streamGenerateContent?alt=sse")


def test_geminis_array_of_one_error(pairs: Pairs) -> None:
    path, headers, body = question("gemini", "nothing", stream=True)
    answer = httpx.post(pairs.origin + path.partition("?")[0], headers=headers, json=body)
    assert (answer.status_code, answer.json()[0]["error"]["status"]) == (404, "NOT_FOUND")


def test_lists_of_models(pairs: Pairs) -> None:
    openai = httpx.get(f"{pairs.origin}/v1/models", headers=BEARER).json()
    assert openai["data"][0].keys() == {"id", "object", "created", "owned_by"}
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    anthropic = httpx.get(f"{pairs.origin}/v1/models", headers=headers).json()
    assert {"type", "display_name", "created_at"} <= anthropic["data"][0].keys()
    assert (anthropic["has_more"], anthropic["first_id"]) == (False, anthropic["data"][0]["id"])
    gemini = httpx.get(f"{pairs.origin}/v1beta/models", params={"key": KEY}).json()
    assert gemini["models"][0]["name"] == f"models/{openai['data'][0]['id']}"
    one = httpx.get(f"{pairs.origin}/v1beta/models/chat-text", headers={"x-goog-api-key": KEY}).json()
    assert one["name"] == "models/chat-text"
    missing = httpx.get(f"{pairs.origin}/v1beta/models/none", headers={"x-goog-api-key": KEY})
    assert (missing.status_code, missing.json()["error"]["status"]) == (404, "NOT_FOUND")
    other = httpx.get(f"{pairs.origin}/v1/models/none", headers=headers)
    assert (other.status_code, other.json()["error"]["type"]) == (404, "not_found_error")


def test_what_a_provider_does_not_have_is_said(pairs: Pairs) -> None:
    answer = httpx.post(
        f"{pairs.origin}/v1/moderations", headers=BEARER, json={"model": "anthropic-text", "input": "hi"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "unsupported_endpoint")
