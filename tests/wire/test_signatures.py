"""Marks on signatures: what is packed comes out, and what was never packed is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.wire.signatures import VENDORS, Signed, pack, pack_base64, unpack


@given(st.sampled_from(VENDORS), st.text(), st.booleans())
def test_what_is_packed_comes_out(vendor: str, value: str, redacted: bool) -> None:
    value = value.encode("utf-8", "replace").decode()
    assert unpack(pack(vendor, value, redacted)) == Signed(vendor, value, redacted)
    assert unpack(pack_base64(vendor, value, redacted)) == Signed(vendor, value, redacted)


@given(st.text())
def test_anything_else_is_left_alone(text: str) -> None:
    assert unpack(text) == Signed("", text)


@pytest.mark.parametrize(
    "text",
    [
        "switchgear:",
        "switchgear:acme:x",
        "switchgear:gemini",
        "switchgear:gemini+x:y",
        "c3dpdGNoZ2VhcjA==",
        "c3dpdGNoZ2Vhcj%",
    ],
)
def test_half_a_mark_is_none(text: str) -> None:
    assert unpack(text) == Signed("", text)


def test_an_unknown_vendor_is_refused() -> None:
    with pytest.raises(ValueError, match="vendor"):
        pack("acme", "x")
