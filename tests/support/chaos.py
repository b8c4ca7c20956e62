"""Load on a gateway while its workers, Redis and PostgreSQL are killed, stalled and emptied; and a verdict at the end.

    await chaos(folder, Plan(seconds=60, …)) -> Verdict

Two keys ask. `open` has a limit that fails open and that nobody reaches: whatever happens to Redis and PostgreSQL, its
requests are served. `closed` has a budget that fails closed: it never overshoots. Clients whose worker was killed are
cut off, which nobody can mend; their requests have a row all the same.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.cases.client import chat
from tests.support.databases import PostgresProcess
from tests.support.metered import Client, Got, Row, metered, request, usage
from tests.support.processes import GatewayProcess, SimulatorProcess
from tests.support.redis_server import RedisServer

KEYS = {"open": "sk-open-0123456789abcdef", "closed": "sk-closed-0123456789abcdef"}
MAX_IN_FLIGHT = 600
KILL_S = 0.5
LOG_LINES = 30
DECLARED_S = 3.0
"""The longest a request of a limit that fails closed may wait for its 503: a late loop included."""


@dataclass
class Plan:
    """seconds: of load, at `rate` requests a second. kill_every_s: between the deaths of workers. stall_s, database_s:
    how long Redis is stopped, and PostgreSQL. budget_usd: of the key `closed`. timed: judge times as well, which only
    means something on a machine that does nothing else."""

    seconds: float
    rate: float = 300.0
    workers: int = 4
    kill_every_s: float = 5.0
    stall_s: float = 3.0
    database_s: float = 10.0
    budget_usd: float = 5.0
    timed: bool = False


class Sent(NamedTuple):
    key: str
    at_s: float  # since the load began
    took_s: float
    got: Got


@dataclass
class Verdict:
    """What was seen, and what was wrong with it: nothing, if all is well."""

    sent: list[Sent]
    rows: list[Row]
    events: list[tuple[float, str]]
    exit_status: int | None = None
    log: str = ""
    wrong: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """For a terminal."""
        lines = [f"{at_s:7.1f} s  {what}" for at_s, what in self.events]
        lines += [f"{name:<34} {value}" for name, value in self.figures.items()]
        return "\n".join(
            [*lines, *(f"WRONG  {what}" for what in self.wrong), f"verdict: {'FAILED' if self.wrong else 'ok'}"]
        )


async def chaos(folder: Path, plan: Plan) -> Verdict:
    """Run it. Everything it starts is ended."""
    (folder / "redis").mkdir()
    redis = RedisServer(folder / "redis")
    postgres = PostgresProcess()
    simulator = SimulatorProcess(folder, "--gap", "1ms", "--tokens", "8")
    gateway: GatewayProcess | None = None
    try:
        config = metered(
            folder,
            simulator,
            prices={"sim/*": {"input": 10.0, "output": 40.0}},
            database={"url": await postgres.create()},
            state={"url": redis.url},
            server={"workers": plan.workers},
        )
        budget = {"usd": plan.budget_usd, "window": "total", "fail": "closed"}
        limit = {"resource": "requests", "capacity": 10**9, "window": "total", "fail": "open"}
        config["keys"] = [
            {"name": "open", "value": KEYS["open"], "limits": [limit]},
            {"name": "closed", "value": KEYS["closed"], "budget": budget},
        ]
        gateway = await asyncio.to_thread(GatewayProcess(config, folder).ready)
        storm = _Storm(gateway, plan)
        events = _Events(gateway, redis, postgres, plan, storm)
        await asyncio.gather(storm.run(), events.run())
        await asyncio.sleep(3.0)  # what dead workers left is adopted meanwhile
        exit_status = gateway.child.poll()
        rows = await asyncio.to_thread(usage, gateway)
        return judge(Verdict(storm.sent, rows, events.seen, exit_status, complaints(gateway.output)), plan)
    finally:
        redis.stop()
        if gateway is not None:
            gateway.stop()
        simulator.stop()
        postgres.close()


class _Storm:
    """Requests at a constant rate, however long they take."""

    def __init__(self, gateway: GatewayProcess, plan: Plan):
        self.plan = plan
        self.port = gateway.port
        self.sent: list[Sent] = []
        self.began = time.monotonic()
        self._idle: list[Client] = []
        self._under_way: set[asyncio.Task[None]] = set()
        dice = random.Random(16)  # noqa: S311 - reproducible, not secret
        self._requests = [
            (key, request(chat("sim", stream=dice.random() < 0.5, max_tokens=8), key=KEYS[key]))
            for key in dice.choices(("open", "closed"), (4, 1), k=500)
        ]

    @property
    def now_s(self) -> float:
        return time.monotonic() - self.began

    async def run(self) -> None:
        self.began = time.monotonic()
        number = 0
        while self.now_s < self.plan.seconds:
            due = int(self.now_s * self.plan.rate)
            while number < due:
                number += 1
                if len(self._under_way) < MAX_IN_FLIGHT:
                    task = asyncio.create_task(self._one(*self._requests[number % len(self._requests)]))
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
            await asyncio.sleep(0.01)
        if self._under_way:
            await asyncio.wait(self._under_way)
        for client in self._idle:
            client.close()

    async def _one(self, key: str, what: bytes) -> None:
        client = self._idle.pop() if self._idle else Client(self.port)
        at_s = self.now_s
        got = await client.ask(what)
        self.sent.append(Sent(key, at_s, self.now_s - at_s, got))
        self._idle.append(client)


class _Events:
    """What goes wrong, and when."""

    def __init__(
        self, gateway: GatewayProcess, redis: RedisServer, postgres: PostgresProcess, plan: Plan, storm: _Storm
    ):
        self.gateway, self.redis, self.postgres, self.plan, self.storm = gateway, redis, postgres, plan, storm
        self.seen: list[tuple[float, str]] = []

    async def run(self) -> None:
        await asyncio.gather(self._kill_workers(), self._stores())

    async def _kill_workers(self) -> None:
        dice = random.Random(5)  # noqa: S311 - reproducible, not secret
        while self.storm.now_s < self.plan.seconds - self.plan.kill_every_s:
            await asyncio.sleep(self.plan.kill_every_s)
            workers = _serving(self.gateway)
            if len(workers) > 1:  # one that is left serves while the others come back
                victim = dice.choice(workers)
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                self._note(f"worker {victim} killed")

    async def _stores(self) -> None:
        plan = self.plan
        pause_s = max(0.5, (plan.seconds - 3 * plan.stall_s - plan.database_s) / 6)
        await asyncio.sleep(pause_s)
        self._note("Redis stalls")
        self.redis.stall()
        await asyncio.sleep(plan.stall_s)
        self.redis.go_on()
        self._note("Redis goes on")
        await asyncio.sleep(pause_s)
        self.redis.flush()
        self._note("Redis flushed")
        await asyncio.sleep(pause_s)
        self.redis.kill()
        self._note("Redis killed")
        await asyncio.sleep(plan.stall_s)
        await asyncio.to_thread(self.redis.start)
        self._note("Redis started, empty")
        await asyncio.sleep(pause_s)
        await asyncio.to_thread(self.postgres.stop)
        self._note("PostgreSQL stopped")
        await asyncio.sleep(plan.database_s)
        await asyncio.to_thread(self.postgres.start)
        self._note("PostgreSQL started")

    def _note(self, what: str) -> None:
        self.seen.append((self.storm.now_s, what))


def _serving(gateway: GatewayProcess) -> list[int]:
    """The workers: children that hold the listening socket's port are those that granian forked or spawned."""
    found = []
    for pid in gateway.worker_pids():
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"resource_tracker" not in command:
                found.append(pid)
    return found


