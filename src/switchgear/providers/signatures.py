"""Reasoning signatures on their way through a client of any dialect and back (TRANSLATION §2.4).

A vendor's signature must come back to that vendor bit for bit and must reach no other: an unknown signature is a 400.
Each dialect has one native vendor, whose signatures stand there as they are. Any other is written as
`swg.<vendor>.<value>`; neither base64 nor base64url has a dot, so no vendor's own signature looks like that.
Gemini's SDK decodes the field as base64, so there the whole token is base64 once more.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from switchgear.wire.conversation import Reasoning, Signature

if TYPE_CHECKING:
    from collections.abc import Iterable

    from switchgear.wire.conversation import Part

_MARK = "swg."
_GEMINI_MARK = base64.b64encode(b"swg.").decode()[:5]  # the characters that those four bytes alone decide
_REDACTED = "-redacted"
NATIVE = {"chat": "anthropic", "anthropic": "anthropic", "responses": "openai", "gemini": "gemini"}
# Google's documented stand-in for the signature of a call that its model did not make.
DUMMY_GEMINI_SIGNATURE = "skip_thought_signature_validator"


def pack(reasoning: Reasoning, dialect: str) -> str:
    """The token that stands for a reasoning's signature in a client's dialect, "" when it has none.

    A redacted thought is marked in the token, except to its own vendor's dialect, which has a block type for it.
    """
    signature = reasoning.signature
    if signature is None:
        return ""
    if signature.vendor == NATIVE[dialect]:
        return signature.value
    vendor = signature.vendor + (_REDACTED if reasoning.redacted else "")
    name = f"{reasoning.id}~" if reasoning.id else ""
    token = f"{_MARK}{vendor}.{name}{signature.value}"
    return base64.b64encode(token.encode()).decode() if dialect == "gemini" else token


def unpack(token: str, dialect: str, text: str = "") -> Reasoning:
    """The reasoning that `pack` wrote as `token`; a token without the mark is the dialect's native vendor's."""
    if dialect == "gemini" and token.startswith(_GEMINI_MARK):
        token = _unwrapped(token)
    if not token.startswith(_MARK):
        vendor = NATIVE[dialect]
        return Reasoning(
            text=text, signature=Signature(vendor, token) if token else None, vendor=vendor if token else ""
        )
    vendor, _, value = token[len(_MARK) :].partition(".")
    redacted = vendor.endswith(_REDACTED)
    vendor = vendor.removesuffix(_REDACTED)
    name, tilde, rest = value.partition("~")
    if not tilde:
        name, rest = "", value
    return Reasoning(text=text, signature=Signature(vendor, rest), redacted=redacted, id=name, vendor=vendor)


def call_signature(signature: Signature, dialect: str) -> str:
    """The token of a tool call's signature."""
    return pack(Reasoning(signature=signature), dialect)


def with_turn_signature(parts: Iterable[Part]) -> list[Part]:
    """The parts with a call's signature moved to a reasoning part before it, for dialects whose calls carry none."""
    found: list[Part] = []
    for part in parts:
        signature = getattr(part, "signature", None)
        if signature is None or type(part) is Reasoning:
            found.append(part)
            continue
        last = next((p for p in reversed(found) if type(p) is Reasoning and p.signature is None), None)
        if last is not None:
            last.signature, last.vendor = signature, signature.vendor
        else:
            found.insert(0, Reasoning(signature=signature, vendor=signature.vendor))
        found.append(part)
    return found


def _unwrapped(token: str) -> str:
    padded = token.replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(padded + "=" * (-len(padded) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return token
