"""JWT bearer tokens: verified once, then remembered by their digest until they expire.

Checked in this order, so that nothing unverified costs more than it must: size and form; the header (an algorithm of
the configuration, no `crit`, a plain `kid`); a key that this algorithm may be verified with; signature and the claims
exp, nbf, iat, iss, aud (RFC 7519 §4.1, RFC 8725 §3). `exp` is required: a token without one would be good for ever.
Header fields that bring or point to a key (`jwk`, `jku`, `x5c`, `x5u`) are never read.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from hashlib import sha256
from typing import Any

import jwt

from switchgear.auth.jwks import Jwks
from switchgear.auth.keys import allowed_models
from switchgear.auth.ownership import of_claims
from switchgear.auth.refusals import invalid_token
from switchgear.auth.verification_keys import KeySet, VerificationKey, from_config
from switchgear.config.owners import Owners
from switchgear.config.schema import Config, Jwt
from switchgear.errors import AuthenticationFailed
from switchgear.types import Principal

MAX_TOKEN_BYTES = 8192
MAX_KID_LENGTH = 256
MAX_SUBJECT_LENGTH = 256
MAX_MODELS = 1024
CACHE_SIZE = 10_000  # verified tokens

# PyJWT's exceptions as sentences for the caller; the first that fits.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "it has expired."),
    (jwt.ImmatureSignatureError, "it is not valid yet."),
    (jwt.InvalidAudienceError, "it is for another audience."),
    (jwt.InvalidIssuerError, "it is from another issuer."),
    (jwt.MissingRequiredClaimError, "a required claim is missing (exp; aud and iss where they are checked)."),
    (jwt.InvalidSignatureError, "its signature does not match."),
)
_MALFORMED = "it is malformed."


class JwtVerifier:
    """Verifies tokens by one configuration. jwks: the key set of `config.jwks_url`; None with inline keys.

    owners: what the configuration declares, for claims to name; by default nothing.
    """

    def __init__(self, config: Jwt, jwks: Jwks | None = None, owners: Owners | None = None):
        self._settings, self._owners = config, owners or Owners(Config())
        self._algorithms = frozenset(config.algorithms)
        self._audience, self._issuer, self._leeway_s = config.audience, config.issuer, float(config.leeway)
        self._subject_claim, self._models_claim = config.subject_claim, config.models_claim
        self._default_models = allowed_models(config.models)
        self._jwks = jwks
        self._inline = from_config(config) if jwks is None else None
        self._verified: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._verified_with: KeySet | None = None

    def authenticate(self, token: bytes) -> Principal | None:
        """Who the token is for. In memory for a token seen before; else one signature check.

        None when its key is unknown and the key set may be fetched again: `authenticate_slowly` then does both.
        Raises AuthenticationFailed.
        """
        if len(token) > MAX_TOKEN_BYTES:
            raise invalid_token(f"it is longer than {MAX_TOKEN_BYTES} bytes.")
        keys = self._keys()
        digest = sha256(token).digest()
        if (known := self._verified.get(digest)) is not None:
            return self._remembered(digest, *known)
        algorithm, kid = self._header(token)
        key = keys.find(kid, algorithm)
        if key is None:
            if self._jwks is not None and self._jwks.may_refetch:
                return None
            raise invalid_token("the key that signed it is not known here.")
        return self._verify(token, digest, key, algorithm)

    async def authenticate_slowly(self, token: bytes) -> Principal:
        """Fetch the key set if it may be, then as `authenticate`. Raises AuthenticationFailed."""
        if self._jwks is not None:
            await self._jwks.refetch()
        principal = self.authenticate(token)
        if principal is None:
            raise invalid_token("the key that signed it is not known here.")
        return principal

    def _keys(self) -> KeySet:
        """The keys now. When they changed, what was verified with the old ones is forgotten: one may be revoked."""
        keys = self._inline if self._jwks is None else self._jwks.keys
        assert keys is not None  # noqa: S101 - one of the two is there by construction
        if keys is not self._verified_with:
            self._verified.clear()
            self._verified_with = keys
        return keys

    def _remembered(self, digest: bytes, principal: Principal, until: float) -> Principal:
        if time.time() >= until:
            del self._verified[digest]
            raise invalid_token("it has expired.")
        self._verified.move_to_end(digest)
        return principal

    def _header(self, token: bytes) -> tuple[str, str | None]:
        """Algorithm and key id. Raises AuthenticationFailed for a header that must not be trusted with a choice."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise invalid_token(_MALFORMED) from None  # the exception may quote the header
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise invalid_token("its algorithm is not accepted here.")
        if "crit" in header or header.get("b64") is not None:
            raise invalid_token("it asks for an extension that is not supported (crit).")
        if kid is not None and not (isinstance(kid, str) and len(kid) <= MAX_KID_LENGTH):
            raise invalid_token(_MALFORMED)
        return algorithm, kid

    def _verify(self, token: bytes, digest: bytes, key: VerificationKey, algorithm: str) -> Principal:
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway_s,
                options={"require": ["exp"], "verify_aud": self._audience is not None},
            )
            until = float(claims["exp"]) + self._leeway_s
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise _refusal(error) from None  # the exception may quote a claim
        principal = self._principal(claims)
        self._verified[digest] = (principal, until)
        if len(self._verified) > CACHE_SIZE:
            self._verified.popitem(last=False)
        return principal

    def _principal(self, claims: dict[str, Any]) -> Principal:
        subject = claims.get(self._subject_claim)
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_LENGTH or not subject.isprintable():
            raise invalid_token(
                f"its claim {self._subject_claim} must be a string of 1 to {MAX_SUBJECT_LENGTH} characters."
            )
        models, patterns = self._default_models
        listed = claims.get(self._models_claim)
        if isinstance(listed, str):  # as `scope` is written, RFC 8693 §4.2
            listed = listed.split()
        if listed is not None:
            if not isinstance(listed, list) or len(listed) > MAX_MODELS or not all(isinstance(n, str) for n in listed):
                raise invalid_token(f"its claim {self._models_claim} must be a list of strings.")
            models, patterns = allowed_models(listed)
        member = of_claims(claims, subject, self._settings, self._owners)
        return Principal(
            name=subject,
            kind="jwt",
            models=models,
            patterns=patterns,
            organization=member.organization,
            project=member.project,
            user=member.user,
        )


def _refusal(error: Exception) -> AuthenticationFailed:
    return invalid_token(next((reason for kind, reason in _REASONS if isinstance(error, kind)), _MALFORMED))
