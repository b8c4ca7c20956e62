"""Limits and budgets, and who they hold for: organizations, projects, users.

A budget is a limit on cost with thresholds. Both are inherited: a request counts against its key, the key's user, the
project, the organization and what is global, all together or not at all.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from switchgear.config.section import Section

Id = Annotated[str, Meta(min_length=1, max_length=256)]
Resource = Literal["requests", "input_tokens", "output_tokens", "tokens", "concurrent", "cost"]
Period = Literal["hour", "day", "week", "month"]


class Calendar(Section, frozen=True):
    """A window that begins and ends by the calendar of `timezone` (an IANA name); weeks begin on Monday."""

    shared = True

    calendar: Period
    timezone: str = "UTC"


Window = Literal["second", "minute", "hour", "day", "week", "month", "total"] | Calendar
BudgetWindow = Literal["hour", "day", "week", "month", "total"] | Calendar


class Limit(Section, frozen=True):
    """How much of a resource in a window.

    resource: `cost` is in USD, `concurrent` counts requests in flight and has no window. window: `second`, `minute` and
    `hour` slide (a token bucket), `{calendar: day, timezone: ...}` ends at midnight there, `day`, `week` and
    `month` are the calendar's in UTC, `total` never ends.
    capacity: whole for everything but cost. hard: refuse what goes over; else let it pass and raise an event.
    fail: what happens to a request when the shared state is away.
    """

    shared = True

    resource: Resource
    capacity: Annotated[float, Meta(ge=0)]
    window: Window | None = None
    hard: bool = True
    fail: Literal["open", "closed"] = "open"


class Scope(Section, frozen=True):
    """Whose requests a limit counts: all that match every field that is given; `{}` is every request."""

    organization: Id | None = None
    project: Id | None = None
    user: Id | None = None
    key: Id | None = None
    model: Id | None = None
    provider: Id | None = None
    credential: Id | None = None


class ScopedLimit(Section, frozen=True):
    """A limit of the top-level `limits`, as `Limit` with its scope."""

    resource: Resource
    capacity: Annotated[float, Meta(ge=0)]
    scope: Scope = Scope()
    window: Window | None = None
    hard: bool = True
    fail: Literal["open", "closed"] = "open"


class Budget(Section, frozen=True):
    """What may be spent in a window, by the calendar. thresholds: shares of it at which an event is raised."""

    shared = True

    usd: Annotated[float, Meta(ge=0)]
    window: BudgetWindow = "month"
    timezone: str = "UTC"
    thresholds: tuple[float, ...] = (0.5, 0.8, 1.0)
    hard: bool = True
    fail: Literal["open", "closed"] = "open"


class Organization(Section, frozen=True):
    id: Id
    limits: tuple[Limit, ...] = ()
    budget: Budget | None = None


class Project(Section, frozen=True):
    """organization: the id of the one it belongs to."""

    id: Id
    organization: Id | None = None
    limits: tuple[Limit, ...] = ()
    budget: Budget | None = None


class User(Section, frozen=True):
    id: Id
    organization: Id | None = None
    limits: tuple[Limit, ...] = ()
    budget: Budget | None = None


class Estimates(Section, frozen=True):
    """How prompt tokens are guessed before an upstream has counted them.

    tokenizer: `builtin` guesses from the bytes, for every model; `tiktoken` (the extra `switchgear[tiktoken]`) counts
    for the models that are in its table, and the others are guessed. encodings: the vocabularies of tiktoken that are
    loaded at the start; a model of another is guessed.
    """

    tokenizer: Literal["builtin", "tiktoken"] = "builtin"
    encodings: Annotated[list[Id], Meta(min_length=1, max_length=16)] = field(
        default_factory=lambda: ["o200k_base", "cl100k_base"]
    )
