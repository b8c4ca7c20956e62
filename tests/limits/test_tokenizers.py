"""Prompts counted with tiktoken: what is counted, what falls back, and what is told when a vocabulary is missing.

OpenAI's vocabularies are fetched from its servers, which tests do not ask: the encoding here comes from a plugin, as
tiktoken documents it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiktoken_ext
from click.testing import CliRunner
from tiktoken import Encoding, registry

from switchgear.cli import main
from switchgear.config.load import loads
from switchgear.config.schema_limits import Estimates as Settings
from switchgear.errors import ConfigError
from switchgear.hotpath._estimate import Estimates
from switchgear.limits.tokenizers import (
    MAX_BODY_BYTES,
    SAMPLE_CHARS,
    TokenizedEstimates,
    count,
    load,
    open_estimates,
    reload,
)
from tests.support.metered import metered
from tests.support.processes import ROOT, GatewayProcess, SimulatorProcess

PLUGIN = ROOT / "tests" / "support" / "tokenizer_plugin"
CONFIG = """
providers: {openai: {credentials: [sk-x]}}
keys: [{name: ci, value: sk-0123456789abcdef}]
models:
  smart:
    targets:
      - {provider: openai, model: another, tier: 1}
      - {provider: openai, model: words-1, tier: 0}
  other: {targets: [{provider: openai, model: another}]}
