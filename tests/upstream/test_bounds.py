"""The gateway's bound on an answer's length in the bytes of an Ollama client's request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchgear.errors import InvalidRequest
from switchgear.server.dialects import GEMINI, OLLAMA
from switchgear.types import Endpoint, RequestContext
from switchgear.upstream.bounds import bounded


def asked(endpoint: Endpoint, body: bytes) -> RequestContext:
    return RequestContext(
        endpoint, b"r", 0.0, method="POST", path=endpoint.path, query=b"", client_headers=[], token=b"", body=body
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"num_predict": 9}),
        ({"options": None}, {"num_predict": 9}),
        ({"options": {"seed": 7, "num_predict": -1}}, {"seed": 7, "num_predict": 9}),
        ({"options": {"seed": 7}, "Options": {"num_predict": 100_000}}, {"seed": 7, "num_predict": 9}),  # Go folds case
    ],
)
def test_it_is_one_of_ollamas_options(options: dict[str, Any], expected: dict[str, int]) -> None:
    body = json.dumps({"model": "m", "messages": [], **options}).encode()
    ctx = asked(OLLAMA["/api/chat"], body)
    assert bounded(ctx, body, "m") is body
    ctx.bound = 9
    assert json.loads(bounded(ctx, body, "m")) == {"model": "m", "messages": [], "options": expected}


@pytest.mark.parametrize(
    ("endpoint", "field"), [(OLLAMA["/api/chat"], "options"), (GEMINI["generateContent"], "generationConfig")]
)
@pytest.mark.parametrize("value", [5, [], "x"])
def test_what_is_no_object_is_the_clients_mistake(endpoint: Endpoint, field: str, value: Any) -> None:
    body = json.dumps({"model": "m", field: value}).encode()
    ctx = asked(endpoint, body)
    ctx.bound = 9
    with pytest.raises(InvalidRequest) as refused:
        bounded(ctx, body, "m")
    assert refused.value.param == field
