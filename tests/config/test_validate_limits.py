"""What is wrong with limits and budgets is told with its key."""

from __future__ import annotations

import pytest

from switchgear.config.load import loads
from switchgear.errors import ConfigError

BASE = "providers: {openai: {credentials: [sk-x]}}\nkeys: [{name: ci, value: sk-0123456789abcdef, %s}]\n"


@pytest.mark.parametrize(
    ("own", "rest", "key"),
    [
        ("limits: [{resource: concurrent, capacity: 5, window: minute}]", "", "keys[0].limits[0].window"),
        ("limits: [{resource: requests, capacity: 5}]", "", "keys[0].limits[0]"),
        ("limits: [{resource: requests, capacity: 1.5, window: day}]", "", "keys[0].limits[0].capacity"),
        ("limits: [{resource: cost, capacity: 1e9, window: day}]", "", "keys[0].limits[0].capacity"),
        ("budget: {usd: 1, timezone: Europe/Atlantis}", "", "keys[0].budget.timezone"),
        ("budget: {usd: 1, timezone: ../etc/passwd}", "", "keys[0].budget.timezone"),
        ("budget: {usd: 1, thresholds: [0]}", "", "keys[0].budget.thresholds[0]"),
        ("project: nobody", "", "keys[0].project"),
        ("models: ['*']", "users: [{id: a, organization: x}]", "users[0].organization"),
        ("models: ['*']", "users: [{id: a}, {id: a}]", "users[1].id"),
        (
            "models: ['*']",
            "limits: [{scope: {key: cii}, resource: concurrent, capacity: 1}]",
            "limits[0].scope.key",
        ),
        (
            "models: ['*']",
            "limits: [{scope: {provider: x}, resource: concurrent, capacity: 1}]",
            "limits[0].scope.provider",
        ),
        (
            "models: ['*']",
            "limits: [{resource: tokens, capacity: 1, window: {calendar: day, timezone: Mars}}]",
            "limits[0].window.timezone",
        ),
    ],
)
def test_mistakes(own: str, rest: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loads(BASE % own + rest)
    assert [error.key for error in caught.value.errors] == [key]
