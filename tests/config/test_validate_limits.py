"""Warnings about limits, budgets and scopes, and what is right: the errors are in broken/."""

from __future__ import annotations

from pathlib import Path

from switchgear.config.load import load_with_warnings, loads
from switchgear.config.schema_limits import Calendar

HEAD = """
providers: {openai: {credentials: [{value: abc, name: main}, def]}, local: {}}
organizations: [{id: acme}, {id: other}]
projects: [{id: search, organization: acme}, {id: free}]
users: [{id: ada, organization: other}]
keys: [{name: ci, value: "0123456789abcdef", project: search, user: ada}, {name: me, value: "0123456789abcdef2"}]
"""
REST = "resource: requests, capacity: 1, window: minute}"


def warnings_of(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "c.yaml"
    path.write_text(HEAD.lstrip() + text)
    loaded = load_with_warnings(path, environment={})
    return [str(warning).replace(str(path), "c.yaml") for warning in loaded.warnings[1:]]


def test_a_project_and_a_user_of_different_organizations(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(HEAD)
    assert [warning.message for warning in load_with_warnings(path, environment={}).warnings] == [
        "its project is of 'acme', its user of 'other': requests count to 'acme'"
    ]


def test_every_scope_that_can_match(tmp_path: Path) -> None:
    scopes = (
        "{}",
        "{organization: acme}",
        "{organization: acme, user: ada}",
        "{organization: acme, project: search, user: ada, key: ci}",
        "{organization: other, project: free, user: ada}",
        "{key: ci, model: anything}",
        "{provider: openai, credential: main}",
        "{credential: credential-2}",
        "{provider: local, model: qwen}",
    )
    lines = "".join(f"  - {{scope: {scope}, {REST}\n" for scope in scopes)
    assert warnings_of(tmp_path, f"limits:\n{lines}") == []


def test_scopes_that_nothing_matches(tmp_path: Path) -> None:
    text = f"""limits:
  - {{scope: {{key: me, project: search}}, {REST}
  - {{scope: {{key: me, user: ada}}, {REST}
  - {{scope: {{key: ci, organization: other}}, {REST}
  - {{scope: {{key: me, organization: other}}, {REST}
  - {{scope: {{project: search, organization: other}}, {REST}
  - {{scope: {{provider: opnai, credential: main}}, {REST}
  - {{scope: {{model: smrt}}, {REST}
models: {{smart: {{targets: [{{provider: openai, model: gpt-4.1}}]}}}}
"""
    assert warnings_of(tmp_path, text) == [
        "c.yaml:7: limits[0].scope.project: no request matches: key 'me' is not of project 'search'",
        "c.yaml:8: limits[1].scope.user: no request matches: key 'me' is not of user 'ada'",
        "c.yaml:9: limits[2].scope.organization: no request matches: these belong to 'acme'",
        "c.yaml:10: limits[3].scope.organization: no request matches: these belong to none",
        "c.yaml:11: limits[4].scope.organization: no request matches: these belong to 'acme'",
        "c.yaml:12: limits[5].scope.provider: no provider has this name; did you mean 'openai'?",
        "c.yaml:13: limits[6].scope.model: no model of this configuration has this name; did you mean 'smart'?",
    ]


def test_thresholds_beyond_a_hard_budget(tmp_path: Path) -> None:
    text = """limits: []
defaults: {}
"""
    hard = HEAD.replace("{id: other}]", "{id: other, budget: {usd: 1, thresholds: [1.0, 1.2]}}]")
    soft = hard.replace("usd: 1", "usd: 1, hard: false")
    for head, expected in ((hard, ["never reached: a hard budget lets no more than 1 (100 %) be spent"]), (soft, [])):
        path = tmp_path / "c.yaml"
        path.write_text(head + text)
        found = [w.message for w in load_with_warnings(path, environment={}).warnings if "thresholds" in (w.key or "")]
        assert found == expected


def test_windows_and_amounts_of_every_kind() -> None:
    config = loads(
        HEAD
        + """
limits:
  - {resource: cost, capacity: 0.000000001, window: second}
  - {resource: cost, capacity: 9000000, window: month}
  - {resource: tokens, capacity: 1000000000000000, window: total}
  - {resource: tokens, capacity: 0, window: {calendar: week, timezone: Pacific/Auckland}}
  - {resource: tokens, capacity: 5, window: {calendar: week, timezone: Pacific/Auckland}, hard: false}
  - {resource: concurrent, capacity: 3}
""",
        environment={},
    )
    assert [limit.window for limit in config.limits] == [
        "second",
        "month",
        "total",
        Calendar(calendar="week", timezone="Pacific/Auckland"),
        Calendar(calendar="week", timezone="Pacific/Auckland"),
        None,
    ]
