"""The client runs on any asyncio loop: its tests run on uvloop, which serves, and on asyncio's own."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from switchgear.hotpath._client import Pool


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.path.name.startswith("test_client"):
        return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.SelectorEventLoop}
    return {"asyncio": asyncio.new_event_loop}


MakePool = Callable[..., Pool]


@pytest.fixture
async def make_pool() -> AsyncIterator[MakePool]:
    """Pools that are aborted after the test, which must leave no connection and no waiter in them."""
    pools: list[Pool] = []

    def make(port: int, host: str = "127.0.0.1", **options: object) -> Pool:
        pools.append(Pool(asyncio.get_running_loop(), host, port, **options))  # type: ignore[arg-type]  # by keyword
        return pools[-1]

    yield make
    for pool in pools:
        pool.abort()
        assert (pool.connections, pool.idle, pool.busy, pool.waiters) == (0, 0, 0, 0)
    # The transports close in the loop's next turns.
    for _ in range(5):
        await asyncio.sleep(0)
