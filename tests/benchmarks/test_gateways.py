"""The gateways that are measured: their configurations say what the tables' legend says, and Redis's calls are read."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from redis import Redis

from harness.gateways import Gateway, Metered, MeteredRedis, Translated
from harness.redis_server import RedisServer, script_calls
from harness.servers import Context
from switchgear.config.load import loads
from switchgear.config.schema import Config
from switchgear.limits.limits import Limits
from switchgear.providers.registry import provider_types
from switchgear.state.memory import MemoryStore
from switchgear.types import Principal


def config(gateway: Gateway, folder: Path) -> Config:
    context = Context("http://127.0.0.1:1", "http://127.0.0.1:2", folder, None, many_models=True)
    return loads(json.dumps(gateway.config(context, 8080)), known_types=provider_types())


@pytest.mark.parametrize("gateway", [Gateway(), Translated()], ids=lambda one: one.name)
def test_the_plain_ones_account_for_nothing(gateway: Gateway, tmp_path: Path) -> None:
    loaded = config(gateway, tmp_path)
    assert not loaded.ledger.enabled
    assert [loaded.limits, loaded.organizations, loaded.keys[0].limits, loaded.keys[0].budget] == [[], [], (), None]


def test_translated(tmp_path: Path) -> None:
    assert {name: one.type for name, one in config(Translated(), tmp_path).providers.items()} == {
        "chat-one": "anthropic",
        "chat-two": "anthropic",
        "sim-one": "openai",
        "sim-two": "openai",
    }


@pytest.mark.parametrize("gateway", [Metered(), MeteredRedis()], ids=lambda one: one.name)
async def test_the_metered_ones_have_six_limits_prices_and_a_ledger(gateway: Gateway, tmp_path: Path) -> None:
    loaded = config(gateway, tmp_path)
    assert loaded.ledger.enabled
    assert set(loaded.prices) == {f"{provider}/*" for provider in loaded.providers}
    limits = Limits(asyncio.get_running_loop(), loaded, MemoryStore())
    principal = Principal("bench", "key", organization="bench-organization", project="bench-project")
    assert [(bucket.resource, bucket.hard) for bucket in limits.plan(principal, "bench-chat").buckets] == [
        (5, True),
        (5, True),
        (0, True),
        (3, True),
        (4, True),
        (5, True),
    ]


def test_state(tmp_path: Path) -> None:
    assert config(Metered(), tmp_path).state.url == "memory://"
    assert config(MeteredRedis(), tmp_path).state.url.startswith("redis://")


def test_script_calls_of_commandstats() -> None:
    lines = ("# Commandstats", "cmdstat_eval:calls=1,usec=9", "cmdstat_evalsha:calls=41,usec=9", "cmdstat_hget:calls=7")
    assert script_calls("\r\n".join(lines)) == 42
    assert script_calls("# Commandstats\r\n") == 0


def test_calls_of_a_real_redis(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, None)
    try:
        with Redis.from_url(server.url) as client:
            for _ in range(3):
                client.eval("return redis.call('INCR', KEYS[1])", 1, "k")
        assert server.calls() == 3
    finally:
        server.stop()
