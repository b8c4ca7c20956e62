"""Spending leases in memory: what a request may use, taken all or nothing, and settled.

A *bucket* is this process's part of one limit in one window. `available` is leased from the store and not spent;
`reserved` is held by requests in flight; `spent` is what ended requests cost, ever. Amounts are requests, tokens or
nano-dollars, times are `loop.time()` seconds. Resources are codes: 0 requests, 1 input tokens, 2 output tokens,
3 tokens, 4 concurrent requests, 5 cost.

Of a hard bucket only what is available can be taken, before `ends_at` and before `Clock.until`. A soft one gives
everything (until `ends_at`) and only counts.

A *firm* bucket is a hard one of a calendar window or a total: what was used of it beyond does not come back by waiting.
Where an answer has no known end, more is reserved of these than of the others: `longest` in place of `output_tokens`
and `dearest` in place of `cost_nanousd`, -1 for the same.
"""

SLOT_BYTES: int
KEY_BYTES: int
"""How long a key may be to have a slot."""
FAR_ANSWERS: int
"""Of how many answers of the longest kind there has to be enough, for `LimitSet.far`."""

class Slots:
    """Room for the balances of `count` buckets: in memory, or in the file `fd` from `offset` on (a multiple of the page
    size), which is allocated and survives this process.

    A slot is `SLOT_BYTES` long: eight 64-bit integers in the machine's byte order (available, reserved, spent, seq,
    kind, length of the key, what spent began with, one unused), then the key. A length of 0 is a slot without a bucket.
    Raises `OSError` when the file cannot be allocated, `MemoryError` when it cannot be mapped, `ValueError` for a count
    that makes no sense.
    """

    def __init__(self, count: int, fd: int = -1, offset: int = 0) -> None: ...
    def __len__(self) -> int:
        """Slots in use."""

class Clock:
    """What all buckets of a process share.

    until: when the leases end unless the store is heard from. touched: buckets in which something changed since
    `Bucket.untouch`; whoever reads the list empties it.
    """

    until: float
    touched: list[Bucket]
    def __init__(self) -> None: ...

class Bucket:
    """limit, state: whatever the owner keeps there. key: what the store calls it. kind: of `state.store.Kind`, kept in
    the slot for whoever adopts it. bypass: nothing is refused here for now. free: what nobody holds, as the owner last
    heard. taken: sum of all amounts ever taken: the demand. base: where `spent` begins.

    Without a free slot, or with a key longer than `KEY_BYTES`, it counts in memory of its own (`adoptable` is False).
    Raises `ValueError` for an unknown resource.
    """

    limit: object
    state: object
    bypass: bool
    ends_at: float
    free: int
    @property
    def resource(self) -> int: ...
    @property
    def hard(self) -> bool: ...
    @property
    def firm(self) -> bool: ...
    @property
    def taken(self) -> int: ...
    def __init__(
        self,
        clock: Clock,
        slots: Slots,
        limit: object,
        key: str,
        resource: int,
        hard: bool,
        kind: int = 0,
        ends_at: float = ...,
        base: int = 0,
    ) -> None: ...
    @property
    def available(self) -> int: ...
    @property
    def reserved(self) -> int: ...
    @property
    def spent(self) -> int: ...
    @property
    def seq(self) -> int:
        """Number of the last message to the store."""
    @property
    def adoptable(self) -> bool:
        """Whether the balance outlives the process."""
    def number(self, seq: int) -> None:
        """Set `seq`."""
    def grant(self, amount: int) -> None:
        """Add what the store leased. Raises `ValueError` for less than 0."""
    def withdraw(self, amount: int) -> int:
        """Take up to `amount` out of what is available, to give it back; returns how much."""
    def untouch(self) -> None:
        """From now on a change enters `Clock.touched` again."""

class Reservation:
    """What one request holds. It ends once, by `settle` or `release`; dropped without either it counts as settled with
    what it reserved."""

    @property
    def done(self) -> bool: ...
    @property
    def sets(self) -> tuple[Bucket, ...]:
        """The buckets it was taken from."""
    def held(self, index: int) -> int:
        """How much of bucket `index`. Raises `IndexError`."""
    def settle(self, input_tokens: int, output_tokens: int, cost_nanousd: int) -> bool:
        """It ended, and this is what it used. What was reserved beyond goes back; what was used beyond is taken from
        what is available, and is a debt where there is not enough. Negative counts as 0. False when it had ended."""
    def release(self) -> bool:
        """It never reached an upstream: everything goes back. False when it had ended."""
    def extend(self, now: float, output_tokens: int, cost_nanousd: int, longest: int = -1, dearest: int = -1) -> bool:
        """Reserve more, all or nothing, for an answer that outgrows what was reserved. False when it cannot be, or has
        ended."""
    def short(
        self, now: float, output_tokens: int, cost_nanousd: int, longest: int = -1, dearest: int = -1
    ) -> list[tuple[Bucket, int]]:
        """The buckets that make `extend` fail, and how much of each it asks for."""

class LimitSet:
    """The buckets that one kind of request counts against. plan: whatever the owner keeps there.

    Raises `TypeError` when they are none.
    """

    plan: object
    @property
    def buckets(self) -> tuple[Bucket, ...]: ...
    @property
    def clock(self) -> Clock: ...
    def __init__(self, clock: Clock, buckets: tuple[Bucket, ...], plan: object = None) -> None: ...
    def __len__(self) -> int: ...
    def far(self, input_tokens: int, longest: int, dearest: int) -> bool:
        """Whether it is far to the edge of every firm bucket: `FAR_ANSWERS` of this kind would still fit. Else not so
        much should be reserved for one of them."""
    def replace(self, buckets: tuple[Bucket, ...]) -> None:
        """Other buckets from now on, of the next window; a reservation keeps those it was taken from."""
    def take(
        self,
        now: float,
        requests: int,
        input_tokens: int,
        output_tokens: int,
        cost_nanousd: int,
        longest: int = -1,
        dearest: int = -1,
    ) -> Reservation | None:
        """Reserve in all of them or in none (None). Raises `ValueError` for a negative amount."""
    def short(
        self,
        now: float,
        requests: int,
        input_tokens: int,
        output_tokens: int,
        cost_nanousd: int,
        longest: int = -1,
        dearest: int = -1,
    ) -> list[tuple[Bucket, int]]:
        """The buckets that make `take` give None, and how much of each it asks for."""
