"""The API keys of one provider, and which may be used now.

State machine, one entry per credential:

    available ──429──────────> throttled   until now + Retry-After; the deadline only moves out (CASES 17)
    throttled ──deadline─────> available
    any       ──401──────────> invalid     tried again after INVALID_S, in case the key was put right
    invalid   ──INVALID_S────> available

A 429 says that a key is used up for a while, not that the provider is ill: the breaker never hears of it (CASES 7).
Goals: spread load over available keys in turn; never be empty: with none available the one that is free soonest is
given out, and the upstream decides.
"""

from __future__ import annotations

from typing import Literal

State = Literal["available", "throttled", "invalid"]

THROTTLE_DEFAULT_S = 1.0  # a 429 without Retry-After
INVALID_S = 60.0


class Credential:
    """One API key. header: the header line that carries it, with CRLF; b"" when the provider wants none."""

    __slots__ = ("header", "held_until", "invalid", "name")

    def __init__(self, name: str, header: bytes):
        self.name = name
        self.header = header
        self.held_until = 0.0
        self.invalid = False

    def state(self, now: float) -> State:
        """Where it stands at `now` (seconds)."""
        if self.held_until <= now:
            return "available"
        return "invalid" if self.invalid else "throttled"

    def __repr__(self) -> str:
        return f"Credential({self.name!r})"


class CredentialPool:
    """The credentials of one provider; one without a header where there are none."""

    def __init__(self, credentials: list[Credential]):
        self.credentials = credentials or [Credential("none", b"")]
        self._next = 0

    def pick(self, now: float) -> Credential:
        """The next available one in turn, else the one that is free soonest, throttled before invalid."""
        credentials = self.credentials
        if len(credentials) == 1:
            return credentials[0]
        for _ in credentials:
            self._next = (self._next + 1) % len(credentials)
            if credentials[self._next].held_until <= now:
                return credentials[self._next]
        return min(credentials, key=lambda credential: (credential.invalid, credential.held_until))

    def available(self, now: float) -> int:
        """How many could be used at `now`."""
        return sum(credential.held_until <= now for credential in self.credentials)

    def throttle(self, credential: Credential, now: float, retry_after_s: float | None) -> None:
        """The provider answered 429."""
        wait = THROTTLE_DEFAULT_S if retry_after_s is None else retry_after_s
        if credential.held_until <= now:
            credential.invalid = False
        credential.held_until = max(credential.held_until, now + wait)

    def invalidate(self, credential: Credential, now: float) -> None:
        """The provider answered 401: the key is wrong or was withdrawn."""
        credential.invalid = True
        credential.held_until = max(credential.held_until, now + INVALID_S)

    def snapshot(self, now: float) -> list[dict[str, object]]:
        """Name, state and seconds until available, for each."""
        return [
            {"name": entry.name, "state": entry.state(now), "available_in_s": max(0.0, round(entry.held_until - now, 3))}
            for entry in self.credentials
        ]
