"""Generated text: deterministic, one word a token, about four characters each.

The words follow from the seed and the number of the choice, not from the prompt, so that answers can be kept.
"""

from __future__ import annotations

import random
from functools import lru_cache

import orjson

_WORDS = [
    "the",
    "grid",
    "is",
    "up",
    "and",
    "load",
    "flows",
    "from",
    "bus",
    "to",
    "bus",
    "so",
    "each",
    "line",
    "that",
    "can",
    "carry",
    "it",
    "does",
    "no",
    "relay",
    "has",
    "to",
    "trip",
    "while",
    "this",
    "one",
    "holds",
    "a",
    "ring",
    "of",
    "four",
    "feeds",
    "two",
    "more",
    "an",
    "arc",
    "dies",
    "when",
    "the",
    "gap",
    "is",
    "wide",
    "then",
    "we",
    "test",
    "it",
    "once",
    "more",
    "all",
    "day",
]


@lru_cache(maxsize=64)
def words(seed: int, choice: int) -> tuple[str, ...]:
    """A sentence of 61 words that repeats; token i of an answer is word i modulo 61."""
    shuffled = random.Random(seed * 131 + choice)  # noqa: S311 - reproducible text, not a secret
    return tuple(shuffled.choice(_WORDS) for _ in range(61))


def token(seed: int, choice: int, index: int) -> str:
    """Token `index` of an answer, with the space before it where there is one."""
    sentence = words(seed, choice)
    word = sentence[index % len(sentence)]
    return word.capitalize() if index == 0 else f" {word}"


def tokens(count: int, seed: int = 0, choice: int = 0, giant: int | None = None) -> list[str]:
    """An answer of `count` tokens; the first is `giant` bytes long if that is given."""
    out = [token(seed, choice, index) for index in range(count)]
    if giant is not None and out:
        out[0] = "x" * giant
    return out


@lru_cache(maxsize=256)
def sentence(count: int, seed: int = 0, choice: int = 0) -> str:
    """An answer of `count` tokens as one string."""
    return "".join(tokens(count, seed, choice))


@lru_cache(maxsize=256)
def sentence_json(count: int, seed: int = 0) -> bytes:
    """The first choice's answer as a JSON string."""
    return orjson.dumps(sentence(count, seed))


def pieces(text: str, count: int = 4) -> list[str]:
    """`text` cut into pieces of `count` characters, as a model would stream JSON."""
    return [text[start : start + count] for start in range(0, len(text), count)]


def count_tokens(text: str) -> int:
    """About what a tokeniser would count: a quarter of the characters, rounded up."""
    return (len(text) + 3) // 4


def answer_length(wanted: int, limit: int | None) -> tuple[int, str]:
    """(tokens, finish_reason) of an answer that would have `wanted` tokens and may have `limit`."""
    if limit is not None and limit < wanted:
        return limit, "length"
    return wanted, "stop"
