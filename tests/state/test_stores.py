"""Both stores do the same: the Lua script, with its clock in the test's hand, against the store over a dictionary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from switchgear.state.memory import MemoryStore
from switchgear.state.redis import PREFIX, RedisStore, _Script
from switchgear.state.store import Ask, Kind, Level, Reply, Status, StoreAway, Told
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer

BEGIN_MS = 1_800_000_000_000
TTL_MS = 2000
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # an example shrinks slowly over a socket
CLOCK = "local time = redis.call('TIME')\nlocal now = time[1] * 1000 + math.floor(time[2] / 1000)\n"


class Clocked(_Script):
    """A script whose time is what the test says, in a key of its own."""

    def __init__(self, name: str):
        from hashlib import sha1

        text = _Script(name).text
        assert text.count(CLOCK) == 1
        self.text = text.replace(CLOCK, "local now = tonumber(redis.call('GET', '{switchgear}test-clock'))\n")
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Remembering(MemoryStore):
    """Forgets no bucket, however new it looks: which ones are forgotten when is not Redis's way."""

    def _forget_some(self, now_ms: int) -> None:
        pass


class Pair:
    """The two stores on one clock. Each exchange has to be answered alike."""

    def __init__(self, server: RedisServer):
        self.server = server
        self.now_ms = BEGIN_MS
        self.redis = RedisStore(server.url, timeout_s=5.0)
        self.redis._exchange, self.redis._levels = Clocked("exchange.lua"), Clocked("levels.lua")
        self.memory = Remembering(lambda: self.now_ms)
        server.flush()

    async def begin(self) -> Pair:
        """Both stores are new now."""
        await self.exchange("nobody", [], ttl_ms=0)
        return self

    async def exchange(self, worker: str, asks: list[Ask], ttl_ms: int = TTL_MS, settle_ms: int = 0) -> Reply:
        self.server.command("SET", "{switchgear}test-clock", str(self.now_ms))
        seen = 0
        one = await self.redis.exchange(worker, ttl_ms, settle_ms, seen, asks)
        other = await self.memory.exchange(worker, ttl_ms, settle_ms, seen, asks)
        assert (one.now_ms, one.epoch_ms, one.calls, one.told) == (
            other.now_ms,
            other.epoch_ms,
            other.calls,
            other.told,
        )
        return one

    async def levels(self, asks: list[Ask]) -> list[Level]:
        self.server.command("SET", "{switchgear}test-clock", str(self.now_ms))
        one, other = await self.redis.levels(asks), await self.memory.levels(asks)
        assert one == other
        return one[1]


@pytest.fixture
async def pair(redis_server: RedisServer) -> AsyncIterator[Pair]:
    made = await Pair(redis_server).begin()
    yield made
    await made.redis.close()


BUCKETS = {
    "fixed": Ask("fixed", Kind.FIXED, 100, seed=0),
    "minute": Ask("minute", Kind.SLIDING, 100, window_ms=60_000, seed=0),
    "odd": Ask("odd", Kind.SLIDING, 7, window_ms=1000, seed=0),
    "large": Ask("large", Kind.SLIDING, 9_007_199_254_740_991, window_ms=3_600_000, seed=0),
    "slots": Ask("slots", Kind.SLOTS, 10, seed=0),
    "day": Ask("day", Kind.FIXED, 50, start_ms=BEGIN_MS + 1000, end_ms=BEGIN_MS + 20_000, thresholds=(10, 25, 50)),
    "before": Ask("before", Kind.FIXED, 50, start_ms=BEGIN_MS - 5000, end_ms=BEGIN_MS + 500_000),
}
STEPS = st.lists(
    st.tuples(
        st.sampled_from("abc"),  # worker
        st.sampled_from(sorted(BUCKETS)),
        st.integers(0, 60),  # spends at most
        st.integers(0, 60),  # gives back at most
        st.integers(0, 80),  # wants
        st.integers(0, 20),  # at least
        st.sampled_from([0, 1, 16, 17, 250, 999, 1000, 2500, 61_000]),  # ms pass
        st.sampled_from([TTL_MS, TTL_MS, TTL_MS, 0]),
        st.sampled_from([-1, -1, 0, 30]),  # seed
        st.booleans(),  # the number of the message goes on
    ),
    max_size=20,
)


