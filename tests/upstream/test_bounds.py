"""The gateway's bound on an answer's length in the bytes of an Ollama client's request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from switchgear.server.dialects import OLLAMA
from switchgear.types import RequestContext
from switchgear.upstream.bounds import bounded


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"num_predict": 9}),
        ({"options": None}, {"num_predict": 9}),
        ({"options": {"seed": 7, "num_predict": -1}}, {"seed": 7, "num_predict": 9}),
    ],
)
def test_it_is_one_of_ollamas_options(options: dict[str, Any], expected: dict[str, int]) -> None:
    endpoint = OLLAMA["/api/chat"]
    body = json.dumps({"model": "m", "messages": [], **options}).encode()
    ctx = RequestContext(
        endpoint, b"r", 0.0, method="POST", path=endpoint.path, query=b"", client_headers=[], token=b"", body=body
    )
    assert bounded(ctx, body, "m") is body
    ctx.bound = 9
    assert json.loads(bounded(ctx, body, "m")) == {"model": "m", "messages": [], "options": expected}
