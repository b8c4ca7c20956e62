"""POST /v1/embeddings: deterministic unit vectors derived from the input.

A vector is four segments, each one of eight prepared ones, rotated; a hash of the input chooses which and how far:
as many different vectors as anyone needs, of length exactly one, at the price of slicing.
"""

from __future__ import annotations

import base64
import hashlib
import math
import random
import sys
from array import array
from functools import lru_cache
from typing import Any

from switchgear.simulator.answer import Answer, json_answer
from switchgear.simulator.exchange import Exchange
from switchgear.simulator.text import count_tokens
from switchgear.simulator.validation import Rule, check, empty_array, not_among, require, wrong_type

_MAX_INPUTS = 2048
_MAX_DIMENSIONS = 4096
_DIMENSIONS = {"text-embedding-3-large": 3072}
_BASES = 8
_RULES = {
    "dimensions": Rule("an integer", 1, _MAX_DIMENSIONS),
    "encoding_format": Rule("a string"),
    "user": Rule("a string"),
}

Text = str | list[int]


def answer(exchange: Exchange) -> Answer:
    """Raises `InvalidRequest`, `NotFound`."""
    body = exchange.json
    model = exchange.require_model()
    inputs = inputs_of(require(body, "input"))
    check(body, _RULES)
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise not_among("encoding_format", encoding, ("float", "base64"))
    dimensions = body.get("dimensions") or _DIMENSIONS.get(exchange.base_model, 1536)
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _encoded(vector(each, dimensions, exchange.settings.seed), encoding),
        }
        for index, each in enumerate(inputs)
    ]
    tokens = sum(max(1, count_tokens(each)) if isinstance(each, str) else len(each) for each in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json_answer({"object": "list", "data": data, "model": model, "usage": usage})


def inputs_of(given: Any) -> list[Text]:
    """The texts or token arrays to embed. Raises `InvalidRequest`."""
    if isinstance(given, str):
        if not given:
            raise wrong_type("input", "a string with minimum length 1", given)
        return [given]
    if not isinstance(given, list):
        raise wrong_type("input", "one of a string, an array of strings or an array of tokens", given)
    if not given:
        raise empty_array("input")
    if all(type(item) is int for item in given):
        return [given]
    if len(given) > _MAX_INPUTS:
        raise wrong_type("input", f"an array with maximum length {_MAX_INPUTS}", given)
    for index, item in enumerate(given):
        tokens = isinstance(item, list) and item and all(type(each) is int for each in item)
        if not tokens and not (isinstance(item, str) and item):
            raise wrong_type(f"input[{index}]", "a string or an array of tokens, not empty", item)
    return given


def _encoded(values: array[float], encoding: str) -> str | list[float]:
    if encoding == "float":
        return values.tolist()
    if sys.byteorder == "big":
        values = array("f", values)
        values.byteswap()
    return base64.b64encode(values.tobytes()).decode("ascii")


def vector(text: Text, dimensions: int, seed: int = 0) -> array[float]:
    """The embedding: `dimensions` 32-bit floats of Euclidean length 1."""
    source = text if isinstance(text, str) else ",".join(map(str, text))
    digest = hashlib.blake2b(source.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    out = array("f")
    for number, (length, bases) in enumerate(_segments(dimensions, seed)):
        choice = int.from_bytes(digest[4 * number : 4 * number + 4], "little")
        start = (choice // _BASES) % length
        out.extend(bases[choice % _BASES][start : start + length])
    return out


@lru_cache(maxsize=16)
def _segments(dimensions: int, seed: int) -> tuple[tuple[int, tuple[array[float], ...]], ...]:
    """(length, bases), each base written twice in a row so that a rotation is a slice."""
    count = 4 if dimensions >= 4 else 1
    lengths = [dimensions // count] * (count - 1)
    lengths.append(dimensions - sum(lengths))
    rng = random.Random(seed)  # noqa: S311 - reproducible vectors, not a secret
    return tuple((length, tuple(_base(length, count, rng) for _ in range(_BASES))) for length in lengths)


def _base(length: int, segments: int, rng: random.Random) -> array[float]:
    values = [rng.gauss(0, 1) for _ in range(length)]
    scale = math.sqrt(sum(value * value for value in values) * segments)
    return array("f", [value / scale for value in values] * 2)
