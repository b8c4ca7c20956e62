"""From a model's name to the target that is tried next.

Strategy
    A Route is what is known about one model: its targets as a TargetTable (compiled), a breaker for each, and until
    when each is throttled. Picking is one call into the table; the breakers are looked at only while one of them is not
    closed. Reports change breakers and throttles, and the table is told the later of the two deadlines.

    The Router maps names to routes. Configured models have theirs for good. Where no model is configured every model of
    every provider can be reached: `provider/model`, and the bare model name where exactly one provider owns it. Those
    routes are made when first asked for, and the least recently used goes when there are too many, so that junk
    names cost a bounded amount of memory.
"""

from __future__ import annotations

from collections import OrderedDict
from math import inf
from typing import TYPE_CHECKING, Any

from switchgear.config.schema import MAX_OUTPUT_TOKENS, Retries, Timeouts
from switchgear.config.schema import Breaker as BreakerSettings
from switchgear.hotpath._score import TargetTable
from switchgear.routing.breaker import Breaker, State
from switchgear.routing.decision import Candidate, Decision
from switchgear.types import Target

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from switchgear.config.schema import Defaults, Model
    from switchgear.routing.retry import Outcome

MAX_DYNAMIC_ROUTES = 10_000
MAX_NAME_CHARS = 256
"""Longest model name that gets a route of its own, as in `config.schema.Name`."""


