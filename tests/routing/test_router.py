"""Routes and the router: picks, reports, breakers and pauses together, wildcard names, bounds, reload."""

from __future__ import annotations

import subprocess
import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.config.schema import Breaker, Model, Retries, TargetEntry
from switchgear.config.values import Duration
from switchgear.routing import Outcome, Route, Router
from switchgear.types import Target

BREAKER = Breaker(failures=2, open=Duration(5.0), max_open=Duration(40.0))


def route(*rows: tuple[int, float], breaker: Breaker = BREAKER) -> Route:
    return Route("m", [Target("p", f"t{n}", tier, weight) for n, (tier, weight) in enumerate(rows)], breaker=breaker)


def seen(*targets: Target | None) -> list[tuple[str, int, float] | None]:
    return [None if target is None else (target.name, target.tier, target.weight) for target in targets]


def fail(route: Route, index: int, now: float, times: int = 2) -> None:
    for _ in range(times):
        route.report(index, Outcome.FAILED, now)


def states(route: Route, now: float) -> list[tuple[str, float, float]]:
    return [(t["breaker"], t["open_for_s"], t["throttled_for_s"]) for t in route.snapshot(now)["targets"]]


def test_failover_within_a_request() -> None:
    found, tried = route((0, 1.0), (0, 1.0), (1, 1.0)), bytearray(3)
    order = []
    while (index := found.pick(0.0, 0.4, tried)) >= 0:
        order.append(index)
        tried[index] = 1
    assert order == [0, 1, 2]


def test_open_target_is_left_out_then_probed_by_one_request() -> None:
    found = route((0, 1.0), (1, 1.0))
    fail(found, 0, 0.0)
    assert states(found, 1.0) == [("open", 4.0, 0.0), ("closed", 0.0, 0.0)]
    assert [found.pick(now, 0.5) for now in (0.0, 4.9, 5.0, 5.0, 44.9)] == [1, 1, 0, 1, 1]
    found.report(0, Outcome.ANSWERED, 44.9)
    assert states(found, 44.9) == [("closed", 0.0, 0.0)] * 2
    assert found.pick(44.9, 0.5) == 0


def test_failed_probe_doubles_the_time() -> None:
    found = route((0, 1.0), (1, 1.0))
    fail(found, 0, 0.0)
    assert found.pick(5.0, 0.5) == 0
    found.report(0, Outcome.FAILED, 5.0)
    assert [found.pick(now, 0.5) for now in (14.9, 15.0)] == [1, 0]


def test_cancelled_probe_makes_room_for_the_next() -> None:
    found = route((0, 1.0), (1, 1.0))
    fail(found, 0, 0.0)
    assert found.pick(5.0, 0.5) == 0
    found.report(0, Outcome.CANCELLED, 6.0)
    assert found.pick(6.0, 0.5) == 0


def test_lost_probe_is_replaced_after_the_longest_open_time() -> None:
    found = route((0, 1.0), (1, 1.0))
    fail(found, 0, 0.0)
    assert [found.pick(now, 0.5) for now in (5.0, 44.9, 45.0)] == [0, 1, 0]


@pytest.mark.parametrize("outcome", [o for o in Outcome if not o.unhealthy])
def test_what_is_not_ill_health_opens_nothing(outcome: Outcome) -> None:
    found = route((0, 1.0), (1, 1.0))
    for _ in range(50):
        found.report(0, outcome, 0.0)
    assert states(found, 0.0) == [("closed", 0.0, 0.0)] * 2


def test_throttled_target_waits_and_the_only_one_is_still_tried() -> None:
    found = route((0, 1.0))
    found.report(0, Outcome.THROTTLED, 0.0, 30.0)
    assert (found.pick(0.0, 0.5), found.wait_s(1.0), found.available(1.0)) == (0, 29.0, 0)
    found.report(0, Outcome.ANSWERED, 2.0)
    found.report(0, Outcome.THROTTLED, 2.0, 1.0)
    assert states(found, 2.0) == [("closed", 0.0, 28.0)]


def test_throttle_without_a_wait_leaves_the_target_to_its_other_credentials() -> None:
    found = route((0, 1.0))
    found.report(0, Outcome.THROTTLED, 0.0, 0.0)
    found.report(0, Outcome.REFUSED, 0.0)
    assert found.wait_s(0.0) == 0.0


