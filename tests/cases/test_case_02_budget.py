"""CASES 2 and 3: parallel requests never spend more than a budget, however they end, and nothing stays reserved."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cases.client import at_rest, chat, until
from tests.support.metered import Got, limits_state, metered, request, run, settled, spent, statuses, storm, usage
from tests.support.processes import GatewayProcess, SimulatorProcess
from tests.support.redis_server import RedisServer

Start = Callable[[dict[str, Any]], GatewayProcess]
DOLLAR = 1_000_000_000

ENDINGS = [
    "tokens=20",
    "tokens=20",
    "tokens=20",
    "tokens=400",
    "tokens=20;status=500",
    "tokens=20;status=429",
    "tokens=20;status=400",
    "tokens=20;reset-before-headers",
    "tokens=20;reset-mid-stream",
    "tokens=20;stall-mid-stream=3",
    "tokens=20;close-mid-stream=3",
    "tokens=20;truncated-json",
    "tokens=20;first=200ms;gap=5ms",
]
"""What a model's name asks of the simulator, after which it ends so."""


def bodies(count: int, dice: random.Random) -> list[bytes]:
    """Streams and whole answers, with and without a maximum of tokens, of every ending."""
    made = []
    for _ in range(count):
        fields: dict[str, Any] = {"stream": dice.random() < 0.5}
        if dice.random() < 0.7:
            fields["max_tokens"] = dice.choice((5, 20, 30))
        made.append(request(chat(f"sim;{dice.choice(ENDINGS)}", **fields)))
    return made


def leaving(dice: random.Random) -> Callable[[int], Callable[[], float] | None]:
    """A fifth of the clients leave within 300 ms."""
    return lambda number: (lambda: dice.random() * 0.3) if number % 5 == 0 else None


def spend_the_rest(gateway: GatewayProcess) -> list[Got]:
    """What no request holds any more can be spent: until there is not enough for a single one.

    429: enough would be left, were it not for those in flight.
    """
    found: list[Got] = []
    while True:
        some = run(storm(gateway.port, [request(chat("sim;tokens=20", max_tokens=20))] * 40, 10))
        found += some
        assert set(statuses(some)) <= {200, 402, 429}, statuses(some)
        if set(statuses(some)) == {402}:
            return found


@pytest.mark.parametrize("shared", [True, False], ids=["redis", "memory"])
def test_a_dollar_is_a_dollar(
    start_gateway: Start, sim: SimulatorProcess, redis_server: RedisServer, tmp_path: Path, shared: bool
) -> None:
    """0.1 cents an input token and 0.2 cents an output token; some 2,000 requests would cost twenty dollars."""
    limits = [{"resource": "concurrent", "capacity": 1000}]
    config = metered(
        tmp_path,
        sim,
        key={"budget": {"usd": 1, "window": "total", "fail": "closed"}, "limits": limits},
        prices={"sim/*": {"input": 50.0, "output": 200.0}},
        defaults={
            "timeouts": {"first_token": "500ms", "idle": "500ms"},
            "retries": {"attempts": 2, "backoff": "1ms", "budget": "2s"},
            "breaker": {"failures": 100_000},
        },
        **({"state": {"url": redis_server.url}, "server": {"workers": 4}} if shared else {}),
    )
    gateway = start_gateway(config)
    dice = random.Random(2)  # noqa: S311 - reproducible, not secret
    found = run(storm(gateway.port, bodies(2000 if shared else 800, dice), 300, leaving(dice)))
    counted = statuses(found)
    assert counted[402] + counted[429] > 100, counted
    assert counted[200] > 10, counted
    until(lambda: at_rest(gateway), "at rest")
    found += spend_the_rest(gateway)
    rows = usage(gateway)
    assert 0.98 * DOLLAR <= spent(rows) <= DOLLAR
    if shared:
        budget = settled(gateway, "cost")
        assert budget["used"] == spent(rows)
        assert settled(gateway, "concurrent")["used"] == 0
        assert [row["used"] for row in limits_state(gateway) if row["resource"] == "cost"] == [spent(rows)]
    told = {
        got.request_id: int(got.headers[b"x-switchgear-cost-nanousd"])
        for got in found
        if got.whole and b"x-switchgear-cost-nanousd" in got.headers
    }
    by_request: dict[str, int] = {}
    for row in rows:
        by_request[row["request_id"]] = by_request.get(row["request_id"], 0) + row["cost_nanousd"]
    assert told
    assert all(by_request[request_id] == cost for request_id, cost in told.items())
    assert len({(row["request_id"], row["attempt"]) for row in rows}) == len(rows)
    assert "Traceback" not in gateway.output