class Route:
    """One model's targets and their state. `targets`, `timeouts`, `retries`, `strict` and `max_output_tokens` are read
    by the gateway."""

    __slots__ = (
        "_breakers",
        "_closed",
        "_throttled",
        "max_output_tokens",
        "model",
        "quiet",
        "retries",
        "strict",
        "table",
        "targets",
        "timeouts",
    )

    def __init__(
        self,
        model: str,
        targets: Sequence[Target],
        *,
        timeouts: Timeouts | None = None,
        retries: Retries | None = None,
        breaker: BreakerSettings | None = None,
        strict: bool = False,
        max_output_tokens: int = MAX_OUTPUT_TOKENS,
    ):
        self.model = model
        self.targets = tuple(targets)
        self.timeouts = timeouts or Timeouts()
        self.retries = retries or Retries()
        self.strict = strict
        self.max_output_tokens = max_output_tokens
        self.table = TargetTable([target.tier for target in targets], [target.weight for target in targets])
        self._breakers = [Breaker(breaker or BreakerSettings()) for _ in targets]
        self._throttled = [-inf] * len(targets)
        self._closed = True  # every breaker is
        self.quiet = True
        """No target failed lately: a pick is one call of `table`, and a success has nothing to report."""

    def __len__(self) -> int:
        return len(self.targets)

    def pick(self, now: float, draw: float, tried: bytearray | None = None) -> int:
        """Index of the target to send to, -1 when each was tried. What was picked is reported with `report`, always.

        draw: uniform in [0, 1). tried: one byte a target, non-zero for those to leave out.
        """
        index = self.table.pick(now, draw, tried)
        if not self._closed and index >= 0:
            breaker = self._breakers[index]
            if breaker.state is not State.CLOSED:
                breaker.picked(now)
                self._hold(index)
        return index

    def report(self, index: int, outcome: Outcome, now: float, retry_after_s: float | None = None) -> None:
        """How the attempt at target `index` ended.

        retry_after_s: how long the target wants to be left alone. For `throttled` and `refused` outcomes that is
        `CredentialPool.wait_s`, 0.0 while the provider has another credential; for others the answer's Retry-After.
        """
        breaker = self._breakers[index]
        if outcome.healthy:
            if breaker.failures == 0 and breaker.state is State.CLOSED:
                return  # nearly every report
            breaker.succeeded()
        elif outcome.unhealthy:
            breaker.failed(now)
        else:
            breaker.abandoned(now)
        if not outcome.healthy and retry_after_s is not None and retry_after_s > 0:
            self._throttled[index] = max(self._throttled[index], now + retry_after_s)
        self._closed = all(breaker.state is State.CLOSED for breaker in self._breakers)
        self.quiet = self._closed and not any(breaker.failures for breaker in self._breakers)
        self._hold(index)

    def fresh(self, now: float, tried: bytearray) -> bool:
        """Whether a target that was not tried is available."""
        return self.table.wait(now, tried) == 0.0

    def wait_s(self, now: float) -> float:
        """Seconds until any target is available, 0.0 when one is."""
        return self.table.wait(now)

    def available(self, now: float) -> int:
        """How many targets are available."""
        return self.table.available(now)

    def decide(self, now: float, draw: float, tried: bytearray | None = None) -> Decision:
        """The choice that `pick` would make, with its reasons. Changes nothing."""
        index = self.table.pick(now, draw, tried)
        candidates = self._candidates(now, tried)
        if index < 0:
            return Decision(self.model, -1, None, -1, 0.0, ["every target was tried"], candidates)
        chosen, target = candidates[index], self.targets[index]
        reasons = [f"{target.name}: {chosen.reason}"]
        reasons += [f"{c.target.name}: {c.reason}" for n, c in enumerate(candidates) if n != index]
        return Decision(self.model, index, target, target.tier, chosen.score, reasons, candidates)

    def snapshot(self, now: float) -> dict[str, Any]:
        """Everything there is to know, as plain values, for the API."""
        return {
            "model": self.model,
            "available": self.available(now),
            "targets": [
                {
                    "name": target.name,
                    "tier": target.tier,
                    "weight": target.weight,
                    "breaker": breaker.state.value,
                    "failures": breaker.failures,
                    "open_for_s": max(0.0, breaker.until - now),
                    "throttled_for_s": max(0.0, throttled - now),
                }
                for target, breaker, throttled in zip(self.targets, self._breakers, self._throttled, strict=True)
            ],
        }

    def adopt(self, previous: Route) -> None:
        """Take over the state of the targets that are still there (after a reload)."""
        known = {(t.provider, t.model): n for n, t in reversed(list(enumerate(previous.targets)))}
        for index, target in enumerate(self.targets):
            old = known.get((target.provider, target.model))
            if old is None:
                continue
            mine, theirs = self._breakers[index], previous._breakers[old]
            mine.state, mine.until = theirs.state, theirs.until
            mine.failures, mine.openings = theirs.failures, theirs.openings
            self._throttled[index] = previous._throttled[old]
            self._hold(index)
        self._closed = all(breaker.state is State.CLOSED for breaker in self._breakers)
        self.quiet = self._closed and not any(breaker.failures for breaker in self._breakers)

    def _hold(self, index: int) -> None:
        # The table's own deadline only moves out, and a breaker may close while the provider still wants its pause.
        self.table.release(index)
        self.table.hold(index, max(self._breakers[index].until, self._throttled[index]))

    def _candidates(self, now: float, tried: bytearray | None) -> list[Candidate]:
        left = [n for n in range(len(self)) if not (tried and tried[n])]
        available = [n for n in left if self.table.held_until(n) <= now]
        tier = min((self.targets[n].tier for n in available), default=-1)
        drawn = [n for n in available if self.targets[n].tier == tier]
        total = sum(self.targets[n].weight for n in drawn)
        soonest = self.table.pick(now, 0.0, tried) if not available else -1
        found = []
        for n, target in enumerate(self.targets):
            held_s = max(0.0, self.table.held_until(n) - now)
            score = 0.0
            if n not in left:
                reason = "tried by this request"
            elif n == soonest:
                score, reason = 1.0, f"available soonest, in {held_s:.3f} s, as no target is available now"
            elif held_s > 0:
                reason = f"{self._why_held(n, now)} for another {held_s:.3f} s"
            elif target.tier > tier:
                reason = f"available, but tier {tier} goes before tier {target.tier}"
            elif total == 0:
                score, reason = 1 / len(drawn), f"one of {len(drawn)} left in tier {tier}, all of weight 0"
            elif target.weight == 0:
                reason = f"weight 0, and tier {tier} has other targets"
            else:
                score = target.weight / total
                reason = f"available in tier {tier} with weight {target.weight:g} of {total:g}"
            found.append(Candidate(target, self._breakers[n].state.value, held_s, score, reason))
        return found

    def _why_held(self, index: int, now: float) -> str:
        breaker = self._breakers[index]
        if breaker.until <= now or self._throttled[index] > breaker.until:
            return "throttled"
        if breaker.state is State.HALF_OPEN:
            return f"being probed after {breaker.failures} failures in a row"
        return f"left out after {breaker.failures} failures in a row,"


