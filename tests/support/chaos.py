"""Load on a gateway while its workers, Redis and PostgreSQL are killed, stalled and emptied and its ledger's quota is
used up; and a verdict at the end (`chaos_verdict`).

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
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from switchgear.cli.usage import command as usage_command
from switchgear.config.load import load
from switchgear.limits.declared import Declared
from switchgear.limits.snapshot import rows as limit_rows
from switchgear.state import open_store
from tests.support.chaos_load import ANSWER_TOKENS, KEYS, Storm, prompt_tokens
from tests.support.chaos_verdict import Memory, Phase, Seen, Verdict, judge
from tests.support.databases import PostgresProcess
from tests.support.metered import Row, metered
from tests.support.processes import GatewayProcess, SimulatorProcess, wait_for
from tests.support.redis_server import RedisServer

INPUT_USD, OUTPUT_USD = 10.0, 40.0
"""For a million tokens."""
LOG_LINES = 30
QUOTA = 1024 * 1024
PLENTY = 1024 * 1024 * 1024
FULL = 0.85
"""Of the quota: with `drop_oldest` an eighth of it has just been dropped."""
FILL_S = 8.0
"""About as long as it takes to fill the quota, and to drain it."""
REST_S = 30.0
"""Within which counters and ledger come to rest after the load."""
LOOK_S = 1.0
READY_S = 120.0
SETTLED_S = 2.5


@dataclass
class Plan:
    """seconds: of load, at `rate` requests a second. kill_every_s: between the deaths of workers. stall_s: how long
    Redis is stopped, or gone. database_s: how long PostgreSQL is. quota_s: how long a quota of `QUOTA` is full, for
    each policy. stalls: how often Redis is stopped. budget_usd: of the key `closed`. timed: judge times as well, which
    only means something on a machine that does nothing else."""

    seconds: float
    rate: float = 300.0
    workers: int = 4
    kill_every_s: float = 5.0
    stall_s: float = 3.0
    database_s: float = 10.0
    quota_s: float = 2.0
    stalls: int = 1
    budget_usd: float = 5.0
    timed: bool = False

    @property
    def calm_s(self) -> float:
        """Of each of the phases in which nothing but workers fails."""
        failing = (self.stalls + 2) * self.stall_s + self.database_s + 2 * (self.quota_s + FILL_S)
        return max(1.0, (self.seconds - failing) / (self.stalls + 6))


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
            prices={"sim/*": {"input": INPUT_USD, "output": OUTPUT_USD}},
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
        gateway = GatewayProcess(config, folder)
        await asyncio.to_thread(wait_for, f"{gateway.origin}/ready", gateway, READY_S)
        storm = Storm(gateway.port, plan.seconds, plan.rate)
        events = _Events(gateway, redis, postgres, plan, storm, config)
        seen = events.seen
        seen.began, seen.rate = time.time(), plan.rate
        await asyncio.gather(storm.run(), events.run())
        seen.sent, seen.skipped, seen.late_s = storm.sent, storm.skipped, storm.late_s
        seen.exit_status = gateway.child.poll()
        await _rest(gateway, seen)
        seen.complaints = complaints(gateway.output)
        reserved = round((prompt_tokens() * INPUT_USD + ANSWER_TOKENS * OUTPUT_USD) * 1000)
        least = int(plan.seconds * plan.rate / 10)
        return judge(seen, budget_usd=plan.budget_usd, reserved=reserved, least=least, timed=plan.timed)
    finally:
        redis.stop()
        if gateway is not None:
            gateway.stop()
        simulator.stop()
        postgres.close()


class _Events:
    """What goes wrong, and when."""

    def __init__(
        self,
        gateway: GatewayProcess,
        redis: RedisServer,
        postgres: PostgresProcess,
        plan: Plan,
        storm: Storm,
        config: dict[str, Any],
    ):
        self.gateway, self.redis, self.postgres, self.plan, self.storm = gateway, redis, postgres, plan, storm
        self.config = config
        self.seen = Seen()
        self._spare = False  # workers are not killed
        self._built: dict[int, float] = {}  # workers, and since when they have been seen with leases

    async def run(self) -> None:
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.gather(self._kill_workers(), self._stores())
        finally:
            self.storm.enough.set()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _kill_workers(self) -> None:
        dice = random.Random(5)  # noqa: S311 - reproducible, not secret
        due_s = self.plan.kill_every_s
        while due_s < self.plan.seconds - 1:
            await asyncio.sleep(max(0.0, due_s - self.storm.now_s))
            ready = self._ready()
            # On a busy machine it may take longer than that until those that died before are back: one has to be left.
            while len(ready) < 2 and self.storm.now_s < self.plan.seconds - 1:
                await asyncio.sleep(0.1)
                ready = self._ready()
            if ready and not self._spare:
                with suppress(ProcessLookupError):
                    os.kill(dice.choice(ready), signal.SIGKILL)
                self.seen.kills.append(self.storm.now_s)
            due_s = max(due_s, self.storm.now_s) + self.plan.kill_every_s

    def _ready(self) -> list[int]:
        """Workers that serve: their leases have had a file for as long as a new store makes a worker wait."""
        root = Path(self.config["ledger"]["path"]) / "leases"
        built = {pid for pid in serving(self.gateway) if any(root.glob(f"worker-{pid}-*.leases"))}
        self._built = {pid: self._built.get(pid, self.storm.now_s) for pid in built}
        return [pid for pid, at_s in self._built.items() if self.storm.now_s - at_s >= SETTLED_S]

    async def _stores(self) -> None:
        plan = self.plan
        await self._calm()
        for _ in range(plan.stalls):
            async with self._phase("Redis stalls"):
                self.redis.stall()
                await asyncio.sleep(plan.stall_s)
                self.redis.go_on()
            await self._calm()
        self._note("Redis flushed")
        self.redis.flush()
        await self._calm()
        async with self._phase("Redis killed"):
            self.redis.kill()
            await asyncio.sleep(plan.stall_s)
            await asyncio.to_thread(self.redis.start)
        await self._calm()
        async with self._phase("PostgreSQL away"):
            await asyncio.to_thread(self.postgres.stop)
            await asyncio.sleep(plan.database_s)
            await asyncio.to_thread(self.postgres.start)
        await self._calm()
        async with self._phase("Redis and PostgreSQL away"):
            await asyncio.to_thread(self.postgres.stop)
            self.redis.stall()
            await asyncio.sleep(plan.stall_s)
            self.redis.go_on()
            await asyncio.to_thread(self.postgres.start)
        await self._calm()
        async with self._phase("quota, refuse"):
            await self._fill_quota("refuse")
        # Whoever is killed takes along what it has dropped in the last second, uncounted: here counts are compared.
        self._spare = True
        async with self._phase("quota, drop_oldest"):
            await self._fill_quota("drop_oldest")

    async def _fill_quota(self, policy: str) -> None:
        """Until rows fill the quota, and `quota_s` longer; then until they are drained."""
        await asyncio.to_thread(self.postgres.stop)
        self._reload(QUOTA, policy)
        await self._waiting(lambda size: size >= FULL * QUOTA)
        await asyncio.sleep(self.plan.quota_s)
        await asyncio.to_thread(self.postgres.start)
        await self._waiting(lambda size: size < QUOTA / 4)
        self._reload(PLENTY, "refuse")

    async def _waiting(self, enough: Callable[[int], bool]) -> None:
        """Until enough or few enough bytes wait for the database."""
        give_up_s = self.storm.now_s + REST_S
        while self.storm.now_s < give_up_s:
            if enough(await asyncio.to_thread(_size, Path(self.config["ledger"]["path"]))):
                return
            await asyncio.sleep(0.1)

    def _reload(self, max_bytes: int, policy: str) -> None:
        ledger = {**self.config["ledger"], "max_bytes": max_bytes, "when_full": policy}
        self.gateway.write({**self.config, "ledger": ledger})
        self.gateway.signal(signal.SIGHUP)

    async def _calm(self) -> None:
        async with self._phase("calm"):
            await asyncio.sleep(self.plan.calm_s)

    @asynccontextmanager
    async def _phase(self, name: str) -> AsyncIterator[None]:
        began_s = self.storm.now_s
        yield
        self.seen.phases.append(Phase(name, began_s, self.storm.now_s))

    def _note(self, what: str) -> None:
        self.seen.phases.append(Phase(what, self.storm.now_s, self.storm.now_s))

    async def _watch(self) -> None:
        """Memory of the processes, and bytes that wait for the database, each second."""
        root = Path(self.config["ledger"]["path"])
        while True:
            self._ready()
            workers = [found for pid in serving(self.gateway) if (found := rss_mib(pid))]
            self.seen.memory.append(Memory(self.storm.now_s, rss_mib(self.gateway.child.pid), workers))
            waiting = await asyncio.to_thread(_size, root)
            self.seen.waiting.append((self.storm.now_s, waiting))
            await asyncio.sleep(LOOK_S)


async def _rest(gateway: GatewayProcess, seen: Seen) -> None:
    """Wait until nothing is reserved and what is counted stays as it is, then read the ledger, limits and metrics."""
    give_up_at = time.monotonic() + REST_S
    before: tuple[int, list[tuple[int, int]]] | None = None
    same = 0
    while same < 3 and time.monotonic() < give_up_at:
        await asyncio.sleep(1.5)  # what dead workers left is adopted within two seconds
        seen.rows = await asyncio.to_thread(_usage, gateway)
        seen.limits = await _limits(gateway)
        now = (len(seen.rows), [(limit["used"], limit["reserved"]) for limit in seen.limits])
        same = same + 1 if now == before and not any(limit["reserved"] for limit in seen.limits) else 0
        before = now
    seen.metrics = await asyncio.to_thread(gateway.metrics)


def _usage(gateway: GatewayProcess) -> list[Row]:
    out = gateway.path.with_suffix(".usage")
    options = ["--config", str(gateway.path), "--format", "jsonl", "--output", str(out)]
    usage_command.main(options, standalone_mode=False)
    with out.open("rb") as lines:
        return [{name: row[name] for name in FIELDS} for row in map(json.loads, lines)]


FIELDS = ("request_id", "attempt", "time", "key", "status", "error_class", "cost_nanousd", "total_ms")


async def _limits(gateway: GatewayProcess) -> list[Row]:
    config = load(gateway.path)
    store = open_store(config.state.url, 5.0)
    try:
        return [row async for row in limit_rows(store, Declared(config).all())]
    finally:
        await store.close()


def serving(gateway: GatewayProcess) -> list[int]:
    """The workers: of the supervisor's children those that granian spawned."""
    found = []
    for pid in gateway.worker_pids():
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"resource_tracker" not in command:
                found.append(pid)
    return found


def rss_mib(pid: int) -> float:
    """Resident memory; 0 of a process that has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _size(root: Path) -> int:
    total = 0
    for path in root.glob("*/*.log"):
        with suppress(OSError):
            total += path.stat().st_size
    return total


def complaints(log: str) -> str:
    """What the gateway complained of, the first time each."""
    found: dict[str, str] = {}
    for line in log.splitlines():
        entry = json.loads(line) if line.startswith("{") else {"event": line}
        if entry.get("level") not in ("info", "debug"):
            found.setdefault(f"{entry['event']} {entry.get('error', '')}", line[:500])
    return "\n".join(list(found.values())[:LOG_LINES])
