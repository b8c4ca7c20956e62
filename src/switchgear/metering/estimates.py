"""How many tokens a request will use, before anybody has counted: what is reserved for it.

Input: bytes of the body by `BYTES_PER_TOKEN`, times a factor learnt per model from what upstreams counted: the largest
seen ratio, which fades slowly, with a margin. Output: what the request allows itself (`max_tokens`, times `n`), else
the longest answer of the model so far, which fades too, with a margin; before `ENOUGH` answers, `FIRST_OUTPUT`.

So a reservation is rarely too small, and what it was too large by comes back when the request ends. A request that sets
`max_tokens` cannot cost more than it reserved but for the error of the input; one that does not may be longer than any
before, and a stream then asks for more on its way (`Meter.extend`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from switchgear.types import RequestContext, Usage

BYTES_PER_TOKEN = 3.3  # of a chat in JSON, English, by the tokenizers of OpenAI; others need more, and are learnt
FIRST_FACTOR = 1.25
FIRST_OUTPUT = 4096
ENOUGH = 20
MARGIN = 1.25
FADE = 0.999
MAX_MODELS = 1024


class Family:
    """What is known of one model."""

    __slots__ = ("error", "factor", "output", "seen")

    def __init__(self) -> None:
        self.factor = FIRST_FACTOR
        self.output = 0.0
        self.seen = 0
        self.error = 0.0  # mean of |reserved - counted| / counted of the input

    def learn(self, reserved: int, usage: Usage) -> None:
        """reserved: input tokens, as `Estimates` gave them."""
        self.seen += 1
        counted = usage.input_tokens
        if reserved > 0 and counted > 0:
            needed = self.factor * counted / reserved * MARGIN
            self.factor = max(needed, self.factor * FADE, 0.05)
            weight = 1 / min(self.seen, 100)
            self.error += (abs(reserved - counted) / counted - self.error) * weight
        self.output = max(usage.output_tokens * MARGIN, self.output * FADE)


class Estimates:
    """Of one worker; kept over reloads. The models that ended longest ago are forgotten first."""

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}
        self._fresh = Family()

    def of(self, ctx: RequestContext) -> tuple[int, int]:
        """Input and output tokens to reserve for a request."""
        peeked = ctx.peeked
        if peeked is None or not isinstance(ctx.body, bytes):
            return 0, 0
        if not ctx.endpoint.generates:
            return self.of_body(ctx.model, ctx.body, 0, 1)
        return self.of_body(ctx.model, ctx.body, peeked.max_tokens, peeked.n)

    def of_body(self, model: str, body: bytes, max_tokens: int, n: int) -> tuple[int, int]:
        """The same by a JSON body. max_tokens: -1 where it says nothing."""
        family = self._families.get(model, self._fresh)
        size = len(body)
        if size > 4096 and b";base64," in body:
            size = _text_bytes(body)
        if max_tokens < 0:
            max_tokens = FIRST_OUTPUT if family.seen < ENOUGH else int(family.output) + 1
        return int(size / BYTES_PER_TOKEN * family.factor) + 1, min(max_tokens * n, 1 << 40)

    def learn(self, ctx: RequestContext, reserved: int, usage: Usage) -> None:
        """Hold against what the upstream counted."""
        if ctx.model and ctx.peeked is not None:
            self.learn_body(ctx.model, reserved, usage)

    def learn_body(self, model: str, reserved: int, usage: Usage) -> None:
        """reserved: input tokens."""
        family = self._families.pop(model, None)
        if family is None:
            if len(self._families) >= MAX_MODELS:
                self._families.pop(next(iter(self._families)))
            family = Family()
        self._families[model] = family
        family.learn(reserved, usage)

    def snapshot(self) -> dict[str, tuple[int, float, float, float]]:
        """By model: answers seen, factor, mean relative error of the input, output tokens to reserve."""
        return {name: (one.seen, one.factor, one.error, one.output) for name, one in self._families.items()}


INLINE_FILE_TOKENS = 2048
"""An inline image or file: no vendor bills an image of usual size at more (TRANSLATION §12 has none per byte)."""


def _text_bytes(body: bytes) -> int:
    """The size without inline files, and what stands for them."""
    size = len(body)
    at = body.find(b";base64,")
    while at >= 0:
        end = body.find(b'"', at)
        end = len(body) if end < 0 else end
        size += int(INLINE_FILE_TOKENS * BYTES_PER_TOKEN) - (end - at)
        at = body.find(b";base64,", end)
    return max(size, 0)
