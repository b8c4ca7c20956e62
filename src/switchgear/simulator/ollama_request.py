"""What Ollama's endpoints share: the model, options, `format`, `think`, the figures at the end of an answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from switchgear.errors import InvalidRequest, NotFound
from switchgear.simulator.exchange import Exchange, Json

_MS = 1_000_000  # in nanoseconds


def require_model(exchange: Exchange) -> str:
    """The model's name as sent. Raises `InvalidRequest`, `NotFound`."""
    name = exchange.json.get("model") or exchange.json.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidRequest("model is required")
    base = (exchange.base_model or name).removesuffix(":latest")
    if not exchange.has_model(base) and not exchange.has_model(f"{base}:latest"):
        raise NotFound(f"model '{base}' not found")
    return name


def options(body: Json) -> tuple[int | None, list[str]]:
    """(limit in tokens, stop sequences). Raises `InvalidRequest`."""
    given = body.get("options") or {}
    if not isinstance(given, dict):
        raise InvalidRequest(
            "json: cannot unmarshal into Go struct field ChatRequest.options of type map[string]interface {}"
        )
    limit = given.get("num_predict")
    if limit is not None and not isinstance(limit, int | float):
        raise InvalidRequest('option "num_predict" must be of type integer')
    stops = given.get("stop") or []
    stops = [stops] if isinstance(stops, str) else stops
    if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
        raise InvalidRequest('option "stop" must be of type array')
    return (int(limit) if limit is not None and limit >= 0 else None), stops


def schema(body: Json) -> Any:
    """The JSON Schema that the text must be valid for, or None. Raises `InvalidRequest`."""
    wanted = body.get("format")
    if wanted in (None, ""):
        return None
    if wanted == "json":
        return {"const": {"answer": "simulated"}}
    if not isinstance(wanted, dict):
        raise InvalidRequest(f'invalid format: {wanted!r}; expected "json" or a valid JSON Schema object')
    return wanted


def thinks(body: Json) -> bool:
    """Whether the request asks for reasoning: true, or a level."""
    return bool(body.get("think"))


def created_at(exchange: Exchange) -> str:
    """The time of an answer, RFC 3339 with a fraction."""
    return datetime.fromtimestamp(exchange.now, UTC).strftime("%Y-%m-%dT%H:%M:%S.000001Z")


def figures(prompt: int, tokens: int) -> Json:
    """Durations are in nanoseconds."""
    return {
        "total_duration": (prompt + tokens + 1) * _MS,
        "load_duration": _MS,
        "prompt_eval_count": prompt,
        "prompt_eval_duration": prompt * _MS,
        "eval_count": tokens,
        "eval_duration": tokens * _MS,
    }
