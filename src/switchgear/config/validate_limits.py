"""Limits, budgets and who they hold for: that ids are declared, that windows, time zones and capacities make sense.

An organization, project, user, key or credential that a scope names must be declared; a model or provider that nobody
serves is told as a warning, since the next reload may bring it.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping, Sequence
from itertools import islice

from switchgear.config.document import Path, dotted
from switchgear.config.owners import Owners, credential_name
from switchgear.config.report import Report
from switchgear.config.schema import Config, Key
from switchgear.config.schema_limits import Budget, Calendar, Limit, Organization, Project, Scope, ScopedLimit, User
from switchgear.config.suggest import did_you_mean

MAX_CAPACITY = 10**15
"""Of every resource but cost: counters are 64-bit, and a double holds whole numbers up to 2^53."""
MAX_USD = 9_000_000
"""Of a limit on cost or a budget: Redis counts in its scripts with doubles, which hold 2^53 nano-dollars exactly."""
MAX_THRESHOLD = 10.0
MAX_THRESHOLDS = 32

_NANO_USD = 1e-9
_WINDOWS = "second, minute, hour, day, week, month, total or {calendar: day, timezone: UTC}"


def validate_limits(config: Config, report: Report) -> None:
    """Check organizations, projects, users, and the limits and budgets of everything that may have some."""
    owners = Owners(config)
    _section("organizations", config.organizations, owners, report)
    _section("projects", config.projects, owners, report)
    _section("users", config.users, owners, report)
    for n, key in enumerate(config.keys):
        _key(key, ("keys", n), owners, report)
        _held(key, ("keys", n), report)
    for name, provider in config.providers.items():
        for n, credential in enumerate(provider.credentials):
            _limits(credential.limits, ("providers", name, "credentials", n, "limits"), report)
    _scoped(config, owners, report)


def _section(section: str, entries: Sequence[Organization | Project | User], owners: Owners, report: Report) -> None:
    first_at: dict[str, int] = {}
    for n, entry in enumerate(entries):
        path: Path = (section, n)
        if not entry.id.isprintable() or entry.id != entry.id.strip():
            report.error((*path, "id"), "expected printable characters without spaces around them")
        first = first_at.setdefault(entry.id, n)
        if first != n:
            report.error((*path, "id"), f"expected each id once, {section}[{first}] has the same")
        if not isinstance(entry, Organization):
            _reference(entry.organization, owners.organizations, "organizations", (*path, "organization"), report)
        _held(entry, path, report)


def _reference(name: str | None, declared: Mapping[str, object], section: str, path: Path, report: Report) -> bool:
    """Whether `name` is declared; where it is not, report it. A reference that is not written is fine."""
    if name is None or name in declared:
        return True
    if not declared:
        report.error(path, f"expected an id declared in `{section}`, and there is none")
        return False
    known = ", ".join(islice(declared, 20))
    report.error(path, f"expected an id declared in `{section}`: {known}{did_you_mean(name, declared)}")
    return False


def _key(key: Key, path: Path, owners: Owners, report: Report) -> None:
    known = _reference(key.project, owners.projects, "projects", (*path, "project"), report)
    known &= _reference(key.user, owners.users, "users", (*path, "user"), report)
    if not known:
        return
    project, user = owners.organization_of(key.project, None), owners.organization_of(None, key.user)
    if project and user and project != user:
        report.warn(path, f"its project is of '{project}', its user of '{user}': requests count to '{project}'")


def _held(holder: Key | Organization | Project | User, path: Path, report: Report) -> None:
    _limits(holder.limits, (*path, "limits"), report)
    if holder.budget is not None:
        _budget(holder.budget, (*path, "budget"), report)


def _limits(limits: Sequence[Limit], path: Path, report: Report) -> None:
    first_at: dict[tuple[object, ...], int] = {}
    for n, limit in enumerate(limits):
        _limit(limit, (*path, n), report)
        _once(first_at, (limit.resource, limit.window, limit.hard), n, path, report)


def _once(
    first_at: dict[tuple[object, ...], int], what: tuple[object, ...], n: int, path: Path, report: Report
) -> None:
    first = first_at.setdefault(what, n)
    if first != n:
        same = f"{dotted((*path, first))} limits the same"
        report.error((*path, n), f"expected each resource and window once, {same}")


def _limit(limit: Limit | ScopedLimit, path: Path, report: Report) -> None:
    if limit.resource == "concurrent":
        if limit.window is not None:
            report.error((*path, "window"), "expected none: `concurrent` counts what is in flight now")
    elif limit.window is None:
        report.error(path, f"expected the key 'window': {_WINDOWS}")
    elif isinstance(limit.window, Calendar):
        _timezone(limit.window.timezone, (*path, "window", "timezone"), report)
    if limit.resource == "cost":
        _usd(limit.capacity, (*path, "capacity"), report)
    elif not limit.capacity.is_integer():
        report.error((*path, "capacity"), f"expected a whole number of {limit.resource}, got {limit.capacity:g}")
    elif limit.capacity > MAX_CAPACITY:
        report.error((*path, "capacity"), f"expected at most {MAX_CAPACITY}")


def _usd(amount: float, path: Path, report: Report) -> None:
    if amount > MAX_USD:
        report.error(path, f"expected at most {MAX_USD} USD")
    elif 0 < amount < _NANO_USD:
        report.error(path, "expected 0, or a nano-dollar (0.000000001) or more")


def _timezone(name: str, path: Path, report: Report) -> None:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(name, zoneinfo.available_timezones())
        report.error(path, f"expected an IANA time zone such as UTC or Europe/Berlin{hint}")


def _budget(budget: Budget, path: Path, report: Report) -> None:
    _usd(budget.usd, (*path, "usd"), report)
    if isinstance(budget.window, Calendar):
        _timezone(budget.window.timezone, (*path, "window", "timezone"), report)
        if report.written((*path, "timezone")):
            report.error((*path, "timezone"), "expected the time zone once: `window` has one")
    else:
        _timezone(budget.timezone, (*path, "timezone"), report)
        if budget.window == "total" and report.written((*path, "timezone")):
            report.warn((*path, "timezone"), "has no effect: `total` never ends")
    _thresholds(budget, (*path, "thresholds"), report)


def _thresholds(budget: Budget, path: Path, report: Report) -> None:
    if len(budget.thresholds) > MAX_THRESHOLDS:
        report.error(path, f"expected at most {MAX_THRESHOLDS} thresholds, got {len(budget.thresholds)}")
    before = 0.0
    for n, share in enumerate(budget.thresholds):
        if not 0 < share <= MAX_THRESHOLD:
            report.error(
                (*path, n), f"expected a share above 0, at most {MAX_THRESHOLD:g} (0.8 is 80 %), got {share:g}"
            )
            return
        if share <= before:
            report.error((*path, n), f"expected more than the threshold before it ({before:g}), got {share:g}")
            return
        if share > 1 and budget.hard:
            report.warn((*path, n), "never reached: a hard budget lets no more than 1 (100 %) be spent")
        before = share


def _scoped(config: Config, owners: Owners, report: Report) -> None:
    first_at: dict[tuple[object, ...], int] = {}
    for n, limit in enumerate(config.limits):
        path: Path = ("limits", n)
        _limit(limit, path, report)
        _once(first_at, (limit.scope, limit.resource, limit.window, limit.hard), n, ("limits",), report)
        if _scope(limit.scope, (*path, "scope"), config, owners, report):
            _matches(limit.scope, (*path, "scope"), owners, report)


def _scope(scope: Scope, path: Path, config: Config, owners: Owners, report: Report) -> bool:
    """Whether everything it names is declared; report what is not."""
    known = _reference(scope.organization, owners.organizations, "organizations", (*path, "organization"), report)
    known &= _reference(scope.project, owners.projects, "projects", (*path, "project"), report)
    known &= _reference(scope.user, owners.users, "users", (*path, "user"), report)
    if scope.key is not None and scope.key not in owners.keys:
        report.error((*path, "key"), f"expected the name of one of `keys`{did_you_mean(scope.key, owners.keys)}")
        known = False
    if scope.provider is not None and scope.provider not in config.providers:
        report.warn((*path, "provider"), f"no provider has this name{did_you_mean(scope.provider, config.providers)}")
        known = False
    elif scope.credential is not None:
        known &= _credential(scope, path, config, report)
    if scope.model is not None and not _may_be_served(scope.model, config):
        hint = did_you_mean(scope.model, config.models)
        report.warn((*path, "model"), f"no model of this configuration has this name{hint}")
    return known


def _credential(scope: Scope, path: Path, config: Config, report: Report) -> bool:
    names = {
        credential_name(credential, n)
        for name, provider in config.providers.items()
        if scope.provider in (None, name)
        for n, credential in enumerate(provider.credentials)
    }
    if scope.credential in names:
        return True
    what = f"expected the `name` of a credential{f' of {scope.provider}' if scope.provider else ''}"
    report.error((*path, "credential"), f"{what}{did_you_mean(scope.credential or '', names)}")
    return False


def _may_be_served(model: str, config: Config) -> bool:
    """Without `models`, any name may be a provider's own; else it is declared or begins with `provider/`."""
    return not config.models or model in config.models or model.partition("/")[0] in config.providers


def _matches(scope: Scope, path: Path, owners: Owners, report: Report) -> None:
    """Warn of a product that no request can have: a key beside a project that it does not belong to."""
    key = owners.keys.get(scope.key or "")
    if key is not None:
        for field, wanted, own in (("project", scope.project, key.project), ("user", scope.user, key.user)):
            if wanted is not None and wanted != own:
                report.warn((*path, field), f"no request matches: key '{key.name}' is not of {field} '{wanted}'")
                return
    project, user = (key.project, key.user) if key is not None else (scope.project, scope.user)
    if scope.organization is None or (key is None and project is None):
        return  # a user may work on projects of other organizations
    organization = owners.organization_of(project, user)
    if organization != scope.organization and (key is not None or organization is not None):
        belongs = f"these belong to '{organization}'" if organization else "these belong to none"
        report.warn((*path, "organization"), f"no request matches: {belongs}")
