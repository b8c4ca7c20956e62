"""How much is reserved for an answer of unknown length, far from the edge of a budget, close to it, and at it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from switchgear.config.load import loads
from switchgear.errors import BudgetExhausted, GatewayError
from switchgear.limits.fitting import LEAST_TOKENS, Fitting, comes_back, firm
from switchgear.limits.limits import Limits
from switchgear.state.memory import MemoryStore
from switchgear.types import Principal

CI = Principal("ci", "key")
NOW_MS = 1_800_000_000_000  # 2027-01-15T08:00:00Z
TOKEN = 10_000  # nano-dollars


def config(own: str) -> Any:
    return loads(
        f"providers: {{openai: {{credentials: [sk-x]}}}}\nkeys: [{{name: ci, value: sk-0123456789abcdef, {own}}}]"
    )


async def limited(own: str) -> Limits:
    limits = Limits(asyncio.get_running_loop(), config(own), MemoryStore(lambda: NOW_MS))
    await limits.start()
    return limits


def fitting(expected: int = 400, longest: int = 8000, choices: int = 1, **more: Any) -> Fitting:
    return Fitting(10, expected, longest, choices, lambda tokens: tokens * TOKEN, **{"open": True, **more})


async def taken(own: str, wanted: Fitting) -> tuple[int, int]:
    """(tokens that are reserved, the bound) of the first request."""
    limits = await limited(own)
    held = await limits.take_fitting(limits.plan(CI, "m"), wanted)
    held.settle(0, 0, 0)
    await limits.stop()
    return wanted.tokens, wanted.bound


@pytest.mark.parametrize(
    ("tokens", "found"),
    [
        (16 * 8000, (8000, 0)),  # sixteen of the longest fit
        (16 * 8000 - 1, (7999, 7999)),
        (16_000, (1000, 1000)),  # a sixteenth of what is left
        (3200, (400, 400)),  # as long as answers lately were
        (800, (400, 400)),
        (700, (350, 350)),  # half of what is left
        (2 * LEAST_TOKENS, (LEAST_TOKENS, LEAST_TOKENS)),
        (LEAST_TOKENS, (LEAST_TOKENS, LEAST_TOKENS)),
    ],
)
async def test_what_is_reserved_of_what_is_left(tokens: int, found: tuple[int, int]) -> None:
    budget = f"budget: {{usd: {tokens * TOKEN / 1e9}, window: day}}"
    assert await taken(budget, fitting()) == found


async def test_at_the_edge_it_is_refused() -> None:
    with pytest.raises(BudgetExhausted):
        await taken(f"budget: {{usd: {(LEAST_TOKENS - 1) * TOKEN / 1e9}, window: day}}", fitting())


async def test_a_short_answer_needs_less() -> None:
    """Where answers have had 30 tokens lately, 30 are worth asking for; below 16 nobody answers anything."""
    assert await taken(f"budget: {{usd: {40 * TOKEN / 1e9}, window: day}}", fitting(30)) == (30, 30)
    assert await taken(f"budget: {{usd: {16 * TOKEN / 1e9}, window: day}}", fitting(1)) == (16, 16)


async def test_choices_share() -> None:
    own = f"budget: {{usd: {1000 * TOKEN / 1e9}, window: day}}"
    assert await taken(own, fitting(1000, 24_000, 3)) == (768, 256)
    assert await taken(own, fitting(300, 24_000, 3)) == (300, 100)


async def test_tokens_of_a_day_are_firm_too() -> None:
    own = "limits: [{resource: tokens, capacity: 1010, window: day}]"
    assert await taken(own, fitting()) == (400, 400)
    own = "limits: [{resource: output_tokens, capacity: 1010, window: total}]"
    assert await taken(own, fitting(600)) == (505, 505)


async def test_what_the_request_bounds_itself_is_reserved_whole() -> None:
    own = f"budget: {{usd: {1000 * TOKEN / 1e9}, window: day}}"
    assert await taken(own, fitting(900, 900, open=False)) == (900, 0)
    with pytest.raises(GatewayError):
        await taken(own, fitting(1001, 1001, open=False))


async def test_what_comes_back_by_waiting_is_reserved_as_expected() -> None:
    own = (
        "limits: [{resource: output_tokens, capacity: 500, window: minute}, {resource: cost, capacity: 1, window: day}]"
    )
    limits = await limited(own)
    plan = limits.plan(CI, "m")
    assert (firm(plan), comes_back(plan)) == (True, True)
    wanted = fitting()
    held = await limits.take_fitting(plan, wanted)
    assert [held.held(n) for n in range(2)] == [400, 6250 * TOKEN]
    held.release()
    assert plan.far(10, 6250, 6250 * TOKEN)
    assert not plan.far(10, 6251, 6251 * TOKEN)
    await limits.stop()


async def test_neither_soft_nor_sliding_limits_bound_anything() -> None:
    own = (
        "limits: [{resource: cost, capacity: 0.001, window: day, hard: false},"
        " {resource: tokens, capacity: 900, window: minute}]"
    )
    assert await taken(own, fitting()) == (8000, 0)


async def test_many_at_once_share_what_there_is() -> None:
    """Each takes half of what the others left, then all that is left is too little: nothing is taken twice."""
    limits = await limited(f"budget: {{usd: {10_000 * TOKEN / 1e9}, window: total}}")
    plan = limits.plan(CI, "m")
    wanted = [fitting(5000) for _ in range(12)]
    found = await asyncio.gather(*(limits.take_fitting(plan, one) for one in wanted), return_exceptions=True)
    held = [one for one in found if not isinstance(one, BaseException)]
    assert len(held) >= 5
    assert all(isinstance(one, GatewayError) for one in found if isinstance(one, BaseException))
    reserved = sum(one.tokens for one, got in zip(wanted, found, strict=True) if not isinstance(got, BaseException))
    assert 10_000 - LEAST_TOKENS < reserved <= 10_000
    for one in held:
        one.release()
    await limits.stop()
