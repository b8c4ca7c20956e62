"""GET /v1/models and /v1/models/{id}, with slashes in the id encoded or not."""

from __future__ import annotations

from switchgear.simulator.answer import Answer, json_answer
from switchgear.simulator.exchange import Exchange, Json

_CREATED = 1735689600  # 2025-01-01


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "switchgear-simulator"}


def listing(exchange: Exchange) -> Answer:
    """All models."""
    return json_answer({"object": "list", "data": [_model(name) for name in exchange.settings.listed_models]})


def retrieve(exchange: Exchange) -> Answer:
    """One model. Raises `NotFound`."""
    exchange.check_model(exchange.path_id)
    return json_answer(_model(exchange.path_id))


def delete(exchange: Exchange) -> Answer:
    """As OpenAI answers for a fine-tuned model; nothing is removed. Raises `NotFound`."""
    exchange.check_model(exchange.path_id)
    return json_answer({"id": exchange.path_id, "object": "model", "deleted": True})
