"""The page about limits: its example is a configuration, and its numbers are those of the code."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from switchgear.config.load import loads
from switchgear.config.schema import MAX_OUTPUT_TOKENS
from switchgear.config.schema_limits import Estimates, Resource
from switchgear.hotpath import _estimate as estimates
from switchgear.hotpath._leases import FAR_ANSWERS
from switchgear.limits import leases, limits, talk, tokenizers
from switchgear.limits.declared import Declared
from switchgear.limits.fitting import LEAST_TOKENS
from switchgear.limits.model import MAX_CAPACITY, NANO
from switchgear.limits.refusals import RESERVED_RETRY_S
from switchgear.metering.lengths import FORM_BYTES, IMAGE_TOKENS
from switchgear.observability.definitions import BY_NAME
from switchgear.state.redis import PREFIX, TIMEOUT_S

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text("utf-8")


def test_the_example_is_a_configuration() -> None:
    example = PAGE.split("```yaml\n")[1].split("```")[0]
    models = "providers: {openai: {credentials: [sk-x]}}\nmodels: {smart: {targets: [{provider: openai, model: m}]}}\n"
    config = loads(models + example, environment={"CI_KEY": "sk-0123456789abcdef"})
    assert len(list(Declared(config).all())) == 8


def test_the_example_of_longest_answers_is_a_configuration() -> None:
    example = PAGE.split("```yaml\n")[2].split("```")[0]
    config = loads("auth: none\nproviders: {openai: {credentials: [sk-x]}}\n" + example)
    assert (config.models["smart"].max_output_tokens, config.defaults.max_output_tokens) == (32_768, 65_536)


def test_the_example_of_estimates_is_the_default_with_tiktoken() -> None:
    example = PAGE.split("```yaml\n")[3].split("```")[0]
    config = loads("providers: {openai: {credentials: [sk-x]}}\nauth: none\n" + example)
    assert config.estimates == Estimates(tokenizer="tiktoken")
    assert Estimates().tokenizer == "builtin"


def test_its_numbers_are_those_of_the_code() -> None:
    assert (talk.TTL_S, talk.TIMEOUT_S, TIMEOUT_S, limits.PATIENCE_S) == (2.0, 0.25, 0.25, 0.15)
    assert (limits.WAIT_S, limits.STATE_RETRY_AFTER_S, leases.ADOPT_S) == (0.25, 1.0, 1.0)
    assert (estimates.FIRST_OUTPUT, estimates.LEARNT_AFTER) == (4096, 20)
    assert (tokenizers.MAX_BODY_BYTES, tokenizers.SAMPLE_CHARS) == (256 << 10, 4096)
    assert MAX_CAPACITY // NANO == 9_007_199
    assert (FAR_ANSWERS, LEAST_TOKENS, IMAGE_TOKENS, FORM_BYTES) == (16, 256, 6240, 1024)
    assert (MAX_OUTPUT_TOKENS, RESERVED_RETRY_S) == (16_384, 1.0)
    assert PREFIX == "{switchgear}1:"


def test_every_resource_and_every_metric_is_on_it() -> None:
    for resource in get_args(Resource):
        assert f"`{resource}`" in PAGE
    for name in (
        "switchgear_limit_thresholds_total",
        "switchgear_limit_unaccounted_total",
        "switchgear_prompt_estimate_error_ratio",
        "switchgear_state_calls_total",
    ):
        assert name in BY_NAME
        assert name in PAGE


def test_an_acl_user_needs_what_the_scripts_call() -> None:
    import re

    lua = Path(leases.__file__).parents[1] / "state" / "lua"
    called = {
        name for path in lua.glob("*.lua") for name in re.findall(r"redis\.call\('([A-Z]+)'", path.read_text("utf-8"))
    }
    assert called == {name for name in re.findall(r"`([A-Z]+)`", PAGE) if name not in ("EVAL", "EVALSHA")}
