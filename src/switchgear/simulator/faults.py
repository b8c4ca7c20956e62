"""Rules for which requests get which fault: what `PUT /_sim/faults` takes, a JSON list of

    {"match": {"path": "/v1/chat/*", "model": "gpt-*", "credential": "sk-a"},   each optional; path and model are globs
     "fault": {"status": 429, "retry-after": "2"},                              keys of `behaviour`
     "times": 3, "probability": 0.5}                                            optional: always, and always

The first rule that matches and has some of its times left applies, alone.
"""

from __future__ import annotations

import random
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from switchgear.errors import InvalidRequest
from switchgear.simulator.behaviour import Settings, parse

_MAX_RULES = 1000


class Match(Struct, forbid_unknown_fields=True):
    """All of what is given must hold. model: the whole name or the part before the first `;`."""

    path: str | None = None
    model: str | None = None
    credential: str | None = None


class Rule(Struct, forbid_unknown_fields=True):
    """One rule, as in the module's docstring. times: None for always; counts down."""

    fault: dict[str, Any]
    match: Match = msgspec.field(default_factory=Match)
    times: Annotated[int, Meta(ge=1)] | None = None
    probability: Annotated[float, Meta(ge=0, le=1)] = 1.0


class FaultTable:
    """The rules in force."""

    def __init__(self, rng: random.Random):
        self._rng = rng
        self._rules: list[tuple[Rule, Settings]] = []

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, rule: Rule) -> None:
        """Append a rule. Raises `InvalidRequest`."""
        if len(self._rules) >= _MAX_RULES:
            raise InvalidRequest(f"More than {_MAX_RULES} fault rules.")
        self._rules.append((rule, parse(rule.fault)))

    def replace(self, body: bytes) -> None:
        """Take the rules in a JSON list for the old ones; all or nothing. Raises `InvalidRequest`."""
        try:
            rules = msgspec.json.decode(body, type=Annotated[list[Rule], Meta(max_length=_MAX_RULES)])
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise InvalidRequest(f"Fault rules: {exc}") from exc
        self._rules = [(rule, parse(rule.fault)) for rule in rules]

    def clear(self) -> None:
        """Forget all rules."""
        self._rules = []

    def listing(self) -> list[Any]:
        """The rules with the times they have left, as JSON."""
        return [msgspec.to_builtins(rule) for rule, _ in self._rules]

    def pick(self, path: str, model: str, credential: str) -> Settings:
        """What the rules ask for this request; {} when none applies."""
        for index, (rule, settings) in enumerate(self._rules):
            if not _matches(rule.match, path, model, credential):
                continue
            if rule.probability < 1 and self._rng.random() >= rule.probability:
                continue
            if rule.times is not None:
                rule.times -= 1
                if rule.times == 0:
                    del self._rules[index]
            return settings
        return {}


def _matches(match: Match, path: str, model: str, credential: str) -> bool:
    if match.path is not None and not fnmatchcase(path, match.path):
        return False
    if match.credential is not None and match.credential != credential:
        return False
    if match.model is None:
        return True
    return fnmatchcase(model, match.model) or fnmatchcase(model.partition(";")[0], match.model)
