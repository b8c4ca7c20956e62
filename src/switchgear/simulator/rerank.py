"""POST /v1/rerank in the shape Cohere and Jina share: documents by how many of the query's words they hold."""

from __future__ import annotations

import re
from typing import Any

from switchgear.simulator.answer import Answer, json_answer
from switchgear.simulator.exchange import Exchange, Json
from switchgear.simulator.text import count_tokens
from switchgear.simulator.validation import Rule, check, empty_array, require, wrong_type

_WORD = re.compile(r"\w+")
_RULES = {"top_n": Rule("an integer", 1), "return_documents": Rule("a boolean"), "query": Rule("a string")}


def answer(exchange: Exchange) -> Answer:
    """Raises `InvalidRequest`, `NotFound`."""
    body = exchange.json
    model = exchange.require_model()
    query = require(body, "query")
    documents = _documents(require(body, "documents"))
    check(body, _RULES)
    scored = sorted(((-_score(query, text), index) for index, text in enumerate(documents)))
    results: list[Json] = []
    for score, index in scored[: body.get("top_n")]:
        result: Json = {"index": index, "relevance_score": -score}
        if body.get("return_documents", True):
            result["document"] = {"text": documents[index]}
        results.append(result)
    tokens = count_tokens(query) + sum(map(count_tokens, documents))
    return json_answer(
        {
            "id": exchange.id("rerank-"),
            "model": model,
            "results": results,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            "meta": {"billed_units": {"search_units": 1}},
        }
    )


def _documents(given: Any) -> list[str]:
    if not isinstance(given, list):
        raise wrong_type("documents", "an array of strings or objects", given)
    if not given:
        raise empty_array("documents")
    texts: list[Any] = [item.get("text") if isinstance(item, dict) else item for item in given]
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise wrong_type(f"documents[{index}]", "a string or an object with text", given[index])
    return texts


def _score(query: str, document: str) -> float:
    wanted, held = set(_WORD.findall(query.lower())), set(_WORD.findall(document.lower()))
    return round((len(wanted & held) + 0.01) / (len(wanted) + 0.02), 6)