class Router:
    """Names to routes.

    models: the configured ones; when there are any, no other name resolves. providers: names, for `provider/model`.
    owners: which bare model names each provider has (`set_models` changes it). default_provider: takes the bare names
    that nobody owns. defaults: timeouts, retries, breaker and longest answer of routes
    that are not configured.
    """

    def __init__(
        self,
        models: Mapping[str, Model] | None = None,
        *,
        providers: Iterable[str] = (),
        owners: Mapping[str, Collection[str]] | None = None,
        default_provider: str | None = None,
        defaults: Defaults | None = None,
        max_dynamic: int = MAX_DYNAMIC_ROUTES,
    ):
        self._configured = {name: _configured_route(name, model) for name, model in (models or {}).items()}
        self._providers = frozenset(providers)
        self._default_provider = default_provider
        self._defaults = defaults
        self._dynamic: OrderedDict[str, Route] = OrderedDict()
        self._max_dynamic = max_dynamic
        self._owned: dict[str, frozenset[str]] = {}
        self._owner: dict[str, str] = {}
        for provider, names in (owners or {}).items():
            self.set_models(provider, names)

    @property
    def wildcard(self) -> bool:
        """No model is configured: every model of every provider can be reached."""
        return not self._configured

    def route(self, model: str) -> Route | None:
        """The route of the model that clients call `model`; None when there is none."""
        route = self._configured.get(model)
        if route is not None or self._configured:
            return route
        route = self._dynamic.get(model)
        if route is not None:
            self._dynamic.move_to_end(model)
            return route
        target = self.resolve(model)
        if target is None:
            return None
        route = self._dynamic[model] = self._dynamic_route(model, target)
        if len(self._dynamic) > self._max_dynamic:
            self._dynamic.popitem(last=False)
        return route

    def resolve(self, model: str) -> Target | None:
        """The target of a model that is not configured: `provider/model`, else a bare name's only owner."""
        if not model or len(model) > MAX_NAME_CHARS:
            return None
        # A bare name may have slashes (`meta-llama/Llama-3`): its owner goes before a provider of that name.
        owner = self._owner.get(model)
        if owner is not None:
            return Target(owner, model)
        provider, slash, name = model.partition("/")
        if slash and name and provider in self._providers:
            return Target(provider, name)
        if self._default_provider is not None and not self._ambiguous(model):
            return Target(self._default_provider, model)
        return None

    def set_models(self, provider: str, names: Collection[str]) -> None:
        """These are now the bare model names that `provider` has. Routes by a name that changed hands are forgotten."""
        self._owned[provider] = frozenset(names)
        owners: dict[str, str | None] = {}
        for owner, owned in self._owned.items():
            for name in owned:
                owners[name] = None if name in owners else owner
        self._owner = {name: owner for name, owner in owners.items() if owner is not None}
        for name in [name for name, route in self._dynamic.items() if not _serves(route, self.resolve(name))]:
            del self._dynamic[name]

    def names(self) -> list[str]:
        """The names clients can use, as far as known: the configured ones, else bare names and `provider/model`."""
        if self._configured:
            return sorted(self._configured)
        full = {f"{provider}/{name}" for provider, owned in self._owned.items() for name in owned}
        return sorted(full | set(self._owner))

    def routes(self) -> list[Route]:
        """Every route there is at the moment."""
        return [*self._configured.values(), *self._dynamic.values()]

    def snapshot(self, now: float) -> dict[str, Any]:
        """The state of every route, as plain values, for the API."""
        return {
            "wildcard": self.wildcard,
            "dynamic_routes": len(self._dynamic),
            "routes": [route.snapshot(now) for route in self.routes()],
        }

    def adopt(self, previous: Router) -> None:
        """Take over what `previous` learned about targets that are still there: a reload forgets nothing."""
        for name, route in self._configured.items():
            known = previous._configured.get(name)
            if known is not None:
                route.adopt(known)
        if self._configured:
            return
        for name, old in previous._dynamic.items():
            target = self.resolve(name)
            if target is not None and _serves(old, target):
                self._dynamic[name] = self._dynamic_route(name, target)
                self._dynamic[name].adopt(old)
        while len(self._dynamic) > self._max_dynamic:
            self._dynamic.popitem(last=False)

    def _ambiguous(self, model: str) -> bool:
        return sum(model in owned for owned in self._owned.values()) > 1

    def _dynamic_route(self, model: str, target: Target) -> Route:
        known = self._defaults
        if known is None:
            return Route(model, (target,))
        return Route(
            model,
            (target,),
            timeouts=known.timeouts,
            retries=known.retries,
            breaker=known.breaker,
            max_output_tokens=known.max_output_tokens,
        )


def _serves(route: Route, target: Target | None) -> bool:
    """Whether a dynamic route's one target is this one."""
    return target is not None and route.targets[0].name == target.name


def _configured_route(name: str, model: Model) -> Route:
    targets = [Target(entry.provider, entry.model, entry.tier, entry.weight) for entry in model.targets]
    return Route(
        name,
        targets,
        timeouts=model.timeouts,
        retries=model.retries,
        breaker=model.breaker,
        strict=model.strict,
        max_output_tokens=model.max_output_tokens,
    )
