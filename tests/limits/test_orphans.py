"""What is read of a dead worker's file, and what a worker still owes the store."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest

from switchgear.hotpath._leases import Bucket, Clock, LimitSet, Slots
from switchgear.limits.held import Held
from switchgear.limits.model import Limit, Scope
from switchgear.limits.orphans import LeaseFile, orphans
from switchgear.limits.windows import TOTAL
from switchgear.state.store import Ask, Kind, Told

LIMIT = Limit("key=ci/requests/total", Scope(key="ci"), "requests", 1000, TOTAL)
PUT_AWAY = 3_000_000_000
"""What another bucket, of money, had spent when it was put away: where the next bucket's count begins."""


def bucket(clock: Clock, slots: Slots, base: int = 0) -> Bucket:
    made = Bucket(clock, slots, LIMIT, LIMIT.id, LIMIT.code, True, int(Kind.FIXED), inf, base)
    made.state = Held(LIMIT.id, 0, 0, base, 0.0)
    return made


@pytest.mark.parametrize("heard", [True, False])
def test_what_another_bucket_had_spent_is_not_the_dead_ones(tmp_path: Path, heard: bool) -> None:
    clock = Clock()
    clock.until = inf
    file = LeaseFile(tmp_path, "1-a", 8)
    if heard:
        file.heard()
    counted = bucket(clock, file.slots, PUT_AWAY)
    counted.number(4)
    counted.grant(10)
    held = LimitSet(clock, (counted,)).take(0.0, 1, 0, 0, 0)
    assert held is not None
    held.settle(0, 0, 0)
    open_ = LimitSet(clock, (counted,)).take(0.0, 1, 0, 0, 0)
    assert open_ is not None
    file.close(told=False)
    [orphan] = orphans(tmp_path, None)
    spent = PUT_AWAY + 2
    acked = spent if heard else PUT_AWAY
    assert orphan.asks == [Ask(LIMIT.id, Kind.FIXED, 0, seq=5, base=PUT_AWAY, acked=acked, spent=spent)]
    orphan.close(told=True)
    open_.release()


def test_what_goes_back_is_news_until_the_store_has_heard_it() -> None:
    mine = bucket(Clock(), Slots(0))
    held: Held = mine.state  # type: ignore[assignment]  # made above
    assert not held.has_news(mine)
    held.hear(Ask(LIMIT.id, Kind.FIXED, 1000, want=10, least=1), Told(status=held.status, granted=10), 1000, 1.0)
    mine.grant(10)
    assert not held.has_news(mine)
    mine.withdraw(10)
    assert held.has_news(mine)
    held.hear(Ask(LIMIT.id, Kind.FIXED, 1000), Told(status=held.status), 1000, 2.0)
    assert not held.has_news(mine)
