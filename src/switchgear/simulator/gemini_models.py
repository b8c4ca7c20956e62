"""GET /v1beta/models and /v1beta/models/{id}: pages by `pageSize` and `pageToken`."""

from __future__ import annotations

from urllib.parse import parse_qs

from switchgear.errors import InvalidRequest, NotFound
from switchgear.simulator.answer import Answer
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.gemini_errors import json_answer
from switchgear.simulator.gemini_paths import version

_METHODS = ["generateContent", "countTokens"]
_EMBEDDING_METHODS = ["embedContent", "batchEmbedContents"]
_MAX_PAGE = 1000


def _model(name: str) -> Json:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name.replace("-", " ").title(),
        "description": "Simulated",
        "inputTokenLimit": 1048576,
        "outputTokenLimit": 65536,
        "supportedGenerationMethods": _EMBEDDING_METHODS if "embedding" in name else _METHODS,
    }


def listing(exchange: Exchange) -> Answer:
    """A page of the models. Raises `InvalidRequest`."""
    query = {name: values[0] for name, values in parse_qs(exchange.head.query).items()}
    names = exchange.settings.listed_models
    size, start = query.get("pageSize", "50"), query.get("pageToken", "0")
    if not size.isdigit() or not start.isdigit():
        raise InvalidRequest("Invalid value at 'page_size' or 'page_token'")
    end = int(start) + (min(int(size), _MAX_PAGE) or 50)
    body: Json = {"models": [_model(name) for name in names[int(start) : end]]}
    if end < len(names):
        body["nextPageToken"] = str(end)
    return json_answer(body)


def retrieve(exchange: Exchange) -> Answer:
    """One model. Raises `NotFound`."""
    if not exchange.has_model(exchange.path_id):
        raise NotFound(f"models/{exchange.path_id} is not found for API version {version(exchange.head.raw_path)}.")
    return json_answer(_model(exchange.path_id))
