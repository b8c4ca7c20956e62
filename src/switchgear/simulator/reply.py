"""What an answer says, before a wire format writes it: reasoning, text or calls, and why it ends."""

from __future__ import annotations

from typing import Any

import orjson

from switchgear.simulator import text, tools
from switchgear.simulator.exchange import Exchange
from switchgear.simulator.schema_instance import instance

_REASONING_CHOICE = 1000  # other words than those of the answer
_DEFAULT_REASONING = 8
REFUSAL = "I cannot help with that."


class Reply:
    """One candidate.

    reasoning, pieces: tokens, in order. calls: the tools it calls, instead of text. finish: stop, length, stop_sequence
    (then `stop_sequence` is the one that matched), calls, refusal.
    """

    __slots__ = ("calls", "finish", "pieces", "reasoning", "stop_sequence")

    def __init__(self, reasoning: list[str]):
        self.reasoning = reasoning
        self.pieces: list[str] = []
        self.calls: list[tools.Call] = []
        self.finish = "stop"
        self.stop_sequence: str | None = None

    @property
    def tokens(self) -> int:
        """Length in tokens, without the reasoning."""
        return len(self.pieces) + sum(text.count_tokens(call.name + call.arguments) for call in self.calls)

    @property
    def words(self) -> str:
        """The text."""
        return "".join(self.pieces)


def reasoning_tokens(exchange: Exchange, asked: bool) -> int:
    """How many tokens of reasoning go before the answer: as the behaviour says, else some when it was `asked` for."""
    wanted = exchange.behaviour.reasoning
    return wanted if wanted is not None else _DEFAULT_REASONING if asked else 0


def reasoning(exchange: Exchange, count: int, choice: int = 0) -> list[str]:
    """`count` tokens of reasoning."""
    return text.tokens(count, exchange.settings.seed, _REASONING_CHOICE + choice)


def reply(
    exchange: Exchange,
    *,
    calls: list[tools.Call],
    schema: Any = None,
    limit: int | None = None,
    stops: list[str] | None = None,
    thinks: bool = False,
    choice: int = 0,
) -> Reply:
    """Candidate number `choice`.

    schema: a JSON Schema that the text must be valid for; None for prose. limit: tokens in all, reasoning included.
    stops: the text ends before the first of these. thinks: whether reasoning was asked for.
    """
    wanted = reasoning_tokens(exchange, thinks)
    count, finish = text.answer_length(wanted, limit)
    out = Reply(reasoning(exchange, count, choice))
    if finish == "length":
        out.finish = finish
        return out
    rest = None if limit is None else limit - count
    if exchange.behaviour.refusal:
        out.pieces, out.finish = text.pieces(REFUSAL, 6), "refusal"
    elif calls:
        out.calls, out.finish = calls, "calls"
    else:
        _write(out, exchange, schema, rest, choice)
        out.pieces, out.stop_sequence = cut(out.pieces, stops or [])
        out.finish = out.finish if out.stop_sequence is None else "stop_sequence"
    return out


def _write(out: Reply, exchange: Exchange, schema: Any, limit: int | None, choice: int) -> None:
    if schema is not None:
        pieces = text.pieces(orjson.dumps(instance(schema)).decode())
        count, out.finish = text.answer_length(len(pieces), limit)
        out.pieces = pieces[:count]
        return
    count, out.finish = text.answer_length(exchange.behaviour.tokens, limit)
    out.pieces = text.tokens(count, exchange.settings.seed, choice, exchange.behaviour.giant_event)


def cut(pieces: list[str], stops: list[str]) -> tuple[list[str], str | None]:
    """(what stands before the first of `stops`, that one); all and None when none is found."""
    words = "".join(pieces)
    found = [(place, stop) for stop in stops if stop and (place := words.find(stop)) >= 0]
    if not found:
        return pieces, None
    place, matched = min(found)
    kept: list[str] = []
    for piece in pieces:
        if place <= 0:
            break
        kept.append(piece[:place])
        place -= len(piece)
    return kept, matched
