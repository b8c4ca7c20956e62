"""Gemini's embedContent and batchEmbedContents: the vectors of `openai_embeddings`, in Google's shape."""

from __future__ import annotations

from typing import Any

from switchgear.errors import InvalidRequest
from switchgear.simulator import openai_embeddings
from switchgear.simulator.answer import Answer
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.gemini_errors import json_answer
from switchgear.simulator.gemini_request import require_model
from switchgear.simulator.gemini_schema import camels

_DIMENSIONS = 3072
_MAX_DIMENSIONS = 3072
_MAX_BATCH = 100


def one(exchange: Exchange) -> Answer:
    """One vector. Raises `InvalidRequest`, `NotFound`."""
    require_model(exchange, "embedContent")
    return json_answer({"embedding": _embedding(exchange, exchange.json, "EmbedContentRequest")})


def batch(exchange: Exchange) -> Answer:
    """A vector for each request, in order. Raises `InvalidRequest`, `NotFound`."""
    base = require_model(exchange, "batchEmbedContents")
    requests = exchange.json.get("requests")
    if not isinstance(requests, list) or not requests:
        raise InvalidRequest("* BatchEmbedContentsRequest.requests: requests must not be empty\n")
    if len(requests) > _MAX_BATCH:
        raise InvalidRequest(
            f"* BatchEmbedContentsRequest.requests: at most {_MAX_BATCH} requests can be in one batch\n"
        )
    out = []
    for index, each in enumerate(requests):
        place = f"BatchEmbedContentsRequest.requests[{index}]"
        named = str(camels(each).get("model", "")).removeprefix("models/").partition(";")[0]
        if named != base.removeprefix("models/"):
            raise InvalidRequest(f"* {place}.model: model must match the model in the batch request, models/{base}\n")
        out.append(_embedding(exchange, each, place))
    return json_answer({"embeddings": out})


def _embedding(exchange: Exchange, request: Any, place: str) -> Json:
    fields = camels(request)
    content = fields.get("content")
    parts = [{"text": content}] if isinstance(content, str) else camels(content).get("parts") or []
    parts = parts if isinstance(parts, list) else [parts]
    words = "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
    if not words:
        raise InvalidRequest(f"* {place}.content: content is required and must have text\n")
    wanted = fields.get("outputDimensionality")
    if wanted is None:
        wanted = _DIMENSIONS
    if not isinstance(wanted, int) or not 1 <= wanted <= _MAX_DIMENSIONS:
        raise InvalidRequest(
            f"* {place}.output_dimensionality: must be in the range [1, {_MAX_DIMENSIONS}], but was {wanted}\n"
        )
    return {"values": openai_embeddings.vector(words, wanted, exchange.settings.seed).tolist()}