def test_closing_breaker_does_not_end_a_pause() -> None:
    found = route((0, 1.0), (1, 1.0))
    fail(found, 0, 0.0)
    found.report(0, Outcome.THROTTLED, 0.0, 60.0)
    assert [found.pick(now, 0.5) for now in (5.0, 59.9)] == [1, 1]
    assert found.pick(60.0, 0.5) == 0
    found.report(0, Outcome.THROTTLED, 60.0, 9.0)
    found.report(0, Outcome.ANSWERED, 61.0)
    assert found.pick(61.0, 0.5) == 1


def test_fresh_means_untried_and_available() -> None:
    found, tried = route((0, 1.0), (0, 1.0)), bytearray(b"\1\0")
    assert found.fresh(0.0, tried)
    fail(found, 1, 0.0)
    assert not found.fresh(0.0, tried)
    assert found.wait_s(0.0) == 0.0
    assert found.pick(0.0, 0.5, tried) == 1
    assert not found.fresh(0.0, bytearray(b"\1\1"))


def test_decision_says_why_and_changes_nothing() -> None:
    found = route((0, 3.0), (0, 1.0), (0, 0.0), (1, 1.0), (0, 1.0), (0, 1.0))
    fail(found, 4, 0.0)
    found.report(5, Outcome.THROTTLED, 0.0, 7.5)
    before = found.snapshot(1.0)
    decision = found.decide(1.0, 0.9)
    assert (decision.index, decision.target, decision.tier, decision.score) == (1, found.targets[1], 0, 0.25)
    assert decision.reasons == [
        "p/t1: available in tier 0 with weight 1 of 4",
        "p/t0: available in tier 0 with weight 3 of 4",
        "p/t2: weight 0, and tier 0 has other targets",
        "p/t3: available, but tier 0 goes before tier 1",
        "p/t4: left out after 2 failures in a row, for another 4.000 s",
        "p/t5: throttled for another 6.500 s",
    ]
    assert [c.score for c in decision.candidates] == [0.75, 0.25, 0.0, 0.0, 0.0, 0.0]
    found.decide(9.0, 0.5)
    assert found.snapshot(1.0) == before


def test_decision_when_none_is_available_and_when_all_were_tried() -> None:
    found = route((0, 1.0), (0, 1.0))
    found.report(0, Outcome.THROTTLED, 0.0, 8.0)
    found.report(1, Outcome.THROTTLED, 0.0, 4.0)
    decision = found.decide(0.0, 0.0)
    assert (decision.index, decision.score) == (1, 1.0)
    assert decision.reasons == [
        "p/t1: available soonest, in 4.000 s, as no target is available now",
        "p/t0: throttled for another 8.000 s",
    ]
    decision = found.decide(0.0, 0.0, bytearray(b"\1\1"))
    assert (decision.index, decision.target, decision.reasons) == (-1, None, ["every target was tried"])
    assert [c.reason for c in decision.candidates] == ["tried by this request"] * 2


@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, 1.0, 2.5])), min_size=1, max_size=6),
)
def test_decide_agrees_with_pick_and_scores_sum_to_one(seed: int, rows: list[tuple[int, float]]) -> None:
    random = Random(seed)  # noqa: S311  # repeatable
    found, now = route(*rows), 0.0
    for _ in range(30):
        now += random.choice([0.0, 1.0, 7.0])
        draw = random.random()
        decision = found.decide(now, draw)
        assert sum(c.score for c in decision.candidates) == pytest.approx(1.0)
        assert decision.score > 0
        index = found.pick(now, draw)
        assert index == decision.index  # never empty
        found.report(index, random.choice(list(Outcome)), now, random.choice([None, 0.0, 3.0]))
        assert found.pick(now, draw, bytearray(b"\1") * len(rows)) == -1


MODEL = Model(
    targets=[TargetEntry(provider="a", model="x", weight=2.0), TargetEntry(provider="b", model="y", tier=1)],
    retries=Retries(attempts=7),
)


def test_configured_models_and_no_others() -> None:
    router = Router({"smart": MODEL}, providers=["a", "b"], owners={"a": ["x"]}, default_provider="a")
    found = router.route("smart")
    assert found is not None
    assert seen(*found.targets) == [("a/x", 0, 2.0), ("b/y", 1, 1.0)]
    assert found.retries.attempts == 7
    assert [router.route(name) for name in ("x", "a/x", "", "Smart")] == [None] * 4
    assert (router.wildcard, router.names()) == (False, ["smart"])


