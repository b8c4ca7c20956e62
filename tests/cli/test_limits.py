"""`switchgear limits state`, against a real Redis and without one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from click.testing import CliRunner

from switchgear.cli import main
from switchgear.config.load import load
from switchgear.limits.limits import Limits
from switchgear.state.redis import RedisStore
from switchgear.types import Principal
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer

CONFIG = """
state: {{url: "{url}"}}
providers: {{openai: {{credentials: [sk-x]}}}}
keys: [{{name: ci, value: sk-0123456789abcdef, budget: {{usd: 1, window: total}},
        limits: [{{resource: concurrent, capacity: 5}}]}}]
"""


def write(folder: Path, url: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(CONFIG.format(url=url))
    return path


def test_against_redis(redis_server: RedisServer, tmp_path: Path) -> None:
    path = write(tmp_path, redis_server.url)

    async def use() -> None:
        limits = Limits(asyncio.get_running_loop(), load(path), RedisStore(redis_server.url, 5.0), ttl_s=0.3)
        await limits.start()
        plan = limits.plan(Principal("ci", "key"), "m")
        (await limits.take_slowly(plan, 1, 0, 0, 250_000_000)).settle(0, 0, 200_000_000)
        held = await limits.take_slowly(plan, 1, 0, 0, 100_000_000)
        slots, budget = (bucket.state for bucket in plan.buckets)
        while (slots.reserved, budget.reserved, budget.acked) != (1, 100_000_000, 200_000_000):  # type: ignore[attr-defined]  # told
            await asyncio.sleep(0.01)
        await asyncio.to_thread(look)
        held.release()
        await limits.stop()

    def look() -> None:
        done = CliRunner().invoke(main, ["limits", "state", "--config", str(path), "--format", "jsonl"])
        assert done.exit_code == 0, done.output
        slots, budget = map(json.loads, done.output.splitlines())
        assert budget["scope"] == {"key": "ci"}
        shown = {name: budget[name] for name in ("resource", "window", "capacity", "used", "reserved", "resets_at")}
        assert shown == {
            "resource": "cost",
            "window": "total",
            "capacity": 10**9,
            "used": 2 * 10**8,
            "reserved": 10**8,
            "resets_at": None,
        }
        assert (slots["resource"], slots["reserved"], slots["window"]) == ("concurrent", 1, None)

    asyncio.run(use())


def test_a_table_of_what_is_declared(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["limits", "state", "--config", str(write(tmp_path, "memory://"))])
    assert done.output.splitlines() == [
        "scope   resource    window  capacity  used   reserved  leased  resets_at",
        "key ci  concurrent  -       5         0      0         0       -",
        "key ci  cost        total   $1.00     $0.00  $0.00     $0.00   -",
    ]


def test_nobody_there(tmp_path: Path) -> None:
    path = write(tmp_path, f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    done = CliRunner().invoke(main, ["limits", "state", "--config", str(path)])
    assert done.exit_code == 1
    assert done.output.startswith("Error: state.url: Redis: ")
    assert "hunter2" not in done.output
