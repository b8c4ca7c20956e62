"""GET /v1/models and /v1/models/{id} in Anthropic's shape: pages by `limit`, `after_id` and `before_id`."""

from __future__ import annotations

from urllib.parse import parse_qs

from switchgear.errors import InvalidRequest, NotFound
from switchgear.simulator.answer import Answer, json_answer
from switchgear.simulator.exchange import Exchange, Json

_CREATED = "2025-01-01T00:00:00Z"
_MAX_LIMIT = 1000


def _model(name: str) -> Json:
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": _CREATED,
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "capabilities": None,
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }


def listing(exchange: Exchange) -> Answer:
    """A page of the models. Raises `InvalidRequest`."""
    query = {name: values[0] for name, values in parse_qs(exchange.head.query).items()}
    names = list(exchange.settings.listed_models)
    limit = query.get("limit", "20")
    if not limit.isdigit() or not 1 <= int(limit) <= _MAX_LIMIT:
        raise InvalidRequest(f"limit: Input should be between 1 and {_MAX_LIMIT}")
    if query.get("after_id") in names:
        names = names[names.index(query["after_id"]) + 1 :]
    elif query.get("before_id") in names:
        names = names[: names.index(query["before_id"])][-int(limit) :]
    page = names[: int(limit)]
    return json_answer(
        {
            "data": [_model(name) for name in page],
            "has_more": len(names) > len(page),
            "first_id": page[0] if page else None,
            "last_id": page[-1] if page else None,
        }
    )


def retrieve(exchange: Exchange) -> Answer:
    """One model. Raises `NotFound`."""
    if not exchange.has_model(exchange.path_id):
        raise NotFound(f"model: {exchange.path_id}")
    return json_answer(_model(exchange.path_id))
