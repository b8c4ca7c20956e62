"""What a client of each dialect must end up with for a recorded exchange: from EXPECTED.jsonl and the recording itself.

EXPECTED.jsonl speaks of text, reasoning, refusal, calls, finish reason and usage as the provider sent them. The tables
of TRANSLATION §11 and §12 turn its words into each dialect's, here once more and on their own: nothing of
`switchgear` is used. Citations, and the reasoning of Responses, are looked up in the recording.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.conformance.dialect_views import View

# §11: the provider's word → chat's. What is not here is chat's own word already.
_WORDS = {"eos": "stop", "function_call": "tool_calls", "end_turn": "stop", "": "stop"}
# §11: chat's word → the other dialects'.
FINISH = {
    "chat": {},
    "responses": {
        "stop": "completed",
        "tool_calls": "completed",
        "length": "max_output_tokens",
        "content_filter": "content_filter",
    },
    "anthropic": {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"},
    "gemini": {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"},
}


def neutral(expected: View, recorded: str, wire: str) -> View:
    """The expected view in chat's words, all choices."""
    choices = expected.get("choices")
    if choices is None:  # Responses
        word = {None: "stop", "max_output_tokens": "length"}.get(expected["incomplete"], expected["incomplete"])
        choices = [expected | {"reasoning": thought_in(recorded), "provider_finish": word}]
    found = []
    for choice in choices:
        word = choice.get("finish_reason") or choice["provider_finish"] or ""
        finish = _WORDS.get(word, word)
        found.append(
            {
                "text": choice["text"] or "",
                "reasoning": choice["reasoning"] or "",
                "refusal": choice["refusal"] or "",
                "calls": [(call["name"], call["arguments"]) for call in choice["tool_calls"]],
                "finish": "tool_calls" if choice["tool_calls"] and finish == "stop" else finish,
            }
        )
    return {"choices": found, "citations": cited_in(recorded, wire), "usage": _usage(expected["usage"])}


def _usage(usage: View | None) -> tuple[int, ...] | None:
    if not usage or all(count is None for count in usage.values()):
        return None
    given = usage.get("prompt_tokens", usage.get("input_tokens"))
    made = usage.get("completion_tokens", usage.get("output_tokens"))
    return given, made, usage["total_tokens"], usage["cached_tokens"] or 0, usage["reasoning_tokens"] or 0  # type: ignore[return-value]  # JSON


def in_words_of(client: str, view: View) -> View:
    """A neutral view as a client's dialect can say it, by the general rules of §6, §11, §12, §14.2 and §15.2."""
    words, one = FINISH[client], client in ("responses", "anthropic")
    choices = []
    for choice in view["choices"][:1] if one else view["choices"]:
        choice = choice | {"finish": words.get(choice["finish"], choice["finish"])}
        if client in ("anthropic", "gemini") and choice["refusal"]:  # no place of its own there (§14.2)
            choice |= {"text": choice["text"] + choice["refusal"], "refusal": "", "finish": words["content_filter"]}
        choices.append(choice)
    usage = view["usage"]
    if usage is not None and client == "anthropic":  # it has no total: input and output make it
        usage = (*usage[:2], usage[0] + usage[1], *usage[3:])
    return view | {"choices": choices, "usage": usage}


# what EXPECTED.jsonl leaves out ---------------------------------------------------------------------------------------


def values(recorded: str) -> list[Any]:
    """The JSON values of a body: of each event of a stream, of each line, or the one of a whole answer."""
    try:
        whole = json.loads(recorded)
        return whole if isinstance(whole, list) else [whole]
    except ValueError:
        pass
    found = []
    for line in recorded.splitlines():
        text = line.removeprefix("data:").strip()
        if text[:1] == "{":
            found.append(json.loads(text))
    return found


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a value, whatever its depth."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner)


def cited_in(recorded: str, wire: str) -> list[str]:
    """URLs that the provider's answer cites, each once, sorted."""
    urls: set[str] = set()
    for one in objects(values(recorded)):
        if wire == "gemini":
            urls |= {ground["web"]["uri"] for ground in one.get("groundingChunks") or () if "web" in ground}
        elif wire == "anthropic":
            notes = [*(one.get("citations") or ()), one.get("citation")]
            urls |= {note["url"] for note in notes if isinstance(note, dict) and note.get("url")}
        elif one.get("type") == "url_citation":
            urls.add((one.get("url_citation") or one)["url"])
        elif isinstance(one.get("citations"), list):  # Perplexity's own list
            urls |= {url for url in one["citations"] if isinstance(url, str)}
    return sorted(urls)


def thought_in(recorded: str) -> str:
    """The reasoning of a response: the texts of its items, of which several are apart by an empty line."""
    response: Any = {}
    for event in values(recorded):
        if event.get("object") == "response" or event.get("type") in ("response.completed", "response.incomplete"):
            response = event.get("response", event)
    thought = ""
    for item in response.get("output") or ():
        if item["type"] == "reasoning":
            said = (item.get("content") or []) + (item.get("summary") or [])
            thought += "\n\n".join(part["text"] for part in said)
    return thought
