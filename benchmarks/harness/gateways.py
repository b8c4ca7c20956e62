"""Switchgear as it is measured: plain, translating, and with everything metered.

`Gateway` is what stands beside nginx in every scenario: keys and failover, no limits, the ledger off, since nginx
accounts for nothing either. The others are measured against it in the same run.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from harness.processes import Process, free_port
from harness.redis_server import RedisServer
from harness.scenarios import SCENARIOS, Scenario
from harness.servers import Context, Server

KEY = "sk-bench-0123456789abcdefghijklmnopqrstuvwxyz"
PLACES = ("one", "two")
MUCH = 2**40
"""Of requests and tokens: no limit is ever reached, so that each request is answered."""
BUDGET_USD = 1_000_000
PRICES = {"input": 2.0, "cached_input": 0.5, "output": 8.0}  # USD per million tokens


class Gateway(Server):
    """Keys on; each model has two targets in two tiers at two providers, so that failover is armed.

    A client's model name differs from the target's, so that each answer and each event is rewritten, as it is for
    anybody who uses aliases.
    """

    name = "switchgear"
    about = "keys and failover; ledger off, no limits"
    key = KEY
    provider_type = "openai"
    base_path = "/v1"

    def start(self, context: Context) -> None:
        self._port = free_port()
        path = context.folder / "gateway.yaml"
        path.write_text(json.dumps(self.config(context, self._port), indent=1))  # JSON is YAML
        command = [sys.executable, "-m", "switchgear", "serve", "--config", str(path)]
        self.process = Process(self.name, command, context.folder / "gateway.log", context.core)
        self.process.wait_for_port(self._port)

    def config(self, context: Context, port: int) -> dict[str, Any]:
        """The configuration, as it is written to the file."""
        return {
            "server": {"host": "127.0.0.1", "port": port, "workers": 1},
            "database": {"url": f"sqlite:///{context.folder}/switchgear.db"},
            "providers": self._providers(context),
            "models": self._models(context),
            "keys": [{"name": "bench", "value": KEY, "models": ["bench-*"]}],
            "logging": {"level": "warning", "access": 0},
            "ledger": {"enabled": False},
        }

    def _providers(self, context: Context) -> dict[str, object]:
        origins = {
            "chat": (self.provider_type, f"{context.chat}{self.base_path}"),
            "sim": ("openai", f"{context.simulator}/v1"),
        }
        return {
            f"{upstream}-{place}": {
                "type": kind,
                "base_url": url,
                "credentials": [{"value": f"sk-{upstream}-{place}", "name": place}],
                "pool": {"max_connections": 4096},
            }
            for upstream, (kind, url) in origins.items()
            for place in PLACES
        }

    def _models(self, context: Context) -> dict[str, object]:
        def model(scenario: Scenario) -> dict[str, object]:
            upstream = "sim" if scenario.simulated else "chat"
            targets = [
                {"provider": f"{upstream}-{place}", "model": scenario.upstream_model, "tier": tier}
                for tier, place in enumerate(PLACES)
            ]
            return {"targets": targets, "retries": {"attempts": 3, "budget": "20s"}}

        wanted = [scenario for scenario in SCENARIOS if scenario.models == 1 or context.many_models]
        return {self.model(one, number): model(one) for one in wanted for number in range(one.models)}

    def url(self, scenario: Scenario) -> str:
        return f"http://127.0.0.1:{self._port}"

    def serves(self, scenario: Scenario) -> bool:
        return True

    def model(self, scenario: Scenario, number: int) -> str:
        if scenario.models > 1:
            return f"bench-{number:04d}"
        return f"bench-{scenario.kind if scenario.mode == 'unary' else scenario.mode}"


class Translated(Gateway):
    """The same clients, whose chat is served by upstreams of type anthropic: the canned upstream's /v1/messages."""

    name = "switchgear-translated"
    about = "the same; the upstream speaks Anthropic's format, each answer and each event is translated"
    provider_type = "anthropic"
    base_path = ""

    def serves(self, scenario: Scenario) -> bool:
        return scenario.name in ("unary_32", "stream_64", "stream_512")


class Metered(Gateway):
    """The ledger on, drained into SQLite; a key with six limits, all hard; prices."""

    name = "switchgear-metered"
    about = "the same; ledger on (SQLite), six limits, prices; limits counted in memory"
    rest_s = 1.0  # what the last requests left in the journal is drained within

    def serves(self, scenario: Scenario) -> bool:
        return scenario.name in ("unary_32", "paced_1000", "memory")

    def config(self, context: Context, port: int) -> dict[str, Any]:
        budget = {"usd": BUDGET_USD, "window": "month"}
        key = {
            "name": "bench",
            "value": KEY,
            "models": ["bench-*"],
            "project": "bench-project",
            "budget": budget,
            "limits": [
                {"resource": "requests", "capacity": MUCH, "window": "hour"},
                {"resource": "tokens", "capacity": MUCH, "window": "minute"},
                {"resource": "concurrent", "capacity": 100_000},
            ],
        }
        return super().config(context, port) | {
            "organizations": [{"id": "bench-organization", "budget": budget}],
            "projects": [{"id": "bench-project", "organization": "bench-organization", "budget": budget}],
            "keys": [key],
            "prices": {f"{provider}/*": PRICES for provider in self._providers(context)},
            "ledger": {"enabled": True, "path": str(context.folder / "ledger")},
        }


class MeteredRedis(Metered):
    """As `Metered`, with the limits in a Redis that other workers could share. Redis runs on the load's core."""

    name = "switchgear-metered-redis"
    about = "the same; limits leased from Redis, whose own CPU is told apart"

    def __init__(self) -> None:
        super().__init__()
        self._redis: RedisServer | None = None

    def serves(self, scenario: Scenario) -> bool:
        return scenario.name in ("unary_32", "paced_1000")

    def start(self, context: Context) -> None:
        self._redis = RedisServer(context.folder, context.load_core)
        super().start(context)

    def config(self, context: Context, port: int) -> dict[str, Any]:
        url = self._redis.url if self._redis is not None else "redis://127.0.0.1:6379/0"
        return super().config(context, port) | {"state": {"url": url}}

    def beside(self) -> dict[str, int]:
        return {"redis": self._redis.pid} if self._redis is not None else {}

    def state_calls(self) -> int | None:
        return self._redis.calls() if self._redis is not None else None

    def stop(self) -> None:
        super().stop()
        if self._redis is not None:
            self._redis.stop()
            self._redis = None