"""
ASKED = CONFIG + "estimates: {tokenizer: tiktoken, encodings: [words]}\n"


@pytest.fixture(autouse=True)
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """tiktoken looks for plugins once a process: make it look again, now and afterwards."""

    def look_again() -> None:
        registry._available_plugin_modules.cache_clear()
        registry.ENCODING_CONSTRUCTORS = None

    monkeypatch.setattr(tiktoken_ext, "__path__", [*tiktoken_ext.__path__, str(PLUGIN / "tiktoken_ext")])
    look_again()
    yield
    registry.ENCODINGS.pop("words", None)
    sys.modules.pop("tiktoken_ext.switchgear_words", None)
    look_again()


@pytest.fixture
def words() -> Encoding:
    return load(Settings(tokenizer="tiktoken", encodings=["words"]))["words"]


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "smart", **fields}).encode()


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({"messages": [{"role": "user", "content": "hello world"}]}, 2 + 4 + 3),
        ({"messages": [{"role": "user", "name": "hello", "content": "hello world"}]}, 3 + 4 + 1 + 3),
        ({"messages": [{"role": "system", "content": "hello"}, {"role": "user", "content": " world"}]}, 2 + 8 + 3),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "hello world"}]}]}, 2 + 4 + 3),
        ({"messages": [{"role": "user", "content": "<|end|>"}]}, 7 + 4 + 3),
        ({"prompt": "hello world"}, 2),
        ({"input": ["hello", "hello"]}, 2),
        ({"instructions": "hello", "input": [{"type": "message", "role": "user", "content": " world"}]}, 2),
        ({"messages": [], "tools": [{"a": 1}]}, 7),
        ({"messages": None, "max_tokens": 7}, 0),
    ],
)
def test_what_is_counted(fields: dict[str, Any], tokens: int, words: Encoding) -> None:
    assert count(words, body(**fields)) == tokens


def test_long_texts_are_counted_at_both_ends(words: Encoding) -> None:
    assert count(words, body(prompt="hello world" * 10_000)) == pytest.approx(20_000, rel=0.01)
    ends, middle = "hello" * (SAMPLE_CHARS // 10), "x" * SAMPLE_CHARS
    found = count(words, body(prompt=ends + middle + ends))
    assert found == pytest.approx(2 * SAMPLE_CHARS / 5, rel=0.01)


def test_what_cannot_be_counted(words: Encoding) -> None:
    assert count(words, b"[1]") is None
    assert count(words, b'{"messages"') is None
    assert count(words, b'{"prompt": "' + b"a" * MAX_BODY_BYTES + b'"}') is None
    deep = b'{"prompt": ' + b"[" * 900 + b'"hello"' + b"]" * 900 + b"}"
    assert count(words, deep) == 1
    tool = b"[" * 400 + b"]" * 400
    assert count(words, b'{"messages": [], "tools": [' + tool + b"]}") is None
    picture = {"type": "image_url", "image_url": {"url": "data:"}}
    assert count(words, body(messages=[{"role": "user", "content": [picture]}])) is None
    assert count(words, body(prompt=[1, 2, 3])) is None
    assert count(words, body(input=[[1, 2], [3]])) is None


def test_models_without_a_loaded_encoding_are_guessed() -> None:
    found = open_estimates(loads(ASKED))
    asked = body(messages=[{"role": "user", "content": "hello world"}])
    assert found.prompt("smart", asked) == (9, int(9 * 1.3) + 1)
    assert found.prompt("openai/words-1", asked) == (9, int(9 * 1.3) + 1)
    for model in ("other", "openai/gpt-4.1", "unheard-of", ""):
        assert found.prompt(model, asked) == Estimates().prompt(model, asked)
    assert found.prompt("smart", b"no json") == Estimates().prompt("smart", b"no json")


def test_counts_are_calibrated_like_guesses() -> None:
    found = open_estimates(loads(ASKED))
    asked = body(messages=[{"role": "user", "content": "hello world"}])
    for _ in range(50):
        raw, _ = found.prompt("smart", asked)
        found.observe("smart", raw, 9, 1)
    assert found.errors() == {"smart": 0.0}
    assert found.prompt("smart", asked) == (9, 10)


def test_a_reload_keeps_what_was_learnt_and_takes_up_names() -> None:
    found = open_estimates(loads(ASKED))
    asked = body(messages=[{"role": "user", "content": "hello world"}])
    assert found.prompt("smart", asked)[0] == 9
    assert reload(found, loads(ASKED.replace("smart:", "clever:")))
    assert found.prompt("clever", asked)[0] == 9
    assert found.prompt("smart", asked) == Estimates().prompt("smart", asked)
    assert not reload(found, loads(CONFIG))
    assert not reload(Estimates(), loads(ASKED))
    assert reload(Estimates(), loads(CONFIG))


def test_without_the_setting_nothing_is_loaded() -> None:
    assert load(loads(CONFIG).estimates) == {}
    assert not isinstance(open_estimates(loads(CONFIG)), TokenizedEstimates)


@pytest.mark.parametrize(
    ("encoding", "reason"), [("lost", "no such host"), ("nothing_base", "Unknown encoding nothing_base.")]
)
def test_a_vocabulary_that_cannot_be_loaded(encoding: str, reason: str, tmp_path: Path) -> None:
    message = (
        f"estimates.encodings[1]: the vocabulary of '{encoding}' cannot be loaded "
        f"(TIKTOKEN_CACHE_DIR says where it may lie): {reason}"
    )
    with pytest.raises(ConfigError) as raised:
        load(Settings(tokenizer="tiktoken", encodings=["words", encoding]))
    assert str(raised.value) == f"configuration: {message}"
    path = tmp_path / "c.yaml"
    path.write_text(ASKED.replace("[words]", f"[words, {encoding}]"))
    result = CliRunner().invoke(main, ["check", str(path)])
    assert (result.exit_code, result.stdout) == (1, f"configuration: {message}\n")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with pytest.raises(ConfigError, match=r"estimates.tokenizer: expected tiktoken to be installed: .*\[tiktoken\]"):
        load(Settings(tokenizer="tiktoken"))


def test_a_gateway_reserves_what_was_counted(sim: SimulatorProcess, tmp_path: Path) -> None:
    """A limit of 9 + 4 tokens is enough for a prompt of 9 that may be answered with 1: 12 are held before 20 answers
    have shown that the count is right; and how far it is off is a metric."""
    from tests.cases.client import chat, post, until

    config = metered(tmp_path, sim, estimates={"tokenizer": "tiktoken", "encodings": ["words"]})
    config["models"] = {"words": {"targets": [{"provider": "sim", "model": "words-1"}]}}
    config["limits"] = [{"resource": "input_tokens", "capacity": 12, "window": "total"}]
    gateway = GatewayProcess(config, tmp_path, {"PYTHONPATH": f"{ROOT / 'src'}:{PLUGIN}"})
    try:
        gateway.ready()
        asked = chat("words", messages=[{"role": "user", "content": "hello world"}])
        assert post(gateway.origin, asked).status == 200
        name = 'switchgear_prompt_estimate_error_ratio{family="words"}'
        until(lambda: name in gateway.metrics(), "the estimate was held against the answer")
    finally:
        gateway.stop()
