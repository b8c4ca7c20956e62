"""Ollama's POST /api/embed, and the older /api/embeddings: the vectors of `openai_embeddings`."""

from __future__ import annotations

from switchgear.errors import InvalidRequest
from switchgear.simulator import ollama_request, openai_embeddings, text
from switchgear.simulator.answer import Answer, json_answer
from switchgear.simulator.exchange import Exchange

_DIMENSIONS = 768
_MAX_DIMENSIONS = 4096


def embed(exchange: Exchange) -> Answer:
    """A vector for each input. Raises `InvalidRequest`, `NotFound`."""
    body = exchange.json
    model = ollama_request.require_model(exchange)
    given = body.get("input")
    inputs = [given] if isinstance(given, str) else given
    if inputs is None or inputs == [""]:
        inputs = []
    if not isinstance(inputs, list) or not all(isinstance(each, str) for each in inputs):
        raise InvalidRequest("invalid input type")
    dimensions = body.get("dimensions") or _DIMENSIONS
    if not isinstance(dimensions, int) or not 1 <= dimensions <= _MAX_DIMENSIONS:
        raise InvalidRequest("invalid dimensions")
    vectors = [openai_embeddings.vector(each, dimensions, exchange.settings.seed).tolist() for each in inputs]
    tokens = sum(max(1, text.count_tokens(each)) for each in inputs)
    durations = {"total_duration": 2_000_000, "load_duration": 1_000_000, "prompt_eval_count": tokens}
    return json_answer({"model": model, "embeddings": vectors, **durations})


def one(exchange: Exchange) -> Answer:
    """The vector of `prompt`. Raises `InvalidRequest`, `NotFound`."""
    ollama_request.require_model(exchange)
    prompt = exchange.json.get("prompt") or ""
    if not isinstance(prompt, str):
        raise InvalidRequest("json: cannot unmarshal into Go struct field EmbeddingRequest.prompt of type string")
    values = openai_embeddings.vector(prompt, _DIMENSIONS, exchange.settings.seed).tolist() if prompt else []
    return json_answer({"embedding": values})
