"""Marks on the proofs that vendors attach to their models' reasoning.

A thinking signature (Anthropic), a thoughtSignature (Gemini) or an encrypted_content (OpenAI Responses) must come back
to the vendor that made it, and to no other: a foreign one is refused. A client of another dialect carries it in the
field that its own dialect has for such things, marked with whose it is:

    switchgear:<vendor>:<value>              a signature
    switchgear:<vendor>+redacted:<value>     reasoning that is itself encrypted (Anthropic's redacted_thinking)

The vendor's own values travel unmarked in its own dialect. Gemini's SDK decodes its field from base64, so in that
dialect a marked value is base64 of the above. `hotpath._translate` writes the same marks into streams.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as _NotBase64
from typing import NamedTuple

VENDORS = ("anthropic", "gemini", "openai", "openrouter")
PREFIX = "switchgear:"
_PREFIX_BASE64 = b64encode(PREFIX.encode() + b"x")[:14].decode()  # what every marked value begins with in base64


class Signed(NamedTuple):
    """vendor: whose it is, "" when unmarked (then it belongs to the vendor of the dialect it was found in)."""

    vendor: str
    value: str
    redacted: bool = False


def pack(vendor: str, value: str, redacted: bool = False) -> str:
    """`value` marked as `vendor`'s. Raises ValueError for a vendor that is none of `VENDORS`."""
    if vendor not in VENDORS:
        raise ValueError(f"not a vendor of signatures: {vendor!r}")
    return f"{PREFIX}{vendor}{'+redacted' if redacted else ''}:{value}"


def pack_base64(vendor: str, value: str, redacted: bool = False) -> str:
    """As `pack`, in the base64 that Gemini's clients expect of a thoughtSignature."""
    return b64encode(pack(vendor, value, redacted).encode()).decode()


def unpack(text: str) -> Signed:
    """What `text` holds, marked by `pack` or `pack_base64`, or not at all. Never raises: an unknown mark is no mark."""
    if text.startswith(_PREFIX_BASE64):
        try:
            text = b64decode(text, validate=True).decode()
        except (_NotBase64, UnicodeDecodeError):
            return Signed("", text)
    if not text.startswith(PREFIX):
        return Signed("", text)
    owner, colon, value = text[len(PREFIX) :].partition(":")
    vendor, plus, word = owner.partition("+")
    if not colon or vendor not in VENDORS or (plus and word != "redacted"):
        return Signed("", text)
    return Signed(vendor, value, bool(plus))
