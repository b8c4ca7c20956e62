"""Which limits a configuration declares, and which of them hold for a request.

A request counts against its key, its user, its project, its organization (the project's, else the user's), what is
global, its model, and every limit of the top-level `limits` whose scope it matches; an attempt also against what
concerns its provider and credential. What keys declare is built when it is first asked for: there may be many.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from switchgear.config import schema_limits as schema
from switchgear.limits.model import Limit, Resource, Scope, limit_id, nanousd
from switchgear.limits.windows import LENGTHS_S, NONE, TOTAL, Window

if TYPE_CHECKING:
    from switchgear.config.schema import Config
    from switchgear.types import Principal

_OWNERS = ("organization", "project", "user", "key")


class Declared:
    """The limits of one configuration."""

    def __init__(self, config: Config):
        self._keys = {entry.name: entry for entry in config.keys}  # with 100,000 of them the largest table here
        self._owners: dict[str, Mapping[str, _Owner]] = {
            "organization": {entry.id: entry for entry in config.organizations},
            "project": {entry.id: entry for entry in config.projects},
            "user": {entry.id: entry for entry in config.users},
            "key": self._keys,
        }
        self._projects = {entry.id: entry for entry in config.projects}
        self._users = {entry.id: entry for entry in config.users}
        self._credentials = {
            (provider, credential.name or f"credential-{number}"): credential.limits  # named as `upstream` does
            for provider, entry in config.providers.items()
            for number, credential in enumerate(entry.credentials, 1)
            if credential.limits
        }
        self._scoped: list[Limit] = []
        self._scoped_by_key: dict[str, list[Limit]] = defaultdict(list)
        for limit in self._top_level(config.limits):
            (self._scoped_by_key[limit.scope.key] if limit.scope.key else self._scoped).append(limit)
        every = [*self._scoped, *(limit for some in self._scoped_by_key.values() for limit in some)]
        self.models = frozenset(limit.scope.model for limit in every if limit.scope.model)
        """Models that a limit names: to all others the same limits apply."""
        self.of_attempts = bool(self._credentials) or any(limit.scope.of_attempt for limit in every)
        """Whether any limit concerns a provider or a credential."""

    def scope(self, principal: Principal, model: str, provider: str = "", credential: str = "") -> Scope:
        """Every field of a request. What the principal does not say itself is taken from its key, project and user."""
        key = principal.name if principal.kind == "key" else ""
        entry = self._keys.get(key)
        project = principal.project or (entry.project if entry is not None else None) or ""
        user = principal.user or (entry.user if entry is not None else None) or ""
        organization = principal.organization or self._organization(project, user)
        return Scope(organization, project, user, key, model, provider, credential)

    def of_request(self, scope: Scope) -> list[Limit]:
        """What holds for a request whatever serves it: widest scope first."""
        found = [limit for limit in self._matching(scope) if not limit.scope.of_attempt]
        for kind in _OWNERS:
            owner = self._owners[kind].get(getattr(scope, kind))
            if owner is not None:
                found += _own(kind, owner)
        return found

    def of_attempt(self, scope: Scope) -> list[Limit]:
        """What holds for an attempt beside `of_request`."""
        found = [limit for limit in self._matching(scope) if limit.scope.of_attempt]
        return found + self._of_credential(scope.provider, scope.credential)

    def all(self) -> Iterator[Limit]:
        """Every limit that is declared, widest scope first."""
        yield from self._scoped
        for kind in _OWNERS:
            for owner in self._owners[kind].values():
                yield from _own(kind, owner)
        for some in self._scoped_by_key.values():
            yield from some
        for provider, credential in self._credentials:
            yield from self._of_credential(provider, credential)

    def _organization(self, project: str, user: str) -> str:
        of_project = self._projects[project].organization if project in self._projects else None
        of_user = self._users[user].organization if user in self._users else None
        return of_project or of_user or ""

    def _matching(self, scope: Scope) -> Iterator[Limit]:
        for limit in self._scoped:
            if limit.scope.matches(scope):
                yield limit
        for limit in self._scoped_by_key.get(scope.key, ()) if scope.key else ():
            if limit.scope.matches(scope):
                yield limit

    def _of_credential(self, provider: str, credential: str) -> list[Limit]:
        entries = self._credentials.get((provider, credential), ())
        return _numbered(Scope(provider=provider, credential=credential), entries)

    def _top_level(self, entries: Iterable[schema.ScopedLimit]) -> Iterator[Limit]:
        """Numbered on from what the owner of the same scope declares itself."""
        seen: dict[str, int] = {}
        for entry in entries:
            scope = Scope(**{field: getattr(entry.scope, field) or "" for field in entry.scope.__struct_fields__})
            if scope.name not in seen:
                seen[scope.name] = 1
                for limit in self._owned(scope):
                    plain = limit_id(scope, limit.resource, limit.window, hard=limit.hard, budget=limit.budget)
                    seen[plain] = seen.get(plain, 0) + 1
            yield _limit(scope, entry, seen)

    def _owned(self, scope: Scope) -> list[Limit]:
        for kind in _OWNERS:
            name = getattr(scope, kind)
            if name and scope == Scope(**{kind: name}) and name in self._owners[kind]:
                return _own(kind, self._owners[kind][name])
        if scope.credential and scope == Scope(provider=scope.provider, credential=scope.credential):
            return self._of_credential(scope.provider, scope.credential)
        return []


if TYPE_CHECKING:
    from switchgear.config.schema import Key

    _Owner = schema.Organization | schema.Project | schema.User | Key


def _own(kind: str, owner: _Owner) -> list[Limit]:
    name = owner.name if kind == "key" else owner.id  # type: ignore[union-attr]  # `kind` says which of them it is
    scope = Scope(**{kind: name})
    found = _numbered(scope, owner.limits)
    if owner.budget is not None:
        found.append(_budget(scope, owner.budget))
    return found


def _numbered(scope: Scope, entries: Iterable[schema.Limit]) -> list[Limit]:
    seen: dict[str, int] = {}
    return [_limit(scope, entry, seen) for entry in entries]


def _limit(scope: Scope, entry: schema.Limit | schema.ScopedLimit, seen: dict[str, int]) -> Limit:
    window = window_of(entry.window)
    plain = limit_id(scope, entry.resource, window, hard=entry.hard, budget=False)
    repeated = seen.get(plain, 0)
    seen[plain] = repeated + 1
    capacity = capacity_of(entry.resource, entry.capacity)
    return Limit(
        limit_id(scope, entry.resource, window, hard=entry.hard, budget=False, repeated=repeated),
        scope,
        entry.resource,
        capacity,
        window,
        entry.hard,
        entry.fail == "open",
        () if entry.hard or window is NONE else (capacity,),
    )


def _budget(scope: Scope, entry: schema.Budget) -> Limit:
    window = window_of(entry.window, entry.timezone, calendar=True)
    capacity = nanousd(entry.usd)
    return Limit(
        limit_id(scope, "cost", window, hard=entry.hard, budget=True),
        scope,
        "cost",
        capacity,
        window,
        entry.hard,
        entry.fail == "open",
        tuple(sorted({int(capacity * share) for share in entry.thresholds})),
        True,
    )


def window_of(
    window: schema.Window | schema.BudgetWindow | None, timezone: str = "UTC", *, calendar: bool = False
) -> Window:
    """A window as it is written. calendar: `hour` is the calendar's, as budgets have it."""
    if window is None:
        return NONE
    if isinstance(window, schema.Calendar):
        return Window("calendar", window.calendar, window.timezone)
    if window == "total":
        return TOTAL
    if window in LENGTHS_S and not calendar:
        return Window("sliding", window)
    return Window("calendar", window, timezone)


def capacity_of(resource: Resource, capacity: float) -> int:
    """In the units of the resource: cost is written in USD."""
    return nanousd(capacity) if resource == "cost" else int(capacity)
