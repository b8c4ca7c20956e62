"""Public keys and secrets that verify signatures, each pinned to the algorithms its kind allows.

The token's header may choose among a key's algorithms and never beyond them: with an RSA key `HS256` is not a choice,
which is what algorithm confusion needs (RFC 8725 §2.1, §3.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jwt
from msgspec import Struct

from switchgear.config.schema import Jwt
from switchgear.config.validate_auth import ALGORITHMS_OF_KIND, MIN_SECRET_BYTES, kind_of, parse_public_key

MAX_JWKS_KEYS = 256


class VerificationKey(Struct, frozen=True):
    """key: what PyJWT takes. algorithms: those this key may verify. kid: its id, None where it has none."""

    key: Any
    algorithms: frozenset[str]
    kid: str | None = None

    def __repr__(self) -> str:
        return f"VerificationKey(kid={self.kid!r}, algorithms={sorted(self.algorithms)})"


class KeySet:
    """Keys by id. A token without a `kid` is verified with the key that fits its algorithm, if there is just one."""

    __slots__ = ("identity", "keys")

    def __init__(self, keys: Iterable[VerificationKey], identity: object = None):
        self.keys = tuple(keys)
        self.identity = identity  # equal for equal sets of keys

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """The key for a token's header, None when there is none or more than one fits."""
        fitting = [key for key in self.keys if algorithm in key.algorithms and kid in (None, key.kid)]
        if not fitting:  # a key without an id, such as a shared secret, serves tokens with any
            fitting = [key for key in self.keys if algorithm in key.algorithms and key.kid is None]
        return fitting[0] if len(fitting) == 1 else None


def from_config(config: Jwt) -> KeySet:
    """The inline keys: one secret, or public keys by id. The configuration is checked already."""
    if config.secret is not None:
        algorithms = frozenset(MIN_SECRET_BYTES).intersection(config.algorithms)
        return KeySet([VerificationKey(config.secret.reveal().encode(), algorithms)])
    return KeySet(
        VerificationKey(key, _algorithms_of(key), kid)
        for kid, pem in config.public_keys.items()
        if (key := parse_public_key(pem)) is not None
    )


def from_jwks(document: object) -> KeySet:
    """The signature keys of a JWK set (RFC 7517 §5). Keys of other uses, kinds and sizes are left out, as it asks.

    Raises ValueError when the document is no JWK set, is too large, or has no usable key.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JSON object with a list of keys")
    if len(entries) > MAX_JWKS_KEYS:
        raise ValueError(f"more than {MAX_JWKS_KEYS} keys")
    usable = [(entry, key) for entry in entries if isinstance(entry, dict) and (key := _from_jwk(entry)) is not None]
    if not usable:
        raise ValueError("no key in it can verify signatures")
    identity = frozenset(repr(sorted((name, repr(value)) for name, value in entry.items())) for entry, _ in usable)
    return KeySet([key for _, key in usable], identity)


def _from_jwk(entry: Mapping[str, Any]) -> VerificationKey | None:
    operations = entry.get("key_ops")
    for_signatures = entry.get("use", "sig") == "sig" and (operations is None or "verify" in operations)
    # A symmetric key in a published set is known to everyone; a private one ("d") is nothing to verify with.
    if not for_signatures or entry.get("kty") == "oct" or "d" in entry:
        return None
    try:
        key = jwt.PyJWK(dict(entry)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    algorithms, pinned, kid = _algorithms_of(key), entry.get("alg"), entry.get("kid")
    if pinned is not None:
        algorithms &= {pinned} if isinstance(pinned, str) else set()
    if not algorithms or not (kid is None or isinstance(kid, str)):
        return None
    return VerificationKey(key, algorithms, kid)


def _algorithms_of(key: object) -> frozenset[str]:
    kind = kind_of(key)
    return ALGORITHMS_OF_KIND[kind] if kind is not None else frozenset()