@settings(max_examples=40, deadline=None, phases=PHASES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, settle_ms=st.sampled_from([0, 0, 1500]))
def test_any_sequence_is_answered_alike(redis_session: RedisServer, steps: list, settle_ms: int) -> None:
    async def run() -> None:
        pair = await Pair(redis_session).begin()
        try:
            await follow(pair)
        finally:
            await pair.redis.close()

    async def follow(pair: Pair) -> None:
        held: dict[tuple[str, str], list[int]] = {}  # (worker, bucket): have, reserved, spent, acked, seq
        for worker, name, spends, gives, wants, least, passes, ttl, seed, counts in steps:
            state = held.setdefault((worker, name), [0, 0, 0, 0, 0])
            spent = min(spends, state[0])
            state[0] -= spent
            state[2] += spent
            state[0] -= min(gives, state[0])
            state[1] = state[0] // 2
            state[4] += counts
            ask = Ask(
                **{
                    **{field: getattr(BUCKETS[name], field) for field in Ask.__struct_fields__},
                    "seq": max(1, state[4]),
                    "acked": state[3],
                    "spent": state[2],
                    "have": state[0],
                    "reserved": state[1],
                    "least": min(least, wants),
                    "want": wants,
                    "seed": BUCKETS[name].seed if seed < 0 else seed,
                }
            )
            reply = await pair.exchange(worker, [ask], ttl, settle_ms)
            if reply.told[0].status not in (Status.STALE, Status.EARLY):
                state[0] += reply.told[0].granted
                state[3] = state[2]
            pair.now_ms += passes
            await pair.levels([BUCKETS[name]])

    asyncio.run(run())


def told_of(told: Told) -> tuple[str, int, int, int]:
    return told.status.name, told.granted, told.spent, told.held


async def ask(pair: Pair, worker: str, name: str, seq: int, **values: int) -> tuple[str, int, int, int]:
    base = {field: getattr(BUCKETS[name], field) for field in Ask.__struct_fields__}
    reply = await pair.exchange(worker, [Ask(**{**base, "seq": seq, "least": 1, **values})])
    return told_of(reply.told[0])


async def test_a_grant_is_at_most_what_is_free(pair: Pair) -> None:
    assert await ask(pair, "a", "fixed", 1, want=70) == ("OK", 70, 0, 70)
    assert await ask(pair, "b", "fixed", 1, want=70) == ("OK", 15, 0, 85)  # of 30 its share
    assert await ask(pair, "b", "fixed", 2, want=70, least=15, have=15) == ("OK", 15, 0, 100)
    assert await ask(pair, "a", "fixed", 2, want=1, have=70) == ("OK", 0, 0, 100)


async def test_an_answer_that_was_lost_is_not_counted_twice(pair: Pair) -> None:
    assert await ask(pair, "a", "fixed", 1, want=40) == ("OK", 40, 0, 40)
    assert await ask(pair, "a", "fixed", 2, want=40) == ("OK", 40, 0, 40)  # it never had the first 40
    assert await ask(pair, "a", "fixed", 3, have=10, spent=30) == ("OK", 0, 30, 10)
    assert await ask(pair, "a", "fixed", 4, have=10, spent=30) == ("OK", 0, 30, 10)


async def test_a_message_that_comes_late_is_not_heard(pair: Pair) -> None:
    assert await ask(pair, "a", "fixed", 5, have=0, spent=30) == ("OK", 0, 30, 0)
    assert await ask(pair, "a", "fixed", 4, want=40, spent=20) == ("STALE", 0, 0, 0)


async def test_a_sliding_bucket_comes_back_in_steps_from_when_it_was_full(pair: Pair) -> None:
    pair.now_ms += 100_000  # the store is older than the window: nothing to ask for
    assert await ask(pair, "a", "minute", 1, want=100) == ("OK", 100, 0, 100)
    pair.now_ms += 999
    assert await ask(pair, "a", "minute", 2, spent=100, want=10) == ("OK", 0, 100, 0)
    pair.now_ms += 1
    assert await ask(pair, "a", "minute", 3, spent=100, want=10) == ("OK", 1, 99, 1)
    pair.now_ms += 2000
    assert await ask(pair, "a", "minute", 4, spent=101, want=10) == ("OK", 4, 96, 4)
    pair.now_ms += 57_000
    assert await ask(pair, "a", "minute", 5, spent=105) == ("OK", 0, 5, 0)


async def test_slots_of_the_dead_come_back_whole_and_sliding_ones_with_time(pair: Pair) -> None:
    pair.now_ms += 100_000
    assert await ask(pair, "a", "slots", 1, want=10) == ("OK", 10, 0, 10)
    assert await ask(pair, "a", "odd", 1, want=7) == ("OK", 7, 0, 7)
    pair.now_ms += TTL_MS
    assert await ask(pair, "b", "slots", 1, want=1) == ("OK", 0, 0, 10)
    pair.now_ms += 1
    assert await ask(pair, "b", "slots", 2, want=1) == ("OK", 1, 0, 1)
    assert await ask(pair, "b", "odd", 1, want=1) == ("OK", 0, 7, 0)


