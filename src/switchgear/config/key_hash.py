"""The value of a virtual key, hashed as soon as it was read: what lives on is what recognizes it, not what opens.

Keys are random and long, so that one round of SHA-256 is enough (a password would need a slow hash).
"""

from __future__ import annotations

import re
from hashlib import sha256
from sys import intern

from msgspec import Struct

MIN_KEY_LENGTH = 16
MAX_KEY_LENGTH = 512
PREFIX_LENGTH = 8

_KEY = re.compile(r"[\x21-\x7e]+")


class KeyHash(Struct, frozen=True, gc=False):
    """digest: SHA-256 of the key's ASCII, 32 bytes. prefix: its first `PREFIX_LENGTH` characters, for logs.

    dotted: it has the two dots of a JWT. flaw: why it cannot be used as a key, "" where it can; tells nothing of it but
    its length. Without a share in the garbage collection: it refers to nothing that could refer back.
    """

    digest: bytes
    prefix: str
    dotted: bool = False
    flaw: str = ""

    @classmethod
    def of(cls, value: str) -> KeyHash:
        """Of a key as it is written."""
        digest = sha256(value.encode("utf-8", "backslashreplace")).digest()
        # Generated keys begin alike but for two characters: of many keys few prefixes differ.
        return cls(digest, intern(value[:PREFIX_LENGTH]), value.count(".") == 2, _flaw(value))

    def __repr__(self) -> str:
        return "KeyHash('***')"


def _flaw(value: str) -> str:
    if not MIN_KEY_LENGTH <= len(value) <= MAX_KEY_LENGTH:
        return f"expected {MIN_KEY_LENGTH} to {MAX_KEY_LENGTH} characters, got {len(value)}"
    if not _KEY.fullmatch(value):
        return "expected visible ASCII characters without spaces, as it travels in a header"
    return ""
