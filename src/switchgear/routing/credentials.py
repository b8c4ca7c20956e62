"""One provider's credentials in rotation.

Rules
    AVAILABLE  takes its turn.
    THROTTLED  the provider asked for a pause (429, or 402 when its credit is used up): left out until a deadline,
               which only moves out.
    INVALID    the provider refused it (401, or a 403 about authentication): left out as long as there is another.

Theory of operation
    `pick` prefers the available, in turn; then the throttled one that is free soonest, because a provider that says no
    is asked less often but never given up. Only when every credential is invalid may there be none: each is then tried
    again after a wait, the one refused longest ago first, one request per wait; the wait doubles with each refusal up
    to a bound. A passing fault of a provider's own authentication thus heals without a restart, and a revoked key
    costs a bounded number of requests.

    A request that succeeds after its credential was throttled was sent before: it does not end the pause. One that
    succeeds with an invalid credential proves the credential.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

THROTTLE_S = 1.0
"""Pause after a 429 without Retry-After; doubled with each further one in a row."""
MAX_THROTTLE_S = 30.0
"""Bound of that doubling. A Retry-After is bounded by `retry.MAX_RETRY_AFTER_S` instead."""
RECHECK_S = 30.0
"""Wait before an invalid credential is tried again when there is no other; doubled with each refusal."""
MAX_RECHECK_S = 600.0


class State(Enum):
    AVAILABLE = "available"
    THROTTLED = "throttled"
    INVALID = "invalid"


class Event(Enum):
    SUCCEEDED = "succeeded"
    THROTTLE = "throttle"
    REFUSED = "refused"
    EXPIRED = "expired"


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.AVAILABLE: {
        Event.SUCCEEDED: State.AVAILABLE,
        Event.THROTTLE: State.THROTTLED,
        Event.REFUSED: State.INVALID,
        Event.EXPIRED: State.AVAILABLE,
    },
    State.THROTTLED: {
        Event.SUCCEEDED: State.THROTTLED,
        Event.THROTTLE: State.THROTTLED,
        Event.REFUSED: State.INVALID,
        Event.EXPIRED: State.AVAILABLE,
    },
    State.INVALID: {
        Event.SUCCEEDED: State.AVAILABLE,
        Event.THROTTLE: State.THROTTLED,
        Event.REFUSED: State.INVALID,
        Event.EXPIRED: State.INVALID,
    },
}


class Credential:
    """One API key. name: for logs, metrics and the API; all that its repr shows.

    headers: the header fields that carry it, as the provider wants them, names in lower case
    (`[(b"authorization", b"Bearer …")]`); none for an anonymous credential.
    """

    __slots__ = ("headers", "name")

    def __init__(self, name: str, headers: Sequence[tuple[bytes, bytes]] = ()):
        self.name = name
        self.headers = tuple(headers)

    def __repr__(self) -> str:
        return f"<Credential {self.name}>"

    def __reduce__(self) -> Any:
        # A pickle would be a copy of the secret that nobody looks after.
        raise TypeError("a credential cannot be pickled")


class _Slot:
    """A credential with its state.

    since: when it was last refused. until: when it may be used again. throttles, refusals: in a row.
    rechecked: invalid, and handed out again to see whether it still is.
    """

    __slots__ = ("credential", "rechecked", "refusals", "since", "state", "throttles", "until")

    def __init__(self, credential: Credential):
        self.credential = credential
        self.state = State.AVAILABLE
        self.until = -inf
        self.since = -inf
        self.throttles = 0
        self.refusals = 0
        self.rechecked = False


class CredentialPool:
    """The credentials of one provider; without any, one anonymous credential (no header, name `anonymous`).

    Raises `ValueError` when two have the same name. Methods that take a credential raise `KeyError` when it is not in
    the pool, and return None.
    """

    def __init__(self, credentials: Sequence[Credential] = ()):
        self._slots = [_Slot(credential) for credential in credentials or (Credential("anonymous"),)]
        self._by_name = {slot.credential.name: slot for slot in self._slots}
        if len(self._by_name) != len(self._slots):
            names = [slot.credential.name for slot in self._slots]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"credential names must differ: {', '.join(twice)}")
        self._next = 0
        self.troubled = False
        """Some credential is not available, or was not lately. While none is, a pick is one index into a list."""
        self._turn = [slot.credential for slot in self._slots]

    def __len__(self) -> int:
        return len(self._slots)

    def __repr__(self) -> str:
        return f"<CredentialPool {', '.join(self._by_name)}>"

    def pick(self, now: float, tried: Container[str] = ()) -> Credential | None:
        """The credential for the next request; None when none may be used now.

        tried: names to leave out (this request was refused with them already).
        Steps: 1. in turn, the next available one. 2. of the throttled, the one that is free soonest. 3. of the invalid,
        the one refused longest ago, if its wait is over; the wait starts anew, so that one request at a time tries it.
        """
        slots, count = self._slots, len(self._slots)
        if not self.troubled and not tried:
            index = self._next % count
            self._next = index + 1
            return self._turn[index]
        for step in range(count):
            index = (self._next + step) % count
            slot = slots[index]
            if self._state(slot, now) is State.AVAILABLE and slot.credential.name not in tried:
                self._next = index + 1
                return slot.credential
        left = [slot for slot in slots if slot.credential.name not in tried]
        throttled = [slot for slot in left if slot.state is State.THROTTLED]
        if throttled:
            return min(throttled, key=lambda slot: slot.until).credential
        if any(slot.state is not State.INVALID for slot in slots):
            return None  # the others were tried by this request, and work for the next one
        for slot in sorted(left, key=lambda slot: slot.since):
            if slot.until <= now:
                slot.until = now + self._recheck_s(slot)
                slot.rechecked = True
                return slot.credential
        return None

    def succeeded(self, credential: Credential) -> None:
        """A request with it was answered."""
        slot = self._by_name[credential.name]
        slot.state = TRANSITIONS[slot.state][Event.SUCCEEDED]
        if slot.state is State.AVAILABLE:
            slot.until = -inf
            slot.throttles = slot.refusals = 0
            self.troubled = any(slot.state is not State.AVAILABLE or slot.throttles for slot in self._slots)

    def throttle(self, credential: Credential, now: float, retry_after_s: float | None = None) -> None:
        """The provider asked for a pause: `retry_after_s` from now, or a default that doubles; it only moves out."""
        self.troubled = True
        slot = self._by_name[credential.name]
        before = self._state(slot, now)
        slot.state = TRANSITIONS[before][Event.THROTTLE]
        if before is not State.THROTTLED:
            if retry_after_s is None:
                retry_after_s = min(THROTTLE_S * 2.0 ** min(slot.throttles, 64), MAX_THROTTLE_S)
            slot.throttles += 1
            slot.until = -inf
        elif retry_after_s is None:
            return  # one more of the requests that were under way when the pause began
        slot.until = max(slot.until, now + max(0.0, retry_after_s))

    def refused(self, credential: Credential, now: float) -> None:
        """The provider does not accept it."""
        self.troubled = True
        slot = self._by_name[credential.name]
        if slot.state is State.INVALID and not slot.rechecked:
            return  # one more of the requests that were under way when it was refused
        slot.state = TRANSITIONS[slot.state][Event.REFUSED]
        slot.rechecked = False
        slot.since = now
        slot.until = now + self._recheck_s(slot)
        slot.refusals += 1

    def available(self, now: float) -> int:
        """How many are available."""
        return sum(self._state(slot, now) is State.AVAILABLE for slot in self._slots)

    def spare(self, now: float, tried: Container[str]) -> bool:
        """Whether one that was not tried is available."""
        return any(
            self._state(slot, now) is State.AVAILABLE and slot.credential.name not in tried for slot in self._slots
        )

    def wait_s(self, now: float) -> float:
        """Seconds until one may be used as it should: 0.0 when one is available."""
        usable = [slot.until for slot in self._slots if self._state(slot, now) is not State.INVALID]
        return max(0.0, min(usable or [slot.until for slot in self._slots]) - now)

    def snapshot(self, now: float) -> list[dict[str, Any]]:
        """For the API and the metrics: name, state and, where it has one, the seconds until it is tried again."""
        return [
            {
                "name": slot.credential.name,
                "state": self._state(slot, now).value,
                "wait_s": max(0.0, slot.until - now) if slot.until > now else 0.0,
            }
            for slot in self._slots
        ]

    def adopt(self, previous: CredentialPool) -> None:
        """Take over what `previous` knows about the credentials that are still the same (after a reload)."""
        for slot in self._slots:
            known = previous._by_name.get(slot.credential.name)
            if known is not None and known.credential.headers == slot.credential.headers:
                slot.state, slot.until, slot.since = known.state, known.until, known.since
                slot.throttles, slot.refusals = known.throttles, known.refusals
        self.troubled = self.troubled or previous.troubled

    def _state(self, slot: _Slot, now: float) -> State:
        if slot.state is State.THROTTLED and slot.until <= now:
            slot.state = TRANSITIONS[slot.state][Event.EXPIRED]
        return slot.state

    def _recheck_s(self, slot: _Slot) -> float:
        return min(RECHECK_S * 2.0 ** min(slot.refusals, 64), MAX_RECHECK_S)
