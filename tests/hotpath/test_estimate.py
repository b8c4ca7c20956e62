"""`_estimate` against its reference, and that it is near what tokenizers count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.hotpath._estimate import estimate_tokens
from tests.reference import estimate as reference

PIECES = st.sampled_from(
    [
        b"word",
        b" ",
        b"  \n",
        b"1",
        b"12345",
        b"\\n",
        b"\\u00e9",
        b"\\",
        b'{"role":"user"}',
        "é".encode(),
        "漢字".encode(),
        "🙂".encode(),
        b"+/",
        b"-_",
        b"a" * 1000,
        b"A1b2" * 300,
        b"=",
        b"\xff",
        b"\x80",
        b"supercalifragilistic",
    ]
)


@given(st.lists(PIECES, max_size=12).map(b"".join) | st.binary(max_size=60))
def test_as_the_reference(body: bytes) -> None:
    assert estimate_tokens(body) == reference.estimate_tokens(body)


# What o200k_base counts of these texts, as published examples and tokenizers of that family have them, is between.
@pytest.mark.parametrize(
    ("text", "fewest", "most"),
    [
        ("The quick brown fox jumps over the lazy dog.", 9, 12),
        ("Paris is the capital of France, and it lies on the Seine.", 13, 16),
        ("3.14159265358979", 6, 9),
        ("你好世界", 3, 6),
        ("", 0, 0),
    ],
)
def test_texts(text: str, fewest: int, most: int) -> None:
    assert fewest <= estimate_tokens(text.encode()) <= most


def test_an_image_is_no_text() -> None:
    assert estimate_tokens(b'"data:image/png;base64,' + b"iVBORw0KGgo" * 50_000 + b'=="') < 1100
