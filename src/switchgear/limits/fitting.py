"""How much to reserve for an answer whose length nobody knows, and how long it may then be.

What is used beyond a *firm* limit (a hard one of a calendar window or a total: a budget above all) does not come back
by waiting. So of these a request reserves the longest answer that its model gives, and what was in vain comes back when
it ends. Close to the edge that would take everything from everybody else: a share of what is left is reserved instead,
and the upstream is told to answer no longer than that.

    left >= FAR_ANSWERS longest answers     the longest, no bound
    else                                    left / FAR_ANSWERS, but as much as answers lately had, up to left / 2
    at least                                `LEAST_TOKENS`; a shorter answer is not worth asking for
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from switchgear.hotpath._leases import FAR_ANSWERS

if TYPE_CHECKING:
    from switchgear.hotpath._leases import Bucket, LimitSet
    from switchgear.limits.held import Held
    from switchgear.limits.model import Limit

Amounts = tuple[int, int, int, int, int, int]
"""requests, input tokens, output tokens, cost; of firm limits: output tokens, cost. As `LimitSet.take` has them."""

LEAST_TOKENS = 256
SHORTEST_TOKENS = 16
"""Of one choice. OpenAI's Responses take no smaller `max_output_tokens`."""
TOO_MUCH = 1 << 53
"""More than any limit (`model.MAX_CAPACITY`); a request may ask for more than 64 bits hold."""
FRESH_S = 0.25
"""How long what the store said of a bucket is believed. Afterwards everything may be free again: it is asked."""
_OUTPUT, _TOKENS, _COST = 2, 3, 5  # codes of resources


class Fitting:
    """What one request reserves.

    expected: output tokens that it will hardly exceed, of all its choices; longest: those that it cannot exceed.
    cost(output_tokens): the most that it then costs, nano-dollars. open: nothing bounds the answer but the model, so
    that less may be reserved and the answer bounded. most: what bounds it already, where it is less than `longest`.
    tokens: what `amounts` said last, of all choices; bound: of each of them, 0 where the answer may be as long as it
    likes.
    """

    __slots__ = ("bound", "choices", "cost", "expected", "input_tokens", "longest", "most", "open", "tokens")

    def __init__(
        self,
        input_tokens: int,
        expected: int,
        longest: int,
        choices: int,
        cost: Callable[[int], int],
        *,
        open: bool,
        most: int | None = None,
    ):
        self.input_tokens = input_tokens
        self.expected = expected
        self.longest = longest
        self.choices = choices
        self.cost = cost
        self.most = longest if most is None else most
        self.open = open
        self.tokens = longest
        self.bound = 0

    @property
    def least(self) -> int:
        """Output tokens without which it is not worth sending."""
        typical = max(SHORTEST_TOKENS, self.expected // self.choices)
        return min(LEAST_TOKENS, typical) * self.choices

    def amounts(self, limits: LimitSet, now: float) -> Amounts:
        """What to take of these limits as things are now: it may fit, or be too much all the same."""
        if self.open:
            self._fit(limits.buckets, now)
        expected = min(self.expected, self.tokens)
        return (
            *(1, self.input_tokens, expected, min(self.cost(expected), TOO_MUCH)),
            *(self.tokens, min(self.cost(self.tokens), TOO_MUCH)),
        )

    def affordable(self, nanousd: int) -> int:
        """The longest answer that costs no more than that, output tokens; -1 where none does."""
        return self._affordable(nanousd, self.longest)

    def _fit(self, buckets: tuple[Bucket, ...], now: float) -> None:
        far = self.longest * FAR_ANSWERS
        room = self._room(buckets, now, far)
        if room >= far and self.most >= self.longest:
            self.tokens, self.bound = self.longest, 0
            return
        share = max(room // FAR_ANSWERS, min(self.expected, room // 2), self.least)
        self.bound = max(1, min(share, self.most) // self.choices)
        self.tokens = self.bound * self.choices

    def _room(self, buckets: tuple[Bucket, ...], now: float, most: int) -> int:
        """The longest answer, up to `most` output tokens, that the firm limits have room for as far as is known."""
        room = most
        for bucket in buckets:
            if bucket.firm:
                room = min(room, self._room_of(bucket, now, room))
        return max(0, room)

    def _room_of(self, bucket: Bucket, now: float, most: int) -> int:
        left = left_of(bucket, now)
        if bucket.resource == _OUTPUT:
            return left
        if bucket.resource == _TOKENS:
            return left - self.input_tokens
        return self._affordable(left, most) if bucket.resource == _COST else most

    def _affordable(self, nanousd: int, most: int) -> int:
        """The most output tokens that cost no more than that."""
        if self.cost(most) <= nanousd:
            return most
        low, high = -1, most  # what low costs is less, what high costs is more
        while high - low > 1:
            middle = (low + high) // 2
            if self.cost(middle) <= nanousd:
                low = middle
            else:
                high = middle
        return low


def left_of(bucket: Bucket, now: float) -> int:
    """What this worker could get of a bucket: what it has, and what nobody held when the store was last heard."""
    held: Held = bucket.state  # type: ignore[assignment]  # what `leases` put there
    limit: Limit = bucket.limit  # type: ignore[assignment]  # as above
    if not held.heard or now - held.told_at > FRESH_S:
        return limit.capacity
    return bucket.available + max(0, bucket.free)


def firm(limits: LimitSet) -> bool:
    """Whether a firm limit on output, tokens or cost is among them: of those the longest answer is reserved."""
    return any(bucket.firm and bucket.resource in (_OUTPUT, _TOKENS, _COST) for bucket in limits.buckets)


def comes_back(limits: LimitSet) -> bool:
    """Whether a hard sliding limit on output, tokens or cost is among them: of those what is expected is reserved."""
    return any(
        bucket.hard and not bucket.firm and bucket.resource in (_OUTPUT, _TOKENS, _COST) for bucket in limits.buckets
    )
