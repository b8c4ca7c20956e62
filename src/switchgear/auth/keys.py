"""Virtual keys. Only their SHA-256 digests are kept (`config.key_hash`).

A lookup hashes the token and asks a dictionary, whose timing tells about the digest and not about the key; the digest
found is compared in constant time all the same. A token nobody has costs one hash and leaves nothing behind.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hashlib import sha256

from switchgear.auth.ownership import of_key
from switchgear.auth.refusals import incorrect_key
from switchgear.config.key_hash import MAX_KEY_LENGTH
from switchgear.config.owners import Owners
from switchgear.config.schema import Key
from switchgear.types import Principal


class KeyStore:
    """The keys of one configuration. It does not change; a reload makes another one.

    owners: what the configuration declares, for the organizations that keys inherit.
    """

    __slots__ = ("_by_digest",)

    def __init__(self, keys: Iterable[Key], owners: Owners | None = None):
        self._by_digest: dict[bytes, tuple[bytes, Principal]] = {}
        for key in keys:
            digest = key.value.digest
            self._by_digest[digest] = (digest, _principal(key, owners))

    def __len__(self) -> int:
        return len(self._by_digest)

    @property
    def digests(self) -> dict[bytes, tuple[bytes, Principal]]:
        """SHA-256 digest of each key, to itself and whose it is."""
        return self._by_digest

    def find(self, token: bytes) -> Principal | None:
        """Whose key `token` is, None for nobody's."""
        if len(token) > MAX_KEY_LENGTH:
            return None
        digest = sha256(token).digest()
        found = self._by_digest.get(digest)
        return found[1] if found is not None and hmac.compare_digest(found[0], digest) else None

    def authenticate(self, token: bytes) -> Principal:
        """As `find`. Raises AuthenticationFailed for nobody's."""
        principal = self.find(token)
        if principal is None:
            raise incorrect_key(token)
        return principal


def allowed_models(models: Iterable[str]) -> tuple[frozenset[str] | None, tuple[str, ...]]:
    """`Principal.models` and `.patterns` (without their `*`) for a list of names and of prefixes that end in `*`."""
    names = frozenset(models)
    if "*" in names:
        return None, ()
    patterns = tuple(sorted(name[:-1] for name in names if name.endswith("*")))
    return frozenset(name for name in names if not name.endswith("*")), patterns


def _principal(key: Key, owners: Owners | None) -> Principal:
    models, patterns = allowed_models(key.models)
    member = of_key(key, owners)
    return Principal(
        name=key.name,
        kind="key",
        models=models,
        patterns=patterns,
        prefix=key.value.prefix,
        organization=member.organization,
        project=member.project,
        user=member.user,
    )
