"""One worker process: builds a gateway from a configuration, swaps it for another on reload, and drains.

A reload builds new objects beside the old ones and swaps one reference: requests in flight finish with what they began
with. Upstreams whose settings did not change are kept, with their connections, breakers and credential states; those
that are gone are closed when the last request that could use them has ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from switchgear.auth.authenticator import Authenticator
from switchgear.config.schema import Config
from switchgear.config.watch import ConfigWatcher
from switchgear.errors import ConfigError
from switchgear.gateway import Gateway
from switchgear.hotpath import require
from switchgear.metering.build import build as build_metering
from switchgear.metering.build import stop as stop_metering
from switchgear.metering.metering import Metering
from switchgear.metering.tags import tags_of
from switchgear.observability import logs
from switchgear.observability.logs import AccessLog
from switchgear.observability.metrics import Metrics
from switchgear.providers.registry import provider_types
from switchgear.routing.router import Route, Router
from switchgear.server.cors import Cors
from switchgear.server.inflight import SWEEP_S, InFlight
from switchgear.types import Target
from switchgear.upstream.catalogue import Catalogue
from switchgear.upstream.failover import Failover
from switchgear.upstream.lanes import Lanes
from switchgear.upstream.upstream import Upstream

log = logs.get(__name__)


class Worker:
    """config: the validated configuration. path: the file it came from, watched for changes. run_dir: metrics of all
    workers. parent: process id of the supervisor, to end with; 0 for none."""

    def __init__(self, config: Config, path: Path | None, run_dir: Path, worker_id: str, parent: int = 0):
        require()
        self._parent = parent
        self.config = config
        self.path = path
        self.started = False
        self.draining = False
        self.metrics = Metrics(run_dir, worker_id)
        self.upstreams: dict[str, Upstream] = {}
        self.forwarded: frozenset[bytes] = frozenset()
        self.gateway: Gateway
        self.inflight: InFlight
        self.catalogue: Catalogue
        self._authenticator: Authenticator | None = None
        self._router: Router | None = None
        self._metering: Metering | None = None
        self._retiring: list[tuple[float, list[Upstream], Authenticator | None, Catalogue | None]] = []
        self._watcher: ConfigWatcher | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self._starting: asyncio.Task[None] | None = None
        self._observe_at = 0.0
        # What has a gauge that is not zero, so that it goes to zero when a reload takes the thing itself away.
        self._broken: set[str] = set()  # targets
        self._pooled: set[str] = set()  # providers
        self._credentials: set[tuple[str, str]] = set()  # (provider, credential)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Build everything in the running loop. Raises what makes the configuration unusable here.

        Under a server without lifespan support the first requests call this, several at once: it is done once, for all
        of them, whoever of them leaves; after a failure the next request tries again.
        """
        starting = self._starting
        if starting is None:
            starting = self._starting = asyncio.get_running_loop().create_task(self._start())
        try:
            await asyncio.shield(starting)
        finally:
            if starting.done() and not self.started and self._starting is starting:
                self._starting = None

    async def _start(self) -> None:
        self.loop = asyncio.get_running_loop()
        logs.configure(self.config.logging)
        self.inflight = InFlight(self.loop, self.config.server.body_timeout)
        await self._build(self.config)
        self._sweep()
        self._on_signal(signal.SIGUSR1, self.drain)
        if self.path is not None:
            self._watcher = ConfigWatcher(
                self.path,
                self._reloaded,
                current=self.config,
                known_types=provider_types(),
                on_error=self._not_reloaded,
            )
            self._watcher.start()
            self._on_signal(signal.SIGHUP, self._watcher.reload)
        self.started = True

    async def stop(self) -> None:
        """Close what is open. Requests have ended or their time is up."""
        self.draining = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._watcher is not None:
            await self._watcher.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.catalogue.stop()
        if self._authenticator is not None:
            await self._authenticator.stop()
        if self._metering is not None:
            await stop_metering(self._metering)
        for upstream in self.upstreams.values():
            upstream.transport.abort()
        self.metrics.close()

    def drain(self) -> None:
        """Not ready any more; answers from here on ask for their connection to be closed."""
        self.draining = True

    async def _build(self, config: Config) -> None:
        types = provider_types()
        previous = self.upstreams
        upstreams = {}
        for name, provider in config.providers.items():
            old = previous.get(name)
            same = old is not None and old.provider == provider
            upstreams[name] = (
                old if old is not None and same else Upstream(name, provider, types[provider.type], self.loop)
            )
        authenticator = Authenticator(config, self._authenticator)
        await authenticator.start()
        router = build_router(config)
        if self._router is not None:
            router.adopt(self._router)
        for route in router.routes():
            self.metrics.declare([route.model], [target.name for target in route.targets])
        metering = self._metering = await build_metering(self.loop, config, self.metrics, self._metering)
        lanes = Lanes(self.loop, authenticator.digests, upstreams, self.metrics, metering, tags_of)

        def models_listed(provider: str, names: frozenset[str]) -> None:
            router.set_models(provider, names)
            lanes.fast.forget()  # a name may have changed hands

        catalogue = Catalogue(config, upstreams, models_listed)
        catalogue.start()
        access = AccessLog(config.logging.access, self.metrics)
        gateway = Gateway(
            self.loop,
            authenticator,
            router,
            default_route(config),
            Failover(self.loop, upstreams, self.metrics),
            self.metrics,
            access,
            lanes,
            metering,
        )
        gone = [old for name, old in previous.items() if upstreams.get(name) is not old]
        if self._router is not None:
            self._retiring.append((self.loop.time(), gone, self._authenticator, self.catalogue))
        self._router, self._authenticator, self.catalogue = router, authenticator, catalogue
        self.config, self.upstreams, self.gateway = config, upstreams, gateway
        self.cors = Cors(config.server.cors)
        self.forwarded = FORWARDED.union(*(upstream.forward for upstream in upstreams.values()))
        self.inflight.body_timeout_s = config.server.body_timeout

    async def _reloaded(self, config: Config) -> None:
        await self._build(config)
        logs.configure(config.logging)
        self.metrics.config_reloaded("ok")
        log.info("configuration reloaded", providers=len(config.providers), models=len(config.models))

    def _not_reloaded(self, error: Exception) -> None:
        self.metrics.config_reloaded("error")
        for one in error.errors if isinstance(error, ConfigError) else [error]:
            log.error("configuration not reloaded, the old one stays", error=str(one))

    def _sweep(self) -> None:
        """Every `SWEEP_S`: disconnects, slow bodies, upstream timeouts, idle connections, what a reload left behind."""
        now = self.loop.time()
        self._sweeping = self.loop.call_later(SWEEP_S, self._sweep)
        self.inflight.sweep(now)
        self.metrics.sweep(now, interval_s=SWEEP_S, in_flight=len(self.inflight))
        if now >= self._observe_at:
            self._observe_at = now + OBSERVE_S
            self._observe_pools(now)
            self._observe_breakers(now)
            self._observe_ledger()
            if self._metering is not None:
                self.metrics.estimates(self._metering.estimates.errors())
            self._outlive_nobody()
        for upstream in self.upstreams.values():
            upstream.transport.sweep(now)
        if self._retiring:
            self._retire(now)

    def _observe_pools(self, now: float) -> None:
        """Gauges of connections and credentials, which are not counted as they happen. A pool that a reload replaced
        counts until it is closed."""
        pools: dict[str, list[Upstream]] = {name: [upstream] for name, upstream in self.upstreams.items()}
        for _, gone, _, _ in self._retiring:
            for upstream in gone:
                pools.setdefault(upstream.name, []).append(upstream)
        for name in self._pooled | pools.keys():
            transports = [upstream.transport for upstream in pools.get(name, ())]
            self.metrics.connections(
                name,
                busy=sum(pool.busy for pool in transports),
                idle=sum(pool.idle for pool in transports),
                waiting=sum(pool.waiters for pool in transports),
            )
        self._pooled = set(pools)
        states = {
            (name, credential["name"]): credential["state"]
            for name, upstream in self.upstreams.items()
            for credential in upstream.credentials.snapshot(now)
        }
        for provider, credential in self._credentials | states.keys():
            self.metrics.credential(provider, credential, states.get((provider, credential), ""))
        self._credentials = set(states)

    def _observe_breakers(self, now: float) -> None:
        """Gauges of breakers, of targets with failures only: there may be thousands of others."""
        failing = {}
        for route in self._router.routes()[:1000] if self._router is not None else ():
            for target in route.snapshot(now)["targets"]:
                if target["failures"]:
                    failing[target["name"]] = target["breaker"] != "closed"
        for name in self._broken | failing.keys():
            self.metrics.breaker(name, failing.get(name, False))
        self._broken = set(failing)

    def _observe_ledger(self) -> None:
        ledger = self._metering.ledger if self._metering is not None else None
        if ledger is not None:
            state = ledger.state
            self.metrics.ledger(
                backlog_bytes=state.backlog_bytes,
                drained_rows=state.drained_rows,
                dropped_rows=ledger.journal.dropped,
                reachable=state.reachable,
            )

    def _outlive_nobody(self) -> None:
        """Stop when the supervisor was killed: nobody would restart, reload or stop this worker any more, and it
        would share its port with the next gateway's."""
        if self._parent and os.getppid() != self._parent:
            self._parent = 0
            log.error("the supervisor is gone, this worker stops")
            os.kill(os.getpid(), signal.SIGTERM)

    def _retire(self, now: float) -> None:
        oldest = self.inflight.oldest()
        left = []
        for entry in self._retiring:
            since, upstreams, authenticator, catalogue = entry
            for upstream in upstreams:
                upstream.transport.sweep(now)
            if oldest is not None and oldest <= since:
                left.append(entry)
                continue
            for upstream in upstreams:
                upstream.transport.close()
            self._spawn(authenticator.stop if authenticator else None, catalogue.stop if catalogue else None)
        self._retiring = left

    def _spawn(self, *stops: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        for stop in stops:
            if stop is not None:
                task = self.loop.create_task(stop())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _on_signal(self, number: signal.Signals, handler: Callable[[], None]) -> None:
        try:
            self.loop.add_signal_handler(number, handler)
        except (NotImplementedError, RuntimeError, ValueError):  # not the main thread, or a loop without signals
            log.debug("signal not available", signal=number.name)


OBSERVE_S = 1.0


def build_router(config: Config) -> Router:
    """The router of a configuration: its models, or, where it declares none, every model of its providers."""
    providers = list(config.providers)
    alone = providers[0] if len(providers) == 1 else None
    return Router(
        config.models, providers=providers, default_provider=config.default_provider or alone, defaults=config.defaults
    )


def default_route(config: Config) -> dict[str, Route]:
    """Routes of requests that name no model (files, batches), by provider; "" is the default provider's."""
    defaults = config.defaults
    routes = {
        name: Route(
            name,
            [Target(name, "")],
            timeouts=defaults.timeouts,
            retries=defaults.retries,
            breaker=defaults.breaker,
            max_output_tokens=defaults.max_output_tokens,
        )
        for name in config.providers
    }
    first = config.default_provider or next(iter(config.providers), None)
    return {"": routes[first], **routes} if first is not None else routes


# Client headers that go along to the upstream: they change the answer or carry the trace (TRANSLATION §17 lists those
# that never do).
FORWARDED = frozenset(
    (b"openai-beta", b"anthropic-beta", b"anthropic-version", b"idempotency-key", b"traceparent", b"tracestate")
)
