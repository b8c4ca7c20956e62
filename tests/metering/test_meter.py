"""A meter whose request the compiled path began: what it reserved there may be too little for the next attempt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from switchgear.accounting.prices import Prices
from switchgear.config.load import loads
from switchgear.errors import LimitReached
from switchgear.hotpath._estimate import Estimates
from switchgear.limits.limits import Limits
from switchgear.metering.lengths import Length
from switchgear.metering.meter import FRAMING_EVENTS, Meter
from switchgear.metering.metering import Metering
from switchgear.server.routes import EXACT
from switchgear.state.memory import MemoryStore
from switchgear.types import Principal, RequestContext, Target

CI = Principal("ci", "key")
CHEAP, DEAR = Target("up", "cheap"), Target("up", "dear")


async def metering(own: str) -> Metering:
    config = loads(
        "providers: {up: {type: vllm, base_url: 'http://127.0.0.1:1/v1'}}\n"
        "prices: {up/cheap: {input: 0, output: 1}, up/dear: {input: 0, output: 10}}\n"
        f"keys: [{{name: ci, value: sk-0123456789abcdef, {own}}}]"
    )
    loop = asyncio.get_running_loop()
    limits = Limits(loop, config, MemoryStore())
    await limits.start()
    return Metering(loop, limits, Prices.from_config(config), None, Estimates(), {"up": "vllm"})


async def begun(found: Metering, length: Length) -> Meter:
    """A request that the compiled path sent to the cheap target."""
    ctx: Any = RequestContext(
        EXACT["/v1/chat/completions"]["POST"],
        b"r", 0.0, method="POST", path="", query=b"", client_headers=[], token=b"", body=b"{}",
    )  # fmt: skip  # a request, in short
    ctx.principal, ctx.model = CI, "m"
    plan = found.limits.plan(CI, "m")
    price = found.price(CHEAP, limited=True)
    amounts = (1, 10, length.expected, price.upper(10, length.expected))
    held = await found.limits.take_slowly(plan, *amounts, length.longest, price.upper(10, length.longest))
    meter = Meter(found, ctx, plan, 10, length, 10)
    meter.adopt(price, held, -1, 0.0)
    meter.unsent()
    return meter


async def test_a_dearer_target_is_bounded_by_what_was_reserved() -> None:
    found = await metering("budget: {usd: 0.02, window: day}")  # a cheap answer of 16,000 tokens, 2,000 dear ones
    meter = await begun(found, Length(400, 16_000, 1, False))
    await meter.begin(DEAR, "k")
    assert meter.ctx.bound == meter.longest == 1600
    meter.unsent()
    await meter.begin(CHEAP, "k")  # and a cheap one is as long as it was
    assert (meter.ctx.bound, meter.longest) == (0, 16_000)
    meter.settle()
    await found.limits.stop()


async def test_a_dearer_target_gets_more_where_there_is_more() -> None:
    found = await metering("budget: {usd: 1, window: day}")
    meter = await begun(found, Length(400, 16_000, 1, False))
    await meter.begin(DEAR, "k")
    assert (meter.ctx.bound, meter.longest) == (0, 16_000)
    assert found.limits.plan(CI, "m").buckets[0].reserved == 160_000_000
    meter.settle()
    await found.limits.stop()


@pytest.mark.parametrize("length", [Length(16_000, 16_000), Length(1500, 16_000, 100, False)], ids=["known", "least"])
async def test_what_cannot_be_bounded_is_refused(length: Length) -> None:
    found = await metering("budget: {usd: 0.02, window: day}")
    meter = await begun(found, length)
    if length.known:
        with pytest.raises(LimitReached):
            await meter.begin(DEAR, "k")
    else:  # fifteen tokens a choice are what answers had
        await meter.begin(DEAR, "k")
        assert meter.ctx.bound == 16
    meter.settle()
    await found.limits.stop()


async def test_an_estimate_is_no_more_than_the_bound() -> None:
    found = await metering("budget: {usd: 0.02, window: day}")
    meter = await begun(found, Length(50, 50))
    assert meter.believable(1000, 53) == (10, 50)
    assert meter.ceiling == 50 + FRAMING_EVENTS
    meter.settle()
    await found.limits.stop()
