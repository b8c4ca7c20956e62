"""Each fuzz target holds on its seeds and on a fixed number of mutations of them."""

import argparse

import pytest

from tests.fuzz import fuzz_peek, fuzz_sse
from tests.fuzz.run import plainly


@pytest.mark.parametrize("target", [fuzz_peek, fuzz_sse], ids=lambda module: module.__name__)
def test_seeds_and_mutations(target: object) -> None:
    arguments = argparse.Namespace(seed=1, seconds=0.0, count=500)
    assert plainly("test", target.one_input, target.SEEDS, arguments) == 500  # type: ignore[attr-defined]  # the modules above
