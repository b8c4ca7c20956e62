"""What `switchgear.hotpath._leases` does, said plainly: the oracle of its differential tests."""

from __future__ import annotations

from math import inf

REQUESTS, INPUT, OUTPUT, TOKENS, CONCURRENT, COST = range(6)


class Clock:
    def __init__(self) -> None:
        self.until = -inf


class Bucket:
    def __init__(self, clock: Clock, resource: int, hard: bool, ends_at: float, kind: int = 0):
        self.clock, self.resource, self.hard, self.ends_at = clock, resource, hard, ends_at
        self.available = self.reserved = self.spent = self.taken = 0
        self.bypass = False
        self.firm = hard and kind == 0
        self.free = 0

    def wanted(self, requests: int, given: int, made: int, cost: int, longest: int = -1, dearest: int = -1) -> int:
        if self.firm:
            made, cost = longest if longest >= 0 else made, dearest if dearest >= 0 else cost
        return self.need(requests, given, made, cost)

    def need(self, requests: int, input_tokens: int, output_tokens: int, cost: int) -> int:
        return (requests, input_tokens, output_tokens, input_tokens + output_tokens, requests, cost)[self.resource]

    def lacks(self, now: float, amount: int) -> bool:
        if not self.hard:
            return now >= self.ends_at
        return not self.bypass and (self.available < amount or now >= min(self.ends_at, self.clock.until))

    def grant(self, amount: int) -> None:
        self.available += amount

    def withdraw(self, amount: int) -> int:
        amount = max(0, min(amount, self.available))
        self.available -= amount
        return amount


class Reservation:
    def __init__(self, buckets: tuple[Bucket, ...]):
        self.buckets = buckets
        self.amounts = [[0, 0] for _ in buckets]  # held, out of the lease
        self.done = False

    def book(self, wanted: list[int]) -> None:
        for bucket, amounts, amount in zip(self.buckets, self.amounts, wanted, strict=True):
            leased = bucket.withdraw(amount) if bucket.hard else 0
            bucket.reserved += amount
            bucket.taken += amount
            amounts[0] += amount
            amounts[1] += leased

    def finish(self, requests: int, used: list[int]) -> bool:
        if self.done:
            return False
        self.done = True
        for bucket, (held, leased) in zip(self.buckets, self.amounts, strict=True):
            actual = held if bucket.resource == REQUESTS and requests else bucket.need(0, *used)
            if bucket.resource == CONCURRENT:
                actual = 0
            bucket.spent += actual
            bucket.reserved -= held
            if bucket.hard:
                bucket.available = max(0, bucket.available + leased - actual)
        return True

    def settle(self, *used: int) -> bool:
        return self.finish(1, [max(0, one) for one in used])

    def release(self) -> bool:
        return self.finish(0, [0, 0, 0])

    def extend(self, now: float, output_tokens: int, cost: int, longest: int = -1, dearest: int = -1) -> bool:
        more = (max(0, output_tokens), max(0, cost), longest, dearest)
        wanted = [bucket.wanted(0, 0, *more) for bucket in self.buckets]
        short = any(amount and bucket.lacks(now, amount) for bucket, amount in zip(self.buckets, wanted, strict=True))
        if self.done or short:
            return False
        self.book(wanted)
        return True


def take(buckets: tuple[Bucket, ...], now: float, *amounts: int) -> Reservation | None:
    wanted = [bucket.wanted(*amounts) for bucket in buckets]
    if any(bucket.lacks(now, amount) for bucket, amount in zip(buckets, wanted, strict=True)):
        return None
    made = Reservation(buckets)
    made.book(wanted)
    return made


def far(buckets: tuple[Bucket, ...], *amounts: int) -> bool:
    firm = [bucket for bucket in buckets if bucket.firm]
    given, longest, dearest = amounts
    return all(
        bucket.need(0, given, longest, dearest) <= (bucket.available + max(0, bucket.free)) // 16 for bucket in firm
    )
