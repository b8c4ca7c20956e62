"""From a model's name to its targets, and from target to target while attempts fail.

Pure: the caller brings the time and the draw. A `Route` is one model: a `TargetTable` (tiers, weights, what is held back) and a
breaker per target. Names come from the configuration; without declared models `provider/model` reaches any model of
any provider, and a bare name the one provider that owns it (DESIGN §6).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from switchgear.config.schema import Config, Model, TargetEntry
from switchgear.hotpath._score import TargetTable
from switchgear.routing.breaker import Breaker
from switchgear.types import Target

DYNAMIC_MAX = 10_000  # routes made for names that no configuration declares


class Route:
    """The targets of one model and how they fare. `model`: its settings."""

    __slots__ = ("_broken", "_table", "breakers", "model", "targets")

    def __init__(self, model: Model):
        self.model = model
        self.targets = [Target(entry.provider, entry.model, entry.tier, entry.weight) for entry in model.targets]
        self.breakers = [Breaker(model.breaker) for _ in self.targets]
        self._table = TargetTable([target.tier for target in self.targets], [target.weight for target in self.targets])
        self._broken: set[int] = set()

    def pick(self, now: float, draw: float, tried: bytearray | None = None) -> int:
        """Index of the target to try; -1 when each was tried. See `TargetTable.pick`."""
        index = self._table.pick(now, draw, tried)
        if self._broken and index in self._broken:
            breaker = self.breakers[index]
            if breaker.state(now) == "half_open":  # one probe at a time
                self._table.hold(index, breaker.probing(now))
        return index

    def succeeded(self, index: int) -> None:
        """The target answered."""
        breaker = self.breakers[index]
        if breaker.failures:
            breaker.succeeded()
            self._table.release(index)
            self._broken.discard(index)

    def failed(self, index: int, now: float) -> bool:
        """The target failed in a way that speaks about its health. True when it is held back from now on."""
        until = self.breakers[index].failed(now)
        if until:
            self._table.hold(index, until)
            self._broken.add(index)
        return bool(until)

    def snapshot(self, now: float) -> list[dict[str, object]]:
        """Target, tier, weight, breaker state, failures in a row and seconds held back, for each target."""
        return [
            {
                "target": target.name,
                "tier": target.tier,
                "weight": target.weight,
                "breaker": self.breakers[index].state(now),
                "failures": self.breakers[index].failures,
                "held_s": max(0.0, round(self._table.held_until(index) - now, 3)),
            }
            for index, target in enumerate(self.targets)
        ]


class Router:
    """All routes of one configuration. previous: the router before a reload; unchanged models keep their state."""

    def __init__(self, config: Config, previous: Router | None = None):
        self._routes: dict[str, Route] = {}
        for name, model in config.models.items():
            old = previous._routes.get(name) if previous else None
            self._routes[name] = old if old is not None and old.model == model else Route(model)
        self._open = not config.models
        self._providers = list(config.providers)
        self._defaults = config.defaults or Model(targets=[TargetEntry(provider="none", model="none")])
        self._default_provider = config.default_provider or (self._providers[0] if self._providers else "")
        self._dynamic: OrderedDict[str, Route] = OrderedDict()
        self._owners: Mapping[str, frozenset[str]] = previous._owners if previous else {}

    def owned(self, owners: Mapping[str, frozenset[str]]) -> None:
        """Which provider has which models, as last listed: {provider: names}."""
        self._owners = owners

    def route(self, name: str) -> Route | None:
        """The route of a model, None when nothing serves that name."""
        route = self._routes.get(name)
        if route is not None or not self._open:
            return route
        route = self._dynamic.get(name)
        if route is not None:
            self._dynamic.move_to_end(name)
            return route
        target = self._resolve(name)
        return self._keep(name, *target) if target else None

    def route_provider(self, provider: str) -> Route | None:
        """The route of a request that names no model: the provider asked for, or the default one."""
        provider = provider or self._default_provider
        if provider not in self._providers:
            return None
        key = f"\0{provider}"
        return self._dynamic.get(key) or self._keep(key, provider, "")

    def _resolve(self, name: str) -> tuple[str, str] | None:
        provider, slash, model = name.partition("/")
        if slash and model and provider in self._providers:
            return provider, model
        owners = [provider for provider, models in self._owners.items() if name in models]
        if len(owners) == 1:
            return owners[0], name
        if not owners and len(self._providers) == 1:  # the only provider may know names that it does not list
            return self._providers[0], name
        return None

    def _keep(self, name: str, provider: str, model: str) -> Route:
        defaults = self._defaults
        targets = [TargetEntry(provider=provider, model=model)]
        route = Route(
            Model(targets=targets, timeouts=defaults.timeouts, retries=defaults.retries, breaker=defaults.breaker)
        )
        self._dynamic[name] = route
        if len(self._dynamic) > DYNAMIC_MAX:
            self._dynamic.popitem(last=False)
        return route

    def snapshot(self, now: float) -> dict[str, list[dict[str, object]]]:
        """State of every target of every model, by model name."""
        routes = {**self._routes, **{name: route for name, route in self._dynamic.items() if name[0] != "\0"}}
        return {name: route.snapshot(now) for name, route in routes.items()}
