"""docs/conformance.md tells every rule of the conformance tests. Its table is checked where the recordings are."""

from __future__ import annotations

from tests.conformance.dialect_rules import REASONS
from tests.support.processes import ROOT

PAGE = " ".join((ROOT / "docs" / "conformance.md").read_text().split())


def test_every_rule_stands_there_with_its_reason() -> None:
    for name, reason in REASONS.items():
        assert f"- **{name}**: {reason}" in PAGE
    assert PAGE.count("- **") == len(REASONS)
