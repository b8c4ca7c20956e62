"""Ollama's GET /api/tags, /api/ps and /api/version, and POST /api/show."""

from __future__ import annotations

import hashlib

from switchgear.simulator import ollama_request
from switchgear.simulator.answer import Answer, json_answer
from switchgear.simulator.exchange import Exchange, Json

_MODIFIED = "2025-01-01T00:00:00Z"
_EXPIRES = "2318-01-01T00:00:00Z"
_SIZE_BYTES = 2_019_393_189


def _details() -> Json:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": "simulator",
        "families": ["simulator"],
        "parameter_size": "1B",
        "quantization_level": "Q4_K_M",
    }


def _model(name: str) -> Json:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return {"name": name, "model": name, "size": _SIZE_BYTES, "digest": digest, "details": _details()}


def tags(exchange: Exchange) -> Answer:
    """All models."""
    models = [{**_model(name), "modified_at": _MODIFIED} for name in exchange.settings.listed_models]
    return json_answer({"models": models})


def running(exchange: Exchange) -> Answer:
    """The models in memory: all."""
    models = [
        {**_model(name), "expires_at": _EXPIRES, "size_vram": _SIZE_BYTES, "context_length": 4096}
        for name in exchange.settings.listed_models
    ]
    return json_answer({"models": models})


def show(exchange: Exchange) -> Answer:
    """One model. Raises `InvalidRequest`, `NotFound`."""
    name = ollama_request.require_model(exchange)
    return json_answer(
        {
            "modelfile": f"FROM {name}\n",
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": _details(),
            "model_info": {"general.architecture": "simulator", "simulator.context_length": 4096},
            "capabilities": ["completion", "tools", "thinking", "vision", "embedding"],
            "modified_at": _MODIFIED,
        }
    )


def version(exchange: Exchange) -> Answer:
    """The version that is simulated."""
    return json_answer({"version": "0.12.0"})
