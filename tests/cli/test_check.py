"""What `check` says of a file that can be used; of others see tests/config/test_broken.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from switchgear.cli import main

CONFIG = """
server: {host: "::1", port: 9000, workers: 2}
state: {url: "redis://:hunter2@db/0"}
providers:
  openai: {credentials: ["${OPENAI_API_KEY}"]}
  local:  {type: vllm, base_url: "http://127.0.0.1:8000/v1"}
models:
  smart:
    targets:
      - {provider: openai, model: gpt-4.1, weight: 3}
      - {provider: local, model: qwen3, tier: 1}
keys:
  - {name: ci, value: "hunter2hunter2hunter2", models: [smart]}
  - {name: all, value: "hunter3hunter3hunter3", budget: {usd: 5, window: total, timezone: UTC}}
auth: {jwt: {algorithms: [HS256], secret: "hunter2hunter2hunter2hunter2hunter2", issuer: a, audience: b}}
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2")
    Path("c.yaml").write_text(CONFIG)
    return "c.yaml"


def test_the_summary(path: str) -> None:
    result = CliRunner().invoke(main, ["check", path])
    assert result.exit_code == 0
    assert (
        result.stdout
        == """\
c.yaml: usable

listens on  http://[::1]:9000, workers: 2, auth: keys
state       redis://***@db/0

providers
  openai  openai, https://api.openai.com/v1, credentials: 1
  local   vllm, http://127.0.0.1:8000/v1, credentials: 0

models
  smart  openai/gpt-4.1 x3; then local/qwen3 x1

keys
  ci   models smart
  all  models *

jwt
  algorithms  HS256

warnings
  c.yaml:14: keys[1].budget.timezone: has no effect: `total` never ends
"""
    )


def test_as_json(path: str) -> None:
    result = CliRunner().invoke(main, ["check", path, "--format", "json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "ok": True,
        "providers": [
            {"name": "openai", "type": "openai", "base_url": "https://api.openai.com/v1", "credentials": 1},
            {"name": "local", "type": "vllm", "base_url": "http://127.0.0.1:8000/v1", "credentials": 0},
        ],
        "models": [{"name": "smart", "targets": ["openai/gpt-4.1", "local/qwen3"]}],
        "keys": [{"name": "ci", "models": ["smart"]}, {"name": "all", "models": ["*"]}],
        "errors": [],
        "warnings": [
            {
                "file": path,
                "line": 14,
                "key": "keys[1].budget.timezone",
                "message": "has no effect: `total` never ends",
            }
        ],
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_shown(path: str, form: str) -> None:
    assert "hunter" not in CliRunner().invoke(main, ["check", path, "--format", form]).output


def test_a_file_that_is_not_there(path: str) -> None:
    result = CliRunner().invoke(main, ["check", "none.yaml"])
    assert (result.exit_code, result.stdout) == (1, "none.yaml: cannot be read: No such file or directory\n")


def test_a_file_must_be_named() -> None:
    assert CliRunner().invoke(main, ["check"]).exit_code == 2
