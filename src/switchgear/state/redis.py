"""The store in Redis 6.2 or later, or Valkey: standalone, Sentinel or Cluster; TLS, ACL, unix sockets.

Addresses, as `state.url` takes them:
    redis://USER:PASSWORD@HOST:PORT/DATABASE       rediss:// the same over TLS
    unix:///path/to/redis.sock?db=1
    redis+sentinel://USER:PASSWORD@H1:26379,H2:26379/NAME/DATABASE       NAME: of the master, by default `mymaster`
    redis+cluster://USER:PASSWORD@H1:7000,H2:7001
What stands behind `?` goes to redis-py (`ssl_ca_certs=…`, `username=…`); of Sentinel `sentinel_username` and
`sentinel_password` are the sentinels' own.

Nothing is sent twice by itself and every wait is bounded: a failed exchange ends in `StoreAway` within `timeout_s`, and
its connection with it, so that no late answer is taken for the answer of a later question.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from switchgear.state.steps import STEPS, credited
from switchgear.state.store import Ask, Kind, Level, Reply, Status, StoreAway, Told

PREFIX = "{switchgear}1:"
TIMEOUT_S = 0.25
LATE_TURNS = 48
LATE_S = 1.5
"""An answer that is late because this process was held up is waited for: so many turns of the loop, which take no time
where the loop is idle, and no longer than this."""
CHUNK = 200  # buckets per script call: a few milliseconds of Redis at most
_NUMBERS = 10  # per bucket in an answer
_LEVEL_NUMBERS = 5
_MAX_CONNECTIONS = 16
_STATUS = tuple(Status)


class RedisStore:
    """url: as above. timeout_s: bound of each exchange, connecting included. Raises `ValueError` for a URL it does not
    understand; connects when first used, and again when the connection is lost."""

    alone = False

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S):
        self._timeout_s = timeout_s
        self._client = connect(url, timeout_s)
        self._exchange = _Script("exchange.lua")
        self._levels = _Script("levels.lua")

    async def exchange(self, worker: str, ttl_ms: int, settle_ms: int, seen: int, asks: Sequence[Ask]) -> Reply:
        """As `Store.exchange`. More than `CHUNK` asks are several calls, sent together."""
        chunks = [asks[first : first + CHUNK] for first in range(0, len(asks), CHUNK)] or [[]]
        calls = [
            self._call(
                self._exchange,
                [f"{PREFIX}epoch", f"{PREFIX}workers", f"{PREFIX}calls", *(f"{PREFIX}b:{ask.key}" for ask in chunk)],
                [
                    worker,
                    ttl_ms,
                    settle_ms,
                    os.urandom(8).hex(),
                    seen,
                    *(value for ask in chunk for value in _arguments(ask)),
                ],
            )
            for chunk in chunks
        ]
        answers = await self._bounded(calls)
        epoch = str(answers[0][1], "ascii")
        told = [_told(row) for answer in answers for row in _rows(answer, 3, _NUMBERS)]
        # Calls of one exchange may be answered by a store of before and one of after a loss.
        if any(answer[1] != answers[0][1] for answer in answers):
            raise StoreAway("Redis lost what it knew between two calls.")
        return Reply(answers[0][0], epoch, int(epoch.rpartition(":")[2]), max(answer[2] for answer in answers), told)

    async def levels(self, asks: Sequence[Ask]) -> tuple[int, list[Level]]:
        """As `Store.levels`."""
        chunks = [asks[first : first + CHUNK] for first in range(0, len(asks), CHUNK)] or [[]]
        calls = [self._call(self._levels, [f"{PREFIX}b:{ask.key}" for ask in chunk], []) for chunk in chunks]
        answers = await self._bounded(calls)
        rows = [row for answer in answers for row in _rows(answer, 1, _LEVEL_NUMBERS)]
        now_ms = int(answers[0][0])
        return now_ms, [_level(ask, row, now_ms) for ask, row in zip(asks, rows, strict=True)]

    async def close(self) -> None:
        """Close the connections."""
        try:
            async with asyncio.timeout(self._timeout_s):
                for client in (self._client, *_sentinels(self._client)):
                    await client.aclose()
        except (RedisError, OSError, TimeoutError):
            pass  # they end with the process

    async def _bounded(self, calls: list[Any]) -> list[Any]:
        """All answers. Raises `StoreAway` when one fails or takes longer than the timeout."""
        tasks = [asyncio.ensure_future(call) for call in calls]
        try:
            _, pending = await asyncio.wait(tasks, timeout=self._timeout_s)
            if pending:
                await _turns(tasks)
            if not all(task.done() for task in tasks):
                raise StoreAway("Redis: TimeoutError")
            return [task.result() for task in tasks]
        except (RedisError, OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise StoreAway(f"Redis: {type(error).__name__}") from error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _call(self, script: _Script, keys: list[str], arguments: list[Any]) -> Any:
        try:
            return await self._client.evalsha(script.sha, len(keys), *keys, *arguments)
        except NoScriptError:  # restarted, or its scripts were flushed: EVAL leaves the script there
            return await self._client.eval(script.text, len(keys), *keys, *arguments)


async def _turns(tasks: list[asyncio.Future[Any]]) -> None:
    """Let the loop take up what had arrived in time, behind a burst of requests or another thread's imports."""
    time = asyncio.get_running_loop().time
    give_up_at = time() + LATE_S
    for _ in range(LATE_TURNS):
        if time() >= give_up_at or all(task.done() for task in tasks):
            return
        await asyncio.sleep(0)


