"""`_estimate.Estimates` against its reference: the same after any history."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.hotpath._estimate import Estimates
from tests.reference import estimates as reference

MODELS = st.sampled_from(["gpt-4.1", "openai/gpt-4.1-2025-04-14", "claude-sonnet-4-5-20250929", "m", "x/y-latest", ""])
TOKENS = st.integers(0, 300) | st.integers(0, 10**7)
OBSERVED = st.tuples(MODELS, TOKENS, TOKENS, TOKENS, st.integers(-1, 4))


@given(st.lists(OBSERVED, max_size=80), st.integers(1, 5))
def test_as_the_reference(history: list[tuple[str, int, int, int, int]], at_most: int) -> None:
    ours, plain = Estimates(at_most), reference.Estimates(at_most)
    for model, raw, input_tokens, output_tokens, n in history:
        ours.observe(model, raw, input_tokens, output_tokens, n)
        plain.observe(model, raw, input_tokens, output_tokens, n)
        assert ours.errors() == pytest.approx(plain.errors(), rel=1e-9)
    for model, raw, max_tokens, _, n in history:
        assert ours.upper(model, raw) == pytest.approx(plain.upper(model, raw), abs=1)
        assert ours.expected(model, raw) == pytest.approx(plain.expected(model, raw), abs=1)
        for asked in (-1, max_tokens):
            assert ours.output(model, asked, n) == pytest.approx(plain.output(model, asked, n), abs=n if n > 1 else 1)
        assert ours.prompt(model, b"a few words") == plain.prompt(model, b"a few words")
