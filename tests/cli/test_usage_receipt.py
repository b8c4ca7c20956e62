"""`switchgear usage receipt`: a cost replayed from its tokens and the prices of its time."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from click.testing import CliRunner

from switchgear.accounting import journals
from switchgear.cli import main
from switchgear.config.schema import Logging
from switchgear.hotpath._journal import label
from switchgear.observability import logs
from switchgear.types import Usage
from tests.accounting.ledgers import BASE_US, settings


def test_a_receipt_replays_the_cost_of_each_attempt(tmp_path: Path) -> None:
    path = tmp_path / "switchgear.yaml"
    content = {
        "providers": {"openai": {"type": "openai", "credentials": ["sk-test-0000000000000000"]}},
        "keys": [{"name": "ci", "value": "sk-switchgear-000000000000"}],
        "prices": {"openai/gpt-4.1": {"input": 2, "cached_input": 0.5, "output": 8}},
        "database": {"url": f"sqlite:///{tmp_path / 'switchgear.db'}"},
        "ledger": {"path": str(tmp_path / "ledger")},
    }
    path.write_text(yaml.safe_dump(content))
    journal = journals.create(tmp_path / "ledger", settings(tmp_path / "ledger"))
    name = label("chat.completions", "", "", "", "ci", "smart", "gpt-4.1", "openai", "main", "config+old")
    journal.append(journal.open(name, b"req", 1, time_us=BASE_US), 429, error_class="rate_limited")
    usage = Usage(input_tokens=1000, cached_tokens=400, output_tokens=10)
    journal.append(journal.open(name, b"req", 2, time_us=BASE_US + 5), 200, usage, 1_480_000)
    journal.close()

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["usage", "receipt", *arguments, "--config", str(path)])
        assert result.exit_code == 0, result.output
        return result.stdout

    first, second = json.loads(run("req", "--format", "json"))
    assert (first["attempt"], first["status"], first["cost_nanousd"], first["lines"]) == (1, 429, 0, [])
    assert [(line["what"], line["quantity"], line["rate_picousd"]) for line in second["lines"]] == [
        ("input", 600, 2_000_000),
        ("cached_input", 400, 500_000),
        ("output", 10, 8_000_000),
    ]
    assert (second["cost_nanousd"], second["replayed_nanousd"], second["same"]) == (1_480_000, 1_480_000, True)
    text = run("req")
    assert "600 x 2 USD/M" in text
    assert "total of 2 upstream requests  0.001480000 USD" in text
    missing = CliRunner().invoke(main, ["usage", "receipt", "nobody", "--config", str(path)])
    assert (missing.exit_code, missing.stderr) == (1, "Error: no upstream request belongs to 'nobody'\n")
    logs.configure(Logging())
