"""/v1/batches: create, list, get, cancel. A batch stays `validating` until it is cancelled: nothing is run."""

from __future__ import annotations

from urllib.parse import parse_qs

from switchgear.errors import InvalidRequest, NotFound
from switchgear.simulator.answer import Answer, json_answer
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.openai_files import page
from switchgear.simulator.validation import not_among, require

_ENDPOINTS = ("/v1/responses", "/v1/chat/completions", "/v1/embeddings", "/v1/completions", "/v1/moderations")
_STAMPS = (
    "in_progress_at",
    "finalizing_at",
    "completed_at",
    "failed_at",
    "expired_at",
    "cancelling_at",
    "cancelled_at",
)
_DAY_S = 86400


def create(exchange: Exchange) -> Answer:
    """Raises `InvalidRequest`."""
    body = exchange.json
    file_id, endpoint, window = (require(body, name) for name in ("input_file_id", "endpoint", "completion_window"))
    if endpoint not in _ENDPOINTS:
        raise not_among("endpoint", endpoint, _ENDPOINTS)
    if window != "24h":
        raise InvalidRequest(
            f"Invalid value: '{window}'. Value must be '24h'.", param="completion_window", code="invalid_value"
        )
    if exchange.store.files.get(str(file_id)) is None:
        raise InvalidRequest(
            f"Invalid 'input_file_id': no such file: {file_id}.", param="input_file_id", code="file_not_found"
        )
    batch: Json = {
        "id": exchange.id("batch_"),
        "object": "batch",
        "endpoint": endpoint,
        "model": None,
        "errors": None,
        "input_file_id": file_id,
        "completion_window": window,
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": exchange.now,
        "expires_at": exchange.now + _DAY_S,
        **dict.fromkeys(_STAMPS),
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "metadata": body.get("metadata"),
    }
    exchange.store.batches.put(batch["id"], batch)
    return json_answer(batch)


def listing(exchange: Exchange) -> Answer:
    """Newest first."""
    return json_answer(page(exchange.store.batches.newest_first(), parse_qs(exchange.head.query)))


def retrieve(exchange: Exchange) -> Answer:
    """Raises `NotFound`."""
    return json_answer(_stored(exchange))


def cancel(exchange: Exchange) -> Answer:
    """Raises `NotFound`."""
    batch = _stored(exchange)
    if batch["status"] == "validating":
        batch = {**batch, "status": "cancelled", "cancelling_at": exchange.now, "cancelled_at": exchange.now}
        exchange.store.batches.put(batch["id"], batch)
    return json_answer(batch)


def _stored(exchange: Exchange) -> Json:
    found = exchange.store.batches.get(exchange.path_id)
    if found is None:
        raise NotFound(f"No batch found with id '{exchange.path_id}'.", code="not_found")
    return found
