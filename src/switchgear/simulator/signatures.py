"""Signatures on reasoning, as vendors put them there: opaque to clients, checked when they come back.

A signature is a nonce and a keyed digest of nonce, purpose and text, in base64. Every simulator accepts those of every
other, so that a conversation can move between two of them; a purpose keeps the vendors' signatures apart.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

_KEY = b"switchgear simulator"
_NONCE_BYTES = 12


def issue(purpose: str, text: str, number: int) -> str:
    """A signature of `text`. number: makes those of different requests differ."""
    nonce = number.to_bytes(_NONCE_BYTES, "big")
    return base64.b64encode(nonce + _digest(purpose, text, nonce)).decode("ascii")


def valid(signature: object, purpose: str, text: str) -> bool:
    """Whether `signature` was issued for this purpose and text."""
    if not isinstance(signature, str):
        return False
    try:
        raw = base64.b64decode(signature.translate(_STANDARD), validate=True)
    except (binascii.Error, ValueError):
        return False
    nonce, digest = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
    return hmac.compare_digest(digest, _digest(purpose, text, nonce))


_STANDARD = str.maketrans("-_", "+/")  # protobuf's JSON takes both alphabets


def _digest(purpose: str, text: str, nonce: bytes) -> bytes:
    message = b"\0".join((purpose.encode(), nonce, text.encode("utf-8", "surrogatepass")))
    return hmac.digest(_KEY, message, hashlib.sha256)
