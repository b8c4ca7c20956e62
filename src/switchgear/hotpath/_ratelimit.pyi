"""What an answer tells of its limits, written without a detour through Python: it is on every answer of a limited key.

OpenAI's `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, whose `reset` is a duration as Go writes it, and
Anthropic's `anthropic-ratelimit-*`, whose `reset` is an RFC 3339 time (TRANSLATION §17).
"""

from collections.abc import Sequence

from switchgear.hotpath._leases import Bucket

class Family:
    """Limits of one kind, requests or tokens, that apply together.

    names: of the headers limit, remaining and reset, lower case. candidates: at least one bucket, each with its
    capacity, the kind of its window (`limits.windows.Kind`) and the length of a sliding one in ms, else 0; their
    `state` is a `limits.held.Held`. absolute: `reset` is a time of day. Raises ValueError without candidates.
    """

    def __init__(
        self,
        names: tuple[bytes, bytes, bytes],
        candidates: Sequence[tuple[Bucket, int, str, int]],
        absolute: bool,
    ) -> None: ...
    def tell(self, headers: list[tuple[bytes, bytes]], now_s: float) -> int:
        """Append the headers of the tightest, the one of which the least part is left; no reset where it never is as
        new. now_s: the store's Unix time, seconds. Returns 0."""

def remaining(bucket: Bucket, capacity: int) -> int:
    """What is left of a limit as far as this worker knows: what it holds and what nobody does. capacity: its own."""

def go_duration(seconds: float) -> str:
    """As Go's time.Duration writes it: `20ms`, `1s`, `17.399s`, `6m0s`, `1h0m0s`; to the millisecond, rounded up."""

def rfc3339(unix_s: float) -> str:
    """`2026-06-08T18:45:44Z`, rounded up to the second; a tenth of one is an error of the estimated clock."""
