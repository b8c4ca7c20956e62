"""What the tests of quirks share: a request as an upstream gets it, an answer as a client does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wire_codecs import DIALECTS, FORMATS, blank

from switchgear.errors import InvalidRequest
from switchgear.providers.model_traits import TargetModel, target_model

USER = [{"role": "user", "content": "hi"}]

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}

TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {}}}}}]


def up(
    fmt: str, model: str = "", dialect: str = "chat", target: TargetModel | None = None, **fields: Any
) -> dict[str, Any]:
    """The upstream's body for a request."""
    encoded, _ = both(fmt, model, dialect, target, **fields)
    return encoded


def both(
    fmt: str, model: str = "", dialect: str = "chat", target: TargetModel | None = None, **fields: Any
) -> tuple[dict[str, Any], list[str]]:
    names = {
        "anthropic": "claude-sonnet-4-5",
        "gemini": "gemini-3-pro",
        "openai_chat": "m",
        "openai_responses": "gpt-5",
    }
    body: dict[str, Any] = {
        "model": "m",
        **({"messages": USER} if "messages" not in fields and dialect == "chat" else {}),
        **fields,
    }
    conversation = DIALECTS[dialect].decode_request(json.dumps(body).encode(), "m")
    encoded = FORMATS[fmt].encode_request(conversation, target or target_model(model or names.get(fmt, "m")))
    return json.loads(encoded.body), encoded.dropped


def refused(param: str, fmt: str, **fields: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        up(fmt, **fields)
    assert caught.value.param == param
    assert caught.value.status == 400


def reply(fmt: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = FORMATS[fmt].decode_response(json.dumps(body).encode())
    found: dict[str, Any] = json.loads(DIALECTS["chat"].encode_response(answer, blank("chat")))
    return found
