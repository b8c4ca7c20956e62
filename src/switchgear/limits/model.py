"""A limit: how much of a resource, in a window, for whose requests.

Amounts are integers: requests, tokens, or nano-dollars (1 USD = 10⁹). A budget is a limit on cost with thresholds.
"""

from __future__ import annotations

from decimal import Decimal
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

from switchgear.limits.windows import NONE, Window

Resource = Literal["requests", "input_tokens", "output_tokens", "tokens", "concurrent", "cost"]
RESOURCES: tuple[Resource, ...] = ("requests", "input_tokens", "output_tokens", "tokens", "concurrent", "cost")
"""By the code that `hotpath._leases` knows them by."""

NANO = 1_000_000_000
MAX_CAPACITY = 2**53 - 1
"""Redis counts in its scripts with doubles: beyond this they are not exact. 9,007,199 USD."""
MAX_KEY_CHARS = 120


class Scope(Struct, frozen=True):
    """Whose requests: all that match every field that is not ""."""

    organization: str = ""
    project: str = ""
    user: str = ""
    key: str = ""
    model: str = ""
    provider: str = ""
    credential: str = ""

    @property
    def name(self) -> str:
        """`key=ci,model=smart`; `*` for every request."""
        given = [f"{field}={_escaped(value)}" for field in self.__struct_fields__ if (value := getattr(self, field))]
        return ",".join(given) or "*"

    @property
    def kinds(self) -> str:
        """`key,model`; `global` for every request. A bounded set of words, for metrics."""
        return ",".join(field for field in self.__struct_fields__ if getattr(self, field)) or "global"

    @property
    def of_attempt(self) -> bool:
        """Whether it is known only when a provider was chosen."""
        return bool(self.provider or self.credential)

    def matches(self, other: Scope) -> bool:
        """Whether a request of `other` (every field that is known of it) is counted."""
        return all(not mine or mine == getattr(other, field) for field, mine in self._given())

    def _given(self) -> list[tuple[str, str]]:
        return [(field, getattr(self, field)) for field in self.__struct_fields__]


class Limit(Struct, frozen=True, eq=False):
    """id: `key=ci,model=smart/output_tokens/minute`, the same after a restart and whatever the capacity.

    thresholds: amounts at which an event is raised, ascending; of a soft limit its capacity.
    hard: refuse what goes over. fail_open: what happens when the shared state is away.
    """

    id: str
    scope: Scope
    resource: Resource
    capacity: int
    window: Window = NONE
    hard: bool = True
    fail_open: bool = True
    thresholds: tuple[int, ...] = ()
    budget: bool = False

    @property
    def code(self) -> int:
        """Of the resource."""
        return RESOURCES.index(self.resource)

    def key(self, start_s: int) -> str:
        """What the store calls its counter in the window that begins at `start_s`: the id, or a digest of a long one.

        Ends in `@START` where the window has one.
        """
        name = self.id if len(self.id) <= MAX_KEY_CHARS else f"#{blake2b(self.id.encode(), digest_size=20).hexdigest()}"
        return f"{name}@{start_s}" if self.window.kind == "calendar" else name


def limit_id(scope: Scope, resource: Resource, window: Window, *, hard: bool, budget: bool, repeated: int = 0) -> str:
    """The id of a limit. repeated: how many limits with the same words were declared before it."""
    parts = [scope.name, resource, *([window.name] if window.name else [])]
    parts += (["budget"] if budget else []) + ([] if hard else ["soft"]) + ([f"{repeated + 1}"] if repeated else [])
    return "/".join(parts)


def nanousd(usd: float) -> int:
    """Nano-dollars of an amount as it was written: exact up to nine decimal places, rounded half up below."""
    return int((Decimal(repr(usd)) * NANO).quantize(Decimal(1), "ROUND_HALF_UP"))


def _escaped(value: str) -> str:
    """So that no name can look like two: `%,/=@`, spaces and what is not printable ASCII are percent-encoded."""
    plain = value.isascii() and value.isprintable() and not set(value) & set("%,/=@ ")
    if plain:
        return value
    return "".join(
        chr(byte) if 0x21 <= byte <= 0x7E and chr(byte) not in "%,/=@" else f"%{byte:02X}" for byte in value.encode()
    )