def judge(verdict: Verdict, plan: Plan) -> Verdict:
    """Hold what was seen against what must hold, and fill in the figures."""
    wrong, rows = verdict.wrong, verdict.rows
    counted = {key: Counter(one.got.status for one in verdict.sent if one.key == key) for key in KEYS}
    keyed = Counter((row["request_id"], row["attempt"]) for row in rows)
    known = {row["request_id"] for row in rows}
    delivered = [one for one in verdict.sent if one.got.whole and one.got.status == 200]
    twice = [each for each, count in keyed.items() if count > 1]
    lacking = [one.got.request_id for one in delivered if one.got.request_id not in known]
    spent = sum(row["cost_nanousd"] for row in rows if row["key"] == "closed")
    failed = Counter(one.got.status for one in verdict.sent if one.key == "open" and one.got.status not in (0, 200))
    odd = set(counted["closed"]) - {0, 200, 402, 429, 503}  # 429: what is left is reserved by others
    slow = max((one.took_s for one in verdict.sent if one.key == "closed" and one.got.status == 503), default=0.0)
    if twice:
        wrong.append(f"{len(twice)} upstream requests have two rows: {twice[:3]}")
    if lacking:
        wrong.append(f"{len(lacking)} delivered answers have no row: {lacking[:3]}")
    if spent > plan.budget_usd * 1e9:
        wrong.append(f"the budget of ${plan.budget_usd} was overshot: ${spent / 1e9}")
    if failed:
        wrong.append(f"requests of a limit that fails open failed: {dict(failed)}")
    kills = [at_s for at_s, what in verdict.events if what.startswith("worker")]
    unexplained = [one for one in verdict.sent if not one.got.whole and not _explained(one, kills)]
    if unexplained:
        first, last = unexplained[0], unexplained[-1]
        wrong.append(
            f"{len(unexplained)} requests had no answer and no kill near them: {first.at_s:.1f} to {last.at_s:.1f} s"
        )
    if verdict.exit_status is not None:
        wrong.append(f"the gateway ended by itself, with status {verdict.exit_status}")
    if odd:
        wrong.append(f"requests of a limit that fails closed ended with {sorted(odd)}")
    if plan.timed and slow > DECLARED_S:
        wrong.append(f"a 503 took {slow:.2f} s")
    if len(delivered) < plan.seconds * plan.rate / 10:
        wrong.append(f"only {len(delivered)} answers were delivered")
    verdict.figures = {
        "requests": len(verdict.sent),
        "delivered whole": len(delivered),
        "cut off by a kill": sum(1 for one in verdict.sent if not one.got.whole),
        "rows": len(rows),
        "rows of killed requests": sum(row["error_class"] == "killed" for row in rows),
        "statuses of open": dict(counted["open"]),
        "statuses of closed": dict(counted["closed"]),
        "spent of the budget": f"${spent / 1e9:.6f} of ${plan.budget_usd}",
        "slowest 503": f"{slow * 1000:.0f} ms",
        **_stall_figures(verdict),
    }
    return verdict


