"""Reasoning in POST /v1/responses: the item, its events, and the check of one that comes back.

There is one when the request's `reasoning` names an effort other than none, or the behaviour says so. Its text shows
only as a summary that was asked for; `include: ["reasoning.encrypted_content"]` adds what carries it to a later turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from switchgear.errors import InvalidRequest
from switchgear.simulator import signatures
from switchgear.simulator.exchange import Exchange, Json

_PURPOSE = "openai reasoning"
_PREFIX = "gAAAA"
_INCLUDE = "reasoning.encrypted_content"


def asked(body: Json) -> bool:
    """Whether the request asks for reasoning."""
    return (body.get("reasoning") or {}).get("effort") not in (None, "none")


def item(exchange: Exchange, pieces: list[str]) -> Json:
    """The output item. pieces: tokens of reasoning."""
    body = exchange.json
    settings = body.get("reasoning") or {}
    shown = settings.get("summary") or settings.get("generate_summary")
    out: Json = {
        "id": exchange.id("rs_"),
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "".join(pieces)}] if shown else [],
    }
    if _INCLUDE in (body.get("include") or []):
        out["encrypted_content"] = _PREFIX + signatures.issue(_PURPOSE, "", exchange.number)
    return out


def check(items: list[Json]) -> None:
    """Refuse encrypted reasoning that was not issued here. Raises `InvalidRequest`."""
    for given in items:
        content = given.get("encrypted_content") if given.get("type") == "reasoning" else None
        if content is not None and not _valid(content):
            raise InvalidRequest(
                f"The encrypted content {str(content)[:8]}... could not be verified. Reason: Encrypted content could "
                "not be decrypted or parsed.",
                code="invalid_encrypted_content",
            )


def _valid(content: Any) -> bool:
    if not isinstance(content, str) or not content.startswith(_PREFIX):
        return False
    return signatures.valid(content.removeprefix(_PREFIX), _PURPOSE, "")


def added(index: int, item: Json) -> Json:
    """The event that opens an output item."""
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def events(index: int, item: Json) -> Iterator[tuple[bool, Json]]:
    """(whether a gap goes before it, event without its number)."""
    yield False, added(index, {**item, "summary": []})
    for part in item["summary"]:
        place = {"item_id": item["id"], "output_index": index, "summary_index": 0}
        yield False, {"type": "response.reasoning_summary_part.added", **place, "part": {**part, "text": ""}}
        for number, piece in enumerate(_words(part["text"])):
            yield number > 0, {"type": "response.reasoning_summary_text.delta", **place, "delta": piece}
        yield False, {"type": "response.reasoning_summary_text.done", **place, "text": part["text"]}
        yield False, {"type": "response.reasoning_summary_part.done", **place, "part": part}
    yield False, {"type": "response.output_item.done", "output_index": index, "item": item}


def _words(text: str) -> Iterator[str]:
    """The text as its tokens again."""
    first, *rest = text.split(" ")
    yield first
    for word in rest:
        yield f" {word}"
