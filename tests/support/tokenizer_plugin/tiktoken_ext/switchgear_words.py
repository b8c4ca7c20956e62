"""A plugin of tiktoken (its README, "Extending tiktoken"): an encoding of bytes and two words, and its model."""

from __future__ import annotations

from typing import Any

from tiktoken.model import MODEL_TO_ENCODING

MODEL_TO_ENCODING["words-1"] = "words"


def words() -> dict[str, Any]:
    ranks = {bytes([byte]): byte for byte in range(256)}
    for text in (b"he", b"ll", b"hell", b"hello", b" w", b"or", b" wor", b" worl", b" world"):
        ranks[text] = len(ranks)
    return {
        "name": "words",
        "pat_str": r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+",
        "mergeable_ranks": ranks,
        "special_tokens": {"<|end|>": 1000},
    }


def lost() -> dict[str, Any]:
    raise OSError("no such host\nand more")


ENCODING_CONSTRUCTORS = {"words": words, "lost": lost}
