"""Choosing among a model's targets: filter, tier, score, draw. Pure arithmetic over C arrays."""

class TargetTable:
    """The targets of one model, by index.

    tiers: ascending preference, 0 first. weights: share within a tier, >= 0; 0 means only when nothing else is left
    in that tier.
    A target is *available* while it is neither open (breaker) nor throttled. State is set by the caller, in the
    clock of its choice (seconds).

    Raises `ValueError` when the lists differ in length or a weight is negative or not finite. Methods that take an
    index raise `IndexError` outside the table, those that take `tried` raise `ValueError` when it is too short.
    """

    def __init__(self, tiers: list[int], weights: list[float]) -> None: ...
    def __len__(self) -> int: ...
    def pick(self, now: float, draw: float, tried: bytearray | None = None) -> int:
        """Index of the target to try next, or -1 when each was tried.

        draw: uniform in [0, 1). tried: one byte a target, non-zero for those to leave out.
        Steps: 1. leave out the tried. 2. of the available, keep the lowest tier, draw by weight (all alike when every
        weight is 0). 3. if none is available, take the one that becomes available soonest (tier, then index, break
        ties): the table never empties itself.
        """
    def hold(self, index: int, until: float) -> None:
        """Not available before `until`; the deadline only moves out."""
    def release(self, index: int) -> None:
        """Available now."""
    def held_until(self, index: int) -> float:
        """When it is available again; `-inf` when it was never held or was released."""
    def available(self, now: float) -> int:
        """How many targets are available."""
    def wait(self, now: float, tried: bytearray | None = None) -> float:
        """Seconds until an untried target is available: 0.0 when one is, `inf` when each was tried."""
