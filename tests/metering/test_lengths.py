"""How long an answer may get, as each dialect says it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchgear.hotpath._estimate import FIRST_OUTPUT, Estimates
from switchgear.hotpath._peek import peek_request
from switchgear.metering.lengths import IMAGE_TOKENS, Length, images_of, length_of
from switchgear.server.dialects import GEMINI, MESSAGES
from switchgear.server.routes import EXACT
from switchgear.types import Endpoint, FormFields, RequestContext

CEILING = 16_384


def asked(endpoint: Endpoint, body: Any) -> RequestContext:
    data = json.dumps(body).encode()
    ctx = RequestContext(
        endpoint, b"r", 0.0, method="POST", path=endpoint.path, query=b"", client_headers=[], token=b"", body=data
    )
    ctx.model, ctx.peeked = "m", peek_request(data)
    return ctx


def length(endpoint: Endpoint, **body: Any) -> Length:
    return length_of(asked(endpoint, body), Estimates(), CEILING)


def of(path: str) -> Endpoint:
    return EXACT[path]["POST"]


CHAT, COMPLETIONS, RESPONSES = of("/v1/chat/completions"), of("/v1/completions"), of("/v1/responses")
GENERATE = GEMINI["generateContent"]
OLLAMA = of("/api/chat")


@pytest.mark.parametrize(
    ("endpoint", "body", "tokens", "choices"),
    [
        (CHAT, {"max_tokens": 7}, 7, 1),
        (CHAT, {"max_completion_tokens": 7, "n": 3}, 21, 3),
        (MESSAGES, {"max_tokens": 7}, 7, 1),
        (RESPONSES, {"max_output_tokens": 70}, 70, 1),
        (COMPLETIONS, {"prompt": "a", "max_tokens": 7}, 7, 1),
        (COMPLETIONS, {"prompt": ["a", "b"], "max_tokens": 7, "n": 2}, 28, 4),
        (COMPLETIONS, {"prompt": [1, 2, 3], "max_tokens": 7}, 7, 1),
        (COMPLETIONS, {"prompt": [[1, 2], [3]], "max_tokens": 7, "best_of": 5, "n": 2}, 84, 12),
        (GENERATE, {"generationConfig": {"maxOutputTokens": 7, "candidateCount": 2}}, 14, 2),
        (GENERATE, {"generation_config": {"max_output_tokens": "7"}}, 7, 1),
        (OLLAMA, {"options": {"num_predict": 7}}, 7, 1),
        (of("/api/generate"), {"options": {"num_predict": 7}, "max_tokens": 3}, 7, 1),
    ],
)
def test_what_is_said(endpoint: Endpoint, body: dict[str, Any], tokens: int, choices: int) -> None:
    assert length(endpoint, **body) == Length(tokens, tokens, choices, True)


@pytest.mark.parametrize(
    ("endpoint", "body", "choices"),
    [
        (CHAT, {}, 1),
        (CHAT, {"max_tokens": None, "n": 3}, 3),
        (CHAT, {"max_tokens": -1}, 1),  # llama.cpp: as long as it likes
        (RESPONSES, {}, 1),
        (COMPLETIONS, {"prompt": ["a", "b"]}, 2),
        (GENERATE, {}, 1),
        (GENERATE, {"generationConfig": {"maxOutputTokens": 0, "candidateCount": 2}}, 2),
        (GENERATE, {"generationConfig": {"maxOutputTokens": "seven"}}, 1),
        (OLLAMA, {"max_tokens": 3, "n": 4}, 1),  # not its words
        (OLLAMA, {"options": {"num_predict": -1}}, 1),
        (OLLAMA, {"options": "none"}, 1),
        (OLLAMA, {"options": {"num_predict": 1}, "Options": {"num_predict": 100_000}}, 1),  # Go folds case
    ],
)
def test_nothing_is_said(endpoint: Endpoint, body: dict[str, Any], choices: int) -> None:
    assert length(endpoint, **body) == Length(FIRST_OUTPUT * choices, CEILING * choices, choices, False)


def test_an_answer_that_was_longer_than_the_longest() -> None:
    """What was seen goes before what was configured."""
    estimates = Estimates()
    for _ in range(20):
        estimates.observe("m", 10, 10, 40_000)
    found = length_of(asked(CHAT, {}), estimates, CEILING)
    assert found.longest == found.expected > 49_000


def test_what_makes_no_text() -> None:
    assert length(of("/v1/embeddings"), input="a") == Length()
    assert length(of("/v1/rerank"), query="a", documents=["b"]) == Length()
    assert length(of("/v1/moderations"), input="a") == Length()
    assert length(of("/v1/images/generations"), prompt="a", n=3) == Length(0, 3 * IMAGE_TOKENS)
    assert length(of("/v1/responses/compact"), input="a") == Length(FIRST_OUTPUT, CEILING)


def test_forms() -> None:
    edits, sound = of("/v1/images/edits"), of("/v1/audio/transcriptions")
    ctx = asked(edits, {})
    ctx.peeked, ctx.form, ctx.body = None, FormFields("m", n=4), b"x" * 2048
    assert images_of(ctx) == 4
    assert length_of(ctx, Estimates(), CEILING) == Length(0, 4 * IMAGE_TOKENS)
    ctx.endpoint = sound
    assert images_of(ctx) == 0
    assert length_of(ctx, Estimates(), CEILING) == Length(0, 1026)
