"""Stage 1 of a request: who asks.

The token is tried as a virtual key, then, if it looks like one (two dots), as a JWT. Under `auth: none` everybody is
welcome: a token that is somebody's key counts as that somebody, any other as nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from switchgear.auth.keys import KeyStore
from switchgear.auth.refusals import incorrect_key, missing_key
from switchgear.config.owners import Owners
from switchgear.config.schema import Config
from switchgear.types import Principal

if TYPE_CHECKING:
    from switchgear.auth.jwks import Jwks

ANONYMOUS = Principal(name="anonymous", kind="anonymous")


class Authenticator:
    """Authentication by one configuration. It does not change: a reload makes another one and swaps the reference.

    previous: the one in use so far. Its key set is taken over, fetched keys and all, where the URL is the same; start
    the new one before the old one is stopped.
    """

    def __init__(self, config: Config, previous: Authenticator | None = None):
        self._open = config.auth.mode == "none"
        owners = Owners(config)
        self._keys = KeyStore(config.keys, owners)
        self._jwks: Jwks | None = None
        self._verifier = None
        settings = config.auth.jwt
        if settings is not None:
            from switchgear.auth.jwt import JwtVerifier  # with cryptography, which is slow to import

            if settings.jwks_url is not None:
                self._jwks = _shared(previous, settings.jwks_url, float(settings.refresh))
            self._verifier = JwtVerifier(settings, self._jwks, owners)

    def __repr__(self) -> str:
        return f"Authenticator(keys={len(self._keys)}, jwt={self._verifier is not None}, open={self._open})"

    @property
    def digests(self) -> dict[bytes, tuple[bytes, Principal]]:
        """The virtual keys: SHA-256 digest to itself and whose key it is."""
        return self._keys.digests

    async def start(self) -> None:
        """Fetch the key set, if there is one, and keep it fresh. That it could not be fetched is logged, not raised."""
        if self._jwks is not None:
            await self._jwks.acquire()

    async def stop(self) -> None:
        """End the background work, unless the authenticator that took over goes on with it."""
        if self._jwks is not None:
            await self._jwks.release()

    def authenticate(self, token: bytes) -> Principal | None:
        """Who `token` belongs to. token: the bearer without its scheme, empty when there is none.

        None when only a fetch of the key set can tell: await `authenticate_slowly` then. Raises AuthenticationFailed.
        """
        principal = self._keys.find(token) if token else None
        if principal is not None:
            return principal
        if self._open:
            return ANONYMOUS
        if not token:
            raise missing_key()
        if self._verifier is not None and token.count(b".") == 2:
            return self._verifier.authenticate(token)
        raise incorrect_key(token)

    async def authenticate_slowly(self, token: bytes) -> Principal:
        """As `authenticate`, with a fetch of the key set where that is allowed. Raises AuthenticationFailed."""
        if self._verifier is not None and token.count(b".") == 2:
            return await self._verifier.authenticate_slowly(token)
        raise incorrect_key(token)


def _shared(previous: Authenticator | None, url: str, refresh_s: float) -> Jwks:
    from switchgear.auth.jwks import Jwks  # with cryptography too

    jwks = previous._jwks if previous is not None else None
    return jwks if jwks is not None and (jwks.url, jwks.refresh_s) == (url, refresh_s) else Jwks(url, refresh_s)
