"""Lists of models in the dialects' shapes (TRANSLATION §18, §19).

`GET /v1/models` is one path for OpenAI's and Anthropic's clients; the union shape serves both.
"""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

import msgspec
from msgspec import Struct

_encode = msgspec.json.Encoder().encode
_METHODS = ["generateContent", "streamGenerateContent", "countTokens"]


class ListedModel(Struct, frozen=True):
    """A model as clients see it. created: unix seconds. Limits in tokens, 0: unknown. embeds: an embedding model."""

    name: str
    owner: str = "switchgear"
    created: int = 0
    display_name: str = ""
    input_limit: int = 0
    output_limit: int = 0
    embeds: bool = False


def openai_model(model: ListedModel) -> dict[str, Any]:
    """OpenAI's and Anthropic's fields in one object: each SDK reads its own."""
    stamp = _created(model)
    return {
        "id": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": model.owner,
        "type": "model",
        "display_name": model.display_name or model.name,
        "created_at": stamp.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def encode_union_list(models: list[ListedModel]) -> bytes:
    """`GET /v1/models` for OpenAI's and Anthropic's clients."""
    return _encode(
        {
            "object": "list",
            "data": [openai_model(model) for model in models],
            "has_more": False,
            "first_id": models[0].name if models else None,
            "last_id": models[-1].name if models else None,
        }
    )


def encode_union_model(model: ListedModel) -> bytes:
    """`GET /v1/models/{id}` for OpenAI's and Anthropic's clients."""
    return _encode(openai_model(model))


def gemini_model(model: ListedModel) -> dict[str, Any]:
    """A model as Gemini lists it; its name has the prefix `models/`."""
    found: dict[str, Any] = {
        "name": f"models/{model.name}",
        "baseModelId": model.name,
        "version": "001",
        "displayName": model.display_name or model.name,
        "supportedGenerationMethods": ["embedContent", "batchEmbedContents"] if model.embeds else _METHODS,
    }
    if model.input_limit:
        found["inputTokenLimit"] = model.input_limit
    if model.output_limit:
        found["outputTokenLimit"] = model.output_limit
    return found


def encode_gemini_list(models: list[ListedModel]) -> bytes:
    """`GET /v1beta/models`."""
    return _encode({"models": [gemini_model(model) for model in models]})


def encode_gemini_model(model: ListedModel) -> bytes:
    """`GET /v1beta/models/{id}`."""
    return _encode(gemini_model(model))


def _ollama_details() -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "",
        "family": "",
        "families": None,
        "parameter_size": "",
        "quantization_level": "",
    }


def _modified_at(model: ListedModel) -> str:
    return _created(model).strftime("%Y-%m-%dT%H:%M:%SZ")


def _created(model: ListedModel) -> datetime.datetime:
    """The beginning of 1970 where an upstream told a time that is none."""
    try:
        return datetime.datetime.fromtimestamp(model.created, datetime.UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.datetime.fromtimestamp(0, datetime.UTC)


def encode_ollama_tags(models: list[ListedModel]) -> bytes:
    """`GET /api/tags`. A digest is the name's: what identifies a model here, and long enough to be cut."""
    return _encode(
        {
            "models": [
                {
                    "name": model.name,
                    "model": model.name,
                    "modified_at": _modified_at(model),
                    "size": 0,
                    "digest": hashlib.sha256(model.name.encode()).hexdigest(),
                    "details": _ollama_details(),
                }
                for model in models
            ]
        }
    )


def encode_ollama_show(model: ListedModel) -> bytes:
    """`POST /api/show`."""
    return _encode(
        {
            "modelfile": "",
            "parameters": "",
            "template": "",
            "details": _ollama_details(),
            "model_info": {"general.architecture": "", "general.basename": model.name},
            "capabilities": ["embedding"] if model.embeds else ["completion", "tools", "thinking", "vision"],
            "modified_at": _modified_at(model),
        }
    )


def encode_ollama_running() -> bytes:
    """`GET /api/ps`: nothing is in memory here."""
    return _encode({"models": []})