class _Script:
    """A file of `lua/`, and the name that EVALSHA knows it by."""

    def __init__(self, name: str):
        self.text = files("switchgear.state").joinpath("lua", name).read_text("utf-8")
        self.sha = sha1(self.text.encode(), usedforsecurity=False).hexdigest()  # Redis's name for it, not a protection


def connect(url: str, timeout_s: float) -> Any:
    """A redis-py client for an address of `state.url`. Raises `ValueError`."""
    scheme, _, rest = url.partition("://")
    options: dict[str, Any] = {
        "socket_timeout": timeout_s + LATE_S,  # `_bounded` is what bounds: it knows a late loop from a late Redis
        "socket_connect_timeout": timeout_s + LATE_S,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
    }
    if "+" not in scheme:
        return Redis.from_url(url, max_connections=_MAX_CONNECTIONS, protocol=2, **options)
    base, _, kind = scheme.partition("+")
    authority, _, path = rest.partition("?")[0].partition("/")
    userinfo, _, nodes = authority.rpartition("@")
    username, colon, password = userinfo.partition(":")
    hosts = [(part.hostname or "", part.port) for node in nodes.split(",") for part in [urlsplit(f"x://{node}")]]
    options |= dict(parse_qsl(rest.partition("?")[2]))
    if base == "rediss":
        options["ssl"] = True
    if colon or username:
        options |= {"username": unquote(username) or None, "password": unquote(password) or None}
    if kind == "cluster":
        return _cluster(hosts, options)
    if kind == "sentinel":
        return _sentinel(hosts, path, options)
    raise ValueError(f"state.url: unknown scheme {scheme!r}")


def _cluster(hosts: list[tuple[str, int | None]], options: dict[str, Any]) -> Any:
    nodes = [ClusterNode(host, port or 6379) for host, port in hosts]
    return RedisCluster(startup_nodes=nodes, max_connections=_MAX_CONNECTIONS, protocol=2, **options)


def _sentinel(hosts: list[tuple[str, int | None]], path: str, options: dict[str, Any]) -> Any:
    service, _, database = path.partition("/")
    own = {
        name.removeprefix("sentinel_"): options.pop(name)
        for name in ("sentinel_username", "sentinel_password")
        if name in options
    }
    shared = {name: options[name] for name in options if name not in ("username", "password")}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py's
        [(host, port or 26379) for host, port in hosts], sentinel_kwargs={**shared, **own, "protocol": 2}, **options
    )
    return sentinel.master_for(
        service or "mymaster", db=int(database or 0), max_connections=_MAX_CONNECTIONS, protocol=2
    )


def _sentinels(client: Any) -> list[Any]:
    """The clients that ask the sentinels who the master is: a master's client does not close them."""
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    return list(manager.sentinels) if manager is not None else []


def _arguments(ask: Ask) -> tuple[Any, ...]:
    return (
        int(ask.kind),
        ask.capacity,
        ask.window_ms,
        ask.start_ms,
        ask.end_ms,
        ask.seq,
        ask.base,
        ask.acked,
        ask.spent,
        ask.have,
        ask.reserved,
        ask.least,
        ask.want,
        ask.seed,
        ",".join(map(str, ask.thresholds)),
    )


def _told(row: list[int]) -> Told:
    status, granted, spent, held, reserved, idle, next_ms, wanted, fired_from, fired_to = row
    return Told(_STATUS[status], granted, spent, held, reserved, idle, next_ms, bool(wanted), fired_from, fired_to)


def _rows(answer: list[Any], first: int, width: int) -> list[list[Any]]:
    return [answer[at : at + width] for at in range(first, len(answer), width)]


def _level(ask: Ask, row: list[Any], now_ms: int) -> Level:
    """A bucket as stored, with the steps since credited."""
    if row[0] is None:
        return Level()
    spent, held, reserved, anchor_ms, steps = map(int, row)
    if ask.kind is not Kind.SLIDING:
        return Level(True, spent, held, reserved)
    now_steps = max(steps, (now_ms - anchor_ms) * STEPS // ask.window_ms)
    spent = max(0, spent - (credited(ask.capacity, now_steps) - credited(ask.capacity, steps)))
    next_ms = -(-(now_steps + 1) * ask.window_ms // STEPS) - (now_ms - anchor_ms) if spent else 0
    return Level(True, spent, held, reserved, max(0, next_ms))
