"""Limits and budgets, and who they are declared for: whether windows, amounts and references make sense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from switchgear.config.document import Path
from switchgear.config.schema_limits import Budget, Calendar, Limit, Scope, ScopedLimit
from switchgear.config.suggest import did_you_mean

if TYPE_CHECKING:
    from switchgear.config.report import Report
    from switchgear.config.schema import Config

_MAX_COUNT = 2**53 - 1
_MAX_USD = 9_000_000
"""2⁵³ nano-dollars: beyond, the scripts of Redis do not count exactly."""


def validate_limits(config: Config, report: Report) -> None:
    """Check `organizations`, `projects`, `users`, `limits` and what keys and credentials declare of their own."""
    _unique(config.organizations, ("organizations",), report)
    _unique(config.projects, ("projects",), report)
    _unique(config.users, ("users",), report)
    organizations = {entry.id for entry in config.organizations}
    projects = {entry.id for entry in config.projects}
    users = {entry.id for entry in config.users}
    owners: list[tuple[Path, Any]] = []
    for section in ("organizations", "projects", "users", "keys"):
        owners += [((section, n), entry) for n, entry in enumerate(getattr(config, section))]
    for path, entry in owners:
        for n, limit in enumerate(entry.limits):
            _limit(limit, (*path, "limits", n), report)
        if entry.budget is not None:
            _budget(entry.budget, (*path, "budget"), report)
    for section, known in (("organization", organizations), ("project", projects), ("user", users)):
        for path, entry in owners:
            _refers(getattr(entry, section, None), known, (*path, section), section, report)
    for n, scoped in enumerate(config.limits):
        _limit(scoped, ("limits", n), report)
        _scope(scoped.scope, config, ("limits", n, "scope"), report)
    for name, provider in config.providers.items():
        for number, credential in enumerate(provider.credentials):
            for n, limit in enumerate(credential.limits):
                _limit(limit, ("providers", name, "credentials", number, "limits", n), report)


def _unique(entries: Sequence[Any], path: Path, report: Report) -> None:
    seen: set[str] = set()
    for n, entry in enumerate(entries):
        if entry.id in seen:
            report.error((*path, n, "id"), f"expected each id once, got '{entry.id}' again")
        seen.add(entry.id)


def _limit(limit: Limit | ScopedLimit, path: Path, report: Report) -> None:
    if limit.resource == "concurrent":
        if limit.window is not None:
            report.error((*path, "window"), "expected none: what is in flight at once has no window")
    elif limit.window is None:
        report.error(
            path, "expected the key 'window': second, minute, hour, day, week, month, total or {calendar: day}"
        )
    if isinstance(limit.window, Calendar):
        _timezone(limit.window.timezone, (*path, "window", "timezone"), report)
    if limit.resource != "cost" and limit.capacity != int(limit.capacity):
        report.error((*path, "capacity"), f"expected a whole number of {limit.resource.replace('_', ' ')}")
    if limit.capacity > (_MAX_USD if limit.resource == "cost" else _MAX_COUNT):
        report.error(
            (*path, "capacity"), f"expected no more than {_MAX_USD if limit.resource == 'cost' else _MAX_COUNT}"
        )


def _budget(budget: Budget, path: Path, report: Report) -> None:
    if isinstance(budget.window, Calendar):
        _timezone(budget.window.timezone, (*path, "window", "timezone"), report)
    _timezone(budget.timezone, (*path, "timezone"), report)
    if budget.usd > _MAX_USD:
        report.error((*path, "usd"), f"expected no more than {_MAX_USD}")
    for n, threshold in enumerate(budget.thresholds):
        if not 0 < threshold <= 10:
            report.error((*path, "thresholds", n), "expected a share of the budget such as 0.8, above 0 and at most 10")


def _timezone(name: str, path: Path, report: Report) -> None:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # a folder, a path out of the zones, no such zone
        report.error(path, "expected an IANA time zone such as Europe/Berlin or UTC")


def _refers(name: str | None, known: set[str], path: Path, what: str, report: Report) -> None:
    if name and name not in known:
        report.error(path, f"expected the id of an entry in {what}s{did_you_mean(name, known)}")


def _scope(scope: Scope, config: Config, path: Path, report: Report) -> None:
    for field, section in (("organization", "organizations"), ("project", "projects"), ("user", "users")):
        _refers(getattr(scope, field), {entry.id for entry in getattr(config, section)}, (*path, field), field, report)
    if scope.key is not None and scope.key not in {key.name for key in config.keys}:
        hint = did_you_mean(scope.key, [key.name for key in config.keys])
        report.error((*path, "key"), f"expected the name of a key{hint}")
    if scope.provider is not None and scope.provider not in config.providers:
        hint = did_you_mean(scope.provider, config.providers)
        report.error((*path, "provider"), f"expected the name of a provider{hint}")