async def test_what_was_spent_before_the_store_was_new_is_asked_for(pair: Pair) -> None:
    assert await ask(pair, "a", "before", 1, want=5, seed=-1) == ("UNSEEDED", 0, 0, 0)
    assert await ask(pair, "b", "before", 1, want=5, seed=48) == ("OK", 1, 48, 1)
    assert await ask(pair, "a", "before", 2, want=5, seed=-1) == ("OK", 1, 48, 2)


async def test_windows_begin_and_end_by_the_clock_of_the_store(pair: Pair) -> None:
    assert await ask(pair, "a", "day", 1, want=5) == ("EARLY", 0, 0, 0)
    pair.now_ms += 1000
    assert await ask(pair, "a", "day", 2, want=50) == ("OK", 50, 0, 50)
    pair.now_ms += 19_000
    assert await ask(pair, "a", "day", 3, have=20, reserved=20, spent=30, want=5) == ("OVER", 0, 30, 20)
    assert await ask(pair, "a", "day", 4, spent=48) == ("OVER", 0, 48, 0)


async def test_a_threshold_is_told_once(pair: Pair) -> None:
    pair.now_ms += 1000
    day = {field: getattr(BUCKETS["day"], field) for field in Ask.__struct_fields__}
    fired = []
    for worker, seq, spent in (("a", 1, 9), ("a", 2, 10), ("b", 1, 30), ("b", 2, 30), ("a", 3, 20)):
        reply = await pair.exchange(worker, [Ask(**{**day, "seq": seq, "spent": spent})])
        fired.append((reply.told[0].fired_from, reply.told[0].fired_to))
    assert fired == [(0, 0), (0, 1), (1, 2), (2, 2), (2, 3)]


async def test_a_store_that_went_back_in_time_is_a_new_one(redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.url)
    first = await store.exchange("a", TTL_MS, 0, 0, [])
    second = await store.exchange("a", TTL_MS, 0, first.calls, [])
    assert (second.epoch, second.calls) == (first.epoch, first.calls + 1)
    redis_server.command("SET", f"{PREFIX}calls", "1")
    third = await store.exchange("a", TTL_MS, 0, second.calls + 5, [])
    assert third.epoch != first.epoch
    assert third.calls > second.calls + 5
    await store.close()


async def test_more_buckets_than_a_call_takes(redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.url)
    asks = [Ask(f"b{n}", Kind.FIXED, 1000, want=n + 1, least=1, seed=0) for n in range(450)]
    reply = await store.exchange("a", TTL_MS, 0, 0, asks)
    assert [told.granted for told in reply.told] == [min(n + 1, 1000) for n in range(450)]
    _, levels = await store.levels(asks)
    assert [level.held for level in levels] == [n + 1 for n in range(450)]
    await store.close()


async def test_scripts_that_redis_forgot_are_sent_again(redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.url)
    await store.exchange("a", TTL_MS, 0, 0, [])
    redis_server.command("SCRIPT", "FLUSH")
    assert (await store.exchange("a", TTL_MS, 0, 1, [])).calls == 2
    await store.close()


async def test_nobody_there() -> None:
    store = RedisStore(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(StoreAway):
        await store.exchange("a", TTL_MS, 0, 0, [])
    await store.close()


async def test_a_stalled_redis_is_given_up_in_time(own_redis: RedisServer) -> None:
    store = RedisStore(own_redis.url, timeout_s=0.1)
    await store.exchange("a", TTL_MS, 0, 0, [])
    own_redis.stall()
    with pytest.raises(StoreAway):
        await store.exchange("a", TTL_MS, 0, 0, [])
    own_redis.go_on()
    assert (await store.exchange("a", TTL_MS, 0, 0, [])).calls >= 2
    await store.close()


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path, "--user", "gate", "on", ">s3:cret", "~*", "&*", "+@all")
    yield server
    server.stop()


async def test_acl_and_unix_socket(secured: RedisServer) -> None:
    for url in (
        f"redis://gate:s3%3Acret@127.0.0.1:{secured.port}/0",
        f"unix://gate:s3%3Acret@{secured.socket}?db=0",
    ):
        store = RedisStore(url)
        assert (await store.exchange("a", TTL_MS, 0, 0, [])).calls >= 1
        await store.close()
