"""POST /v1/moderations: flags inputs that contain the word `flagged`, so that both answers can be had."""

from __future__ import annotations

from typing import Any

from switchgear.simulator.answer import Answer, json_answer
from switchgear.simulator.exchange import Exchange, Json, text_of
from switchgear.simulator.validation import empty_array, require, wrong_type

_CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "sexual",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm/intent",
    "self-harm/instructions",
    "self-harm",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
_WITH_IMAGES = frozenset(
    ("sexual", "self-harm/intent", "self-harm/instructions", "self-harm", "violence", "violence/graphic")
)


def answer(exchange: Exchange) -> Answer:
    """Raises `InvalidRequest`, `NotFound`."""
    model = exchange.require_model(default="omni-moderation-latest")
    results = [_result(words, kinds) for words, kinds in _inputs(require(exchange.json, "input"))]
    return json_answer({"id": exchange.id("modr-"), "model": model, "results": results})


def _inputs(given: Any) -> list[tuple[str, list[str]]]:
    """(text, input types), one entry per result: a string, each string of a list, or one list of parts."""
    if isinstance(given, str):
        return [(given, ["text"])]
    if not isinstance(given, list):
        raise wrong_type("input", "one of a string or array of strings or parts", given)
    if not given:
        raise empty_array("input")
    if all(isinstance(item, str) for item in given):
        return [(item, ["text"]) for item in given]
    if not all(isinstance(item, dict) for item in given):
        raise wrong_type("input", "one of a string or array of strings or parts", given)
    kinds = {"image" if part.get("type") == "image_url" else "text" for part in given}
    return [(text_of(given), sorted(kinds, reverse=True))]


def _result(words: str, kinds: list[str]) -> Json:
    flagged = "flagged" in words.lower()
    return {
        "flagged": flagged,
        "categories": {name: flagged and name == "violence" for name in _CATEGORIES},
        "category_scores": {name: 0.98 if flagged and name == "violence" else 0.0001 for name in _CATEGORIES},
        "category_applied_input_types": {
            name: [kind for kind in kinds if kind == "text" or name in _WITH_IMAGES] for name in _CATEGORIES
        },
    }
