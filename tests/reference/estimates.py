"""What `switchgear.hotpath._estimate.Estimates` does, said plainly: the oracle of its differential tests."""

from __future__ import annotations

import re
from collections import OrderedDict

from msgspec import Struct

from tests.reference.estimate import estimate_tokens

MAX_FAMILIES = 512
LEARNT_AFTER = 20
"""Answers of a family before it is believed what they teach."""
FIRST_UPPER = 1.3
FIRST_OUTPUT = 4096
HALF_LIFE = 2000
_SMOOTH = 1 / 8
_SMOOTH_DEVIATION = 1 / 4
_DEVIATIONS = 3.0
_FORGET = 0.5 ** (1 / HALF_LIFE)
_HEADROOM = 1.25
_RATIOS = (0.1, 10.0)  # outside it is no ratio of a tokenizer, but an image, a cache, a fault
_DATE = re.compile(r"[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{4}|latest)$")


class _Family(Struct):
    """error: mean of |expected - reported| / reported."""

    ratio: float = 1.0
    deviation: float = 0.0
    error: float = 0.0
    prompts: int = 0
    output: float = 0.0
    answers: int = 0


class Estimates:
    """One worker's. Bounded: the families used longest ago are forgotten."""

    def __init__(self, max_families: int = MAX_FAMILIES):
        self._max = max_families
        self._families: OrderedDict[str, _Family] = OrderedDict()

    def prompt(self, model: str, body: bytes) -> tuple[int, int]:
        """(raw, upper): the estimate before calibration, for `observe`, and what a hard limit should reserve."""
        raw = estimate_tokens(body)
        return raw, self.upper(model, raw)

    def upper(self, model: str, raw: int) -> int:
        """Tokens that `raw` estimated ones will hardly exceed."""
        family = self._families.get(family_of(model))
        if family is None or family.prompts < LEARNT_AFTER:
            return int(raw * FIRST_UPPER) + 1
        return int(raw * (family.ratio + _DEVIATIONS * family.deviation)) + 1

    def expected(self, model: str, raw: int) -> int:
        """Tokens that `raw` estimated ones will be on average: for a usage that nobody reported."""
        family = self._families.get(family_of(model))
        return round(raw * family.ratio) if family is not None else raw

    def output(self, model: str, max_tokens: int, n: int = 1) -> int:
        """Output tokens to reserve. max_tokens: what the request allows, -1 where it says nothing. n: choices."""
        if max_tokens >= 0:
            return max_tokens * max(1, n)
        family = self._families.get(family_of(model))
        if family is None or family.answers < LEARNT_AFTER:
            return FIRST_OUTPUT * max(1, n)
        return (int(family.output * _HEADROOM) + 1) * max(1, n)

    def observe(self, model: str, raw: int, input_tokens: int, output_tokens: int, n: int = 1) -> None:
        """Learn from a usage that an upstream reported; never from an estimated one."""
        family = self._family(family_of(model))
        if raw > 0 and _RATIOS[0] <= input_tokens / raw <= _RATIOS[1]:
            self._learn_ratio(family, raw, input_tokens)
        if output_tokens > 0:
            family.answers += 1
            family.output = max(family.output * _FORGET, output_tokens / max(1, n))

    def errors(self) -> dict[str, float]:
        """Mean relative error of the expected prompt tokens, per family."""
        return {name: family.error for name, family in self._families.items() if family.prompts}

    def _learn_ratio(self, family: _Family, raw: int, reported: int) -> None:
        ratio = reported / raw
        error = abs(raw * family.ratio - reported) / reported
        if family.prompts == 0:
            family.ratio, family.deviation, family.error = ratio, ratio / 2, error
        else:
            family.deviation += (abs(ratio - family.ratio) - family.deviation) * _SMOOTH_DEVIATION
            family.ratio += (ratio - family.ratio) * _SMOOTH
            family.error += (error - family.error) * _SMOOTH
        family.prompts += 1

    def _family(self, name: str) -> _Family:
        found = self._families.get(name)
        if found is None:
            found = self._families[name] = _Family()
            if len(self._families) > self._max:
                self._families.popitem(last=False)
        else:
            self._families.move_to_end(name)
        return found


def family_of(model: str) -> str:
    """`gpt-4.1` of `openai/gpt-4.1-2025-04-14`."""
    return _DATE.sub("", model.rpartition("/")[2])