def test_wildcard_names() -> None:
    owners = {"a": ["x", "shared", "meta/llama"], "b": ["shared"]}
    router = Router(providers=["a", "b", "meta"], owners=owners)
    expected = {
        "a/x": Target("a", "x"),
        "a/new": Target("a", "new"),
        "b/org/model": Target("b", "org/model"),
        "x": Target("a", "x"),
        "meta/llama": Target("a", "meta/llama"),  # somebody's bare name before a provider's prefix
        "meta/other": Target("meta", "other"),
        "b/shared": Target("b", "shared"),
        "shared": None,  # two have it
        "unknown": None,
        "c/x": None,
        "a/": None,
        "/x": None,
        "": None,
        "a/" + "x" * 255: None,
    }
    assert seen(*map(router.resolve, expected)) == seen(*expected.values())
    found = router.route("a/x")
    assert found is not None
    assert router.route("a/x") is found
    assert router.names() == ["a/meta/llama", "a/shared", "a/x", "b/shared", "meta/llama", "x"]


def test_default_provider_takes_bare_names_nobody_owns() -> None:
    router = Router(providers=["a", "b"], owners={"a": ["s"], "b": ["s", "y"]}, default_provider="a")
    assert seen(*map(router.resolve, ("new", "y", "s"))) == [("a/new", 0, 1.0), ("b/y", 0, 1.0), None]


def test_names_that_change_hands_get_a_new_route() -> None:
    router = Router(providers=["a", "b"], owners={"a": ["x", "z"]})
    kept, gone = router.route("z"), router.route("x")
    router.set_models("b", ["x", "y"])
    assert router.route("x") is None
    router.set_models("a", ["z"])
    moved = router.route("x")
    assert moved is not None
    assert moved is not gone
    assert seen(*moved.targets) == [("b/x", 0, 1.0)]
    assert router.route("z") is kept


def test_dynamic_routes_are_bounded_and_the_least_recently_used_goes() -> None:
    router = Router(providers=["a"], max_dynamic=100)
    used = router.route("a/used")
    for junk in range(1000):
        assert router.route(f"a/junk-{junk}") is not None
        assert router.route("a/used") is used
    assert len(router.routes()) == router.snapshot(0.0)["dynamic_routes"] == 100


def test_defaults_apply_to_dynamic_routes() -> None:
    found = Router(providers=["a"], defaults=MODEL).route("a/x")
    assert found is not None
    assert found.retries.attempts == 7


@pytest.mark.parametrize("models", [{"m": MODEL}, None])
def test_reload_forgets_no_breaker_or_pause(models: dict[str, Model] | None) -> None:
    name = "m" if models else "a/x"
    old, new = (Router(models, providers=["a", "b"]) for _ in range(2))
    found = old.route(name)
    assert found is not None
    fail(found, 0, 0.0, times=5)
    found.report(0, Outcome.THROTTLED, 0.0, 60.0)
    new.adopt(old)
    assert new.snapshot(1.0) == old.snapshot(1.0)
    assert new.snapshot(1.0)["routes"][0]["targets"][0] == {
        "name": "a/x",
        "tier": 0,
        "weight": 2.0 if models else 1.0,
        "breaker": "open",
        "failures": 5,
        "open_for_s": 4.0,
        "throttled_for_s": 59.0,
    }


def test_reload_drops_targets_that_are_gone() -> None:
    old, new = Router({"m": MODEL, "n": MODEL}), Router({"m": Model(targets=MODEL.targets[1:])})
    found = old.route("m")
    assert found is not None
    fail(found, 0, 0.0, times=5)
    new.adopt(old)
    assert [t["breaker"] for t in new.snapshot(0.0)["routes"][0]["targets"]] == ["closed"]


def test_the_engine_loads_no_io() -> None:
    code = (
        "import sys, switchgear.routing\n"
        "bad = {'asyncio', 'httpx', 'redis', 'granian', 'sqlalchemy', 'ssl'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(bad)) or 0)"
    )
    done = subprocess.run(  # our own interpreter and code
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
