"""What 100,000 keys with three limits each cost a worker: memory, and the time to build what a request looks up.

`bytes_per_key` is what lives on after a configuration was loaded and the worker's tables were built of it: every object
that is reachable from configuration, authenticator and limits and was not there with one key less, as the allocator
rounds it. What a key in use has beside (buckets, leases) is `bytes_per_active_key`; of those there are at most
`limits.buckets.MAX_BUCKETS` / 3.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable
from sys import getsizeof
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import msgspec
from pytest_benchmark.fixture import BenchmarkFixture

from switchgear.auth.authenticator import Authenticator
from switchgear.config.load import loads
from switchgear.config.schema import Config
from switchgear.hotpath._leases import SLOT_BYTES
from switchgear.limits.limits import Limits
from switchgear.state.memory import MemoryStore
from switchgear.types import Principal

KEYS = 100_000
LOADED_AT_ONCE = 5_000  # nodes of the text being read take 13 KB a key, until they are gone
ACTIVE = 2_000
HEAD = "providers: {openai: {credentials: [sk-x]}}\nkeys:\n"
KEY = (
    "- {{name: team-{0:06d}, value: sk-{0:040d}, limits: [{{resource: requests, capacity: 1000, window: hour}}, "
    "{{resource: tokens, capacity: 100000, window: minute}}, {{resource: concurrent, capacity: 20}}]}}\n"
)
SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType)
ALIGNMENT = 16  # of CPython's allocator


def configuration(keys: int) -> Config:
    """As the loader makes it of a file. It is read in parts: the text of all is no larger than a file may be, but what
    reading it takes for a while is not what is measured."""
    loaded = [
        loads(HEAD + "".join(KEY.format(number) for number in range(first, min(first + LOADED_AT_ONCE, keys))))
        for first in range(0, keys, LOADED_AT_ONCE)
    ]
    return msgspec.structs.replace(loaded[0], keys=[key for config in loaded for key in config.keys])


def reachable_bytes(roots: Iterable[object]) -> int:
    """Sum of the sizes of all objects under `roots`, each counted once; classes, functions and modules are shared."""
    seen: set[int] = set()
    waiting, total = list(roots), 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, SHARED):
            continue
        seen.add(id(one))
        total += -(-getsizeof(one) // ALIGNMENT) * ALIGNMENT  # with the collector's head, where the type has one
        waiting += referents(one)
    return total


def referents(one: object) -> list[Any]:
    """What an object refers to; of structs that the collector does not look at it cannot say."""
    if isinstance(one, msgspec.Struct):
        return [getattr(one, name) for name in one.__struct_fields__]
    return gc.get_referents(one)


def tables(config: Config, runner: asyncio.Runner) -> tuple[Authenticator, Limits]:
    async def build() -> tuple[Authenticator, Limits]:
        return Authenticator(config), Limits(asyncio.get_running_loop(), config, MemoryStore())

    return runner.run(build())


def live_bytes(config: Config, made: tuple[Authenticator, Limits]) -> int:
    authenticator, limits = made
    return reachable_bytes([config, authenticator.digests, limits.declared])


def active_bytes(limits: Limits, runner: asyncio.Runner) -> float:
    """What the first requests of so many keys leave behind, by key: sets, buckets and what is known of them, slots."""

    async def use() -> float:
        counted: list[Any] = [limits._sets, limits.leases.buckets.present]
        before = reachable_bytes(counted)
        for number in range(ACTIVE):
            plan = limits.plan(Principal(f"team-{number:06d}", "key"), "gpt-4.1")
            (await limits.take_slowly(plan, 1, 10, 10, 0)).settle(10, 10, 0)
        return (reachable_bytes(counted) - before) / ACTIVE + 3 * SLOT_BYTES

    return runner.run(use())


def test_build_100_000_keys(benchmark: BenchmarkFixture) -> None:
    config = configuration(KEYS)
    with asyncio.Runner() as runner:
        few = configuration(1)
        base = live_bytes(few, tables(few, runner))
        made = benchmark.pedantic(tables, args=(config, runner), rounds=1)
        benchmark.extra_info["bytes_per_key"] = round((live_bytes(config, made) - base) / (KEYS - 1))
        benchmark.extra_info["bytes_per_active_key"] = round(active_bytes(made[1], runner))
