"""`_ratelimit` against its reference."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from switchgear.hotpath._leases import Bucket, Clock, Slots
from switchgear.hotpath._ratelimit import Family, go_duration, remaining, rfc3339
from switchgear.limits.held import Held
from switchgear.limits.model import Limit, Scope
from switchgear.limits.windows import NONE, TOTAL, Window
from tests.reference import ratelimit as reference

NAMES = (b"limit", b"remaining", b"reset")
NOW_S = 1_780_944_343.25
WINDOWS = [Window("sliding", "second"), Window("sliding", "minute"), Window("sliding", "hour"), TOTAL, NONE]
WINDOWS += [Window("calendar", "day", "UTC")]
AMOUNTS = st.integers(0, 3000) | st.integers(0, 2**62)


@st.composite
def buckets(draw: st.DrawFn) -> Bucket:
    window, hard = draw(st.sampled_from(WINDOWS)), draw(st.booleans())
    capacity = draw(AMOUNTS)
    limit = Limit("id", Scope(), "requests", capacity, window, hard)
    made = Bucket(Clock(), Slots(1), limit, "key", 0, hard, 0, 1e9, 0)
    made.state = held = Held("key", 0, int(NOW_S) + draw(st.integers(-5, 90_000)), 0, 0.0)
    held.heard = draw(st.booleans())
    held.spent = draw(st.integers(0, 2**62))
    held.free = draw(st.integers(-10, min(capacity, 2**61)))
    held.next_ms = draw(st.integers(0, 60_000))
    made.grant(draw(st.integers(0, min(capacity, 2**61))))
    return made


def candidate(bucket: Bucket) -> tuple[Bucket, int, str, int]:
    limit = bucket.limit
    assert isinstance(limit, Limit)
    return bucket, limit.capacity, limit.window.kind, limit.window.length_ms


@given(st.lists(buckets(), min_size=1, max_size=3), st.booleans())
def test_as_the_reference(found: list[Bucket], absolute: bool) -> None:
    candidates = [candidate(bucket) for bucket in found]
    told: list[tuple[bytes, bytes]] = []
    expected: list[tuple[bytes, bytes]] = []
    Family(NAMES, candidates, absolute).tell(told, NOW_S)
    reference.Family(NAMES, candidates, absolute).tell(expected, NOW_S)
    assert told == expected
    assert [remaining(one, capacity) for one, capacity, *_ in candidates] == [reference.remaining(one) for one in found]


@given(st.floats(0, 1e7) | st.integers(0, 10**10).map(lambda ms: ms / 1000))
def test_durations(seconds: float) -> None:
    assert go_duration(seconds) == reference.go_duration(seconds)


@given(st.integers(0, 4_000_000_000_0).map(lambda tenths: tenths / 10))
def test_times(unix_s: float) -> None:
    assert rfc3339(unix_s) == reference.rfc3339(unix_s)
