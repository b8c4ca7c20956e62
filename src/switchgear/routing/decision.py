"""A routing choice with its reasons: what the API and the CLI show when somebody asks "why there?".

Built only when asked: the request path needs an index and nothing else.
"""

from __future__ import annotations

from msgspec import Struct

from switchgear.types import Target


class Candidate(Struct, frozen=True):
    """One target in a decision.

    state: `closed`, `open` or `half_open` (its breaker). held_s: seconds until it is available again, 0.0 when it is.
    score: the share of draws that fall on it, 0.0 to 1.0. reason: why it may or may not be chosen, in words.
    """

    target: Target
    state: str
    held_s: float
    score: float
    reason: str


class Decision(Struct, frozen=True):
    """The target chosen for a model.

    index: its position among the candidates; -1, with `target` None, when each was tried. score: as in Candidate.
    reasons: the chosen target's first.
    """

    model: str
    index: int
    target: Target | None
    tier: int
    score: float
    reasons: list[str]
    candidates: list[Candidate]
