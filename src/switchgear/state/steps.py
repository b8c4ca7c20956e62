"""The arithmetic of sliding windows: what comes back in how many steps. `lua/exchange.lua` does the same."""

from __future__ import annotations

STEPS = 60
"""In how many steps a sliding window comes back whole."""


def credited(capacity: int, steps: int) -> int:
    """What has come back after so many steps: floor(capacity * steps / STEPS)."""
    return capacity * steps // STEPS


def wait_ms(capacity: int, window_ms: int, amount: int, next_ms: int) -> int:
    """How long until `amount` more has come back, when the next step is `next_ms` away (0: a whole step); 0 for
    nothing to wait for.

    Capacity 0 never gives anything back: 0. An estimate where the steps are of different sizes, by one step at most.
    """
    if amount <= 0 or capacity <= 0:
        return 0
    steps = -(-amount * STEPS // capacity)
    return (next_ms or window_ms // STEPS) + (steps - 1) * window_ms // STEPS
