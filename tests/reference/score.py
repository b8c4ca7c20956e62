"""What `switchgear.hotpath._score` does, said plainly: the oracle of its differential tests."""

from __future__ import annotations

from math import inf


class TargetTable:
    def __init__(self, tiers: list[int], weights: list[float]):
        self.tiers = tiers
        self.weights = weights
        self.until = [-inf] * len(tiers)

    def __len__(self) -> int:
        return len(self.tiers)

    def pick(self, now: float, draw: float, tried: bytearray | None = None) -> int:
        left = [index for index in range(len(self)) if tried is None or not tried[index]]
        if not left:
            return -1
        available = [index for index in left if self.until[index] <= now]
        if not available:
            return min(left, key=lambda index: (self.until[index], self.tiers[index], index))
        tier = min(self.tiers[index] for index in available)
        members = [index for index in available if self.tiers[index] == tier]
        weighted = [(index, self.weights[index]) for index in members if self.weights[index] > 0]
        if not weighted:
            weighted = [(index, 1.0) for index in members]
        mark = draw * sum(weight for _, weight in weighted)
        for index, weight in weighted:
            mark -= weight
            if mark < 0:
                return index
        return weighted[-1][0]

    def hold(self, index: int, until: float) -> None:
        self.until[index] = max(self.until[index], until)

    def release(self, index: int) -> None:
        self.until[index] = -inf

    def held_until(self, index: int) -> float:
        return self.until[index]

    def available(self, now: float) -> int:
        return sum(until <= now for until in self.until)

    def wait(self, now: float, tried: bytearray | None = None) -> float:
        left = [until for index, until in enumerate(self.until) if tried is None or not tried[index]]
        return inf if not left else max(0.0, min(left) - now)
