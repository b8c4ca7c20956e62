"""Redis behind Sentinel and as a cluster, and which address leads to which client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from switchgear.state import open_store
from switchgear.state.memory import MemoryStore
from switchgear.state.redis import RedisStore, connect
from switchgear.state.store import Ask, Kind, Store
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer

ASKS = [Ask(f"b{n}", Kind.FIXED, 100, seed=0, least=1, want=10) for n in range(3)]


async def serves(store: Store) -> None:
    reply = await store.exchange("a", 2000, 0, 0, ASKS)
    assert [told.granted for told in reply.told] == [10, 10, 10]
    _, levels = await store.levels(ASKS)
    assert [level.held for level in levels] == [10, 10, 10]
    await store.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RedisServer]:
    """A cluster of one node that has all slots."""
    port = free_port()
    while port > 55_000:  # the bus listens 10,000 above
        port = free_port()
    server = RedisServer(tmp_path, "--cluster-enabled", "yes", port=port)
    server.command("CLUSTER", "ADDSLOTS", *map(str, range(16384)))
    give_up_at = time.monotonic() + 10
    while b"cluster_state:ok" not in server.command("CLUSTER", "INFO"):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
    yield server
    server.stop()


async def test_a_cluster(cluster: RedisServer) -> None:
    await serves(RedisStore(f"redis+cluster://127.0.0.1:{cluster.port}", timeout_s=5.0))


@pytest.fixture
def sentinel(tmp_path: Path, redis_server: RedisServer) -> Iterator[RedisServer]:
    """A sentinel that watches the session's Redis under the name `main`."""
    (tmp_path / "sentinel.conf").write_text(f"sentinel monitor main 127.0.0.1 {redis_server.port} 1\n")
    server = RedisServer(tmp_path, "--sentinel", file=tmp_path / "sentinel.conf")
    yield server
    server.stop()


async def test_sentinel(sentinel: RedisServer) -> None:
    await serves(
        RedisStore(f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/main/0", timeout_s=5.0)
    )


async def test_addresses() -> None:
    assert isinstance(open_store("memory://"), MemoryStore)
    store = open_store("rediss://gate:pw@db:6380/2?ssl_cert_reqs=none")
    assert isinstance(store, RedisStore)
    kwargs = store._client.connection_pool.connection_kwargs
    assert (kwargs["host"], kwargs["port"], kwargs["db"], kwargs["username"]) == ("db", 6380, 2, "gate")
    assert store._client.connection_pool.connection_class.__name__ == "SSLConnection"
    cluster = connect("rediss+cluster://gate:p%40w@[::1]:7000,h2:7001", 0.25)
    assert cluster.connection_kwargs["password"] == "p@w"
    assert {(node.host, node.port) for node in cluster.nodes_manager.startup_nodes.values()} == {
        ("::1", 7000),
        ("h2", 7001),
    }
    with pytest.raises(ValueError, match="scheme"):
        connect("redis+ring://h:1", 0.25)