def complaints(log: str) -> str:
    """What the gateway complained of, the first time each."""
    found: dict[str, str] = {}
    for line in log.splitlines():
        entry = json.loads(line) if line.startswith("{") else {"event": line}
        if entry.get("level") not in ("info", "debug"):
            found.setdefault(f"{entry['event']} {entry.get('error', '')}", line[:500])
    return "\n".join(list(found.values())[:LOG_LINES])


def _explained(one: Sent, kills: list[float]) -> bool:
    """Whether a worker was killed while a request was under way, or so shortly before that its socket was still
    there."""
    return any(one.at_s - KILL_S <= at_s <= one.at_s + one.took_s + KILL_S for at_s in kills)


def _stall_figures(verdict: Verdict) -> dict[str, str]:
    """p99 of the key that fails open, before Redis stalls and while it does."""
    marks = {what: at_s for at_s, what in verdict.events}
    served = [one for one in verdict.sent if one.key == "open" and one.got.status == 200]
    before = [one.took_s for one in served if one.at_s < marks["Redis stalls"]]
    during = [one.took_s for one in served if marks["Redis stalls"] <= one.at_s < marks["Redis goes on"]]
    return {"p99 before a stall": _p99(before), "p99 while Redis stalls": _p99(during)}


def _p99(seconds: list[float]) -> str:
    return f"{sorted(seconds)[int(len(seconds) * 0.99)] * 1000:.0f} ms" if seconds else "-"
