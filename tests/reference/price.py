"""What `switchgear.hotpath._price` does, said plainly: the oracle of its differential tests."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor

from switchgear.types import Usage


class PriceTable:
    def __init__(self, tables: dict[str, Sequence[tuple[int, ...]]], image: int = 0, request: int = 0):
        self.tables, self.image, self.request = tables, image, request

    def cost(self, usage: Usage) -> int:
        counts = {name: max(getattr(usage, name), 0) for name in usage.__struct_fields__ if name.endswith("_tokens")}
        rows = self.tables.get(usage.service_tier, self.tables[""])
        fitting = [row for row in rows if counts["input_tokens"] > row[0]] or rows[:1]
        products = zip(classes(counts), fitting[-1][1:], strict=True)
        total = sum(count * rate for count, rate in products) + max(usage.images, 0) * self.image + self.request
        return floor(Fraction(total, 1000) + Fraction(1, 2))

    def upper(self, input_tokens: int, output_tokens: int, images: int = 0) -> int:
        every = [row for rows in self.tables.values() for row in rows]
        reached = [row for row in every if input_tokens > row[0]] or [row for row in every if row[0] == min(every)[0]]
        given, made = max(max(row[1:8]) for row in reached), max(max(row[8:]) for row in reached)
        total = max(input_tokens, 0) * given + max(output_tokens, 0) * made + max(images, 0) * self.image
        return ceil(Fraction(total + self.request, 1000))


def classes(counts: dict[str, int]) -> list[int]:
    """Each token once, in the order of `accounting.rates.CLASSES`."""
    both, hour = counts["cached_audio_tokens"], counts["cache_write_1h_tokens"]
    cached = max(counts["cached_tokens"] - both, 0)
    audio = max(counts["input_audio_tokens"] - both, 0)
    written = max(counts["cache_write_tokens"] - hour, 0)
    image = counts["input_image_tokens"]
    parts = any(
        counts[name] for name in ("cached_tokens", "cache_write_tokens", "input_audio_tokens", "input_image_tokens")
    )
    if not parts:
        cached = audio = written = image = both = hour = 0
    text = counts["input_tokens"] - cached - audio - both - hour - written - image
    overlap = min(max(-text, 0), cached, audio)
    made = [counts[name] for name in ("reasoning_tokens", "output_audio_tokens", "output_image_tokens")]
    return [
        max(text + overlap, 0),
        cached - overlap,
        written,
        hour,
        audio - overlap,
        both + overlap,
        image,
        max(counts["output_tokens"] - sum(made), 0),
        *made,
    ]
