"""What keeps a gateway from being filled up, and what a full one says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from tests.cases.client import Open, at_rest, calls, chat, post, total, until
from tests.conftest import basic_config
from tests.hotpath.upstream import EVENTS, Peer, chunk, serving
from tests.support.processes import GatewayProcess, SimulatorProcess

Start = Callable[[dict[str, Any]], GatewayProcess]
EVENT = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"%b"}}]}\n\n' % (b"x" * 16000)


def test_the_cap_on_requests_in_flight_holds_for_each_path(start_gateway: Start, sim: SimulatorProcess) -> None:
    """The compiled path too, which serves a model after its first good answer."""
    gateway = start_gateway(basic_config(sim, sim, server={"max_in_flight": 2}, logging={"access": 1.0}))
    slow = chat("sim2/slow;first=60s")
    for _ in range(3):  # learnt, and a connection kept
        assert post(gateway.origin, chat("sim/quick")).status == 200
    with Open(gateway.origin, "/v1/chat/completions", slow), Open(gateway.origin, "/v1/chat/completions", slow):
        until(lambda: len(calls(sim)) == 5, "both wait at the upstream")
        refused = post(gateway.origin, chat("sim/quick"))
        assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (503, "overloaded", "1")
        assert Open(gateway.origin, "/health", method="GET").answer().status == 200
    until(lambda: post(gateway.origin, chat("sim/quick")).status == 200, "there is room again")
    assert "Traceback" not in gateway.output


def test_a_query_goes_along_on_each_path(gateway: GatewayProcess, sim: SimulatorProcess) -> None:
    for _ in range(3):
        assert post(gateway.origin, chat("sim/query"), "/v1/chat/completions?a=1&b=%2F").status == 200
        assert post(gateway.origin, chat("sim/query")).status == 200
    assert [record["query"] for record in calls(sim)] == ["a=1&b=%2F", ""] * 3


async def test_a_client_that_never_reads_is_let_go(start_gateway: Start, sim: SimulatorProcess) -> None:
    """Its upstream is closed by the total timeout; the request itself must end too, or a few clients fill the
    gateway for good."""

    async def endless(peer: Peer) -> None:
        await peer.request()
        peer.write(EVENTS)
        with contextlib.suppress(ConnectionError):  # the gateway closed
            while True:
                peer.write(chunk(EVENT))
                await peer.writer.drain()

    async with serving(endless) as upstream:
        config = basic_config(sim, defaults={"timeouts": {"total": "60s"}}, server={"body_timeout": "1s"})
        config["providers"]["sim"]["base_url"] = f"http://127.0.0.1:{upstream.port}/v1"
        config["models"] = {"m": {"targets": [{"provider": "sim", "model": "m"}]}}
        gateway = await asyncio.to_thread(start_gateway, config)
        with Open(gateway.origin, "/v1/chat/completions", chat("m", stream=True)):
            await asyncio.to_thread(until, lambda: total(gateway.metrics(), "switchgear_streams_open") == 1)
            await asyncio.to_thread(until, lambda: at_rest(gateway))
    metrics = await asyncio.to_thread(gateway.metrics)
    assert total(metrics, "switchgear_client_disconnects_total", phase="streaming") == 1
